"""Where to look inside a network: its last feature map, and what its classifying layer reads.

Both are found by running the network once and watching which modules answer, in which order and
with which shapes, so that there is one rule for all models.

Shape suffixes: N images, C channels, H height, W width (pixels), K classes.
"""

import copy
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.part_ensemble import PartEnsemble
from edge_fer.models.patt_lite import PattLite

_POOLING = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)


@dataclass(frozen=True, slots=True)
class Call:
    """A module that ran.

    Attributes:
        name: As in ``named_modules``.
        module: Itself.
        shape: Of its output, batch included; of the last one if it ran more than once.
        times: How often it ran for one image.
    """

    name: str
    module: nn.Module
    shape: tuple[int, ...]
    times: int

    @property
    def is_feature_map(self) -> bool:
        """Whether its output has a height and a width, and it ran once."""
        return self.times == 1 and len(self.shape) == 4 and min(self.shape[2:]) > 1


def prepared(network: nn.Module) -> nn.Module:
    """Returns a copy that can be explained: in evaluation mode, activations not in place."""
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if hasattr(module, "inplace"):
            module.inplace = False  # type: ignore[assignment]
    return network


def parts_of(network: nn.Module) -> Mapping[str, nn.Module]:
    """The networks that are explained one by one: those of an ensemble, else the only one, ``""``.

    The output of an ensemble is a sum of probabilities, and Grad-CAM starts at "the score before
    the softmax" (part-ensemble paper, Eq. 5).
    """
    if isinstance(network, PartEnsemble):
        return network.members()
    return {"": network}


def calls_of(network: nn.Module, input_nchw: tuple[int, ...]) -> list[Call]:
    """Runs a network on zeros and lists the modules inside it in the order in which they ended."""
    calls: dict[str, Call] = {}

    def note(name: str, module: nn.Module, _inputs: Any, output: Any) -> None:
        before = calls.pop(name, None)
        shape = tuple(output.shape) if isinstance(output, Tensor) else ()
        calls[name] = Call(name, module, shape, 1 + (before.times if before else 0))

    with ExitStack() as hooks, torch.inference_mode():
        for name, module in network.named_modules():
            if name:
                hooks.callback(module.register_forward_hook(partial(note, name)).remove)
        network(torch.zeros(input_nchw))
    return list(calls.values())


def find_layer(network: nn.Module, input_nchw: tuple[int, ...], name: str | None = None) -> Call:
    """Returns the module whose output Grad-CAM weighs.

    That is the last feature map that everything the logits are made of passes through. Pooling
    layers do not count, as they only make what they are given coarser. For PAtt-Lite it is the
    backbone's (14x14), of which its paper speaks (section IV-D), and not its 2x2 patches.

    Args:
        network: One of ``parts_of``.
        input_nchw: Shape of its input; N is 1.
        name: Of a module to use instead.

    Raises:
        ModelError: There is none, or no feature map has that name.
    """
    maps = [call for call in calls_of(network, input_nchw) if call.is_feature_map]
    if name is None and isinstance(network, PattLite):
        name = "backbone"
    if name is not None:
        return _named(name, maps)
    for call in reversed(maps):
        if not isinstance(call.module, _POOLING) and _all_passes(network, call.module, input_nchw):
            return call
    raise ModelError("no layer of this network has an output with a height and a width")


def _named(name: str, maps: list[Call]) -> Call:
    names = [call.name for call in maps]
    if name in names:
        return maps[names.index(name)]
    shown = [known for known in names if known.count(".") < 2]
    inside = f", and {len(names) - len(shown)} inside these" if len(shown) < len(names) else ""
    raise ModelError(f"no feature map is called {name!r}; there are: {', '.join(shown)}{inside}")


def _all_passes(network: nn.Module, module: nn.Module, input_nchw: tuple[int, ...]) -> bool:
    """Whether the logits depend on the input through this module's output only."""
    x_NCHW = torch.zeros(input_nchw, requires_grad=True)
    hook = module.register_forward_hook(lambda _module, _inputs, output: output.detach())
    try:
        logits_NK = network(x_NCHW)
    finally:
        hook.remove()
    if not logits_NK.requires_grad:
        return True
    (gradient,) = torch.autograd.grad(logits_NK.sum(), x_NCHW, allow_unused=True)
    return gradient is None


def find_classifier(network: nn.Module, input_nchw: tuple[int, ...], num_classes: int) -> nn.Module:
    """Returns the last dense or convolutional layer with an output per class.

    Raises:
        ModelError: There is none.
    """
    for call in reversed(calls_of(network, input_nchw)):
        if isinstance(call.module, nn.Linear | nn.Conv2d) and call.shape[1:2] == (num_classes,):
            return call.module
    raise ModelError(f"no layer of this network has {num_classes} outputs")
