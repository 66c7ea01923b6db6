"""Networks of other widths than their model's: a pruned one is its model with smaller weights."""

from collections.abc import Mapping

from torch import Tensor, nn

from edge_fer.errors import ModelError


def adopt_widths(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Gives convolutions, dense layers and norms the widths that weights have, in place.

    The values are not copied. Only widths may differ: kernels, strides and layers stay the model's.

    Args:
        network: What ``build_model`` gave.
        weights: A state dict of the same network, possibly narrower.

    Raises:
        ModelError: A layer has no weights there, or of another kind.
    """
    for name, module in network.named_modules():
        weight = weights.get(f"{name}.weight")
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            if weight is None or weight.ndim != module.weight.ndim:
                raise ModelError(f"there are no weights for layer {name}")
            if weight.shape != module.weight.shape:
                _adopt(name, module, weight)


def _adopt(name: str, module: nn.Conv2d | nn.Linear | nn.BatchNorm2d, weight: Tensor) -> None:
    if isinstance(module, nn.BatchNorm2d):
        module.num_features = len(weight)
        for key in ("running_mean", "running_var"):
            module.register_buffer(key, weight.new_zeros(len(weight)))
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    elif weight.shape[2:] != module.weight.shape[2:]:
        raise ModelError(f"the weights of layer {name} are of another kernel")
    else:
        depthwise = module.groups > 1
        if depthwise and weight.shape[1] != module.weight.shape[1]:
            raise ModelError(f"the weights of layer {name} are of other groups")
        module.out_channels = len(weight)
        module.groups = len(weight) if depthwise else 1
        module.in_channels = weight.shape[1] * module.groups
    module.weight = nn.Parameter(weight.new_zeros(weight.shape))
    if module.bias is not None:
        module.bias = nn.Parameter(weight.new_zeros(len(weight)))
