"""What learns in a search: weights and alphas, each with an optimizer, one step at a time."""

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from edge_fer.models.emonas import Genotype
from edge_fer.search.alphas import Alphas, mixtures
from edge_fer.search.architect import first_order, gradients, second_order
from edge_fer.search.config import SearchConfig
from edge_fer.search.guards import channel_share, derive
from edge_fer.search.lesson import Classroom, Lesson
from edge_fer.search.supernet import SuperNet
from edge_fer.train.devices import placed
from edge_fer.train.optimizer import Groups, build_optimizer, optimizer_state, restore_optimizer

_OF_ALPHAS = "alphas."
_BETAS = (0.5, 0.999)


class Learner:
    """The network that is searched, its alphas, and what moves them.

    Args:
        config: Of the search.
        input_chw: Of the network.
        prior_K: Share of each class in the faces that the weights learn from.
        accelerator: Where it computes.
    """

    def __init__(
        self,
        config: SearchConfig,
        input_chw: tuple[int, int, int],
        prior_K: Tensor,
        accelerator: Accelerator,
    ) -> None:
        self.config, self.accelerator = config, accelerator
        share = channel_share(config.guards)
        torch.manual_seed(config.seed)
        network = SuperNet(
            config.space,
            len(prior_K),
            input_chw[0],
            share=share,
            auxiliary="auxiliary-skip" in config.guards,
        )
        alphas = Alphas(config.space.intermediate, between_edges=share > 1)
        placed(network, accelerator.device)
        self.network, self.alphas = network, alphas.to(accelerator.device)
        self.room = Classroom(
            network=network,
            intermediate=config.space.intermediate,
            stage=config.stage,
            input_chw=input_chw,
            prior_K=prior_K,
            autocast=accelerator.autocast,
        )
        self.optimizer = build_optimizer(network, config.stage)
        self.alpha_optimizer = torch.optim.Adam(
            alphas.parameters(),
            config.alpha_learning_rate,
            betas=_BETAS,
            weight_decay=config.alpha_weight_decay,
        )

    def step(self, lesson: Lesson, test: Lesson | None, rate: float) -> None:
        """Moves alpha by ``test`` (not at all if ``None``), then the weights by ``lesson``."""
        weights, alphas = list(self.network.parameters()), list(self.alphas.parameters())
        if test is not None:
            self._apply(self.alpha_optimizer, alphas, self._alpha_gradients(lesson, test, rate))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self._apply(self.optimizer, weights, gradients(lesson.loss(weights, alphas), weights))

    def weights(self) -> tuple[Tensor, Tensor]:
        """Returns what alpha stands for now: ``[E, O]`` of normal and of reduction cells."""
        with torch.no_grad():
            return mixtures(list(self.alphas.parameters()), self.config.space.intermediate)

    def genotype(self) -> Genotype:
        """Returns what would be kept now."""
        normal_EO, reduction_EO = (w_EO.cpu().double().numpy() for w_EO in self.weights())
        normal, reduction = derive(normal_EO, reduction_EO, self.config.guards)
        final = self.config.final
        return Genotype(
            normal=normal, reduction=reduction, cells=final.cells, channels=final.channels
        )

    def state(self) -> Groups:
        """Returns all tensors from which it goes on."""
        own = optimizer_state(self.alpha_optimizer, self.alphas)
        return {
            "weights": self.network.state_dict(),
            "alphas": self.alphas.state_dict(),
            **optimizer_state(self.optimizer, self.network),
            **{_OF_ALPHAS + key: tensors for key, tensors in own.items()},
        }

    def restore(self, groups: Groups) -> None:
        """Puts back what ``state`` gave."""
        self.network.load_state_dict(groups["weights"])
        self.alphas.load_state_dict(groups["alphas"])
        restore_optimizer(self.optimizer, self.network, groups)
        own = {
            key.removeprefix(_OF_ALPHAS): tensors
            for key, tensors in groups.items()
            if key.startswith(_OF_ALPHAS)
        }
        restore_optimizer(self.alpha_optimizer, self.alphas, own)

    def _alpha_gradients(self, lesson: Lesson, test: Lesson, rate: float) -> list[Tensor]:
        weights, alphas = list(self.network.parameters()), list(self.alphas.parameters())
        if self.config.order == 1:
            return first_order(test.loss, weights, alphas)
        return second_order(
            lesson.loss, test.loss, weights, alphas, rate=rate, drift=self._drift(weights)
        )

    def _drift(self, weights: Sequence[Tensor]) -> list[Tensor]:
        """What momentum and weight decay add to the gradient."""
        drift: dict[Tensor, Tensor] = {}
        for group in self.optimizer.param_groups:
            for weight in group["params"]:
                drift[weight] = group["weight_decay"] * weight.detach()
                velocity = self.optimizer.state[weight].get("momentum_buffer")
                if velocity is not None:
                    drift[weight] = drift[weight] + group["momentum"] * velocity
        return [drift[weight] for weight in weights]

    def _apply(
        self, optimizer: torch.optim.Optimizer, tensors: Sequence[Tensor], found: Sequence[Tensor]
    ) -> None:
        if self.accelerator.num_processes > 1:
            flat = self.accelerator.reduce(torch.cat([g.flatten() for g in found]), "mean")
            parts = flat.split([g.numel() for g in found])
            found = [part.view_as(g) for part, g in zip(parts, found, strict=True)]
        for tensor, gradient in zip(tensors, found, strict=True):
            tensor.grad = gradient
        clip_norm = self.config.stage.clip_norm
        if clip_norm and optimizer is self.optimizer:
            torch.nn.utils.clip_grad_norm_(tensors, clip_norm)
        optimizer.step()
