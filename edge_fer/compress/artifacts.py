"""The model files of a bundle in the making: TFLite and ONNX, float and quantized."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from edge_fer.compress.audit import audit_int8
from edge_fer.compress.bias import correct_biases
from edge_fer.compress.layers import StaticQuantizer
from edge_fer.compress.mixed import Mixed, search_mixed
from edge_fer.compress.quantize_onnx import APART, StaticOnnx, dynamic_onnx, half_onnx
from edge_fer.compress.quantize_tflite import StaticTflite, dynamic_tflite, half_tflite
from edge_fer.compress.ranges import Method
from edge_fer.compress.recipe import Recipe
from edge_fer.compress.stages import Stages
from edge_fer.compress.yardstick import FileJudge, Yardstick
from edge_fer.errors import ModelError
from edge_fer.export.onnx import export_onnx
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.export.tflite import export_tflite
from edge_fer.graph import GraphSummary, summarise_tflite
from edge_fer.runtime.engines import Engine, load_engine
from edge_fer.train.checkpoint import Checkpoint

FLOAT = "fp32"
_CONVERSIONS = {"QUANTIZE", "DEQUANTIZE"}


@dataclass(frozen=True, kw_only=True)
class Toolchain:
    """What makes and reads the files of one format.

    Attributes:
        format: Suffix of the files.
        title: For people.
        engine: Name of the engine that runs them.
        export: Makes the float file of a network.
        static: Calibrates a float file.
        simple: By recipe mode, what quantizes without calibration.
        summarise: Lists what is in a file.
    """

    format: str
    title: str
    engine: str
    export: Callable[[nn.Module, tuple[int, ...]], bytes]
    static: Callable[[bytes, np.ndarray, Method], StaticQuantizer]
    simple: dict[str, Callable[[bytes], bytes]]
    summarise: Callable[[bytes, str], GraphSummary]


TOOLCHAINS = (
    Toolchain(
        format="tflite",
        title="TFLite",
        engine="litert",
        export=export_tflite,
        static=StaticTflite,
        simple={"dynamic": dynamic_tflite, "fp16": half_tflite},
        summarise=summarise_tflite,
    ),
    Toolchain(
        format="onnx",
        title="ONNX",
        engine="onnxruntime",
        export=export_onnx,
        static=StaticOnnx,
        simple={"dynamic": dynamic_onnx, "fp16": half_onnx},
        summarise=summarise_onnx,
    ),
)


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One model file in the making.

    Attributes:
        name: Of the file: ``model.PRECISION.FORMAT``.
        content: The file.
        engine: It, loaded.
        summary: What is in it.
        mixed: How it was found, if it is in mixed precision.
    """

    name: str
    content: bytes
    engine: Engine
    summary: GraphSummary
    mixed: Mixed | None = None

    @property
    def format(self) -> str:
        """``tflite`` or ``onnx``."""
        return self.name.rpartition(".")[2]

    @property
    def precision(self) -> str:
        """``fp32``, ``int8``, ``mixed``, ``wi8`` or ``fp16``."""
        return self.name.split(".")[1]

    @property
    def sha256(self) -> str:
        """Of the file, lower-case hex."""
        return hashlib.sha256(self.content).hexdigest()


def make_artifacts(
    checkpoint: Checkpoint,
    recipe: Recipe,
    calibration_NHW: np.ndarray | None,
    yardstick: Yardstick,
    max_drop_pt: float | None,
    stages: Stages,
) -> list[Artifact]:
    """Exports and quantizes.

    Args:
        checkpoint: The network.
        recipe: How.
        calibration_NHW: Calibration faces, where the recipe is calibrated.
        yardstick: Faces that a mixed recipe is measured on.
        max_drop_pt: The most that a mixed recipe may lose; needed by one.
        stages: Times and announces.

    Returns:
        Float and quantized file of each format in turn.
    """
    shape = tuple(checkpoint.metadata["input_nchw"])
    floats = _exported(checkpoint.network, shape, "export", stages)
    sources = floats
    if recipe.bias_correction and calibration_NHW is not None:
        with stages.stage("correct biases"):
            corrected = correct_biases(checkpoint.network, calibration_NHW)
        sources = _exported(corrected, shape, "export corrected", stages)
    artifacts = []
    for toolchain in TOOLCHAINS:
        content = sources[toolchain.format]
        artifacts.append(load_artifact(toolchain, FLOAT, floats[toolchain.format]))
        with stages.stage(f"quantize {toolchain.title}"):
            if recipe.mode in toolchain.simple:
                quantized, mixed = toolchain.simple[recipe.mode](content), None
            else:
                assert calibration_NHW is not None
                quantizer = toolchain.static(content, calibration_NHW, recipe.method)
                mixed = (
                    _searched(
                        toolchain,
                        quantizer,
                        floats[toolchain.format],
                        yardstick,
                        max_drop_pt,
                        stages,
                    )
                    if recipe.mode == "mixed"
                    else None
                )
                quantized = mixed.content if mixed else quantizer.quantize()
            made = load_artifact(toolchain, recipe.precision, quantized)
        artifacts.append(replace(made, mixed=mixed))
    return artifacts


def _exported(
    network: nn.Module, shape: tuple[int, ...], verb: str, stages: Stages
) -> dict[str, bytes]:
    """Float files by format."""
    contents = {}
    for toolchain in TOOLCHAINS:
        with stages.stage(f"{verb} {toolchain.title}"):
            contents[toolchain.format] = toolchain.export(network, shape)
    return contents


def require_audited(artifacts: list[Artifact], recipe: Recipe) -> None:
    """Refuses a file that computes in float where its recipe says integers.

    Raises:
        ModelError: It lists the operators.
    """
    if not recipe.is_calibrated:
        return
    for artifact in artifacts:
        if artifact.precision != FLOAT:
            faults = audit_int8(without_kept(artifact), recipe.allowed_float_operators)
            if faults:
                raise ModelError(f"{artifact.name} is not INT8: {'; '.join(faults)}")


def without_kept(artifact: Artifact) -> GraphSummary:
    """Returns what is left to audit: not the layers that were kept in float, nor their edges."""
    if artifact.mixed is None or not artifact.mixed.kept:
        return artifact.summary
    kept = artifact.mixed.kept_operators
    audited = tuple(
        operator
        for operator in artifact.summary.operators
        if operator.name.removesuffix(APART) not in kept and operator.kind not in _CONVERSIONS
    )
    return replace(artifact.summary, operators=audited)


def _searched(
    toolchain: Toolchain,
    quantizer: StaticQuantizer,
    float_content: bytes,
    yardstick: Yardstick,
    max_drop_pt: float | None,
    stages: Stages,
) -> Mixed:
    assert max_drop_pt is not None
    return search_mixed(
        quantizer,
        FileJudge(yardstick, toolchain.engine, float_content),
        max_drop_pt,
        lambda done, most: stages.progress(f"try layers of {toolchain.title}, at most", done, most),
    )


def load_artifact(toolchain: Toolchain, precision: str, content: bytes) -> Artifact:
    """Loads a file of a format and looks into it."""
    name = f"model.{precision}.{toolchain.format}"
    return Artifact(
        name=name,
        content=content,
        engine=load_engine(toolchain.engine, content, name),
        summary=toolchain.summarise(content, name),
    )
