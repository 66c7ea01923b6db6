import pytest
import torch

from edge_fer.errors import ModelError
from edge_fer.models import build_model
from edge_fer.train.config import Stage
from edge_fer.train.trainee import frozen_modules, set_training, trainee_of


def trained_names(network):
    return {name for name, weight in network.named_parameters() if weight.requires_grad}


@pytest.mark.parametrize("model", ["moeffnet-lite", "patt-lite"])
def test_a_head_stage_trains_all_but_the_backbone(model):
    network = build_model(model, num_classes=7)
    trainee_of(network, Stage(trained="head"))
    names = trained_names(network)
    assert names
    assert not any(name.startswith("backbone.") for name in names)
    assert {name for name, _ in network.named_parameters()} - names == {
        name for name, _ in network.named_parameters() if name.startswith("backbone.")
    }


def test_part_networks_are_frozen_up_to_their_heads():
    network = build_model("part-ensemble", num_classes=7)
    trainee_of(network, Stage(trained="head"))
    assert all(".head." in name for name in trained_names(network))


def test_a_landmark_stage_trains_extractors_but_no_classifier():
    network = build_model("part-ensemble", num_classes=7)
    trainee = trainee_of(network, Stage(target="landmarks"))
    assert all(".extractor." in name for name in trained_names(network))
    assert {name.split(".")[0] for name, _ in trainee.heads.named_parameters()} == {
        "eyebrows", "eyes", "nose", "mouth", "jaw",
    }  # fmt: skip
    places = trainee(torch.zeros(2, 3, 32, 32))
    assert {name: tuple(place.shape) for name, place in places.items()} == {
        "eyebrows": (2, 10, 2), "eyes": (2, 12, 2), "nose": (2, 9, 2), "mouth": (2, 20, 2),
        "jaw": (2, 17, 2),
    }  # fmt: skip


def test_from_a_layer_on_the_backbone_is_trained_without_its_norms():
    network = build_model("patt-lite", num_classes=7)
    trainee_of(network, Stage(trained="from:conv_pw_2"))
    backbone = {name for name in trained_names(network) if name.startswith("backbone.")}
    assert "backbone.conv_pw_2.weight" in backbone
    assert "backbone.conv_dw_9.weight" in backbone
    assert "backbone.conv_dw_2.weight" not in backbone
    assert not any("_bn." in name for name in backbone)


def test_frozen_norms_keep_their_statistics_while_the_rest_trains():
    network = build_model("patt-lite", num_classes=7, patches="none")
    stage = Stage(trained="head")
    trainee = trainee_of(network, stage)
    before = {name: value.clone() for name, value in network.named_buffers()}
    set_training(trainee, stage)
    trainee(torch.randn(2, 3, 224, 224))
    for name, value in network.named_buffers():
        if name.startswith("backbone."):
            assert torch.equal(value, before[name]), name
    assert any(not torch.equal(value, before[name]) for name, value in network.named_buffers())


def test_a_later_stage_thaws_what_an_earlier_one_froze():
    network = build_model("moeffnet-lite", num_classes=7)
    trainee_of(network, Stage(trained="head"))
    trainee_of(network, Stage())
    assert all(weight.requires_grad for weight in network.parameters())


@pytest.mark.parametrize(
    ("model", "trained", "named"),
    [("arch-1", "head", "no backbone"), ("patt-lite", "from:conv_9", "conv_dw_1")],
)
def test_what_cannot_be_frozen_is_refused(model, trained, named):
    with pytest.raises(ModelError, match=named):
        frozen_modules(build_model(model, num_classes=7), trained)


def test_only_ensembles_of_parts_learn_landmarks():
    for model in ("arch-1", "part-baseline"):
        with pytest.raises(ModelError, match="part-ensemble"):
            trainee_of(build_model(model, num_classes=7), Stage(target="landmarks"))
