"""PAtt-Lite: a truncated MobileNetV1, patch extraction, attention (PAtt-Lite paper, section III).

| part             | parameters with batch-norm statistics (7 classes) |
|------------------|---------------------------------------------------|
| backbone         |   821,952                                         |
| patch extraction |   272,128                                         |
| head             |     8,584                                         |
| total            | 1,102,664, the paper's 1.10 M                     |

Attention. The paper attends with the pooled vector of shape (batch, 32), and since that has no
token axis, its implementation attends across the batch: a prediction depends on the images that
share it, and a test set sorted by class leaks its labels. Here a prediction is a function of one
image:

* ``attention="patch"`` (default): over the patch tokens, four of them after patch extraction; the
  mean over tokens then goes to the classifier. The first dense layer is applied to each token.
* ``attention="vector"``: over a sequence of one pooled token, the paper read literally, which makes
  attention the identity.
* ``attention="none"``: without it, the paper's ablation (Table 4).

Equation 3 divides by the square root of the width and the published layer learns a scale instead;
the scale here is learnt and starts at that value. No network whose predictions are functions of
one image is known to have reached the accuracies published with attention.

Patches. ``patches="extraction"`` is the paper's; ``"none"`` leaves it out (Table 4), so that each
position of the backbone is a token; ``"attention"`` is for Table 6, which does not say how it was
built: here the means of the four quadrants, projected to 256 channels and gated by a sigmoid.

Convolutions pad as Keras does (right and bottom at stride 2), so that ImageNet weights mean what
they meant. Keras's MobileNet was trained on ``pixel / 127.5 - 1``, which is ``(pixel - 128) / 128``
to within half a grey level.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes, T tokens, F features, P
the 2x2 patches.
"""

import importlib
import math
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor, nn

from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.models.blocks import MatMul, check_arguments, fit_input_channels, same_conv

Patches = Literal["extraction", "attention", "none"]
Attention = Literal["patch", "vector", "none"]

INPUT_SIZE = 224
_EPSILON, _MOMENTUM = 1e-3, 0.01  # Keras: epsilon 0.001, momentum 0.99
_BACKBONE_CHANNELS, _PATCH_CHANNELS, _HEAD_WIDTH = 512, 256, 32
#: (block, output channels, stride) of MobileNetV1's blocks 1 to 8
_BLOCKS = (
    (1, 64, 1),
    (2, 128, 2),
    (3, 128, 1),
    (4, 256, 2),
    (5, 256, 1),
    (6, 512, 2),
    (7, 512, 1),
    (8, 512, 1),
)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=_EPSILON, momentum=_MOMENTUM)


def mobilenet_v1(in_channels: int = 3) -> nn.Sequential:
    """MobileNetV1, alpha 1, up to and including the ReLU of block 9's depthwise convolution.

    Layers have Keras's names. ``[N, in_channels, 224, 224]`` becomes ``[N, 512, 14, 14]``.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(name: str, conv: nn.Conv2d) -> None:
        layers[name] = conv
        layers[f"{name}_bn"] = _norm(conv.out_channels)
        layers[f"{name}_relu"] = nn.ReLU6()

    channels = 32
    add("conv1", same_conv(in_channels, channels, 3, stride=2))
    for block, out_channels, stride in _BLOCKS:
        add(f"conv_dw_{block}", same_conv(channels, channels, 3, stride=stride, groups=channels))
        add(f"conv_pw_{block}", nn.Conv2d(channels, out_channels, 1, bias=False))
        channels = out_channels
    add("conv_dw_9", same_conv(channels, channels, 3, groups=channels))
    return nn.Sequential(layers)


def _separable(in_channels: int, kernel: int) -> list[nn.Module]:
    depthwise = same_conv(in_channels, in_channels, kernel, stride=kernel, groups=in_channels)
    return [depthwise, nn.Conv2d(in_channels, _PATCH_CHANNELS, 1), nn.ReLU()]


def _patch_extraction() -> nn.Sequential:
    """``[N, 512, 14, 14]`` to ``[N, 256, 2, 2]``."""
    return nn.Sequential(
        *_separable(_BACKBONE_CHANNELS, 4),
        *_separable(_PATCH_CHANNELS, 2),
        nn.Conv2d(_PATCH_CHANNELS, _PATCH_CHANNELS, 1),
        nn.ReLU(),
    )


class PatchAttention(nn.Module):
    """The means of four quadrants, weighted: ``[N, 512, 14, 14]`` to ``[N, 256, 2, 2]``."""

    def __init__(self) -> None:
        super().__init__()
        self.quadrants = nn.AvgPool2d(7)
        self.project = nn.Conv2d(_BACKBONE_CHANNELS, _PATCH_CHANNELS, 1)
        self.relu = nn.ReLU()
        self.gate = nn.Sequential(nn.Conv2d(_PATCH_CHANNELS, 1, 1), nn.Sigmoid())

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Backbone features to gated patches."""
        patches_NCP: Tensor = self.relu(self.project(self.quadrants(x_NCHW)))
        weight_N1P: Tensor = self.gate(patches_NCP)
        return patches_NCP * weight_N1P


class DotProductAttention(nn.Module):
    """Self-attention of one image's tokens without projections: ``[N, T, F]`` to ``[N, T, F]``."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1 / math.sqrt(features)))
        self.scores = MatMul()
        self.mix = MatMul()

    def forward(self, tokens_NTF: Tensor) -> Tensor:
        """Tokens to tokens."""
        scores_NTT = self.scores(tokens_NTF, tokens_NTF.transpose(1, 2)) * self.scale
        mixed_NTF: Tensor = self.mix(scores_NTT.softmax(-1), tokens_NTF)
        return mixed_NTF


class PattLite(nn.Module):
    """PAtt-Lite and its ablations.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, resized to 224x224 (bilinear) if it is not;
    output ``logits_NK`` float32 ``[N, K]``.

    Args:
        num_classes: K.
        in_channels: 1 or 3.
        patches: What turns the backbone's output into patches.
        attention: What it runs over.

    Raises:
        ModelError: An unknown variant, or other arguments that no network can be built from.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 3,
        patches: Patches = "extraction",
        attention: Attention = "patch",
    ) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        _check_variant("patches", patches, get_args(Patches))
        _check_variant("attention", attention, get_args(Attention))
        self.backbone = mobilenet_v1(in_channels)
        self.patches: nn.Module = nn.Identity()
        channels = _BACKBONE_CHANNELS
        if patches != "none":
            self.patches = _patch_extraction() if patches == "extraction" else PatchAttention()
            channels = _PATCH_CHANNELS
        self.pool_first = attention != "patch"
        self.token = nn.Sequential(
            nn.Conv2d(channels, _HEAD_WIDTH, 1), nn.ReLU(), _norm(_HEAD_WIDTH)
        )
        self.attention = nn.Identity() if attention == "none" else DotProductAttention(_HEAD_WIDTH)
        self.classifier = nn.Linear(_HEAD_WIDTH, num_classes)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        if tuple(x_NCHW.shape[2:]) != (INPUT_SIZE, INPUT_SIZE):
            x_NCHW = nn.functional.interpolate(x_NCHW, (INPUT_SIZE, INPUT_SIZE), mode="bilinear")
        patches_NCHW = self.patches(self.backbone(x_NCHW))
        if self.pool_first:
            patches_NCHW = patches_NCHW.mean((2, 3), keepdim=True)
        tokens_NTF = self.token(patches_NCHW).flatten(2).transpose(1, 2)
        logits_NK: Tensor = self.classifier(self.attention(tokens_NTF).mean(1))
        return logits_NK


def _check_variant(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ModelError(f"patt-lite has no {what} {value!r}; known: {', '.join(known)}")


_KINDS = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
#: Layers of the whole MobileNetV1 that come after the cut.
_AFTER_CUT = re.compile(r"conv_pw_(9|1[0-3])(_bn)?|conv_dw_1[0-3](_bn)?|conv_preds")


def load_imagenet(network: PattLite, path: Path) -> int:
    """Fills the backbone with Keras's MobileNetV1 (alpha 1, 224) weights.

    Args:
        network: Its backbone is changed in place; a grey one gets its first kernel summed over
        colours.
        path: ``.npz`` with names like ``conv_dw_1_bn__gamma``, or Keras's own ``.h5``.

    Returns:
        How many values of the file were used, batch-norm statistics included: 821,952.

    Raises:
        ModelError: Not such a file; a tensor is missing, unknown or of another shape.
        MissingExtraError: An ``.h5`` file without h5py.
    """
    source = _read_h5(path) if path.suffix in {".h5", ".hdf5"} else _read_npz(path)
    state = {k: v for k, v in network.backbone.state_dict().items() if v.is_floating_point()}
    missing, count = set(state), 0
    for (layer, kind), values in source.items():
        name = f"{layer}.{_KINDS.get(kind, kind)}"
        if name in state:
            tensor = _torch_layout(kind, values)
            if name == "conv1.weight" and tensor.ndim == 4:
                tensor = fit_input_channels(tensor, state[name].shape[1])
            if tensor.shape != state[name].shape:
                raise ModelError(f"{path}: {layer}/{kind} has shape {values.shape}")
            state[name].copy_(tensor)
            missing.discard(name)
            count += values.size
        elif not _AFTER_CUT.fullmatch(layer):
            raise ModelError(f"{path}: {layer}/{kind} is not part of MobileNetV1")
    if missing:
        raise ModelError(f"{path}: lacks {', '.join(sorted(missing))}")
    return count


def _torch_layout(kind: str, values: np.ndarray[Any, Any]) -> Tensor:
    axes = {"kernel": (3, 2, 0, 1), "depthwise_kernel": (2, 3, 0, 1)}.get(kind)
    if axes is not None and values.ndim == 4:
        values = values.transpose(axes)
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


_Tensors = Mapping[tuple[str, str], np.ndarray[Any, Any]]


def _read_npz(path: Path) -> _Tensors:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, TypeError, BadZipFile) as error:
        raise ModelError(f"{path}: not a readable .npz file ({error})") from error
    return {(n.partition("__")[0], n.partition("__")[2]): array for n, array in arrays.items()}


def _read_h5(path: Path) -> _Tensors:
    try:
        h5py = importlib.import_module("h5py")
    except ImportError as error:
        raise MissingExtraError("reading Keras .h5 weights", "keras") from error
    tensors: dict[tuple[str, str], np.ndarray[Any, Any]] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            *_, layer, kind = name.split("/")
            tensors[layer, kind.removesuffix(":0")] = item[()]

    try:
        with h5py.File(path, "r") as archive:
            archive.visititems(visit)
    except OSError as error:
        raise ModelError(f"{path}: not a readable .h5 file ({error})") from error
    return tensors
