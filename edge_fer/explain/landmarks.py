"""Whether extractors still know the landmarks after learning expressions (part ensemble, Fig. 10).

A run of the recipe ``part-ensemble`` leaves three files: the ensemble after the landmark stage
(``landmarks.safetensors``) and after fine-tuning (``best.safetensors``), and the localisation heads
(``landmark-heads.safetensors``, tensors ``<part>.<name in LandmarkNetwork.head>``). The heads are
kept as they were and put on the extractors of both.

Shape suffixes: N faces, C channels, H height, W width (pixels), P landmarks, 2 is (x, y), fractions
of width and height.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from edge_fer.errors import ModelError
from edge_fer.models.part_ensemble import LandmarkNetwork, PartEnsemble
from edge_fer.train.checkpoint import Checkpoint, load_checkpoint
from edge_fer.train.folder import HEADS_FILE, LANDMARKS_FILE

_OUTER_EYE_CORNERS = (36, 45)

#: For each part, by name, the state of its localisation head.
Heads = Mapping[str, Mapping[str, Tensor]]


@dataclass(frozen=True, kw_only=True)
class LandmarkRun:
    """An ensemble before and after it learnt expressions, and its localisation heads."""

    before: PartEnsemble
    after: PartEnsemble
    heads: Heads


@dataclass(frozen=True, kw_only=True)
class Distance:
    """How far predicted landmarks are from their labels.

    Attributes:
        l1: Mean absolute difference per coordinate, a fraction of the face crop's side.
        percent_of_eyes: The same in percent of the distance between the outer corners of the eyes.
    """

    l1: float
    percent_of_eyes: float


def read_heads(path: Path) -> Heads:
    """Reads the localisation heads of a run.

    Raises:
        ModelError: No such file, not a safetensors file, or a tensor that names no part.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; --landmarks takes a part-ensemble run")
    heads: dict[str, dict[str, Tensor]] = defaultdict(dict)
    try:
        with safe_open(path, framework="pt") as stream:
            for name in stream.keys():  # noqa: SIM118
                part, _, tensor = name.partition(".")
                heads[part][tensor] = stream.get_tensor(name)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a readable safetensors file ({error})") from error
    return heads


def read_run(folder: Path, after: Checkpoint) -> LandmarkRun:
    """Reads what a run kept of its landmark stage.

    Args:
        folder: Of the run.
        after: Its fine-tuned checkpoint.

    Raises:
        ModelError: ``after`` learns no landmarks, or a file is missing or of another model.
    """
    ensemble = _require_landmarks(after.network)
    before = load_checkpoint(folder / LANDMARKS_FILE)
    for key in ("model", "options", "input_nchw", "preprocessing"):
        if before.metadata[key] != after.metadata[key]:
            raise ModelError(f"{folder / LANDMARKS_FILE}: its {key} is not that of the checkpoint")
    return LandmarkRun(
        before=_require_landmarks(before.network),
        after=ensemble,
        heads=read_heads(folder / HEADS_FILE),
    )


def _require_landmarks(network: torch.nn.Module) -> PartEnsemble:
    if not isinstance(network, PartEnsemble) or not any(map(len, network.landmarks.values())):
        raise ModelError("--landmarks needs a model that learns landmarks, such as part-ensemble")
    return network


def predict_landmarks(
    ensemble: PartEnsemble, heads: Heads, batches: Iterable[Tensor]
) -> dict[str, np.ndarray]:
    """Puts the heads on the ensemble's extractors and asks them.

    Args:
        ensemble: In evaluation mode; stays as it is.
        heads: Of its parts.
        batches: Float32 images ``[N, C, H, W]``, some at a time.

    Returns:
        By part, float32 ``[N, P, 2]``, in the order of ``ensemble.landmarks``; parts without
        landmarks are left out.

    Raises:
        ModelError: A head is missing or does not fit.
    """
    networks = {
        part: _localiser(ensemble, part, points, heads)
        for part, points in ensemble.landmarks.items()
        if points
    }
    predicted: dict[str, list[Tensor]] = {part: [] for part in networks}
    with torch.inference_mode():
        for x_NCHW in batches:
            for part, network in networks.items():
                predicted[part].append(network(x_NCHW))
    return {part: np.asarray(torch.cat(of).numpy()) for part, of in predicted.items()}


def _localiser(ensemble: PartEnsemble, part: str, points: range, heads: Heads) -> LandmarkNetwork:
    network = LandmarkNetwork(ensemble.members()[part], len(points)).eval()
    try:
        network.head.load_state_dict(heads.get(part, {}))
    except RuntimeError as error:
        raise ModelError(f"the localisation head of {part} does not fit ({error})") from error
    return network


def distance(predicted_NP2: np.ndarray, labels_N682: np.ndarray, points: range) -> Distance:
    """Compares the predictions of one part with all 68 labels.

    Args:
        predicted_NP2: Of one part.
        labels_N682: float32 ``[N, 68, 2]``, iBUG order, of square faces.
        points: Which of the 68 the part has.
    """
    l1_N = np.abs(predicted_NP2 - labels_N682[:, points]).mean(axis=(1, 2))
    left, right = _OUTER_EYE_CORNERS
    eyes_N = np.hypot(*(labels_N682[:, left] - labels_N682[:, right]).T)
    return Distance(l1=float(l1_N.mean()), percent_of_eyes=float((100 * l1_N / eyes_N).mean()))
