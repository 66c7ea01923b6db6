"""What holds for every model of the zoo."""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edge_fer.errors import ModelError
from edge_fer.models import MODELS, build_model, check_input
from edge_fer.preprocess import FER2013_EYES, Preprocessing

SMALL = {
    "emonas": {"size": 16},
    "adl-class": {"size": 48},
    "patt-lite": {"size": 224},
    "part-ensemble": {"size": 32},
    "part-baseline": {"size": 32},
    "part-ftl": {"size": 32},
}
VARIANTS = [
    ("patt-lite", {"attention": "vector"}),
    ("patt-lite", {"patches": "attention"}),
    ("patt-lite", {"patches": "none", "attention": "none"}),
]
CASES = [(name, {}) for name in MODELS] + VARIANTS
BATCH = 4


def small_input(name, count, dtype=torch.float32):
    channels, size, _ = MODELS[name].input_chw
    size = SMALL.get(name, {}).get("size", size)
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, channels, size, size, generator=generator, dtype=dtype)


def case_id(case):
    return "-".join([case[0], *case[1].values()]) if isinstance(case, tuple) else None


@functools.lru_cache(maxsize=1)
def settled(name, options):
    """A network whose batch norms have seen data, its inputs, and its outputs one by one."""
    torch.manual_seed(0)
    network = build_model(name, num_classes=5, **dict(options)).double()
    x_NCHW = small_input(name, BATCH, torch.float64)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
        network.train()(x_NCHW)
        network.eval()
        alone_NK = torch.cat([network(x_1CHW[None]) for x_1CHW in x_NCHW])
    return network, x_NCHW, alone_NK


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_images_are_told_apart(case):
    """Without this, a constant network would pass the test below."""
    _, _, alone_NK = settled(case[0], tuple(case[1].items()))
    distance = torch.cdist(alone_NK, alone_NK) + torch.eye(BATCH)
    assert distance.min() > 1e-3


@pytest.mark.parametrize("case", CASES, ids=case_id)
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_a_prediction_does_not_depend_on_its_batch(case, data):
    network, x_NCHW, alone_NK = settled(case[0], tuple(case[1].items()))
    order = data.draw(st.lists(st.integers(0, BATCH - 1), min_size=2, max_size=BATCH))
    with torch.no_grad():
        together_NK = network(x_NCHW[order])
    assert torch.allclose(together_NK, alone_NK[order], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_a_training_step_moves_every_parameter(name):
    torch.manual_seed(0)
    network = build_model(name, num_classes=5).train()
    before = {key: parameter.clone() for key, parameter in network.named_parameters()}
    x_NCHW, labels_N = small_input(name, 2), torch.tensor([0, 1])
    optimizer = torch.optim.SGD(network.parameters(), lr=1)
    loss = nn.functional.cross_entropy(network(x_NCHW), labels_N)
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())
    optimizer.step()
    still = {key for key, p in network.named_parameters() if torch.equal(p, before[key])}
    assert still == set()


@pytest.mark.parametrize("name", MODELS)
def test_export_is_static_and_exact(name):
    torch.manual_seed(0)
    network = build_model(name, num_classes=5).eval()
    x_NCHW = small_input(name, 1)
    exported = torch.export.export(network, (x_NCHW,))
    with torch.no_grad():
        assert torch.allclose(exported.module()(x_NCHW), network(x_NCHW), atol=1e-6)


@pytest.mark.parametrize("in_channels", [1, 3])
@pytest.mark.parametrize("name", MODELS)
def test_grey_and_colour(name, in_channels):
    network = build_model(name, num_classes=6, in_channels=in_channels).eval().to("meta")
    _, height, width = MODELS[name].input_chw
    logits_NK = network(torch.empty(2, in_channels, height, width, device="meta"))
    assert logits_NK.shape == (2, 6)
    assert logits_NK.dtype == torch.float32


@pytest.mark.parametrize("name", MODELS)
def test_bad_arguments_are_refused(name):
    with pytest.raises(ModelError, match="2 classes"):
        build_model(name, num_classes=1)
    with pytest.raises(ModelError, match="channels"):
        build_model(name, num_classes=7, in_channels=4)
    with pytest.raises(ModelError, match=f"{name} has no option wdith"):
        build_model(name, num_classes=7, wdith=3)


@pytest.mark.parametrize(("name", "side_px"), [("face-resnet", 48), ("part-baseline", 8)])
def test_faces_too_small_for_a_network_are_refused(name, side_px):
    channels, height, width = MODELS[name].input_chw
    network = build_model(name, num_classes=7)
    with pytest.raises(ModelError, match=f"cannot take faces of {side_px}x{side_px}"):
        check_input(network, (channels, side_px, side_px))
    check_input(network, (channels, height, width))


def test_unknown_models_are_refused():
    with pytest.raises(ModelError, match="unknown model 'arch-5'; known: arch-1, arch-2"):
        build_model("arch-5", num_classes=7)


@pytest.mark.parametrize("name", MODELS)
def test_faces_are_prepared_as_the_paper_says_and_by_default_where_it_says_nothing(name):
    channels, height, width = MODELS[name].input_chw
    expected = {
        "height_px": height,
        "width_px": width,
        "color": "gray3" if channels == 3 else "gray",
    }
    if name.startswith("moeffnet"):
        expected["interpolation"] = "bicubic"
    if name.startswith("part"):
        expected["clahe_clip"] = 2.0
    if name.startswith(("arch", "moeffnet")):
        expected["eyes"] = FER2013_EYES
    assert MODELS[name].preprocessing == Preprocessing(**expected)
