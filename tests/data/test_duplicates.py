import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.data.dataset import Dataset, Item, Row
from edge_fer.data.duplicates import (
    NEAR_BITS,
    exact_likeness,
    near_likeness,
    perceptual_hasher,
    pixel_hash,
    similar_pairs,
)
from edge_fer.data.fer2013 import SPLITS, read_fer2013
from edge_fer.data.report import info_document
from edge_fer.errors import MissingExtraError

HASH = st.integers(0, 2**64 - 1)


@st.composite
def close_hashes(draw):
    """Different hashes, many of which differ in few bits."""
    centres = draw(st.lists(HASH, min_size=1, max_size=4))
    flips = st.lists(st.integers(0, 63), max_size=8)
    spread = draw(st.lists(st.tuples(st.sampled_from(centres), flips), min_size=1, max_size=40))
    hashes = set()
    for centre, bits in spread:
        for bit in bits:
            centre ^= 1 << bit
        hashes.add(centre)
    return sorted(hashes)


def pairs_by_loop(hashes, bits):
    return [
        (a, b)
        for a in range(len(hashes))
        for b in range(a + 1, len(hashes))
        if (hashes[a] ^ hashes[b]).bit_count() <= bits
    ]


@given(hashes=close_hashes(), bits=st.integers(0, 9))
@settings(deadline=None, max_examples=200)
def test_the_search_finds_what_a_plain_loop_finds(hashes, bits):
    found = similar_pairs(np.array(hashes, np.uint64), bits)
    assert [tuple(pair) for pair in found.tolist()] == pairs_by_loop(hashes, bits)


@given(hashes=st.lists(HASH, max_size=20).flatmap(lambda h: st.permutations(h + h[: len(h) // 2])))
@settings(deadline=None, max_examples=60)
def test_within_no_bits_near_is_exact(hashes):
    near = near_likeness(hashes, bits=0)
    exact = exact_likeness([value.to_bytes(8, "big") for value in hashes])
    assert near.repeats().tolist() == exact.repeats().tolist()


@given(hashes=close_hashes(), data=st.data())
@settings(deadline=None, max_examples=100)
def test_repeats_and_leaks_are_those_of_a_plain_loop(hashes, data):
    hashes = data.draw(st.lists(st.sampled_from(hashes), min_size=1, max_size=30))
    side = data.draw(st.lists(st.booleans(), min_size=len(hashes), max_size=len(hashes)))

    def like(a, b):
        return (a ^ b).bit_count() <= NEAR_BITS

    likeness = near_likeness(hashes)
    assert likeness.repeats().tolist() == [
        any(like(value, earlier) for earlier in hashes[:index])
        for index, value in enumerate(hashes)
    ]
    assert likeness.also_in(np.array(side)).tolist() == [
        any(like(value, other) for other, inside in zip(hashes, side, strict=True) if inside)
        for value in hashes
    ]


def test_nothing_has_no_repeats():
    assert exact_likeness([]).repeats().tolist() == []
    assert near_likeness([]).repeats().tolist() == []


def test_pixels_and_size_make_the_exact_hash():
    picture = np.arange(24, dtype=np.uint8).reshape(4, 6)
    assert pixel_hash(picture) == pixel_hash(picture.copy(order="F"))
    assert pixel_hash(picture) != pixel_hash(picture.reshape(6, 4))
    changed = picture.copy()
    changed[3, 5] ^= 1
    assert pixel_hash(picture) != pixel_hash(changed)


def bits_between(a, b):
    pytest.importorskip("imagehash", reason="near duplicates need ImageHash")
    hasher = perceptual_hasher()
    return (hasher(a) ^ hasher(b)).bit_count()


def test_a_photo_stays_near_when_scaled_recompressed_and_brightened(astronaut: Path):
    photo = cv2.imread(str(astronaut), cv2.IMREAD_GRAYSCALE)[:256, 100:356]
    small = cv2.resize(photo, (48, 48), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 60])
    versions = {
        "scaled": small,
        "recompressed": cv2.imdecode(jpeg, cv2.IMREAD_GRAYSCALE),
        "brightened": cv2.convertScaleAbs(small, alpha=0.8, beta=30),
    }
    for name, version in versions.items():
        assert bits_between(photo, version) <= NEAR_BITS, name
    assert bits_between(photo, photo[:, ::-1]) > NEAR_BITS
    assert bits_between(photo, photo.T) > NEAR_BITS


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "imagehash", None)
    with pytest.raises(MissingExtraError, match=r"Near duplicates .*'edge-fer\[data\]'"):
        perceptual_hasher()


def test_many_hashes_are_searched_without_comparing_all():
    rng = np.random.default_rng(0)
    hashes = np.unique(rng.integers(0, 2**63, 200_000, dtype=np.uint64))
    planted = np.unique(np.concatenate([hashes, hashes[:1000] ^ np.uint64(0b1010)]))
    assert len(similar_pairs(planted, NEAR_BITS)) == len(planted) - len(hashes)


@pytest.mark.data
@pytest.mark.slow
def test_fer2013_has_the_repeats_and_leaks_that_are_known(fer2013_file: Path):
    items = []
    for split in SPLITS:
        faces = read_fer2013(fer2013_file, split)
        items += [
            Item(
                name=f"{split}-{row}",
                source=Row(faces.images_NHW, row),
                label=int(label),
                split=split,
            )
            for row, label in enumerate(faces.labels_N)
        ]
    dataset = Dataset(name="fer2013", label_names=faces.label_names, items=tuple(items))
    document = info_document(dataset)
    assert document["n"] == 35_887
    assert document["duplicates"]["exact"]["repeats"] == 1_853
    leaks = {(leak["reference"], leak["split"]): leak for leak in document["leakage"]}
    assert leaks["Training", "PublicTest"]["exact"] == 280
    assert leaks["Training", "PrivateTest"]["exact"] == 288
    assert any(
        line.startswith("288 of 3,589 PrivateTest images also occur in Training")
        for line in document["verdict"]
    )
    if document["duplicates"]["near"]:
        assert document["duplicates"]["near"]["repeats"] == pytest.approx(2_871, abs=30)
        assert leaks["Training", "PrivateTest"]["near"] == pytest.approx(443, abs=10)
