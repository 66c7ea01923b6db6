"""Quantizes a model that edge-fer did not train, and writes its bundle.

Shape suffixes: N faces, K classes.
"""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bundle import Bundle, Manifest, save_bundle
from edge_fer.compress.artifacts import (
    FLOAT,
    TOOLCHAINS,
    Artifact,
    Toolchain,
    load_artifact,
    require_audited,
)
from edge_fer.compress.calibrate import calibration_faces
from edge_fer.compress.description import Description
from edge_fer.compress.document import quantization_document
from edge_fer.compress.foreign import ForeignRequest
from edge_fer.compress.foreign_model import ForeignModel, probabilities_of, require_same
from edge_fer.compress.manifest import model_file
from edge_fer.compress.quantize import Request
from edge_fer.compress.recipe import Recipe
from edge_fer.compress.stages import Stages
from edge_fer.compress.yardstick import ON_CALIBRATION, Yardstick
from edge_fer.data.spec import TERMS
from edge_fer.errors import EdgeFerError
from edge_fer.evaluate.labelled import read_labelled, require_same_labels
from edge_fer.runtime.classifier import softmax
from edge_fer.versions import installed_versions

_PACKAGES = (
    "edge-fer", "torch", "tensorflow", "keras", "litert-torch", "ai-edge-quantizer", "onnx",
    "onnxruntime",
)  # fmt: skip
_LEAST_PROBABILITY = 1e-12
_Figures = Mapping[str, Mapping[str, Any]]


def bundle_of(
    request: ForeignRequest,
    description: Description,
    read: Callable[[Path, Description], ForeignModel],
    announce: Callable[[str], None],
) -> dict[str, Any]:
    """Does what ``quantize_foreign`` says, with the reader of the model's format."""
    require_recipe(request.recipe)
    stages = Stages(announce)
    with stages.stage("read model and faces"):
        faces_NHW = _calibration(request, description)
        model = read(request.model, description)
        yardstick = _yardstick(request, description, model, faces_NHW)
    artifacts = []
    for toolchain in (one for one in TOOLCHAINS if one.format in model.floats):
        with stages.stage(f"quantize {toolchain.title}"):
            artifacts += _artifacts(toolchain, model, request.recipe, faces_NHW)
    with stages.stage("audit and compare"):
        require_audited(artifacts, request.recipe)
        logits = {one.name: yardstick.logits(one.engine) for one in artifacts}
        _require_faithful(artifacts, logits, yardstick)
        figures = {name: yardstick.figures(logits_NK) for name, logits_NK in logits.items()}
        costs = {
            one.name: yardstick.against(logits[f"model.{FLOAT}.{one.format}"], logits[one.name])
            for one in artifacts
            if one.precision != FLOAT
        }
    with stages.stage("write the bundle"):
        kept = [one for one in artifacts if not (request.int8_only and one.precision == FLOAT)]
        manifest = _manifest(request, description, model, kept, figures)
        save_bundle(request.out, manifest, {one.name: one.content for one in kept})
        Bundle.load(request.out)
    calibration = dict(manifest.calibration)
    asked = _as_request(request)
    return quantization_document(asked, artifacts, figures, costs, calibration, stages.seconds)


def _as_request(request: ForeignRequest) -> Request:
    """What was asked, as the document has it."""
    return Request(
        checkpoint=request.model,
        recipe=request.recipe,
        calibration=request.calibration,
        out=request.out,
        limits=request.limits,
        command=request.command,
    )


def require_recipe(recipe: Recipe) -> None:
    """Raises ``EdgeFerError`` for recipes that need the network in torch, or a search in it."""
    if recipe.mode == "mixed" or recipe.bias_correction:
        raise EdgeFerError(
            f"recipe {recipe.name!r}: mixed precision and bias correction are for edge-fer's own "
            "networks; a model of your own takes static_wi8_ai8, dynamic_wi8 or fp16"
        )


def _calibration(request: ForeignRequest, description: Description) -> np.ndarray:
    images, seed = request.recipe.images, request.recipe.seed
    assert request.calibration is not None
    return calibration_faces(
        request.calibration, description.preprocessing, images=images, seed=seed
    )


def _yardstick(
    request: ForeignRequest, description: Description, model: ForeignModel, faces_NHW: np.ndarray
) -> Yardstick:
    """The faces to compare on, and what the model itself says of them."""
    images_NHW, labels_N, leaked_N, source = faces_NHW, None, None, ON_CALIBRATION
    if request.evaluation is not None:
        labelled, leaked_N = read_labelled(request.evaluation, request.split)
        require_same_labels(description.labels, labelled)
        fit = description.preprocessing.fit
        images_NHW = np.stack([fit(image) for image in labelled.images_NHW])
        labels_N, source = labelled.labels_N, labelled.source
    own_NK = probabilities_of(model.scores(images_NHW), description, str(request.model))
    return Yardstick(
        images_NHW=images_NHW,
        labels_N=own_NK.argmax(1) if labels_N is None else labels_N,
        label_names=description.labels,
        is_labelled=labels_N is not None,
        leaked_N=leaked_N,
        source=source,
        preprocessing=description.preprocessing,
        temperature=1.0,
        torch_NK=np.log(np.maximum(own_NK, _LEAST_PROBABILITY)),
    )


def _artifacts(
    toolchain: Toolchain, model: ForeignModel, recipe: Recipe, faces_NHW: np.ndarray
) -> list[Artifact]:
    """Float and quantized file of one format."""
    content = model.floats[toolchain.format]
    if recipe.mode in toolchain.simple:
        quantized = toolchain.simple[recipe.mode](content)
    else:
        quantized = toolchain.static(content, faces_NHW, recipe.method).quantize()
    return [
        load_artifact(toolchain, FLOAT, content),
        load_artifact(toolchain, recipe.precision, quantized),
    ]


def _require_faithful(
    artifacts: list[Artifact], logits: Mapping[str, np.ndarray], yardstick: Yardstick
) -> None:
    own_NK = softmax(yardstick.torch_NK)
    for one in artifacts:
        if one.precision == FLOAT:
            require_same(own_NK, softmax(logits[one.name]), one.name)


def _manifest(
    request: ForeignRequest,
    description: Description,
    model: ForeignModel,
    artifacts: list[Artifact],
    figures: _Figures,
) -> Manifest:
    data = str(request.calibration).partition(":")[0]
    return Manifest(
        name=request.out.name,
        model=request.model.stem,
        labels=description.labels,
        preprocessing=description.preprocessing,
        params=model.params,
        params_trainable=model.params,
        macs=artifacts[0].summary.macs,
        files=tuple(model_file(one, figures) for one in artifacts),
        calibration={
            "data": data,
            "images": request.recipe.images,
            "seed": request.recipe.seed,
            "recipe": request.recipe.name,
            "method": request.recipe.method.name,
        },
        provenance={
            "command": request.command,
            "model_sha256": hashlib.sha256(request.model.read_bytes()).hexdigest(),
            "model_format": request.model.suffix.lower().lstrip("."),
            "versions": installed_versions(_PACKAGES),
        },
        licences={
            "weights": description.licence,
            "data": "not stated",
            "calibration": TERMS.get(data, "not stated"),
        },
    )
