"""Grad-CAM: which places of a face speak for a class (PAtt-Lite Figs. 6-7, part ensemble Fig. 11).

Shape suffixes: N images, C channels, H height, W width (pixels of the input), K classes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edge_fer.explain.layers import find_layer, parts_of, prepared

#: Of the network's gradients at a time.
BATCH_SIZE = 32
UNION = "union"


@dataclass(frozen=True, kw_only=True)
class Explainer:
    """A network with its feature map found.

    Attributes:
        network: A copy in evaluation mode.
        parts: Networks explained one by one, by name; ``""`` is the only one.
        layer: Name, in each of them, of the module that ends in the feature map.
        map_hw: Height and width of that map.
    """

    network: nn.Module
    parts: Mapping[str, nn.Module]
    layer: str
    map_hw: tuple[int, int]

    @property
    def map_names(self) -> tuple[str, ...]:
        """What ``heat_maps`` gives: each part, and their union if there is more than one."""
        return (*self.parts, UNION) if len(self.parts) > 1 else tuple(self.parts)

    def heat_maps(self, x_NCHW: Tensor, classes_N: np.ndarray) -> dict[str, np.ndarray]:
        """Computes the heat for one class per image.

        Args:
            x_NCHW: Float32 images.
            classes_N: Which output to explain.

        Returns:
            By part, float32 ``[N, H, W]``, each map from 0 to its maximum 1, or all 0 where nothing
            speaks for the class. The union of several is their maximum, as in part ensemble Fig.
            11.
        """
        maps = {
            name: scaled(heat(part, self.layer, x_NCHW, classes_N))
            for name, part in self.parts.items()
        }
        return maps | {UNION: np.max([*maps.values()], axis=0)} if len(maps) > 1 else maps

    def outputs(self, x_NCHW: Tensor) -> dict[str, np.ndarray]:
        """Probabilities ``[N, K]`` of the whole network, under ``""``, and of each of its parts."""
        networks = {**self.parts, "": self.network}
        return {name: _probabilities(network, x_NCHW) for name, network in networks.items()}


def open_explainer(
    network: nn.Module, input_nchw: tuple[int, ...], layer: str | None = None
) -> Explainer:
    """Prepares a network.

    Args:
        network: As a checkpoint has it; stays as it is.
        input_nchw: Shape of its input; N is 1.
        layer: Name of the module whose output to weigh; ``find_layer``'s choice if not given.

    Raises:
        ModelError: It has no feature map, or none of that name.
    """
    network = prepared(network)
    parts = parts_of(network)
    found = find_layer(next(iter(parts.values())), input_nchw, layer)
    height, width = found.shape[2:]
    return Explainer(network=network, parts=parts, layer=found.name, map_hw=(height, width))


def heat(network: nn.Module, layer: str, x_NCHW: Tensor, classes_N: np.ndarray) -> np.ndarray:
    """Grad-CAM (part-ensemble paper, Eq. 5-6), enlarged to the input's size.

    Returns:
        Float32 ``[N, H, W]``: the layer's channels, weighted with the mean gradient of the class's
        logit, summed, negative values set to 0; bilinear.
    """
    from captum.attr import LayerGradCam

    grad_cam = LayerGradCam(network, network.get_submodule(layer))
    targets_N = torch.as_tensor(classes_N, dtype=torch.int64)
    maps = [
        grad_cam.attribute(x, target=targets, relu_attributions=True).detach()
        for x, targets in _batches(x_NCHW, targets_N)
    ]
    size_hw = tuple(x_NCHW.shape[2:])
    heat_N1HW = nn.functional.interpolate(torch.cat(maps), size_hw, mode="bilinear")
    return np.asarray(heat_N1HW.squeeze(1).numpy(), np.float32)


def scaled(heat_NHW: np.ndarray) -> np.ndarray:
    """Divides each map by its maximum; a map of zeros stays one."""
    peak_N11 = heat_NHW.max(axis=(1, 2), keepdims=True)
    return heat_NHW / np.where(peak_N11 > 0, peak_N11, 1)


def upper_share(heat_HW: np.ndarray) -> float | None:
    """Returns which share of the heat lies in the upper half of the face, None without heat."""
    rows_H = heat_HW.sum(axis=1, dtype=np.float64)
    if not rows_H.sum() > 0:
        return None
    of_row_H = np.clip(len(rows_H) / 2 - np.arange(len(rows_H)), 0, 1)
    return float((rows_H * of_row_H).sum() / rows_H.sum())


def _probabilities(network: nn.Module, x_NCHW: Tensor) -> np.ndarray:
    with torch.inference_mode():
        logits = [network(x) for (x,) in _batches(x_NCHW)]
    return np.asarray(torch.cat(logits).softmax(1).numpy(), np.float32)


def _batches(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    for first in range(0, len(tensors[0]), BATCH_SIZE):
        yield tuple(tensor[first : first + BATCH_SIZE] for tensor in tensors)
