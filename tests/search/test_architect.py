"""Alpha's gradient against what it is: the derivative of the outer loss by alpha."""

import pytest
import torch

from edge_fer.search.architect import first_order, second_order

RATE = 0.3


class Toy:
    """Two losses of six weights and four alphas that are anything but linear in either."""

    def __init__(self, seed):
        draw = torch.Generator().manual_seed(seed)

        def drawn(*shape):
            return torch.randn(*shape, generator=draw, dtype=torch.float64)

        self.weights = [drawn(3).requires_grad_(), drawn(3).requires_grad_()]
        self.alphas = [drawn(2, 2).requires_grad_()]
        self.drift = [drawn(3), drawn(3)]
        self._learn, self._judge = drawn(3, 3), drawn(3, 3)

    def _loss(self, matrix, weights, alphas):
        one, other = weights
        mixed = torch.tanh(matrix @ one) * alphas[0].softmax(1)[0, 0]
        mixed = mixed + torch.sin(matrix @ other) * alphas[0].softmax(1)[1, 1]
        return (mixed**2).sum() + 0.1 * (mixed.sum() - 1) ** 2

    def train(self, weights, alphas):
        return self._loss(self._learn, weights, alphas)

    def validation(self, weights, alphas):
        return self._loss(self._judge, weights, alphas)

    def outer(self, alphas):
        """``validation`` after one step of training, from the definition."""
        found = torch.autograd.grad(self.train(self.weights, alphas), self.weights)
        ahead = [
            (w - RATE * (d + g)).detach()
            for w, d, g in zip(self.weights, self.drift, found, strict=True)
        ]
        return self.validation(ahead, alphas).item()


def finite_differences(function, x, step=1e-5):
    gradient = torch.zeros_like(x)
    for index in range(x.numel()):
        ends = []
        for sign in (1, -1):
            moved = x.detach().clone()
            moved.view(-1)[index] += sign * step
            ends.append(function(moved))
        gradient.view(-1)[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


@pytest.mark.parametrize("seed", range(5))
def test_the_second_order_is_the_derivative_of_the_outer_loss(seed):
    toy = Toy(seed)
    (found,) = second_order(
        toy.train, toy.validation, toy.weights, toy.alphas, rate=RATE, drift=toy.drift
    )
    wanted = finite_differences(lambda alpha: toy.outer([alpha]), toy.alphas[0])
    assert torch.allclose(found, wanted, rtol=1e-3, atol=1e-5)


def test_the_first_order_is_not():
    toy = Toy(0)
    (found,) = first_order(toy.validation, toy.weights, toy.alphas)
    wanted = finite_differences(
        lambda alpha: toy.validation(toy.weights, [alpha]).item(), toy.alphas[0]
    )
    outer = finite_differences(lambda alpha: toy.outer([alpha]), toy.alphas[0])
    assert torch.allclose(found, wanted, rtol=1e-6, atol=1e-8)
    assert not torch.allclose(found, outer, rtol=0.1)


def test_without_a_step_both_orders_agree():
    toy = Toy(1)
    (first,) = first_order(toy.validation, toy.weights, toy.alphas)
    (second,) = second_order(
        toy.train, toy.validation, toy.weights, toy.alphas, rate=0.0, drift=toy.drift
    )
    assert torch.allclose(first, second)


def test_an_alpha_that_decides_nothing_has_no_gradient():
    toy = Toy(2)
    unused = torch.ones(3, dtype=torch.float64, requires_grad=True)
    found = first_order(toy.validation, toy.weights, [*toy.alphas, unused])
    assert torch.equal(found[1], torch.zeros(3, dtype=torch.float64))
