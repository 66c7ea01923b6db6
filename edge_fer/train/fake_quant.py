"""Quantization-aware training: forward as INT8 would, backward as if it were not there.

What an INT8 engine rounds is rounded: the weights of convolutions and dense layers per output
channel, and every activation that is stored, per tensor. Values pass through straight in the
backward step (Jacob et al. 2018, "Quantization and training of neural networks for
integer-arithmetic-only inference").

* Batch norms need no folding here: symmetric rounding per output channel gives the same weights
  before and after a channel is scaled.
* An activation is stored after the last module of a chain convolution - norm - activation, which
  the engines fuse. Chains are seen by running the network once.
* Ranges are those of the batch, so nothing has to be saved or resumed, and the network that comes
  out is an ordinary one: it is exported and calibrated like any other.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.hooks import RemovableHandle

LEVELS = 255
_WEIGHTED = (nn.Conv2d, nn.Linear)
_CLIPS = (nn.ReLU, nn.ReLU6)
#: What they give has the values of what they get.
_PASSES = (nn.Identity, nn.Dropout, nn.Flatten, nn.MaxPool2d)


def round_weights(weight: Tensor) -> Tensor:
    """Rounds weights ``[out, ...]`` to INT8, symmetric per output channel; straight-through."""
    dims = list(range(1, weight.ndim))
    scale = weight.detach().abs().amax(dims, keepdim=True).clamp(min=1e-12) / (LEVELS // 2)
    return weight + ((weight / scale).round() * scale - weight).detach()


def round_activations(x: Tensor) -> Tensor:
    """Rounds a tensor to UINT8 over its own range, 0 included; straight-through."""
    low, high = x.detach().amin().clamp(max=0), x.detach().amax().clamp(min=0)
    scale = ((high - low) / LEVELS).clamp(min=1e-12)
    return x + ((x / scale).round() * scale - x).detach()


def rounded_call(network: nn.Module, x_NCHW: Tensor) -> Any:
    """Calls a network with rounded weights; its own stay as they are and get the gradient."""
    rounded = {
        f"{name}.weight": round_weights(module.weight)
        for name, module in network.named_modules()
        if isinstance(module, _WEIGHTED)
    }
    return functional_call(network, rounded, (x_NCHW,))


def round_outputs(network: nn.Module, example_NCHW: Tensor) -> list[RemovableHandle]:
    """Lets a network round what an engine stores, from now on.

    Args:
        network: Any.
        example_NCHW: An input, to see which modules follow which.

    Returns:
        Handles; removing them all ends it.
    """
    return [
        module.register_forward_hook(lambda _module, _inputs, output: round_activations(output))
        for module in stored_modules(network, example_NCHW)
    ]


def stored_modules(network: nn.Module, example_NCHW: Tensor) -> list[nn.Module]:
    """Returns the modules whose output an engine writes to memory: the last of fused chains."""
    steps = list(_trace(network, example_NCHW))
    fused = {
        id(before) for before, module in steps if before is not None and _fuses(before, module)
    }
    return [
        module
        for module in dict.fromkeys(module for _, module in steps)
        if id(module) not in fused and not isinstance(module, _PASSES)
    ]


def _fuses(before: nn.Module, module: nn.Module) -> bool:
    if isinstance(module, nn.BatchNorm2d):
        return isinstance(before, _WEIGHTED)
    return isinstance(module, _CLIPS) and isinstance(before, (*_WEIGHTED, nn.BatchNorm2d))


def _trace(
    network: nn.Module, example_NCHW: Tensor
) -> Iterator[tuple[nn.Module | None, nn.Module]]:
    """Yields each leaf in the order of computation, after the leaf that made its input."""
    kept: list[Tensor] = []  # so that no two tensors have one id
    made_by: dict[int, nn.Module] = {}
    steps: list[tuple[nn.Module | None, nn.Module]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not torch.is_tensor(output):
            return
        steps.append((made_by.get(id(inputs[0])), module))
        kept.extend((inputs[0], output))
        made_by[id(output)] = module

    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [leaf.register_forward_hook(note) for leaf in leaves]
    training = {module: module.training for module in network.modules()}
    with torch.no_grad():
        network.eval()(example_NCHW)
    for module, mode in training.items():
        module.training = mode
    for handle in handles:
        handle.remove()
    yield from steps
