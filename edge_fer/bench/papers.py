"""The papers' networks as files: built untrained, exported, quantized on noise, kept in a cache.

What a network costs does not depend on what it has learnt. Their accuracy is meaningless and is
not told.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import edge_fer
from edge_fer.bench.subjects import Subject
from edge_fer.data.cache import cache_folder
from edge_fer.errors import EdgeFerError
from edge_fer.files import write_atomic
from edge_fer.graph import summarise_tflite
from edge_fer.resources import resource_names
from edge_fer.versions import installed_versions
from edge_fer.zoo import models_document, read_published

CALIBRATION_IMAGES = 8
FILES = ("fp32.tflite", "int8.tflite", "fp32.onnx", "int8.onnx")
_TOOLS = ("torch", "onnx", "onnxruntime", "litert-torch", "ai-edge-quantizer", "onnxscript")
_SOURCES = ("models", "export", "compress")


def paper_subjects(
    models: Sequence[str], classes: int, announce: Callable[[str], None]
) -> tuple[list[Subject], list[str]]:
    """Builds the networks that the cache does not have.

    Args:
        models: Names in the zoo.
        classes: Number of outputs.
        announce: Called with what is being built.

    Returns:
        The files, and a line for each that could not be made.

    Raises:
        MissingExtraError: The cache lacks one and the extra ``quantize`` is not installed.
    """
    folder = cache_folder() / f"papers-{_digest()}"
    subjects: list[Subject] = []
    failed: list[str] = []
    for model in models:
        made = [folder / f"{model}_{classes}.{file}" for file in FILES]
        if not all(path.exists() for path in made):
            announce(f"build, export and quantize {model}")
            failed += _build(model, classes, folder)
        subjects += [_subject(model, classes, path) for path in made if path.exists()]
    return subjects, failed


def paper_tables(suite_models: Sequence[str], classes: int) -> list[dict[str, Any]]:
    """Returns each paper's complexity figures, with ours beside those of our models.

    Returns:
        Of each paper: ``paper`` (its file's name), ``title``, and ``figures`` as the paper prints
        them, with ``ours`` and ``difference_percent`` where it is a quantity that we count.
    """
    document = models_document(suite_models, classes=classes)
    ours = {
        (model["name"], *_place(figure)): figure
        for model in document["models"]
        for figure in model["published"]["complexity"]
    }
    return [
        {
            "paper": paper,
            "title": read_published(paper)["paper"]["title"],
            "figures": [
                ours.get((f.get("model"), *_place(f)), {}) | f
                for f in read_published(paper).get("complexity", [])
                if "output_shape" not in f
            ],
        }
        for paper in resource_names("published")
    ]


def _place(figure: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(figure.get(key) for key in ("seed", "table", "row", "column", "quantity", "value"))


def _digest() -> str:
    """Of all that makes the files: our code, and the tools' versions."""
    digest = hashlib.sha256(repr(sorted(installed_versions(_TOOLS).items())).encode())
    package = Path(edge_fer.__file__).parent
    for folder in _SOURCES:
        for source in sorted((package / folder).glob("*.py")):
            digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _build(model: str, classes: int, folder: Path) -> list[str]:
    """Writes what can be made of a model's files; returns what could not."""
    failed = []
    for file, make in _makers(model, classes):
        try:
            content = make()
        except EdgeFerError:
            raise
        except Exception as error:  # the exporters and quantizers share no base of their errors
            failed.append(f"{model}.{file}: {str(error).strip().partition(chr(10))[0]}")
            continue
        write_atomic(folder / f"{model}_{classes}.{file}", partial(Path.write_bytes, data=content))
    return failed


def _makers(model: str, classes: int) -> Iterator[tuple[str, Callable[[], bytes]]]:
    import torch

    from edge_fer.compress.quantize_onnx import quantize_onnx
    from edge_fer.compress.quantize_tflite import quantize_tflite
    from edge_fer.export.onnx import export_onnx
    from edge_fer.export.tflite import export_tflite
    from edge_fer.models import build_model, find_model

    torch.manual_seed(0)
    network = build_model(model, num_classes=classes).eval()
    shape = (1, *find_model(model).input_chw)
    images = _noise(find_model(model).input_chw)
    yield "fp32.tflite", lambda: export_tflite(network, shape)
    yield "int8.tflite", lambda: quantize_tflite(export_tflite(network, shape), images)
    yield "fp32.onnx", lambda: export_onnx(network, shape)
    yield "int8.onnx", lambda: quantize_onnx(export_onnx(network, shape), images)


def _noise(input_chw: tuple[int, int, int]) -> np.ndarray:
    channels, height_px, width_px = input_chw
    shape = (CALIBRATION_IMAGES, height_px, width_px) + ((3,) if channels == 3 else ())
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _subject(model: str, classes: int, path: Path) -> Subject:
    from edge_fer.export.onnx_graph import summarise_onnx

    content = path.read_bytes()
    precision, format_ = path.name.removeprefix(f"{model}_{classes}.").split(".")
    summarise = summarise_tflite if format_ == "tflite" else summarise_onnx
    summary = summarise(content, path.name)
    (counts,) = models_document([model], classes=classes)["models"]
    return Subject(
        name=f"{model}/model.{precision}.{format_}",
        format=format_,
        precision=precision,
        content=content,
        params=counts["params_total"],
        macs=summary.macs,
        arena_mb=summary.arena_bytes / 1e6,
        model=model,
    )
