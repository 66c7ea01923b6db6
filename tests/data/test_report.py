import io
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.data import report
from edge_fer.data.dataset import Clip, Dataset, Item, Row
from edge_fer.data.report import contact_sheet, info_document
from edge_fer.errors import DataError, MissingExtraError

LABELS = ("angry", "happy", "sad")
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (40, 12, 12), np.uint8)


def noise_item(row, label=0, **facts):
    return Item(name=f"row-{row}-{facts}", source=Row(NOISE, row), label=label, **facts)


def dataset_of(items, **facts):
    return Dataset(name="faces", label_names=LABELS, items=tuple(items), **facts)


def leak(document, reference, split):
    pairs = {(entry["reference"], entry["split"]): entry for entry in document["leakage"]}
    return pairs[reference, split]


@pytest.fixture
def leaky():
    """Six training images, two test images of which one is also learnt from, with another label."""
    train = [noise_item(row, row % 2, split="train") for row in range(6)]
    test = [noise_item(0, 1, split="test"), noise_item(7, 1, split="test")]
    return dataset_of([*test, *train])


def test_counts_per_class_and_split(leaky):
    document = info_document(leaky, near=False)
    assert document["schema"] == "edge-fer/data-info/1"
    assert (document["n"], document["images"], document["clips"]) == (8, 8, 0)
    assert document["per_class"] == {"angry": 3, "happy": 5, "sad": 0}
    assert document["splits"] == [
        {"name": "test", "n": 2, "per_class": {"angry": 0, "happy": 2, "sad": 0}},
        {"name": "train", "n": 6, "per_class": {"angry": 3, "happy": 3, "sad": 0}},
    ]
    assert document == json.loads(json.dumps(document))


def test_what_is_tested_leaks_from_what_is_learnt(leaky):
    document = info_document(leaky, near=False)
    assert leak(document, "train", "test") == {
        "reference": "train", "split": "test", "n": 2, "exact": 1, "near": None,
    }  # fmt: skip
    assert document["duplicates"]["exact"] == {"repeats": 1, "label_conflicts": 1}
    verdict = document["verdict"]
    expected = "1 of 2 test images also occur in train: report accuracy without them too"
    assert expected in verdict
    assert "1 of 8 images repeat an earlier one" in verdict
    assert "1 pictures occur with more than one label" in verdict
    assert "no items of class sad" in verdict


def test_without_leaks_nothing_is_said_of_them():
    items = [noise_item(row, row % 3, split="ab"[row % 2], subject=str(row)) for row in range(12)]
    document = info_document(dataset_of(items), near=False)
    assert document["leakage"][0]["exact"] == 0
    assert document["verdict"] == [
        "near duplicates were not looked for: --near, with pip install 'edge-fer[data]'"
    ]


def test_near_duplicates_are_told_from_exact_ones():
    pytest.importorskip("imagehash", reason="near duplicates need ImageHash")
    picture = cv2.GaussianBlur(NOISE[0], (5, 5), 0)
    pictures = np.stack([picture, picture, cv2.convertScaleAbs(picture, beta=9), NOISE[1]])
    splits = ("train", "val", "test", "test")
    items = [
        Item(name=str(row), source=Row(pictures, row), label=0, split=split, subject="ann")
        for row, split in enumerate(splits)
    ]
    document = info_document(dataset_of(items), near=True)
    assert document["duplicates"]["exact"]["repeats"] == 1
    assert document["duplicates"]["near"] == {"threshold_bits": 4, "compared": 4, "repeats": 2}
    assert (leak(document, "train", "val")["exact"], leak(document, "train", "val")["near"]) == (
        1,
        1,
    )
    assert (leak(document, "train", "test")["exact"], leak(document, "train", "test")["near"]) == (
        0,
        1,
    )
    assert any(
        line.startswith("1 of 2 test images are near duplicates of images in train")
        for line in document["verdict"]
    )
    assert "1 of 1 subjects are in more than one split" in document["verdict"]


def no_hasher():
    raise MissingExtraError("Near duplicates", "data")


def test_near_duplicates_are_optional_unless_asked_for(leaky, monkeypatch):
    monkeypatch.setattr(report, "perceptual_hasher", no_hasher)
    assert info_document(leaky)["duplicates"]["near"] is None
    with pytest.raises(MissingExtraError):
        info_document(leaky, near=True)


def test_subjects_labels_and_tags_are_counted():
    items = [
        noise_item(0, 0, subject="ann", tags=("occlusion", "pose-30")),
        noise_item(1, -1, subject="ann", tags=("occlusion",)),
        noise_item(2, 0),
    ]
    document = info_document(dataset_of(items, problems=("x.png: no label",)), near=False)
    assert document["subjects"] == {"n": 1, "items_without": 1, "in_several_splits": 0}
    assert document["tags"] == {"occlusion": 2, "pose-30": 1}
    assert document["unlabelled"] == 1
    assert document["problems"] == ["x.png: no label"]
    for line in ("1 items have no subject", "1 items have no label"):
        assert line in document["verdict"]
    assert "1 files or rows were left out: see the problems" in document["verdict"]


def test_uneven_classes_are_named():
    items = [noise_item(row, int(row == 0)) for row in range(11)]
    sentence = "angry has 10 items and happy 1: report UAR beside accuracy"
    assert sentence in info_document(dataset_of(items), near=False)["verdict"]
    fewer = dataset_of(items[:10])
    assert not any("UAR" in line for line in info_document(fewer, near=False)["verdict"])


def test_an_empty_dataset_is_reported_too():
    document = info_document(dataset_of([]), near=None)
    assert (document["n"], document["size_px"], document["leakage"]) == (0, None, [])
    assert "there is nothing in it" in document["verdict"]


@pytest.fixture
def pictures(tmp_path):
    for row in range(40):
        cv2.imwrite(str(tmp_path / f"{row}.png"), NOISE[row])
    return [Item(name=f"{r}.png", source=tmp_path / f"{r}.png", label=0) for r in range(40)]


def test_progress_counts_up_to_all(pictures, monkeypatch):
    monkeypatch.setattr(report, "_BATCH", 3)
    calls = []
    info_document(
        dataset_of(pictures), near=False, on_progress=lambda done, of: calls.append((done, of))
    )
    assert calls == [(done, 40) for done in (*range(3, 40, 3), 40)]


def most_at_once(items, monkeypatch):
    """How many items were being read at the same time."""
    lock, now, most = threading.Lock(), 0, 0

    def slow_read(_item):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1
        return NOISE[0]

    monkeypatch.setattr(report, "read_pixels", slow_read)
    monkeypatch.setattr(report, "_BATCH", 1)
    monkeypatch.setattr(report.os, "cpu_count", lambda: 64)
    info_document(dataset_of(items), near=False)
    return most


def test_files_are_read_on_a_few_threads_and_arrays_on_one(pictures, monkeypatch):
    assert 1 < most_at_once(pictures, monkeypatch) <= report._MAX_THREADS
    assert most_at_once([noise_item(row) for row in range(20)], monkeypatch) == 1


def test_a_person_in_two_splits_is_counted():
    people = [("ann", "a"), ("ann", "b"), ("bob", "a"), ("bob", "a"), ("", "a"), ("", "b")]
    items = [
        noise_item(row, subject=subject, split=split) for row, (subject, split) in enumerate(people)
    ]
    document = info_document(dataset_of(items), near=False)
    assert document["subjects"] == {"n": 2, "items_without": 2, "in_several_splits": 1}


@pytest.fixture
def frames(tmp_path: Path):
    files = tuple(tmp_path / f"{index}.png" for index in range(4))
    for index, file in enumerate(files):
        cv2.imwrite(str(file), np.full((10, 20), 60 * index, np.uint8))
    return files


def test_clips_are_read_whole_and_compared_exactly(frames, tmp_path):
    lost = (*frames[:2], tmp_path / "lost.png")
    sources = (Clip(frames), Clip(frames), Clip(frames, onset=1), Clip(lost))
    items = [Item(name=f"c{i}", source=clip, label=0) for i, clip in enumerate(sources)]
    document = info_document(dataset_of(items))
    assert (document["images"], document["clips"]) == (0, 4)
    assert document["duplicates"]["exact"]["repeats"] == 1
    assert document["size_px"]["width"] == {"min": 20, "median": 20, "max": 20}
    assert document["size_px"]["height"]["max"] == 10
    (line,) = document["unreadable"]
    assert "c3" in line
    assert "lost.png" in line


def test_the_sheet_shows_the_apex_of_a_clip(frames):
    clip = Item(name="c", source=Clip(frames, apex=1), label=0)
    sheet = contact_sheet(dataset_of([clip]), per_class=1)
    assert sheet[report._TILE_PX // 2, report._NAME_PX + 10].tolist() == [60] * 3


def encoded(suffix, pixels, *options):
    done, data = cv2.imencode(suffix, pixels, *options)
    assert done
    return data.tobytes()


def pillow_bytes(kind, mode, **options):
    image = pytest.importorskip("PIL.Image", reason="this kind is written with pillow")
    stream = io.BytesIO()
    picture = image.fromarray(np.full((20, 30, 3), (200, 60, 30), np.uint8)).convert(mode)
    if "orientation" in options:
        exif = picture.getexif()
        exif[0x0112] = options.pop("orientation")
        options["exif"] = exif
    picture.save(stream, kind, **options)
    return stream.getvalue()


GRAY = np.full((20, 30), 90, np.uint8)
KINDS = {
    "zero bytes": (".png", lambda: b"", None),
    "text": (".jpg", lambda: b"not an image\n" * 20, None),
    "cut PNG header": (".png", lambda: encoded(".png", GRAY)[:20], None),
    "cut JPEG header": (".jpg", lambda: encoded(".jpg", GRAY)[:60], None),
    "folder": (".png", None, None),
    "missing": (".png", lambda: None, None),
    "gray PNG": (".png", lambda: encoded(".png", GRAY), (30, 20, 90)),
    "16 bits": (".png", lambda: encoded(".png", GRAY.astype(np.uint16) * 257), (30, 20, 90)),
    "colour JPEG": (".jpg", lambda: pillow_bytes("JPEG", "RGB", quality=95), (30, 20, 98)),
    "palette PNG": (".png", lambda: pillow_bytes("PNG", "P"), (30, 20, 98)),
    "palette GIF": (".gif", lambda: pillow_bytes("GIF", "P"), (30, 20, 98)),
    "CMYK JPEG": (".jpg", lambda: pillow_bytes("JPEG", "CMYK", quality=95), (30, 20, 98)),
    "rotated": (".jpg", lambda: pillow_bytes("JPEG", "RGB", orientation=6), (20, 30, 98)),
    "transparent": (".png", lambda: pillow_bytes("PNG", "RGBA"), (30, 20, 98)),
}
STEM = st.sampled_from(
    ["face", "gesichtß", "笑顔", "имя лица", "a b", "👩", "x" * 200, "line\nbreak"]
)


def put(file, make):
    if make is None:
        file.mkdir()
    elif (data := make()) is not None:
        file.write_bytes(data)


@given(kinds=st.lists(st.tuples(st.sampled_from(sorted(KINDS)), STEM), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_every_picture_is_read_right_or_named_in_one_line(kinds, tmp_path_factory):
    root = tmp_path_factory.mktemp("faces")
    items, expected, broken = [noise_item(0)], [(12, 12)], 0
    for index, (kind, stem) in enumerate(kinds):
        suffix, make, looks = KINDS[kind]
        name = f"{index}-{stem}{suffix}"
        put(root / name, make)
        items.append(Item(name=name, source=root / name, label=1))
        expected += [looks[:2]] if looks else []
        broken += looks is None
    document = info_document(dataset_of(items))
    assert len(document["unreadable"]) == broken
    bad = [
        item.name for item, (kind, _) in zip(items[1:], kinds, strict=True) if not KINDS[kind][2]
    ]
    for name, line in zip(bad, document["unreadable"], strict=True):
        assert len(line.splitlines()) == 1
        assert " ".join(name.splitlines()) in line
    assert document["duplicates"]["compared"] == len(expected)
    widths, heights = zip(*expected, strict=True)
    assert document["size_px"]["width"] == {
        "min": min(widths), "median": np.median(widths), "max": max(widths),
    }  # fmt: skip
    assert document["size_px"]["height"]["max"] == max(heights)
    if broken:
        assert any("cannot be read" in line for line in document["verdict"])


@pytest.mark.parametrize("kind", [kind for kind, (*_, looks) in KINDS.items() if looks])
def test_the_pixels_of_a_picture_are_what_was_stored(kind, tmp_path):
    suffix, make, (width, height, brightness) = KINDS[kind]
    file = tmp_path / f"ü{suffix}"
    put(file, make)
    sheet = contact_sheet(dataset_of([Item(name="a", source=file, label=0)]), per_class=1)
    tile = sheet[: report._TILE_PX, report._NAME_PX : report._NAME_PX + report._TILE_PX]
    middle = tile[tile.shape[0] // 2, tile.shape[1] // 2]
    gray = cv2.cvtColor(middle.reshape(1, 1, 3), cv2.COLOR_BGR2GRAY)[0, 0]
    assert int(gray) == pytest.approx(brightness, abs=8)
    inside = (tile != 255).any(axis=2)
    size = round(report._TILE_PX * min(width, height) / max(width, height))
    shape = inside.any(axis=0).sum(), inside.any(axis=1).sum()
    assert shape == ((report._TILE_PX, size) if width > height else (size, report._TILE_PX))


def test_the_sheet_has_a_row_per_class_and_passes_over_what_is_broken(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"")
    bad = Item(name="bad.png", source=tmp_path / "bad.png", label=0)
    items = [bad, *(noise_item(row, 0) for row in range(3)), noise_item(3, -1)]
    sheet = contact_sheet(dataset_of(items), per_class=3, seed=1)
    step = report._TILE_PX + report._GAP_PX
    assert sheet.shape == (4 * step, report._NAME_PX + 3 * step, 3)
    assert sheet.dtype == np.uint8
    tiles = sheet[:, report._NAME_PX :]
    filled = [
        [(tiles[y : y + 60, x : x + 60] < 200).any() for x in range(0, 3 * step, step)]
        for y in range(0, 4 * step, step)
    ]
    assert filled == [[True] * 3, [False] * 3, [False] * 3, [True, False, False]]
    assert all((sheet[y : y + step, : report._NAME_PX] < 50).any() for y in range(0, 272, step))


def test_the_seed_draws_the_sheet():
    dataset = dataset_of(noise_item(row, row % 3) for row in range(30))
    first = contact_sheet(dataset, per_class=3, seed=1)
    assert np.array_equal(first, contact_sheet(dataset, per_class=3, seed=1))
    assert not np.array_equal(first, contact_sheet(dataset, per_class=3, seed=2))


def test_a_sheet_of_nothing_is_refused(leaky, tmp_path):
    lost = [replace(item, source=tmp_path / "lost.png") for item in leaky.items]
    for items in ((), lost):
        with pytest.raises(DataError, match=f"none of {len(items)} items can be read"):
            contact_sheet(dataset_of(items))
