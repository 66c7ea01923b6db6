"""Where to look in a network: hand-made ones, and every model of the zoo."""

import pytest
import torch
from torch import nn

from edge_fer.errors import ModelError
from edge_fer.explain.features import features_of
from edge_fer.explain.gradcam import UNION, open_explainer
from edge_fer.explain.layers import calls_of, find_classifier, find_layer, parts_of, prepared
from edge_fer.models import MODELS, build_model

#: Model: layer, its map at the paper's input size, number of features, side of the smoke test.
EXPECTED = {
    "arch-1": ("classifier", (6, 6), 128, 48),
    "arch-2": ("trunk", (6, 6), 512, 48),
    "arch-3": ("classifier", (6, 6), 128, 48),
    "arch-4": ("trunk", (6, 6), 512, 48),
    "emonas": ("cells.4", (12, 12), 576, 32),
    "adl-class": ("cells.4", (8, 8), 320, 64),
    "moeffnet": ("backbone.top", (2, 2), 256, 48),
    "moeffnet-lite": ("backbone.top", (2, 2), 256, 48),
    "patt-lite": ("backbone", (14, 14), 32, 48),
    "part-ensemble": ("extractor.26", (20, 20), 640, 48),
    "part-baseline": ("extractor.26", (20, 20), 640, 48),
    "part-ftl": ("extractor.26", (20, 20), 640, 48),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_model_can_be_explained(name):
    torch.manual_seed(0)
    channels, height, width = MODELS[name].input_chw
    layer, map_hw, features, side = EXPECTED.get(name, (None, None, None, height))
    network = build_model(name, num_classes=7)
    explainer = open_explainer(network, (1, channels, height, width))
    if layer:
        assert (explainer.layer, explainer.map_hw) == (layer, map_hw)
    x_NCHW = torch.rand(2, channels, side, side)
    heat = explainer.heat_maps(x_NCHW, [3, 5])
    assert tuple(heat) == explainer.map_names
    for of_NHW in heat.values():
        assert of_NHW.shape == (2, side, side)
        assert of_NHW.min() >= 0
        assert of_NHW.max() <= 1
    of_all = features_of(explainer.network, [x_NCHW], (1, channels, side, side), 7)
    assert of_all.shape == (2, features or of_all.shape[1])


def test_the_layer_carries_all_that_the_logits_see():
    """A branch beside it would not be in the heat."""

    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem, self.left, self.right = (nn.Conv2d(1, 1, 3, padding=1) for _ in range(3))
            self.head = nn.Linear(1, 2)

        def forward(self, x_NCHW):
            stem_NCHW = self.stem(x_NCHW)
            both_NCHW = self.left(stem_NCHW) + self.right(stem_NCHW)
            return self.head(both_NCHW.mean((2, 3)))

    assert find_layer(Branches(), (1, 1, 4, 4)).name == "stem"


def test_pooling_is_no_layer_to_look_at(halves):
    found = find_layer(halves, (1, 1, 8, 8))
    assert (found.name, found.shape) == ("mask", (1, 2, 8, 8))


def test_modules_are_listed_in_the_order_in_which_they_end(halves):
    calls = calls_of(halves, (1, 1, 8, 8))
    assert [call.name for call in calls] == ["maps", "mask", "pool", "head"]
    assert [call.times for call in calls] == [1, 1, 1, 1]


def test_a_layer_by_name(halves):
    assert find_layer(halves, (1, 1, 8, 8), "maps").name == "maps"


@pytest.mark.parametrize("name", ["trunk", "head", ""])
def test_unknown_layer_lists_the_names(halves, name):
    with pytest.raises(ModelError, match=r"there are: maps, mask, pool$"):
        find_layer(halves, (1, 1, 8, 8), name)


def test_deep_names_are_counted_only():
    with pytest.raises(ModelError, match=r"cells\.4, and \d+ inside these$"):
        find_layer(build_model("emonas", num_classes=7), (1, 3, 16, 16), "nothing")


def test_network_without_a_map():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with pytest.raises(ModelError, match="height and a width"):
        find_layer(network, (1, 1, 4, 4))


def test_classifier_is_the_last_layer_with_an_output_per_class():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 2), nn.Linear(2, 2), nn.Softmax(1))
    assert find_classifier(network, (1, 1, 4, 4), 2) is network[2]
    with pytest.raises(ModelError, match="has 5 outputs"):
        find_classifier(network, (1, 1, 4, 4), 5)


def test_preparing_changes_a_copy():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(inplace=True), nn.Dropout()).train()
    copy = prepared(network)
    assert network.training
    assert network[1].inplace
    assert not copy.training
    assert not copy[1].inplace


def test_an_ensemble_is_explained_part_by_part():
    ensemble = build_model("part-ensemble", num_classes=7)
    assert tuple(parts_of(ensemble)) == ("eyebrows", "eyes", "nose", "mouth", "jaw")
    explainer = open_explainer(ensemble, (1, 3, 32, 32))
    assert explainer.map_names == (*parts_of(ensemble), UNION)
