"""The state of an unfinished run: one safetensors file from which it goes on exactly."""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from edge_fer.errors import ModelError
from edge_fer.files import write_atomic
from edge_fer.train.checkpoint import write_tensors
from edge_fer.train.config import Stage


@dataclass(kw_only=True)
class Progress:
    """Where a run is: the next step, and sums over the steps of the current epoch so far.

    Randomness needs no state: order and augmentation are seeded by (seed, epoch, step). Epochs are
    counted over all stages.
    """

    stage: int = 0
    stage_start: int = 0
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    seconds: float = 0.0
    best_epoch: int = -1
    best_accuracy: float = -1.0
    best_monitor: float = -math.inf
    epochs_since_best: int = 0
    epochs_since_cut: int = 0
    cuts: int = 0

    def start_stage(self, stage: int) -> None:
        """Forgets what schedule and patience remember."""
        self.stage, self.stage_start, self.best_monitor = stage, self.epoch, -math.inf
        self.epochs_since_best = self.epochs_since_cut = self.cuts = 0

    def is_over(self, stage: Stage) -> bool:
        """Whether the stage that the run is in has had its epochs, or its patience."""
        tired = stage.patience and self.epochs_since_best >= stage.patience
        return bool(tired) or self.epoch - self.stage_start >= stage.epochs

    def judged(self, stage: Stage, monitor: float) -> "Progress":
        """Returns the progress after an epoch that ``monitor`` judges; more of it is better."""
        better = monitor > self.best_monitor
        since_cut, cuts = 0 if better else self.epochs_since_cut + 1, self.cuts
        if stage.schedule == "plateau" and since_cut >= stage.decay_epochs:
            since_cut, cuts = 0, cuts + 1
        return replace(
            self,
            best_monitor=max(monitor, self.best_monitor),
            epochs_since_best=0 if better else self.epochs_since_best + 1,
            epochs_since_cut=since_cut,
            cuts=cuts,
        )

    def start_epoch(self, epoch: int) -> None:
        """Clears the sums."""
        self.epoch, self.step, self.loss_sum, self.correct, self.seen = epoch, 0, 0.0, 0, 0
        self.seconds = 0.0


def save_state(path: Path, groups: dict[str, dict[str, Tensor]], progress: Progress) -> None:
    """Writes groups of tensors (weights, average, the optimizer's) and the progress, atomically."""
    tensors = {
        f"{group}/{name}": tensor.detach().cpu().contiguous()
        for group, members in groups.items()
        for name, tensor in members.items()
    }
    metadata = {"progress": json.dumps(asdict(progress))}
    write_atomic(path, lambda file: write_tensors(file, tensors, metadata))


def load_state(path: Path) -> tuple[dict[str, dict[str, Tensor]], Progress]:
    """Reads what ``save_state`` wrote.

    Raises:
        ModelError: The file is not a readable training state.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as stream:
            progress = Progress(**json.loads(stream.metadata()["progress"]))
            for key in stream.keys():  # noqa: SIM118
                group, name = key.split("/", 1)
                groups.setdefault(group, {})[name] = stream.get_tensor(key)
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path}: not a readable training state ({error})") from error
    return groups, progress
