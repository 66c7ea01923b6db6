"""The gradient of the outer problem: alpha, judged by faces on which the weights do not learn.

Liu et al. 2019, "DARTS: Differentiable Architecture Search", equations 6 to 8; EmoNAS, equations 8
and 9. Both losses are functions of weights and alphas, each a list of tensors.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Tensors = Sequence[Tensor]
Loss = Callable[[Tensors, Tensors], Tensor]
#: Step of the finite difference, over the gradient's norm (DARTS, footnote 2).
_STEP = 0.01


def first_order(validation: Loss, weights: Tensors, alphas: Tensors) -> list[Tensor]:
    """Returns alpha's gradient as if the weights were the best ones already."""
    return gradients(validation(weights, alphas), alphas)


def second_order(
    train: Loss,
    validation: Loss,
    weights: Tensors,
    alphas: Tensors,
    *,
    rate: float,
    drift: Tensors,
) -> list[Tensor]:
    """Returns the gradient of ``validation(w', alpha)``, with ``w'`` one step of training ahead.

    ``w' = w - rate * (drift + train's gradient)`` depends on alpha too. What that adds is a second
    derivative times a vector, taken as a central difference of ``train``'s gradient.

    Args:
        train: The loss that the weights learn.
        validation: The loss that alpha learns.
        weights: w.
        alphas: alpha.
        rate: Learning rate of the step.
        drift: What is added to the gradient in that step: momentum and weight decay.
    """
    gradient = gradients(train(weights, alphas), weights)
    ahead = [
        (w - rate * (d + g)).detach().requires_grad_()
        for w, d, g in zip(weights, drift, gradient, strict=True)
    ]
    both = gradients(validation(ahead, alphas), [*ahead, *alphas])
    direction, direct = both[: len(ahead)], both[len(ahead) :]
    norm = torch.linalg.vector_norm(torch.stack([v.norm() for v in direction]))
    step = _STEP / norm.clamp(min=1e-12)
    above, below = (
        gradients(train(_moved(weights, direction, signed), alphas), alphas)
        for signed in (step, -step)
    )
    return [
        own - rate * (up - down) / (2 * step)
        for own, up, down in zip(direct, above, below, strict=True)
    ]


def _moved(weights: Tensors, direction: Tensors, step: Tensor) -> list[Tensor]:
    return [(w + step * v).detach() for w, v in zip(weights, direction, strict=True)]


def gradients(loss: Tensor, tensors: Tensors) -> list[Tensor]:
    """Returns the gradient of a loss; zeros where it does not depend on a tensor."""
    found = torch.autograd.grad(loss, list(tensors), allow_unused=True)
    return [
        torch.zeros_like(tensor) if gradient is None else gradient
        for tensor, gradient in zip(tensors, found, strict=True)
    ]
