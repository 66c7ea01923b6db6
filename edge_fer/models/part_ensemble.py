"""The part-based ensemble (EL) and its two baselines (part-ensemble paper, section III-C).

Five sub-networks see the whole face. Before it learns expressions, each learns to place the
landmarks of one part (eyebrows, eyes, nose, mouth, jaw); then its localisation head gives way to a
classification head. Baselines of the paper: ``part_baseline`` (five networks that never learn
landmarks) and ``part_ftl`` (five that learn all 68).

A sub-network with 8 classes has 329,496 parameters with batch-norm statistics, five have 1,647,480.
The localisation head of 68 points, not part of these, has 34,056; the paper prints 0.025 M.

What the ensemble returns. Equation 4 sums the five softmax outputs and takes the largest, and this
sum is returned in the place of logits: it goes through INT8 whole, while the logarithm that would
turn the mean probability into true logits has no quantized form in the TFLite toolchain. Order and
therefore accuracy are the paper's. Divide by five for the mean probability; a softmax over the
sum stays close to it (0.96 instead of 1 when all five are certain of one of 7 classes). Train
sub-networks one by one, as the paper does: the sum is bounded, so its cross-entropy teaches slowly.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes, F features, P
landmarks.
"""

from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from edge_fer.models.blocks import check_arguments

FEATURES = 128
_WIDTHS = (16, 32, 64, 128)

#: Which of the 68 landmarks (iBUG order) each part has.
PARTS: Mapping[str, range] = {
    "eyebrows": range(17, 27),
    "eyes": range(36, 48),
    "nose": range(27, 36),
    "mouth": range(48, 68),
    "jaw": range(17),
}
_NETWORKS = tuple(f"network_{number}" for number in range(1, 6))
BASELINE: Mapping[str, range] = dict.fromkeys(_NETWORKS, range(0))
FULL_TRANSFER: Mapping[str, range] = dict.fromkeys(_NETWORKS, range(68))


def _extractor(in_channels: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in _WIDTHS:
        for _ in range(2):
            conv = nn.Conv2d(in_channels, width, 3, padding=1)
            nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
            layers += [conv, nn.BatchNorm2d(width, eps=1e-3), nn.ReLU()]
            in_channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _dense(in_features: int, out_features: int) -> nn.Linear:
    layer = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class PartNetwork(nn.Module):
    """A sub-network: feature extractor and classification head.

    Input ``x_NCHW`` float32 ``[N, in_channels, 160, 160]``; output ``logits_NK`` float32 ``[N,
    K]``.
    """

    def __init__(self, num_classes: int = 7, in_channels: int = 3) -> None:
        super().__init__()
        check_arguments(num_classes, in_channels)
        self.extractor = _extractor(in_channels)
        self.head = nn.Sequential(
            _dense(FEATURES, FEATURES),
            nn.ReLU(),
            _dense(FEATURES, FEATURES),
            nn.ReLU(),
            _dense(FEATURES, num_classes),
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to logits."""
        logits_NK: Tensor = self.head(self.extractor(x_NCHW))
        return logits_NK


class LandmarkNetwork(nn.Module):
    """The extractor of a sub-network under a localisation head: its first stage of training.

    Input as ``PartNetwork``; output ``landmarks_NP2`` float32 ``[N, points, 2]``: x and y as
    fractions of width and height.

    Args:
        network: Whose extractor to train; it is shared, not copied.
        points: P.
    """

    def __init__(self, network: PartNetwork, points: int) -> None:
        super().__init__()
        self.extractor = network.extractor
        self.head = nn.Sequential(
            _dense(FEATURES, FEATURES), nn.ReLU(), _dense(FEATURES, 2 * points)
        )

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to landmarks."""
        landmarks_NP2: Tensor = self.head(self.extractor(x_NCHW)).unflatten(1, (-1, 2))
        return landmarks_NP2


class PartEnsemble(nn.Module):
    """Five sub-networks and the sum of their probabilities.

    Input ``x_NCHW`` float32 ``[N, in_channels, 160, 160]``; output ``logits_NK`` float32 ``[N,
    K]``: the sum of five probabilities, 0 to 5 (see the module's docstring).

    Args:
        num_classes: K.
        in_channels: 1 or 3; the paper repeats grey three times.
        landmarks: For each sub-network, by name, the landmarks that it learns first.
    """

    def __init__(
        self,
        num_classes: int = 7,
        in_channels: int = 3,
        landmarks: Mapping[str, range] = PARTS,
    ) -> None:
        super().__init__()
        self.landmarks = landmarks
        self.networks = nn.ModuleDict(
            {name: PartNetwork(num_classes, in_channels) for name in landmarks}
        )

    def members(self) -> dict[str, PartNetwork]:
        """Returns the sub-networks by the name of their part."""
        return {name: cast("PartNetwork", network) for name, network in self.networks.items()}

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Images to summed probabilities."""
        first, *others = (network(x_NCHW).softmax(1) for network in self.networks.values())
        sum_NK: Tensor = first
        for probabilities_NK in others:
            sum_NK = sum_NK + probabilities_NK
        return sum_NK


def part_baseline(num_classes: int = 7, in_channels: int = 3) -> PartEnsemble:
    """The paper's Baseline: five networks without transfer."""
    return PartEnsemble(num_classes, in_channels, BASELINE)


def part_ftl(num_classes: int = 7, in_channels: int = 3) -> PartEnsemble:
    """The paper's Full Transfer Learning: five networks that each learn all 68 landmarks first."""
    return PartEnsemble(num_classes, in_channels, FULL_TRANSFER)
