"""The module that a stage trains: a network under what the stage needs around it."""

from collections.abc import Iterator

from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models.part_ensemble import LandmarkNetwork, PartEnsemble
from edge_fer.train.config import Stage
from edge_fer.train.fake_quant import rounded_call


class Classifying(nn.Module):
    """A network that learns labels; forward gives a list of logits ``[N, K]``, one per member.

    Args:
        network: Any of the zoo.
        rounded: Compute with weights as INT8 has them.
    """

    def __init__(self, network: nn.Module, *, rounded: bool = False) -> None:
        super().__init__()
        self.network, self.rounded = network, rounded

    def forward(self, x_NCHW: Tensor) -> list[Tensor]:
        """Images to logits."""
        network = self.network
        members = network.members().values() if isinstance(network, PartEnsemble) else [network]
        if self.rounded:
            return [rounded_call(member, x_NCHW) for member in members]
        return [member(x_NCHW) for member in members]


class Localising(nn.Module):
    """An ensemble of parts that learns landmarks; forward gives ``[N, points, 2]`` of each part."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        if not isinstance(network, PartEnsemble) or not any(map(len, network.landmarks.values())):
            raise ModelError("only an ensemble of parts learns landmarks: part-ensemble, part-ftl")
        self.network, self.parts = network, network.landmarks
        self.heads = nn.ModuleDict(
            {
                name: LandmarkNetwork(member, len(self.parts[name])).head
                for name, member in network.members().items()
                if len(self.parts[name])
            }
        )

    def forward(self, x_NCHW: Tensor) -> dict[str, Tensor]:
        """Images to landmarks."""
        members = self.network.members()
        return {
            name: head(members[name].extractor(x_NCHW)).unflatten(1, (-1, 2))
            for name, head in self.heads.items()
        }


def trainee_of(network: nn.Module, stage: Stage) -> Classifying | Localising:
    """Wraps a network for a stage and freezes what the stage does not train."""
    trainee: Classifying | Localising = Classifying(network, rounded=stage.fake_quant)
    if stage.target == "landmarks":
        trainee = Localising(network)
    frozen = frozen_modules(network, stage.trained)
    for module in network.modules():
        for parameter in module.parameters(recurse=False):
            parameter.requires_grad_(module not in frozen)
    if isinstance(trainee, Localising):
        for member in trainee.network.members().values():
            member.head.requires_grad_(False)
    return trainee


def set_training(trainee: Classifying | Localising, stage: Stage) -> None:
    """Turns training mode on, but not for what is frozen: its batch norms keep their statistics."""
    trainee.train()
    for module in frozen_modules(trainee.network, stage.trained):
        module.training = False


def frozen_modules(network: nn.Module, trained: str) -> set[nn.Module]:
    """Returns the modules whose own weights a stage leaves as they are.

    Raises:
        ModelError: The network has no backbone, or none with that layer.
    """
    if trained == "all":
        return set()
    backbones = list(_backbones(network))
    if not backbones:
        raise ModelError(f"{type(network).__name__} has no backbone to freeze")
    if trained == "head":
        return {module for backbone in backbones for module in backbone.modules()}
    layer = trained.removeprefix("from:")
    return {module for backbone in backbones for module in _before(backbone, layer)}


def _backbones(network: nn.Module) -> Iterator[nn.Module]:
    if isinstance(network, PartEnsemble):
        yield from (member.extractor for member in network.members().values())
    elif isinstance(getattr(network, "backbone", None), nn.Module):
        yield network.get_submodule("backbone")


def _before(backbone: nn.Module, layer: str) -> Iterator[nn.Module]:
    children = dict(backbone.named_children())
    if layer not in children:
        raise ModelError(f"the backbone has no layer {layer!r}; it has {', '.join(children)}")
    first_trained = list(children).index(layer)
    for index, child in enumerate(children.values()):
        for module in child.modules():
            if index < first_trained or isinstance(module, nn.BatchNorm2d):
                yield module
