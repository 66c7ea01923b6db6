import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from edge_fer.compress.artifacts import Artifact, require_audited
from edge_fer.compress.layers import Layer, layers_from
from edge_fer.compress.mixed import MAX_GROUPS, merged, search_mixed, tries_at_most
from edge_fer.compress.quantize_onnx import StaticOnnx
from edge_fer.compress.quantize_tflite import StaticTflite
from edge_fer.compress.ranges import Method
from edge_fer.compress.recipe import Recipe
from edge_fer.errors import ModelError
from edge_fer.evaluate.predict import engine_logits, torch_logits
from edge_fer.export.onnx import export_onnx
from edge_fer.export.onnx_graph import summarise_onnx
from edge_fer.export.tflite import export_tflite
from edge_fer.graph import summarise_tflite
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.engines import load_engine

MIXED = Recipe(name="mixed_wi8_ai8")
TOOLS = {
    "tflite": (export_tflite, StaticTflite, summarise_tflite, "litert"),
    "onnx": (export_onnx, StaticOnnx, summarise_onnx, "onnxruntime"),
}


class FakeQuantizer:
    """Files are lists of the layers that are quantized."""

    def __init__(self, count):
        self.layers = [Layer(name=str(i), operators=(f"op{i}",)) for i in range(count)]

    def quantize(self, kept=()):
        names = [layer.operators[0] for layer in self.layers]
        return json.dumps([name for name in names if name not in kept]).encode()


class FakeJudge:
    """Each quantized layer costs what it costs."""

    def __init__(self, costs):
        self.costs = costs

    def drop_pt(self, content):
        return float(sum(self.costs.get(name, 0) for name in json.loads(content)))

    logit_error = drop_pt


@pytest.mark.parametrize(
    ("limit", "kept"), [(0, "713"), (1, "71"), (3.9, "71"), (4, "7"), (13.9, "7"), (14, "")]
)
def test_the_fewest_layers_in_order_of_damage_stay_in_float(limit, kept):
    tries = []
    judge = FakeJudge({"op7": 10, "op1": 3, "op3": 1})
    mixed = search_mixed(FakeQuantizer(9), judge, limit, lambda *step: tries.append(step))
    assert "".join(damage.layer.name for damage in mixed.kept) == kept
    assert mixed.drop_pt <= limit
    assert mixed.drop_all_pt == 14
    assert len(tries) == mixed.tries <= tries_at_most(9)
    assert {most for _, most in tries} == {tries_at_most(9)}


def test_a_limit_that_cannot_be_met_leaves_all_in_float():
    mixed = search_mixed(FakeQuantizer(5), FakeJudge({"op0": 1}), -1)
    assert len(mixed.kept) == 5
    assert mixed.drop_pt == 0


@pytest.mark.parametrize("count", [1, 24, 25, 100])
def test_many_layers_are_searched_in_groups(count):
    layers = FakeQuantizer(count).layers
    groups = merged(layers, MAX_GROUPS)
    assert len(groups) == min(count, MAX_GROUPS)
    assert [name for g in groups for name in g.operators] == [x.operators[0] for x in layers]
    assert tries_at_most(MAX_GROUPS) == 31


def test_a_layer_is_an_operator_with_weights_and_what_follows():
    layers = layers_from(
        [("a", "Pad", False), ("b", "Conv x", True), ("c", "Relu", False), ("d", "Conv y", True)]
    )
    assert [layer.operators for layer in layers] == [("a",), ("b", "c"), ("d",)]
    assert [layer.name for layer in layers] == ["0 Pad", "1 Conv x", "2 Conv y"]


@pytest.fixture(scope="module")
def hostile():
    """Its second layer has huge weights for a channel that is always 0, and small ones else."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 8, 3, stride=4), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.ReLU(),
        nn.Conv2d(8, 8, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 7),
    )  # fmt: skip
    with torch.no_grad():
        for layer in (network[0], network[2], network[4], network[8]):
            layer.weight.abs_()
            layer.bias.zero_()
        network[0].weight[0], network[0].bias[0] = 0.01, -1
        network[2].weight[:, 0] = 1000
    return network.eval()


class ErrorJudge:
    """The error of the logits in percent of their size stands for points."""

    def __init__(self, network, engine, images):
        self.engine, self.images = engine, images
        self.expected = torch_logits(network, images, Preprocessing())

    def logit_error(self, content):
        own = engine_logits(load_engine(self.engine, content, "m"), self.images, Preprocessing())
        return float(np.sqrt(np.square(own - self.expected).mean()))

    def drop_pt(self, content):
        return 100 * self.logit_error(content) / float(np.abs(self.expected).mean())


@pytest.mark.slow
@pytest.mark.parametrize("format_", TOOLS)
def test_exactly_the_hostile_layer_stays_in_float(hostile, calibration_NHW, format_):
    export, static, summarise, engine = TOOLS[format_]
    quantizer = static(export(hostile, (1, 1, 48, 48)), calibration_NHW, Method())
    assert len(quantizer.layers) == 4
    judge = ErrorJudge(hostile, engine, calibration_NHW)
    mixed = search_mixed(quantizer, judge, 5)
    assert [damage.layer for damage in mixed.kept] == [quantizer.layers[1]]
    assert mixed.drop_pt <= 5 < mixed.drop_all_pt
    artifact = Artifact(
        name=f"model.mixed.{format_}",
        content=mixed.content,
        engine=load_engine(engine, mixed.content, "m"),
        summary=summarise(mixed.content, "m"),
        mixed=mixed,
    )
    assert artifact.engine.input.dtype in {"int8", "uint8"}
    require_audited([artifact], MIXED)
    with pytest.raises(ModelError, match="not INT8"):
        require_audited([replace(artifact, mixed=None)], MIXED)
    _check_ends_in_float(quantizer, judge, summarise)


def _check_ends_in_float(quantizer, judge, summarise):
    """First and last layer in float: the file's ends are integers all the same."""
    for layers in ([0, 1], [1, 3], [0, 1, 2, 3]):
        kept = [name for index in layers for name in quantizer.layers[index].operators]
        content = quantizer.quantize(kept)
        summary = summarise(content, "m")
        assert {summary.input_type, summary.output_type} <= {"INT8", "UINT8"}
        assert judge.drop_pt(content) <= 5
