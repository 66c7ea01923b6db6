"""Bundles: what is deployed. A folder (or a .tar of it) with model files and ``manifest.json``.

The manifest tells everything a device needs to run the files and everything a person needs to judge
them. It holds the SHA-256 of every file and of itself, so that one changed byte is refused.
"""

import hashlib
import json
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edge_fer.errors import BundleError, EdgeFerError, OutputError
from edge_fer.preprocess import Preprocessing

SCHEMA = "edge-fer/bundle/1"
MANIFEST = "manifest.json"
#: What a bundle does: it reads a face's expression, or it finds faces.
TASKS = ("classify", "detect")
_DIGEST = re.compile(rb'"manifest_sha256": "([0-9a-f]{64})"')
_BLANK = b"0" * 64
_REQUIRED = {
    "schema",
    "name",
    "model",
    "labels",
    "preprocessing",
    "params",
    "macs",
    "flops",
    "files",
}


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """Input or output of a model file.

    Attributes:
        shape: Static shape, batch 1.
        dtype: ``float32``, ``int8`` or ``uint8``.
        scale: Real value of one step; 1.0 for float.
        zero_point: Integer that means 0.0; 0 for float.
    """

    shape: tuple[int, ...]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """One artifact of a bundle.

    Attributes:
        file: Name inside the bundle, e.g. ``model.int8.tflite``.
        format: ``tflite`` or ``onnx``.
        precision: ``fp32`` or ``int8``.
        size_mb: File size, 1 MB = 10**6 bytes.
        sha256: Of the file, lower-case hex.
        input: The pixels' tensor.
        output: The logits' tensor, or a detector's map (see ``runtime.faces.decode``).
        params: Values stored in the file (batch norms folded).
        macs: Counted from the file's graph.
        arena_mb: Peak of activation tensors alive at once, from the file's graph.
        accuracy: Result of an evaluation, or ``None`` if none was made.
    """

    file: str
    format: str
    precision: str
    size_mb: float
    sha256: str
    input: Tensor
    output: Tensor
    params: int
    macs: int
    arena_mb: float
    accuracy: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a bundle says of itself.

    Attributes:
        name: Of the bundle.
        model: Name in the zoo.
        labels: Output order; ``("face",)`` of a detector.
        preprocessing: From a face box to the input tensor; a detector takes whole pictures, of any
            size, and this is the size of its files.
        params: Total of the network, batch-norm statistics included (Keras convention).
        params_trainable: Without the statistics.
        macs: Of the network, at batch 1.
        files: The artifacts.
        temperature: Divides the logits before softmax.
        calibration: What the INT8 ranges were measured on.
        provenance: Training data, split, command, metrics, versions.
        licences: Terms of the weights and of the data.
        task: One of ``TASKS``.
        min_score: Weakest face that counts, of a detector.
    """

    name: str
    model: str
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    params: int
    params_trainable: int
    macs: int
    files: tuple[ModelFile, ...]
    temperature: float = 1.0
    calibration: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    licences: Mapping[str, Any] = field(default_factory=dict)
    task: str = "classify"
    min_score: float = 0.5

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise BundleError(f"unknown task {self.task!r}; known: {', '.join(TASKS)}")
        if not 0 < self.min_score < 1:
            raise BundleError(f"min_score {self.min_score!r} is not between 0 and 1")

    @property
    def flops(self) -> int:
        """Two per MAC."""
        return 2 * self.macs

    def to_json(self) -> bytes:
        """Returns the manifest's text, its own digest included."""
        document = {"schema": SCHEMA, "manifest_sha256": _BLANK.decode(), **asdict(self)}
        document["flops"] = self.flops
        text = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
        digest = hashlib.sha256(text).hexdigest()
        return text.replace(_BLANK, digest.encode(), 1)


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, in memory.

    Attributes:
        path: Where it was loaded from.
        manifest: What it says.
        contents: Bytes of each model file, by name.
    """

    path: Path
    manifest: Manifest
    contents: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def load(cls, path: Path) -> "Bundle":
        """Reads a bundle and verifies schema and hashes.

        Raises:
            BundleError: No bundle there, another schema, a missing file or a byte that was changed.
        """
        manifest = _parse_manifest(_read_member(path, MANIFEST), path)
        contents = {}
        for model_file in manifest.files:
            content = _read_member(path, model_file.file)
            if hashlib.sha256(content).hexdigest() != model_file.sha256:
                raise BundleError(
                    f"{path}: {model_file.file} is not what the manifest describes (SHA-256)"
                )
            contents[model_file.file] = content
        return cls(path, manifest, contents)

    def require(self, task: str) -> None:
        """Refuses a bundle that is for something else.

        Raises:
            BundleError: Its task is not ``task``.
        """
        if self.manifest.task != task:
            verbs = {"classify": "reads expressions", "detect": "finds faces"}
            own, other = verbs[self.manifest.task], verbs[task]
            raise BundleError(f"{self.path}: a bundle that {own}, not one that {other}")


def save_bundle(folder: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
    """Writes a bundle folder in one step: it appears whole, or not at all.

    An existing folder is replaced; ask the user first.

    Raises:
        OutputError: The files cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for name, content in {**contents, MANIFEST: manifest.to_json()}.items():
                (staging / name).write_bytes(content)
            staging.chmod(0o755)
            _swap_in(staging, folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror or error}") from error


def _swap_in(staging: Path, folder: Path) -> None:
    """Puts ``staging`` in the place of ``folder``, or leaves what was there."""
    old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.old."))
    kept = old / folder.name
    try:
        if folder.exists():
            folder.rename(kept)
        staging.rename(folder)
    except BaseException:
        if kept.exists():
            kept.rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _read_member(path: Path, name: str) -> bytes:
    if Path(name).name != name:
        raise BundleError(f"{path}: file name {name!r} leaves the bundle")
    try:
        if path.is_dir():
            return (path / name).read_bytes()
        if path.is_file() and tarfile.is_tarfile(path):
            return _read_tar_member(path, name)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise BundleError(f"{path}: no readable {name} in it ({error})") from error
    if path.exists():
        raise BundleError(f"{path}: neither a bundle folder nor a .tar of one")
    raise BundleError(f"{path}: no such bundle")


def _read_tar_member(path: Path, name: str) -> bytes:
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile() and Path(member.name).name == name:
                stream = archive.extractfile(member)
                if stream is not None:
                    return stream.read()
    raise BundleError(f"{path}: no {name} in it")


def _parse_manifest(text: bytes, path: Path) -> Manifest:
    where = f"{path}: {MANIFEST}"
    match = _DIGEST.search(text)
    if match is None:
        raise BundleError(f"{where} is not an edge-fer manifest (no manifest_sha256)")
    blanked = text[: match.start(1)] + _BLANK + text[match.end(1) :]
    if hashlib.sha256(blanked).hexdigest().encode() != match[1]:
        raise BundleError(f"{where} was changed after it was written (SHA-256)")
    try:
        document = json.loads(text)
    except ValueError as error:
        raise BundleError(f"{where} is not JSON ({error})") from error
    if document.get("schema") != SCHEMA:
        raise BundleError(
            f"{where} has schema {document.get('schema')!r}; this version reads {SCHEMA}"
        )
    missing = _REQUIRED - set(document)
    if missing:
        raise BundleError(f"{where} lacks {', '.join(sorted(missing))}")
    return _manifest_from(document, where)


def _manifest_from(document: dict[str, Any], where: str) -> Manifest:
    values = {k: v for k, v in document.items() if k not in {"schema", "manifest_sha256", "flops"}}
    try:
        values["labels"] = tuple(values["labels"])
        values["preprocessing"] = Preprocessing.from_dict(values["preprocessing"])
        values["files"] = tuple(_model_file(record) for record in values["files"])
        return Manifest(**values)
    except (TypeError, KeyError, AttributeError, EdgeFerError) as error:
        raise BundleError(f"{where} does not follow {SCHEMA} ({error})") from error


def _model_file(record: Mapping[str, Any]) -> ModelFile:
    tensors = {
        name: Tensor(**{**record[name], "shape": tuple(record[name]["shape"])})
        for name in ("input", "output")
    }
    return ModelFile(**{**record, **tensors})
