"""What a network costs, counted without running it: on tensors that have a shape and no values."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from edge_fer.errors import ModelError
from edge_fer.models.blocks import MatMul

MB = 1_000_000

#: Operations that a runtime does in place, or folds into the operation before them.
_IN_PLACE = {
    "native_batch_norm",
    "_native_batch_norm_legit_no_training",
    "cudnn_batch_norm",
    "relu",
    "hardtanh",
    "silu",
    "sigmoid",
    "mul",
    "_softmax",
    "constant_pad_nd",
    "_unsafe_view",
    "clone",
}


@dataclass(frozen=True, kw_only=True)
class LayerCost:
    """A row of the table.

    Attributes:
        name: Path of the module, as in the state dict.
        kind: Its type.
        output_shape: For one image, batch axis included.
        params: Parameters and batch-norm statistics of its own.
        macs: Multiply-accumulates for one image; 0 for all but convolutions, dense layers and
        matmuls.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int


@dataclass(frozen=True, kw_only=True)
class Complexity:
    """The cost of one image.

    Attributes:
        params_total: Parameters and batch-norm running means and variances (Keras's total).
        params_trainable: Parameters alone, frozen or not.
        macs: Multiply-accumulates of convolutions, dense layers and matmuls.
        flops: Twice that.
        float32_mb: Storage of ``params_total`` as float32; 1 MB is 1,000,000 bytes.
        peak_activation_mb: Most memory held at one time by the input and intermediate results as
            float32, when each is freed after its last use and batch norm, activations, scaling,
            padding and views take no memory of their own; weights and scratch memory left out. An
            INT8 artifact needs about a quarter.
        layers: In the order of execution.
    """

    params_total: int
    params_trainable: int
    macs: int
    flops: int
    float32_mb: float
    peak_activation_mb: float
    layers: tuple[LayerCost, ...]


def describe(network: nn.Module, input_nchw: tuple[int, int, int, int]) -> Complexity:
    """Counts a network's cost for one image. The network is left as it was.

    Args:
        network: Any module of one input and one output.
        input_nchw: Shape of its input; the first number is taken as 1, since the cost is per image.

    Raises:
        ModelError: The network does not take an input of that shape.
    """
    network = copy.deepcopy(network).to("meta").eval()
    x_NCHW = torch.empty((1, *input_nchw[1:]), device="meta")
    rows: list[LayerCost] = []
    tape = _Tape(x_NCHW)
    handles = [
        module.register_forward_hook(_row_hook(rows, name))
        for name, module in network.named_modules()
        if next(module.children(), None) is None or own_values(module)
    ]
    try:
        with torch.no_grad(), tape:
            network(x_NCHW)
    except (RuntimeError, ValueError) as error:
        raise ModelError(f"the network does not take input {list(input_nchw)}: {error}") from error
    finally:
        for handle in handles:
            handle.remove()
    macs = sum(row.macs for row in rows)
    params_total = sum(own_values(module) for module in network.modules())
    return Complexity(
        params_total=params_total,
        params_trainable=sum(parameter.numel() for parameter in network.parameters()),
        macs=macs,
        flops=2 * macs,
        float32_mb=params_total * 4 / MB,
        peak_activation_mb=tape.peak_bytes() / MB,
        layers=tuple(rows),
    )


def own_values(module: nn.Module) -> int:
    """Parameters and floating-point buffers of a module, its children's left out."""
    tensors = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return sum(tensor.numel() for tensor in tensors if tensor.is_floating_point())


def _row_hook(
    rows: list[LayerCost], name: str
) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def add_row(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        rows.append(
            LayerCost(
                name=name,
                kind=type(module).__name__,
                output_shape=tuple(output.shape),
                params=own_values(module),
                macs=_macs(module, inputs, output),
            )
        )

    return add_row


def _macs(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> int:
    if isinstance(module, nn.Conv2d):
        per_value = module.in_channels // module.groups * math.prod(module.kernel_size)
    elif isinstance(module, nn.Linear):
        per_value = module.in_features
    elif isinstance(module, MatMul):
        per_value = inputs[0].shape[-1]
    else:
        return 0
    return output.numel() * per_value


class _Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records which operation reads and writes which tensor, to replay their lifetimes."""

    def __init__(self, x_NCHW: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tensors: list[Tensor] = []  # kept alive, so that an id() stays unique
        self._steps: list[tuple[str, list[int], int]] = []
        self._bytes = {id(x_NCHW): _bytes(x_NCHW)}
        self._alias: dict[int, int] = {}

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        out = result[0] if isinstance(result, tuple) else result
        buffers = [self._buffer(value) for value in _tensors(args)]
        reads = [buffer for buffer in buffers if buffer in self._bytes]
        if isinstance(out, Tensor) and reads:
            self._tensors.append(out)
            if func.is_view:
                self._alias[id(out)] = reads[0]
            else:
                self._bytes[id(out)] = _bytes(out)
                self._steps.append((func.overloadpacket.__name__, reads, id(out)))
        return result

    def _buffer(self, tensor: Tensor) -> int:
        return self._alias.get(id(tensor), id(tensor))

    def peak_bytes(self) -> int:
        """The most bytes alive at one time."""
        last_use: dict[int, int] = {}
        for step, (_, reads, _) in enumerate(self._steps):
            last_use.update(dict.fromkeys(reads, step))
        first = next(iter(self._bytes))
        live = {first: self._bytes[first]}
        peak = live[first]
        for step, (name, reads, out) in enumerate(self._steps):
            ended = [buffer for buffer in reads if last_use[buffer] == step]
            if name in _IN_PLACE and reads[0] in ended:
                live.pop(reads[0], None)
            live[out] = self._bytes[out]
            peak = max(peak, sum(live.values()))
            for buffer in ended:
                live.pop(buffer, None)
        return peak


def _bytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _tensors(values: Any) -> list[Tensor]:
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, (list, tuple)):
        return [tensor for value in values for tensor in _tensors(value)]
    return []
