"""Checkpoints: ``*.safetensors`` with all about the network in their metadata. No pickles."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from edge_fer.errors import ModelError
from edge_fer.files import write_atomic
from edge_fer.models import build_model
from edge_fer.models.face_detector import DETECTORS
from edge_fer.models.structure import adopt_widths
from edge_fer.preprocess import Preprocessing

SCHEMA = "edge-fer/checkpoint/1"


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained network and what is known of it.

    Attributes:
        network: In evaluation mode, on the CPU.
        metadata: ``model``, its ``options``, ``labels``, ``input_nchw``, ``preprocessing``,
            ``data``, ``split``, ``metrics``, ``config``, ``command``, ``versions``, and ``pruned``
            where layers are narrower than the model's.
    """

    network: nn.Module
    metadata: dict[str, Any]

    @property
    def preprocessing(self) -> Preprocessing:
        """From a face crop to the input."""
        return Preprocessing.from_dict(self.metadata["preprocessing"])

    @property
    def labels(self) -> tuple[str, ...]:
        """The vocabulary, in output order."""
        return tuple(self.metadata["labels"])


def save_checkpoint(path: Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Writes weights (CPU tensors by name) and metadata as one file, atomically."""
    document = json.dumps({"schema": SCHEMA, **metadata}, sort_keys=True)
    tensors = {name: tensor.detach().contiguous() for name, tensor in weights.items()}
    write_atomic(path, lambda file: write_tensors(file, tensors, {"edge_fer": document}))


def write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes a safetensors file; a full disk raises ``OSError`` like any other writer."""
    try:
        save_file(tensors, file, metadata=metadata)
    except SafetensorError as error:
        raise OSError(f"no space, or not writable ({error})") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Builds the network that a checkpoint names and fills it.

    Raises:
        ModelError: No such file, not a checkpoint of ours, or weights that do not fit.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such checkpoint")
    if path.suffix in {".pt", ".pth", ".pkl", ".ckpt"}:
        raise ModelError(
            f"{path}: pickled checkpoints can run code when loaded; save it as .safetensors"
        )
    try:
        with safe_open(path, framework="pt") as stream:
            document = json.loads((stream.metadata() or {}).get("edge_fer", "{}"))
            weights = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise ModelError(f"{path}: not an edge-fer checkpoint (no {SCHEMA} metadata)")
    network = _network_of(document, path)
    try:
        if document.get("pruned"):
            adopt_widths(network, weights)
        network.load_state_dict(weights)
    except (RuntimeError, ModelError) as error:
        raise ModelError(f"{path}: its weights do not fit {document['model']} ({error})") from error
    return Checkpoint(network=network.eval(), metadata=document)


def _network_of(document: dict[str, Any], path: Path) -> nn.Module:
    if document.get("model") in DETECTORS:
        return DETECTORS[document["model"]]()
    missing = {"model", "options", "labels", "input_nchw", "preprocessing"} - set(document)
    if missing:
        raise ModelError(f"{path}: its metadata lack {', '.join(sorted(missing))}")
    return build_model(
        document["model"],
        num_classes=len(document["labels"]),
        in_channels=document["input_nchw"][1],
        **document["options"],
    )


def start_from(origin: Checkpoint, network: nn.Module, model: str, labels: tuple[str, ...]) -> bool:
    """Gives a network the weights of a checkpoint, and its widths if it is pruned.

    Of a checkpoint of other labels, the outputs of those that both have are taken; each new one
    begins as the mean of all of the checkpoint's.

    Args:
        origin: The checkpoint.
        network: What ``build_model`` gave for ``model``; changed in place.
        model: Name in the zoo.
        labels: Its vocabulary.

    Returns:
        Whether it is pruned.

    Raises:
        ModelError: It is one of another model, or was built with other options.
    """
    if origin.metadata["model"] != model:
        raise ModelError(f"a checkpoint of {origin.metadata['model']} is no start for {model}")
    weights = origin.network.state_dict()
    if origin.labels != labels:
        rows = [origin.labels.index(name) if name in origin.labels else None for name in labels]
        weights |= {name: _reordered(weights[name], rows) for name in output_tensors(origin)}
    pruned = bool(origin.metadata.get("pruned", False))
    try:
        if pruned:
            adopt_widths(network, weights)
        network.load_state_dict(weights)
    except (ModelError, RuntimeError) as error:
        options = origin.metadata["options"].items()
        given = " ".join(f"--option '{key}={json.dumps(value)}'" for key, value in options)
        channels = origin.metadata["input_nchw"][1]
        raise ModelError(
            f"the checkpoint's weights do not fit: its {model} reads {channels} channels and was "
            f"built with {given or 'no --option'}"
        ) from error
    return pruned


def output_tensors(checkpoint: Checkpoint) -> list[str]:
    """Names of the tensors that have a row for each class."""
    metadata, k = checkpoint.metadata, len(checkpoint.labels)
    arguments = {"in_channels": metadata["input_nchw"][1], **metadata["options"]}
    with torch.device("meta"):
        ours, more = (
            build_model(metadata["model"], num_classes=count, **arguments).state_dict()
            for count in (k, k + 1)
        )
    return [name for name, tensor in ours.items() if tensor.shape != more[name].shape]


def _reordered(weight: Tensor, rows: list[int | None]) -> Tensor:
    mean = weight.mean(0)
    return torch.stack([mean if row is None else weight[row] for row in rows])


def averaged(weights: dict[str, Tensor], average: dict[str, Tensor], decay: float) -> None:
    """Moves ``average`` towards ``weights`` in place: ``a <- decay * a + (1 - decay) * w``."""
    floating = [name for name, tensor in weights.items() if tensor.is_floating_point()]
    ours, theirs = ([group[name] for name in floating] for group in (average, weights))
    with torch.no_grad():
        get_ema_multi_avg_fn(decay)(ours, theirs, None)  # type: ignore[no-untyped-call]
        for name in weights.keys() - set(floating):
            average[name].copy_(weights[name])
