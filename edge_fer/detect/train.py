"""Training of a detector: scenes composed as they are needed, resumable at any step.

What a step learns follows from the seed, the epoch and the step, so that a run that was stopped
goes on exactly. Shape suffixes: N images, C channels, H height, W width (pixels).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from edge_fer.data.scenes_compose import Mixture, Pool, composed
from edge_fer.detect.loss import detection_loss
from edge_fer.detect.pictures import LARGE, SMALL
from edge_fer.detect.pool import read_pool
from edge_fer.detect.targets import Lessons, lessons_of
from edge_fer.detect.validate import checks_of, validate
from edge_fer.errors import EdgeFerError
from edge_fer.models.face_detector import DETECTORS
from edge_fer.preprocess import Preprocessing
from edge_fer.train.checkpoint import averaged, load_checkpoint, save_checkpoint, start_from
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.devices import memory_errors, open_accelerator, placed
from edge_fer.train.facts import versions
from edge_fer.train.folder import (
    BEST_FILE,
    STATE_FILE,
    append_metrics,
    clear_folder,
    goes_on,
    keep_metrics,
)
from edge_fer.train.interrupt import deferred_interrupt
from edge_fer.train.optimizer import build_optimizer, optimizer_state, restore_optimizer
from edge_fer.train.schedule import learning_rate
from edge_fer.train.state import Progress, load_state, save_state

SAVE_EVERY_S = 60.0
LABELS = ("face",)
#: Batches of large pictures have a quarter of the usual number.
LARGE_SHARE = 4
#: Of ``TrainConfig``, what is for classifiers only.
_USELESS = ("pretrained", "input_px", "protocol", "fold", "faces", "landmarks")
#: What a recipe says beside its stage.
OPTIONS = {"scenes", "checked", "large_every", "photo", "empty", "zoom"}

Report = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True)
class Data:
    """What a run reads.

    Attributes:
        train: Photos to learn from.
        validation: Photos to choose by.
    """

    train: Pool
    validation: Pool


def read_data(config: TrainConfig, report: Callable[[str, int, int], None]) -> Data:
    """Reads the photos that a configuration names.

    Args:
        config: Its ``data`` is a specification as ``edge_fer.detect.pool`` has it, its only teacher
            YuNet's model file.
        report: Hears of the progress: name of a set, pictures done and of all.

    Raises:
        EdgeFerError: Another recipe, no teacher, or data that cannot be used.
    """
    require_own_recipe(config)
    if len(config.teachers) != 1:
        raise EdgeFerError(f"{config.model} learns boxes from YuNet: give --teacher YUNET.onnx")
    teacher = Path(config.teachers[0]).expanduser()
    return Data(
        train=read_pool(config.data, "train", teacher, report),
        validation=read_pool(config.data, "validation", teacher, report),
    )


def require_own_recipe(config: TrainConfig) -> None:
    """Raises ``EdgeFerError`` for a recipe or an option that is not one for detectors."""
    if len(config.stages) != 1 or set(config.options) != OPTIONS:
        raise EdgeFerError(
            f"{config.model} is trained by a recipe of its own: --recipe {config.model}"
        )
    useless = [f"--{name.replace('_', '-')}" for name in _USELESS if getattr(config, name)]
    if useless:
        raise EdgeFerError(f"{config.model} has no use for {', '.join(useless)}")


class DetectorRun:
    """One training run of a detector and its folder.

    Args:
        config: What to train and how; of one stage.
        data: What from.
        folder: As ``edge_fer.train.loop.Run`` has it.
        command: The command line, for the checkpoint's metadata.

    Raises:
        EdgeFerError: A configuration that a detector cannot follow.
    """

    def __init__(self, config: TrainConfig, data: Data, folder: Path, command: str) -> None:
        require_own_recipe(config)
        self.config, self.folder, self.pool = config, folder, data.train
        self.facts = _facts(config, command)
        self.accelerator = open_accelerator(config.precision)
        self.device = self.accelerator.device
        torch.manual_seed(config.seed)
        self.network = placed(DETECTORS[config.model](), self.device)
        if config.init:
            origin = load_checkpoint(Path(config.init).expanduser())
            start_from(origin, self.network, config.model, LABELS)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.examiner = placed(DETECTORS[config.model](), self.device).eval()
        self.optimizer = build_optimizer(self.network, self.stage)
        options = config.options
        self.mixture = Mixture(**{key: options[key] for key in ("photo", "empty", "zoom")})
        self.checks = checks_of(data.validation, options["checked"], Mixture())
        self.progress = Progress()

    @property
    def stage(self) -> Stage:
        """The only one."""
        return self.config.stages[0]

    @property
    def steps_per_epoch(self) -> int:
        """Batches, at least one."""
        return max(1, int(self.config.options["scenes"]) // self.stage.batch_size)

    def start(self, *, resume: bool, force: bool) -> None:
        """Prepares the folder: a new run, or with ``resume`` the one that is there.

        Raises:
            OutputError: The folder holds a run, and neither ``resume`` nor ``force`` was given.
            EdgeFerError: The run there has another configuration.
        """
        if goes_on(self.folder, self.config.to_dict(), resume=resume):
            self._resume()
            return
        clear_folder(self.folder, self.config.to_dict(), force=force)
        self.save()

    def save(self) -> None:
        """Writes the state from which ``resume`` goes on."""
        groups = {"weights": self.network.state_dict(), "average": self.average}
        groups |= optimizer_state(self.optimizer, self.network)
        save_state(self.folder / STATE_FILE, groups, self.progress)

    def fit(self, on_step: Report, on_epoch: Report) -> dict[str, Any]:
        """Trains to the end; saves on the way, and once more when interrupted.

        Args:
            on_step: Called after each step with ``epoch``, ``epochs``, ``stage``, ``step``,
                ``steps``, ``loss`` and ``accuracy`` (None).
            on_epoch: Called after each epoch with its line of ``metrics.jsonl``.

        Returns:
            ``best`` (the checkpoint's path), ``best_epoch`` and ``best_ap`` (average precision on
            the validation part).

        Raises:
            EdgeFerError: The loss is no longer a number, or memory does not suffice.
        """
        with deferred_interrupt() as raise_if_asked, memory_errors(self):
            while self.progress.epoch < self.stage.epochs:
                self._train_epoch(on_step, raise_if_asked)
                on_epoch(self._finish_epoch())
        return {
            "best": str(self.folder / BEST_FILE),
            "best_epoch": self.progress.best_epoch,
            "best_ap": self.progress.best_accuracy,
        }

    def _resume(self) -> None:
        groups, self.progress = load_state(self.folder / STATE_FILE)
        self.network.load_state_dict(groups["weights"])
        self.average = {k: v.to(self.device) for k, v in groups["average"].items()}
        restore_optimizer(self.optimizer, self.network, groups)
        keep_metrics(self.folder, self.progress.epoch)

    def _train_epoch(self, on_step: Report, raise_if_asked: Callable[[], None]) -> None:
        self.network.train()
        progress, saved_at = self.progress, time.monotonic()
        while progress.step < self.steps_per_epoch:
            started_at = time.monotonic()
            seen, loss = self._step()
            self._require_number(loss)
            progress.loss_sum += loss * seen
            progress.seen += seen
            progress.step += 1
            progress.seconds += time.monotonic() - started_at
            on_step(self._live_figures())
            try:
                raise_if_asked()
            except KeyboardInterrupt:
                self.save()
                raise
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                self.save()
                saved_at = time.monotonic()

    def _step(self) -> tuple[int, float]:
        """Learns from one batch; returns its size and its loss."""
        progress, stage = self.progress, self.stage
        rng = np.random.default_rng((self.config.seed, progress.epoch, progress.step))
        lessons = self._lessons(rng)
        step = progress.epoch * self.steps_per_epoch + progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(stage, step, self.steps_per_epoch)
        with self.accelerator.autocast():
            raw_NCHW = self.network(lessons.x_NCHW)
        loss = detection_loss(raw_NCHW, lessons)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if stage.clip_norm:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), stage.clip_norm)
        self.optimizer.step()
        decay = min(stage.ema_decay, (1 + step) / (10 + step))
        averaged(self.network.state_dict(), self.average, decay)
        return len(lessons.x_NCHW), loss.item()

    def _lessons(self, rng: np.random.Generator) -> Lessons:
        is_large = (self.progress.step + 1) % self.config.options["large_every"] == 0
        size, count = SMALL, self.stage.batch_size
        if is_large:
            size, count = LARGE, max(1, count // LARGE_SHARE)
        scenes = [composed(self.pool, size, rng, self.mixture) for _ in range(count)]
        return lessons_of(scenes).to(self.device)

    def _require_number(self, loss: float) -> None:
        if not np.isfinite(loss):
            raise EdgeFerError(
                f"the loss is not a number any more (epoch {self.progress.epoch + 1}, step "
                f"{self.progress.step}): lower the learning rate or clip_norm; what {self.folder} "
                "holds is from before"
            )

    def _live_figures(self) -> dict[str, Any]:
        progress = self.progress
        return {
            "stage": self.stage.name,
            "epoch": progress.epoch,
            "epochs": self.stage.epochs,
            "step": progress.step,
            "steps": self.steps_per_epoch,
            "loss": progress.loss_sum / progress.seen,
            "accuracy": None,
        }

    def _finish_epoch(self) -> dict[str, Any]:
        progress = self.progress
        self.examiner.load_state_dict(self.average)
        done = (progress.epoch + 1) * self.steps_per_epoch
        record = {
            "stage": self.stage.name,
            "epoch": progress.epoch,
            "learning_rate": learning_rate(self.stage, done, self.steps_per_epoch),
            "train_loss": progress.loss_sum / progress.seen,
            **validate(self.examiner, self.checks),
            "images_per_s": progress.seen / progress.seconds,
        }
        after = replace(progress)
        if record["validation_ap"] > progress.best_accuracy:
            facts = self.facts | {"metrics": record, "min_score": record["min_score"]}
            weights = {name: tensor.cpu() for name, tensor in self.average.items()}
            save_checkpoint(self.folder / BEST_FILE, weights, facts)
            after.best_accuracy, after.best_epoch = record["validation_ap"], progress.epoch
        append_metrics(self.folder, record)
        after.start_epoch(progress.epoch + 1)
        self.progress = after
        self.save()
        return record


def _facts(config: TrainConfig, command: str) -> dict[str, Any]:
    """Returns a checkpoint's metadata, but for the metrics."""
    width_px, height_px = LARGE
    return {
        "model": config.model,
        "task": "detect",
        "options": {},
        "labels": list(LABELS),
        "input_nchw": [1, 1, height_px, width_px],
        "preprocessing": Preprocessing(height_px=height_px, width_px=width_px).to_dict(),
        "data": ",".join(spec.partition(":")[0] for spec in config.data.split(",")),
        "split": {"train": "train", "validation": "validation"},
        "config": config.to_dict(),
        "command": command,
        "versions": versions(),
    }
