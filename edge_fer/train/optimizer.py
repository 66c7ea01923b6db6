"""Optimizers, and their state by the parameters' names."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edge_fer.train.config import Stage

_GROUP = "optimizer."
Groups = dict[str, dict[str, Tensor]]


def build_optimizer(trainee: nn.Module, stage: Stage) -> torch.optim.Optimizer:
    """Returns the stage's optimizer over what is not frozen; weight decay spares 1-D weights."""
    parameters = [parameter for parameter in trainee.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": stage.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if stage.optimizer == "adam":
        return torch.optim.Adam(groups, stage.learning_rate)
    return torch.optim.SGD(
        groups, stage.learning_rate, momentum=stage.momentum, nesterov=stage.momentum > 0
    )


def optimizer_state(optimizer: torch.optim.Optimizer, trainee: nn.Module) -> Groups:
    """Returns the optimizer's tensors: ``optimizer.KEY`` to parameter name to tensor."""
    groups: Groups = {}
    for name, parameter in trainee.named_parameters():
        for key, value in optimizer.state[parameter].items():
            if torch.is_tensor(value):
                groups.setdefault(f"{_GROUP}{key}", {})[name] = value
    return groups


def restore_optimizer(
    optimizer: torch.optim.Optimizer, trainee: nn.Module, groups: Mapping[str, dict[str, Tensor]]
) -> None:
    """Puts back what ``optimizer_state`` gave."""
    parameters = dict(trainee.named_parameters())
    for group, tensors in groups.items():
        if group.startswith(_GROUP):
            key = group.removeprefix(_GROUP)
            for name, tensor in tensors.items():
                at = "cpu" if key == "step" else parameters[name].device
                optimizer.state[parameters[name]][key] = tensor.to(at)
