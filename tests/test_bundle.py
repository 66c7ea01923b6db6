import errno
import hashlib
import json
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.bundle import MANIFEST, Bundle, Manifest, ModelFile, Tensor, save_bundle
from edge_fer.errors import BundleError, OutputError
from edge_fer.preprocess import Preprocessing
from edge_fer.resources import find_resource

CONTENTS = {
    name: np.random.default_rng(seed).integers(0, 256, 3000, np.uint8).tobytes()
    for seed, name in enumerate(("model.fp32.tflite", "model.int8.onnx"))
}


def model_file(name, content, **changes):
    values = {
        "file": name,
        "format": name.rpartition(".")[2],
        "precision": "int8",
        "size_mb": len(content) / 1e6,
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": Tensor(shape=(1, 48, 48, 1), dtype="int8", scale=1 / 128, zero_point=0),
        "output": Tensor(shape=(1, 7), dtype="int8", scale=0.1, zero_point=-3),
        "params": 10,
        "macs": 20,
        "arena_mb": 0.5,
    }
    return ModelFile(**(values | changes))


def manifest(*files, **changes):
    values = {
        "name": "tiny",
        "model": "arch-1",
        "labels": ("froh", "böse"),
        "preprocessing": Preprocessing(),
        "params": 12,
        "params_trainable": 11,
        "macs": 20,
        "files": files or tuple(model_file(name, content) for name, content in CONTENTS.items()),
        "temperature": 1.5,
        "calibration": {"images": 300},
        "provenance": {"command": "edge-fer quantize"},
        "licences": {"weights": "Apache-2.0"},
    }
    return Manifest(**(values | changes))


def signed(document):
    """A manifest's text with a right digest, whatever else is wrong with it."""
    document = {"manifest_sha256": "0" * 64} | {
        k: v for k, v in document.items() if k != "manifest_sha256"
    }
    text = json.dumps(document)
    return text.replace("0" * 64, hashlib.sha256(text.encode()).hexdigest(), 1).encode()


def tar_of(folder, *, arcname):
    path = folder.with_suffix(".tar")
    with tarfile.open(path, "w") as archive:
        archive.add(folder, arcname=arcname)
    return path


@pytest.fixture
def folder(tmp_path):
    save_bundle(tmp_path / "tiny", manifest(), CONTENTS)
    return tmp_path / "tiny"


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    save_bundle(folder, manifest(), CONTENTS)
    return folder


def test_a_saved_folder_loads_as_it_was(folder):
    loaded = Bundle.load(folder)
    assert loaded.manifest == manifest()
    assert loaded.contents == CONTENTS
    assert sorted(path.name for path in folder.iterdir()) == sorted([*CONTENTS, MANIFEST])


@pytest.mark.parametrize("arcname", ["tiny", "."])
def test_a_tar_of_the_folder_loads_as_the_folder(folder, arcname):
    loaded = Bundle.load(tar_of(folder, arcname=arcname))
    assert loaded.manifest == manifest()
    assert loaded.contents == CONTENTS


def test_the_manifest_is_json_with_two_flops_per_mac(folder):
    document = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert document["schema"] == "edge-fer/bundle/1"
    assert document["flops"] == 2 * document["macs"] == 40
    assert document["labels"] == ["froh", "böse"]
    assert (
        document["files"][0]["sha256"] == hashlib.sha256(CONTENTS["model.fp32.tflite"]).hexdigest()
    )


def test_a_change_of_any_byte_of_the_manifest_is_refused(folder):
    text = (folder / MANIFEST).read_bytes()
    for position in range(len(text)):
        changed = bytearray(text)
        changed[position] ^= 1 << position % 8
        (folder / MANIFEST).write_bytes(changed)
        with pytest.raises(BundleError):
            Bundle.load(folder)
    (folder / MANIFEST).write_bytes(text)
    Bundle.load(folder)


@given(position=st.integers(0, 1500), change=st.integers(1, 255))
@settings(deadline=None, max_examples=100)
def test_any_change_of_a_byte_of_the_manifest_is_refused(shared_folder, position, change):
    text = (shared_folder / MANIFEST).read_bytes()
    changed = bytearray(text)
    changed[position % len(text)] ^= change
    (shared_folder / MANIFEST).write_bytes(changed)
    try:
        with pytest.raises(BundleError):
            Bundle.load(shared_folder)
    finally:
        (shared_folder / MANIFEST).write_bytes(text)


@given(
    name=st.sampled_from(sorted(CONTENTS)),
    position=st.integers(0, 2999),
    change=st.integers(1, 255),
)
@settings(deadline=None, max_examples=60)
def test_a_changed_byte_of_a_model_file_is_refused_by_name(shared_folder, name, position, change):
    content = bytearray(CONTENTS[name])
    content[position] ^= change
    (shared_folder / name).write_bytes(content)
    try:
        with pytest.raises(BundleError, match=name):
            Bundle.load(shared_folder)
    finally:
        (shared_folder / name).write_bytes(CONTENTS[name])


@pytest.mark.parametrize("changed", [b"", CONTENTS["model.int8.onnx"] + b"\0"])
def test_a_shortened_or_lengthened_model_file_is_refused(folder, changed):
    (folder / "model.int8.onnx").write_bytes(changed)
    with pytest.raises(BundleError, match=r"model\.int8\.onnx"):
        Bundle.load(folder)


@given(kept=st.floats(0, 1))
@settings(deadline=None, max_examples=60)
def test_a_truncated_tar_is_refused_or_whole(shared_folder, tmp_path_factory, kept):
    whole = tar_of(shared_folder, arcname="tiny").read_bytes()
    path = tmp_path_factory.getbasetemp() / "cut.tar"
    path.write_bytes(whole[: int(kept * len(whole))])
    try:
        loaded = Bundle.load(path)
    except BundleError:
        return
    assert loaded.contents == CONTENTS


@given(position=st.integers(0, 12_000), change=st.integers(1, 255))
@settings(deadline=None, max_examples=100)
def test_a_changed_byte_of_a_tar_is_refused_or_changes_nothing(
    shared_folder, tmp_path_factory, position, change
):
    damaged = bytearray(tar_of(shared_folder, arcname="tiny").read_bytes())
    damaged[position % len(damaged)] ^= change
    path = tmp_path_factory.getbasetemp() / "changed.tar"
    path.write_bytes(damaged)
    try:
        loaded = Bundle.load(path)
    except BundleError:
        return
    assert (loaded.manifest, loaded.contents) == (manifest(), CONTENTS)


@pytest.mark.parametrize("name", [*CONTENTS, MANIFEST])
def test_a_missing_file_is_named(folder, name):
    tar = tar_of(folder, arcname=".")
    with tarfile.open(tar, "w") as archive:
        for path in folder.iterdir():
            if path.name != name:
                archive.add(path, arcname=path.name)
    (folder / name).unlink()
    for path in (folder, tar):
        with pytest.raises(BundleError, match=name):
            Bundle.load(path)


@pytest.mark.parametrize("schema", ["edge-fer/bundle/2", None])
def test_another_schema_is_refused(folder, schema):
    document = json.loads((folder / MANIFEST).read_text()) | {"schema": schema}
    (folder / MANIFEST).write_bytes(signed(document))
    with pytest.raises(BundleError, match="edge-fer/bundle/1"):
        Bundle.load(folder)


@pytest.mark.parametrize("key", ["name", "labels", "preprocessing", "files", "params", "macs"])
def test_a_manifest_that_lacks_a_key_is_refused_by_the_key(folder, key):
    document = json.loads((folder / MANIFEST).read_text())
    del document[key]
    (folder / MANIFEST).write_bytes(signed(document))
    with pytest.raises(BundleError, match=key):
        Bundle.load(folder)


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": 3},
        {"files": 3},
        {"files": [{}]},
        {"files": ["model.onnx"]},
        {"preprocessing": {"height_px": 48}},
        {"preprocessing": None},
        {"surplus": 1},
    ],
    ids=str,
)
def test_a_signed_manifest_of_another_form_is_refused(folder, changes):
    document = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_bytes(signed(document))
    with pytest.raises(BundleError):
        Bundle.load(folder)


@pytest.mark.parametrize("name", ["../secret.onnx", "..", "below/secret.onnx", "{tmp}/secret.onnx"])
def test_a_file_name_that_leaves_the_bundle_is_refused(tmp_path, name):
    name = name.format(tmp=tmp_path)
    folder = tmp_path / "tiny"
    (folder / "below").mkdir(parents=True)
    for place in (tmp_path, folder / "below"):
        (place / "secret.onnx").write_bytes(b"secret")
    (folder / MANIFEST).write_bytes(manifest(model_file(name, b"secret")).to_json())
    with pytest.raises(BundleError):
        Bundle.load(folder)


@pytest.mark.parametrize("content", [None, b"", b"no tar", b"\x1f\x8b\x08no gzip"])
def test_what_is_no_bundle_is_refused_by_name(tmp_path, content):
    path = tmp_path / "thing.tar"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(BundleError, match=r"thing\.tar"):
        Bundle.load(path)


def test_an_empty_folder_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match=MANIFEST):
        Bundle.load(tmp_path)


def test_a_bundle_replaces_an_older_one(folder):
    (folder / "old.txt").write_text("old")
    save_bundle(folder, manifest(name="newer"), CONTENTS)
    assert Bundle.load(folder).manifest.name == "newer"
    assert sorted(path.name for path in folder.iterdir()) == sorted([*CONTENTS, MANIFEST])
    assert list(folder.parent.iterdir()) == [folder]


def fail_at_call(function, number):
    """Raises "disk full" at the ``number``-th call of ``function``, and lets the others through."""
    calls = []

    def wrapper(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*args, **kwargs)

    return wrapper


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_leaves_the_old_bundle_and_no_rest(folder, monkeypatch, number):
    newer = {name: content[::-1] for name, content in CONTENTS.items()}
    files = tuple(model_file(name, content) for name, content in newer.items())
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", fail_at_call(Path.write_bytes, number))
        with pytest.raises(OutputError, match="No space left"):
            save_bundle(folder, manifest(*files), newer)
    assert Bundle.load(folder).contents == CONTENTS
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("number", [1, 2])
def test_a_bundle_that_cannot_be_moved_into_place_leaves_the_old_one(folder, monkeypatch, number):
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", fail_at_call(Path.rename, number))
        with pytest.raises(OutputError):
            save_bundle(folder, manifest(name="newer"), CONTENTS)
    assert Bundle.load(folder).manifest.name == "tiny"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_bundle_below_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        save_bundle(tmp_path / "file" / "tiny", manifest(), CONTENTS)


def test_a_file_in_the_bundles_place_leaves_no_rest_inside_it(tmp_path):
    (tmp_path / "tiny").write_text("an older tar, for example")
    save_bundle(tmp_path / "tiny", manifest(), CONTENTS)
    names = sorted(path.name for path in (tmp_path / "tiny").iterdir())
    assert names == sorted([*CONTENTS, MANIFEST])


def test_the_shipped_bundle_verifies(shipped_bundle):
    bundle = Bundle.load(shipped_bundle)
    assert {f.precision for f in bundle.manifest.files} == {"int8"}
    assert all(
        len(bundle.contents[f.file]) == round(f.size_mb * 1e6) for f in bundle.manifest.files
    )


def test_a_copied_bundle_loads_from_anywhere(bundle_dir, tmp_path):
    shutil.copytree(bundle_dir, tmp_path / "copy")
    assert replace(Bundle.load(tmp_path / "copy"), path=bundle_dir) == Bundle.load(bundle_dir)


def test_a_bundle_without_a_task_classifies(folder, tmp_path):
    document = json.loads((folder / MANIFEST).read_text())
    for key in ("task", "min_score"):
        del document[key]
    (folder / MANIFEST).write_bytes(signed(document))
    loaded = Bundle.load(folder)
    assert loaded.manifest == manifest()
    loaded.require("classify")


def test_a_detectors_bundle_is_no_classifiers(tmp_path):
    detector = manifest(task="detect", min_score=0.25)
    save_bundle(tmp_path / "tiny", detector, CONTENTS)
    loaded = Bundle.load(tmp_path / "tiny")
    assert loaded.manifest == detector
    loaded.require("detect")
    with pytest.raises(BundleError, match="finds faces, not one that reads expressions"):
        loaded.require("classify")


@pytest.mark.parametrize("changes", [{"task": "sing"}, {"min_score": 1.0}, {"min_score": 0}])
def test_a_task_or_score_that_makes_no_sense_is_refused(folder, changes):
    document = json.loads((folder / MANIFEST).read_text()) | changes
    (folder / MANIFEST).write_bytes(signed(document))
    with pytest.raises(
        BundleError, match=f"{next(iter(changes))} {next(iter(changes.values()))!r}"
    ):
        Bundle.load(folder)


def test_the_shipped_detector_is_small_and_verified():
    bundle = Bundle.load(find_resource("bundle", "face-detector"))
    assert (bundle.manifest.task, bundle.manifest.labels) == ("detect", ("face",))
    assert [file.file for file in bundle.manifest.files] == ["model.int8.tflite"]
    assert sum(map(len, bundle.contents.values())) <= 150_000
