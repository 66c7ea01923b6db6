"""PAtt-Lite: the paper's total, ImageNet weights, and attention within one image."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.models.blocks import SameConv2d
from edge_fer.models.complexity import describe, own_values
from edge_fer.models.patt_lite import DotProductAttention, PattLite, load_imagenet

WEIGHTS = Path("models/mobilenet_v1_1.0_224_keras_float32_no_pw13.npz")
BACKBONE_VALUES = 821_952


def values(module):
    return sum(own_values(part) for part in module.modules())


def test_totals_are_the_papers():
    network = PattLite()
    parts = (network.backbone, network.patches)
    assert [values(part) for part in parts] == [BACKBONE_VALUES, 272_128]
    cost = describe(network, (1, 3, 224, 224))
    assert cost.params_total == 1_102_664
    shapes = {row.name: row.output_shape for row in cost.layers}
    assert shapes["backbone.conv_dw_9_relu"] == (1, 512, 14, 14)
    assert shapes["patches.6"] == (1, 256, 2, 2)


@pytest.mark.parametrize(
    ("options", "total"),
    [
        ({"attention": "vector"}, 1_102_664),
        ({"attention": "none"}, 1_102_663),
        ({"patches": "none"}, 821_952 + 512 * 32 + 32 + 128 + 1 + 231),
        ({"patches": "none", "attention": "none"}, 821_952 + 512 * 32 + 32 + 128 + 231),
        ({"patches": "attention"}, 821_952 + 512 * 256 + 256 + 257 + 8_584),
    ],
)
def test_variants(options, total):
    assert describe(PattLite(**options), (1, 3, 224, 224)).params_total == total


def test_a_crop_of_another_size_is_resized():
    cost = describe(PattLite(), (1, 3, 48, 60))
    assert cost.macs == describe(PattLite(), (1, 3, 224, 224)).macs


def test_attention_over_one_token_is_the_identity():
    tokens_NTF = torch.randn(3, 1, 32)
    assert torch.equal(DotProductAttention(32)(tokens_NTF), tokens_NTF)


def test_attention_mixes_the_tokens_of_one_image_and_of_no_other():
    torch.manual_seed(0)
    attention = DotProductAttention(32)
    tokens_NTF = torch.randn(2, 4, 32)
    mixed_NTF = attention(tokens_NTF)
    changed_NTF = tokens_NTF.clone()
    changed_NTF[0, 3] += 1
    now_NTF = attention(changed_NTF)
    assert not torch.allclose(now_NTF[0, 0], mixed_NTF[0, 0])
    assert torch.equal(now_NTF[1], mixed_NTF[1])


def test_unknown_variants_are_refused():
    with pytest.raises(ModelError, match="no attention 'batch'; known: patch, vector, none"):
        PattLite(attention="batch")
    with pytest.raises(ModelError, match="no patches"):
        PattLite(patches="patch")


def test_stride_2_pads_right_and_bottom():
    conv = SameConv2d(1, 1, 3, stride=2, bias=False)
    torch.nn.init.ones_(conv.weight)
    out_NCHW = conv(torch.arange(16.0).reshape(1, 1, 4, 4))
    assert out_NCHW.flatten().tolist() == [45.0, 39.0, 66.0, 50.0]


def keras_arrays(network, *, extra=()):
    """The backbone's tensors under Keras's names and in Keras's layout."""
    kinds = {"bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    arrays = {}
    for name, tensor in network.backbone.state_dict().items():
        layer, kind = name.split(".")
        if kind == "num_batches_tracked":
            continue
        array = tensor.numpy()
        if array.ndim == 4 and "_dw_" in layer:
            arrays[f"{layer}__depthwise_kernel"] = array.transpose(2, 3, 0, 1)
        elif array.ndim == 4:
            arrays[f"{layer}__kernel"] = array.transpose(2, 3, 1, 0)
        else:
            arrays[f"{layer}__{kinds.get(kind, 'gamma')}"] = array
    return {**arrays, **dict(extra)}


def randomised(seed, in_channels=3):
    torch.manual_seed(seed)
    network = PattLite(in_channels=in_channels)
    for tensor in network.backbone.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.5, 1.5)
    return network


def test_npz_round_trip(tmp_path):
    path = tmp_path / "weights.npz"
    source = randomised(0)
    np.savez(path, **keras_arrays(source, extra={"conv_preds__bias": np.zeros(1000)}))
    network = randomised(1)
    assert load_imagenet(network, path) == BACKBONE_VALUES
    theirs = source.backbone.state_dict()
    for name, tensor in network.backbone.state_dict().items():
        assert torch.equal(tensor, theirs[name]), name
    grey = randomised(2, in_channels=1)
    assert load_imagenet(grey, path) == BACKBONE_VALUES
    x_NCHW = torch.rand(1, 1, 32, 32)
    ours, colour = grey.backbone.conv1, source.backbone.conv1
    assert torch.allclose(ours(x_NCHW), colour(x_NCHW.expand(1, 3, 32, 32)), atol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_pw_3_bn__gamma": None}, "lacks conv_pw_3_bn.weight"),
        ({"conv_pw_3__kernel": np.zeros((1, 1, 3, 3), np.float32)}, "has shape"),
        ({"dense__kernel": np.zeros(3, np.float32)}, "not part of MobileNetV1"),
    ],
)
def test_every_tensor_is_accounted_for(tmp_path, change, message):
    arrays = {**keras_arrays(randomised(0)), **change}
    path = tmp_path / "weights.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(ModelError, match=message):
        load_imagenet(PattLite(), path)


def test_unreadable_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    path.write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(ModelError, match="not a readable"):
        load_imagenet(PattLite(), path)
    with pytest.raises(ModelError, match="not a readable"):
        load_imagenet(PattLite(), tmp_path / "absent.npz")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match="h5"):
        load_imagenet(PattLite(), tmp_path / "weights.h5")


@pytest.mark.data
def test_imagenet_weights_load():
    folder = os.environ.get("EDGE_FER_DATA")
    if folder is None or not (Path(folder) / WEIGHTS).is_file():
        pytest.skip(f"EDGE_FER_DATA names no folder with {WEIGHTS}")
    network = PattLite()
    assert load_imagenet(network, Path(folder) / WEIGHTS) == BACKBONE_VALUES
    with np.load(Path(folder) / WEIGHTS) as archive:
        kernel = archive["conv_dw_9__depthwise_kernel"]
        variance = archive["conv1_bn__moving_variance"]
    state = {name: tensor.numpy() for name, tensor in network.backbone.state_dict().items()}
    assert np.array_equal(state["conv_dw_9.weight"][:, 0], kernel[..., 0].transpose(2, 0, 1))
    assert np.array_equal(state["conv1_bn.running_var"], variance)
