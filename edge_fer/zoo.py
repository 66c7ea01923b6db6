"""The zoo's complexity table: our counts beside the papers'."""

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

from edge_fer.errors import ModelError
from edge_fer.models import MODELS, build_model, find_model
from edge_fer.models.complexity import Complexity, describe
from edge_fer.resources import find_resource, resource_names

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = "edge-fer/models/1"
LAYERS_SCHEMA = "edge-fer/model-layers/1"
UNITS = {"parameters": 1, "M": 1e6, "GFLOPs": 1e9}
OURS = {
    "params": "params_total",
    "params_total": "params_total",
    "params_trainable": "params_trainable",
    "flops": "flops",
}


def models_document(names: Sequence[str] = (), *, classes: int = 7) -> dict[str, Any]:
    """Counts models of the zoo at their paper's input size.

    Args:
        names: Keys of ``MODELS``; all if empty.
        classes: Number of outputs.

    Returns:
        A document of schema ``edge-fer/models/1``. ``published`` holds every figure that the papers
        print of a model: ``complexity`` (with ``ours`` and ``difference_percent`` where the
        quantity is one we count) and ``accuracy``.

    Raises:
        ModelError: No model has that name.
    """
    return {
        "schema": SCHEMA,
        "models": [_record(name, classes) for name in names or MODELS],
    }


def layers_document(name: str, *, classes: int = 7) -> dict[str, Any]:
    """Returns a model's layers: name, kind, output shape, parameters and MACs of each."""
    complexity = _count(name, classes)
    layers = [
        {
            "name": layer.name,
            "kind": layer.kind,
            "output_shape": list(layer.output_shape),
            "params": layer.params,
            "macs": layer.macs,
        }
        for layer in complexity.layers
    ]
    totals = {"params_total": complexity.params_total, "macs": complexity.macs}
    return {"schema": LAYERS_SCHEMA, "name": name, **totals, "layers": layers}


def _record(name: str, classes: int) -> dict[str, Any]:
    complexity = _count(name, classes)
    counts = {
        "params_total": complexity.params_total,
        "params_trainable": complexity.params_trainable,
        "macs": complexity.macs,
        "flops": complexity.flops,
        "float32_mb": complexity.float32_mb,
        "peak_activation_mb": complexity.peak_activation_mb,
    }
    return {
        "name": name,
        "input_nchw": [1, *find_model(name).input_chw],
        "classes": classes,
        "face": find_model(name).face,
        "source": find_model(name).source,
        **counts,
        "published": {
            "complexity": [_compared(figure, counts) for figure in _figures("complexity", name)],
            "accuracy": [_without_model(figure) for figure in _figures("accuracy", name)],
        },
    }


def _count(name: str, classes: int) -> Complexity:
    network = build_model(name, num_classes=classes)
    return describe(network, (1, *find_model(name).input_chw))


def _compared(figure: dict[str, Any], counts: dict[str, Any]) -> dict[str, Any]:
    """Adds our count to a published figure of the whole network that has one."""
    record = _without_model(figure)
    if figure["quantity"] in OURS and figure["unit"] in UNITS:
        ours = counts[OURS[figure["quantity"]]] / UNITS[figure["unit"]]
        record["ours"] = ours
        record["difference_percent"] = 100 * (ours - figure["value"]) / figure["value"]
    return record


def _without_model(figure: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in figure.items() if key != "model"}


def _figures(kind: str, model: str) -> list[dict[str, Any]]:
    """Published figures of a model; single layers' rows are left out."""
    return [
        figure
        for paper in resource_names("published")
        for figure in read_published(paper).get(kind, [])
        if figure.get("model") == model and "output_shape" not in figure
    ]


@cache
def read_published(paper: str) -> dict[str, Any]:
    """Reads the tables of one paper, ``benchmarks/published/PAPER.toml``.

    Raises:
        ModelError: Not TOML, or a figure without its place, value and unit.
    """
    path = find_resource("published", paper)
    try:
        document: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not a readable table ({error})") from error
    for kind in ("complexity", "accuracy"):
        for figure in document.get(kind, []):
            missing = {"seed", "table", "row", "value", "unit"} - set(figure)
            if missing:
                raise ModelError(f"{path}: {kind} figure {figure} lacks {', '.join(missing)}")
    return document
