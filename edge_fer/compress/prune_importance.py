"""How much a channel matters: by its weights, or by what the loss would change without it.

Shape suffixes: W channels of a block, O outputs and I inputs of a layer, S values of a channel.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from edge_fer.compress.prune_coupling import Block, Side

#: A number per channel of each side of a layer that the measure says something of.
Scores = Mapping[tuple[str, Side], Tensor]


def magnitude_scores(network: nn.Module) -> Scores:
    """Squared weights of each channel, in all layers that it touches (group L2)."""
    return {
        side: weight_OS.detach().square().sum(1) for side, weight_OS in _weights(network).items()
    }


def scale_scores(network: nn.Module) -> Scores:
    """Absolute batch-norm scales (Liu et al. 2017, "network slimming")."""
    return {
        (name, "out"): module.weight.detach().abs()
        for name, module in network.named_modules()
        if isinstance(module, nn.BatchNorm2d)
    }


def taylor_scores(network: nn.Module, losses: Iterable[Tensor]) -> Scores:
    """First-order estimate of how the loss changes (Molchanov et al. 2019).

    Args:
        network: In evaluation mode; its gradients are used and cleared.
        losses: Of one batch after the other, each a scalar.

    Returns:
        The sum over batches of the square of a channel's summed weight times gradient.
    """
    scores: dict[tuple[str, Side], Tensor] = {}
    for loss in losses:
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = _weights(network, gradients=True)
        for side, weight_OS in _weights(network).items():
            change_O = (weight_OS.detach() * gradients[side]).sum(1).square()
            scores[side] = scores.get(side, torch.zeros_like(change_O)) + change_O
    network.zero_grad()
    return scores


def score_blocks(
    blocks: Sequence[Block], scores: Scores, otherwise: Scores, *, relative: bool = True
) -> list[Tensor]:
    """Scores of each block's channels, ``[W]``.

    Args:
        blocks: Of a network.
        scores: Of its layers; a channel gets the mean over the layers that it touches.
        otherwise: For blocks of which ``scores`` says nothing.
        relative: Over their mean in the block.
    """
    found = []
    for block in blocks:
        scores_W = _mean(block, scores)
        scores_W = _mean(block, otherwise) if scores_W is None else scores_W
        assert scores_W is not None
        found.append(_relative(scores_W) if relative else scores_W)
    return found


def _mean(block: Block, scores: Scores) -> Tensor | None:
    found = [
        scores[member.layer, member.side][member.places_WP].sum(1)
        for member in block.members
        if (member.layer, member.side) in scores
    ]
    return torch.stack(found).mean(0) if found else None


def _relative(scores_W: Tensor) -> Tensor:
    return scores_W / scores_W.mean().clamp(min=torch.finfo(torch.float32).tiny)


def _weights(network: nn.Module, *, gradients: bool = False) -> dict[tuple[str, Side], Tensor]:
    """A row per channel of each side: of a convolution's outputs and inputs, of a norm's scales."""
    sides: dict[tuple[str, Side], Tensor] = {}
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            weight = module.weight.grad if gradients else module.weight
            assert weight is not None
            sides[name, "out"] = weight.reshape(len(weight), -1)
            if weight.ndim > 1:
                sides[name, "in"] = weight.transpose(0, 1).reshape(weight.shape[1], -1)
    return sides
