"""The zoo. ``MODELS`` maps a model's name to the function that builds it and to what it expects."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edge_fer.errors import ModelError
from edge_fer.models import face_resnet, moeffnet, patt_lite
from edge_fer.models.adl_class import AdlClass
from edge_fer.models.arch import Arch1, Arch2, Arch3, Arch4
from edge_fer.models.emonas import EmoNas
from edge_fer.models.face_resnet import FaceResNet
from edge_fer.models.moeffnet import MoEffNet, moeffnet_lite
from edge_fer.models.part_ensemble import PartEnsemble, part_baseline, part_ftl
from edge_fer.models.patt_lite import PattLite
from edge_fer.models.resnet import ResNet
from edge_fer.preprocess import FER2013_EYES, Preprocessing


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One model of the zoo.

    Attributes:
        build: Takes ``num_classes``, ``in_channels`` and the model's own options; returns it
        untrained.
        input_chw: Channels, height and width that its paper feeds it (pixels).
        face: What its paper does to a face, in words.
        source: Where its paper describes it.
        interpolation: As in ``Preprocessing``, and so the next two.
        clahe_clip: The paper's equalisation; its clip limit is ours, the paper gives none.
        eyes: Where the paper aligns: where FER2013's faces have theirs, so that the camera's come
            as the dataset's do. A face whose eyes no detector gives is cut out by its box.
        load_pretrained: Fills an untrained network's backbone with weights that others trained,
            from a file or (path ``None``) from an installed package; returns how many it set.
        take_statistics: Fits the batch norms of a network so filled to some faces
            ``[N, C, H, W]``, where its weights come without statistics.
    """

    build: Callable[..., nn.Module]
    input_chw: tuple[int, int, int]
    face: str
    source: str
    interpolation: str = "auto"
    clahe_clip: float = 0.0
    eyes: tuple[float, float] | None = None
    load_pretrained: Callable[[Any, Path | None], int] | None = None
    take_statistics: Callable[[Any, Tensor], None] | None = None

    @property
    def preprocessing(self) -> Preprocessing:
        """From a face to the input: gray, three times where the network takes colour."""
        channels, height_px, width_px = self.input_chw
        color = "gray" if channels == 1 else "gray3"
        return Preprocessing(
            height_px=height_px,
            width_px=width_px,
            color=color,
            interpolation=self.interpolation,
            clahe_clip=self.clahe_clip,
            eyes=self.eyes,
        )


def _from_package(load: Callable[[Any], int]) -> Callable[[Any, Path | None], int]:
    def fill(network: Any, path: Path | None) -> int:
        if path is not None:
            raise ModelError("its weights come from a package: give --pretrained package")
        return load(network)

    return fill


def _mobilenet_file(network: PattLite, path: Path | None) -> int:
    if path is None:
        raise ModelError("patt-lite needs the path of MobileNetV1's weights, a Keras .npz or .h5")
    return patt_lite.load_imagenet(network, path)


_GREY = "aligned grey face crop"
_COLOUR = "aligned face crop in colour, or grey three times"
_EQUALISED = "grey, contrast-limited histogram equalisation, face crop, three times"


def _arch(build: Callable[..., nn.Module], source: str) -> ModelEntry:
    return ModelEntry(
        build=build, input_chw=(1, 48, 48), face=_GREY, source=source, eyes=FER2013_EYES
    )


MODELS: dict[str, ModelEntry] = {
    "arch-1": _arch(Arch1, "ARCH, Table 1"),
    "arch-2": _arch(Arch2, "ARCH, Table 2"),
    "arch-3": _arch(Arch3, "ARCH, Table 3"),
    "arch-4": _arch(Arch4, "ARCH, Table 4"),
    "emonas": ModelEntry(
        build=EmoNas, input_chw=(3, 48, 48), face=_COLOUR, source="EmoNAS, section 4"
    ),
    "adl-class": ModelEntry(
        build=AdlClass,
        input_chw=(3, 120, 120),
        face="dynamic image of an aligned face",
        source="EmoNAS, section 5.4",
    ),
    "moeffnet": ModelEntry(
        build=MoEffNet,
        input_chw=(3, 48, 48),
        face=_COLOUR,
        source="MoEffNet, section 3",
        interpolation="bicubic",
        eyes=FER2013_EYES,
        load_pretrained=_from_package(moeffnet.load_imagenet),
    ),
    "moeffnet-lite": ModelEntry(
        build=moeffnet_lite,
        input_chw=(3, 48, 48),
        face=_COLOUR,
        source="MoEffNet, section 3, on EfficientNet-Lite0",
        interpolation="bicubic",
        eyes=FER2013_EYES,
        load_pretrained=_from_package(moeffnet.load_imagenet),
    ),
    "patt-lite": ModelEntry(
        build=PattLite,
        input_chw=(3, 224, 224),
        face=_COLOUR,
        source="PAtt-Lite, section III",
        load_pretrained=_mobilenet_file,
    ),
    "resnet": ModelEntry(
        build=ResNet,
        input_chw=(1, 48, 48),
        face="grey face crop",
        source="He et al. 2016, basic blocks; our teacher",
    ),
    "face-resnet": ModelEntry(
        build=FaceResNet,
        input_chw=(1, 112, 112),
        face="grey face crop",
        source="dlib's face recognition network, He et al. 2016",
        load_pretrained=_from_package(face_resnet.load_dlib),
        take_statistics=face_resnet.take_statistics,
    ),
    "part-ensemble": ModelEntry(
        build=PartEnsemble,
        input_chw=(3, 160, 160),
        face=_EQUALISED,
        source="part ensemble, section III-C (EL)",
        clahe_clip=2.0,
    ),
    "part-baseline": ModelEntry(
        build=part_baseline,
        input_chw=(3, 160, 160),
        face=_EQUALISED,
        source="part ensemble, section III-C (Baseline)",
        clahe_clip=2.0,
    ),
    "part-ftl": ModelEntry(
        build=part_ftl,
        input_chw=(3, 160, 160),
        face=_EQUALISED,
        source="part ensemble, section III-C (FTL)",
        clahe_clip=2.0,
    ),
}


def find_model(name: str) -> ModelEntry:
    """Returns a model's entry.

    Raises:
        ModelError: No model has that name.
    """
    if name not in MODELS:
        raise ModelError(f"unknown model {name!r}; known: {', '.join(MODELS)}")
    return MODELS[name]


def load_pretrained(name: str, network: nn.Module, path: Path | None) -> int:
    """Fills the backbone of an untrained model with weights that others trained.

    Args:
        name: A key of ``MODELS``.
        network: What ``build_model`` gave for it; changed in place.
        path: A file of weights, or ``None`` to take an installed package's.

    Returns:
        How many values were set.

    Raises:
        ModelError: There are no such weights for the model, or they are missing or do not fit.
    """
    load = find_model(name).load_pretrained
    if load is None:
        raise ModelError(f"{name} is trained from scratch: there are no weights to start it from")
    return load(network, path)


def build_model(
    name: str,
    *,
    num_classes: int,
    in_channels: int | None = None,
    **options: Any,
) -> nn.Module:
    """Builds an untrained network.

    Args:
        name: A key of ``MODELS``.
        num_classes: Number of outputs.
        in_channels: 1 (grey) or 3 (colour); the paper's choice if not given.
        options: The model's own, such as ``genotype`` (also as JSON) or ``attention``.

    Raises:
        ModelError: No model has that name, or it does not take these arguments.
    """
    entry = find_model(name)
    if in_channels is None:
        in_channels = entry.input_chw[0]
    known = set(inspect.signature(entry.build).parameters) - {"num_classes", "in_channels"}
    unknown = sorted(set(options) - known)
    if unknown:
        takes = ", ".join(sorted(known)) or "none"
        raise ModelError(f"{name} has no option {', '.join(unknown)}; it takes: {takes}")
    return entry.build(num_classes=num_classes, in_channels=in_channels, **options)


def check_input(network: nn.Module, input_chw: tuple[int, int, int]) -> None:
    """Tries a network on one empty face.

    Raises:
        ModelError: It cannot take faces of that size.
    """
    was_training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, *input_chw))
    except RuntimeError as error:
        _, height_px, width_px = input_chw
        what = f"{type(network).__name__} cannot take faces of {height_px}x{width_px}"
        problem = str(error).partition("\n")[0]
        raise ModelError(f"{what} ({problem})") from error
    network.train(was_training)
