"""The training loop: stages, resumable at any step, with averaged weights, best epoch kept."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.utils.hooks import RemovableHandle

from edge_fer.data.faces import Faces, require_labels
from edge_fer.errors import EdgeFerError
from edge_fer.models import build_model, check_input
from edge_fer.models.structure import adopt_widths
from edge_fer.train.checkpoint import averaged, load_checkpoint, save_checkpoint, start_from
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.devices import memory_errors, open_accelerator, placed
from edge_fer.train.facts import facts_of, input_of
from edge_fer.train.fake_quant import round_outputs
from edge_fer.train.folder import (
    BEST_FILE,
    HEADS_FILE,
    LANDMARKS_FILE,
    STATE_FILE,
    append_metrics,
    clear_folder,
    goes_on,
    keep_metrics,
)
from edge_fer.train.inputs import on_device, prepared
from edge_fer.train.interrupt import deferred_interrupt
from edge_fer.train.lesson import Lesson
from edge_fer.train.objective import class_prior
from edge_fer.train.optimizer import build_optimizer, optimizer_state, restore_optimizer
from edge_fer.train.pretrained import start_pretrained
from edge_fer.train.schedule import learning_rate
from edge_fer.train.state import Progress, load_state, save_state
from edge_fer.train.teachers import answers_once, load_teachers
from edge_fer.train.trainee import set_training, trainee_of
from edge_fer.train.validate import validate

SAVE_EVERY_S = 60.0
#: Steps between two reports: reading a figure makes a GPU wait.
REPORT_EVERY = {"cpu": 1, "cuda": 16}

Report = Callable[[dict[str, Any]], None]


class Run:
    """One training run and its folder.

    Args:
        config: What to train and how.
        train: Labelled faces to learn from.
        validation: Labelled faces on which the best epoch is chosen.
        folder: Where checkpoints, ``metrics.jsonl`` and the state are written.
        command: The command line, for the checkpoint's metadata.
        votes_NK: float32 annotators' votes for ``train``, where a stage uses them.
        points_NP2: float32 ``[N, 68, 2]`` landmarks of ``train`` and of ``validation``, where a
            stage learns them.

    Raises:
        EdgeFerError: Faces without labels, or a configuration that the model cannot follow.
    """

    def __init__(
        self,
        config: TrainConfig,
        train: Faces,
        validation: Faces,
        folder: Path,
        command: str,
        *,
        votes_NK: np.ndarray | None = None,
        points_NP2: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> None:
        require_labels(train)
        require_labels(validation)
        self.config, self.folder = config, folder
        self.label_names = train.label_names
        origin = load_checkpoint(Path(config.init).expanduser()) if config.init else None
        self.input_chw, self.preprocessing = input_of(config, train, origin)
        self.accelerator = open_accelerator(config.precision)
        self.device = self.accelerator.device
        points = points_NP2 or (None, None)
        self.train_faces = on_device(
            prepared(train, self.preprocessing), self.device, votes_NK, points[0]
        )
        self.validation = on_device(
            prepared(validation, self.preprocessing), self.device, None, points[1]
        )
        self.prior_K = class_prior(self.train_faces.labels_N, len(train.label_names))
        self.teachers = load_teachers(
            config.teachers, self.label_names, self.preprocessing, self.device
        )

        torch.manual_seed(config.seed)
        self.network = self._build()
        self.pruned = False
        if origin:
            self.pruned = start_from(origin, self.network, config.model, self.label_names)
            placed(self.network, self.device)
        elif config.pretrained:
            start_pretrained(config, self.network, self.train_faces, self.input_chw)
        self.facts = facts_of(
            config, (self.input_chw, self.preprocessing), train, validation, command
        ) | {
            "votes": votes_NK is not None,
            "pruned": self.pruned,
        }
        self.progress = Progress()
        self._between = False
        self._rounding: list[RemovableHandle] = []
        self._enter_stage()

    @property
    def stage(self) -> Stage:
        """The stage that the run is in."""
        return self.config.stages[self.progress.stage]

    @property
    def _alone(self) -> bool:
        """Whether no other process trains along; several save together, at the end of an epoch."""
        return bool(self.accelerator.num_processes == 1)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the training split, at least one."""
        return max(1, len(self.train_faces) // self.stage.batch_size)

    def start(self, *, resume: bool, force: bool) -> None:
        """Prepares the folder: a new run, or with ``resume`` the one that is there.

        Raises:
            OutputError: The folder holds a run, and neither ``resume`` nor ``force`` was given.
            EdgeFerError: The run there has another configuration.
        """
        if goes_on(self.folder, self.config.to_dict(), resume=resume):
            self._resume(self.folder / STATE_FILE)
            self.accelerator.wait_for_everyone()
            return
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            clear_folder(self.folder, self.config.to_dict(), force=force)
        self.save()

    def save(self) -> None:
        """Writes the state from which ``resume`` goes on; all processes have to call it."""
        self._read_sums()
        if self.accelerator.is_main_process:
            groups = {"weights": self.trainee.state_dict(), "average": self.average}
            groups |= optimizer_state(self.optimizer, self.trainee)
            save_state(self.folder / STATE_FILE, groups, self.progress)

    def fit(self, on_step: Report, on_epoch: Report) -> dict[str, Any]:
        """Trains to the end; saves on the way, and once more when interrupted.

        Args:
            on_step: Called after each step (on a GPU after some) with ``epoch``, ``epochs``,
                ``stage``, ``step``, ``steps``, ``loss``, ``accuracy``.
            on_epoch: Called after each epoch with its line of ``metrics.jsonl``.

        Returns:
            ``best`` (the checkpoint's path), ``best_epoch`` and ``best_accuracy`` (on the
            validation faces).

        Raises:
            EdgeFerError: The loss is no longer a number, or memory does not suffice.
        """
        try:
            with deferred_interrupt() as raise_if_asked, memory_errors(self):
                while self._has_more():
                    self._train_epoch(on_step, raise_if_asked)
                    on_epoch(self._finish_epoch())
                    raise_if_asked()
        except KeyboardInterrupt:
            if self._alone and not self._between:
                self.save()
            raise
        return {
            "best": str(self.folder / BEST_FILE),
            "best_epoch": self.progress.best_epoch,
            "best_accuracy": self.progress.best_accuracy,
        }

    def _has_more(self) -> bool:
        """Goes on to the next stage where one has ended; False after the last."""
        progress = self.progress
        while progress.is_over(self.stage):
            if progress.stage + 1 == len(self.config.stages):
                return False
            best = LANDMARKS_FILE if self.stage.target == "landmarks" else BEST_FILE
            self.network.load_state_dict(load_checkpoint(self.folder / best).network.state_dict())
            progress.start_stage(progress.stage + 1)
            self._enter_stage()
        return True

    def _enter_stage(self) -> None:
        torch.manual_seed(self.config.seed + 7919 * self.progress.stage)
        self.train_faces = replace(self.train_faces, answers_NK=None)
        self.trainee = trainee_of(self.network, self.stage).to(self.device)
        self.average = {k: v.detach().clone() for k, v in self.trainee.state_dict().items()}
        optimizer = build_optimizer(self.trainee, self.stage)
        model, self.optimizer = self.accelerator.prepare(self.trainee, optimizer)
        self.lesson = Lesson(
            stage=self.stage,
            trainee=self.trainee,
            model=model,
            input_chw=self.input_chw,
            prior_K=self.prior_K,
            teachers=self.teachers,
            autocast=self.accelerator.autocast,
        )
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        examiner = self._build()
        if self.pruned:
            adopt_widths(examiner, self.network.state_dict())
        self.examiner = trainee_of(examiner, self.stage).to(self.device).eval()
        for handle in self._rounding:
            handle.remove()
        self._rounding = []
        if self.stage.fake_quant:
            example = torch.zeros(1, *self.input_chw, device=self.device)
            self._rounding = round_outputs(self.network, example)
            round_outputs(examiner, example)

    def _resume(self, path: Path) -> None:
        groups, self.progress = load_state(path)
        self._enter_stage()
        self.trainee.load_state_dict(groups["weights"])
        self.average = {k: v.to(self.device) for k, v in groups["average"].items()}
        restore_optimizer(self.optimizer, self.trainee, groups)
        self.sums[0], self.sums[1] = self.progress.loss_sum, self.progress.correct
        if self.accelerator.is_main_process:
            keep_metrics(self.folder, self.progress.epoch)

    def _train_epoch(self, on_step: Report, raise_if_asked: Callable[[], None]) -> None:
        set_training(self.trainee, self.stage)
        self._ask_teachers(raise_if_asked)
        progress, saved_at = self.progress, time.monotonic()
        count = len(self.train_faces)
        order = torch.randperm(count, generator=self._generator(progress.epoch, 0))
        order = order.to(self.device)
        every = REPORT_EVERY.get(self.device.type, 1)
        while progress.step < self.steps_per_epoch:
            started_at = time.monotonic()
            first = progress.step * self.stage.batch_size
            rows = order[first : first + self.stage.batch_size]
            self._between = True
            self._step(rows[self.accelerator.process_index :: self.accelerator.num_processes])
            progress.seen += len(rows)
            progress.step += 1
            self._between = False
            progress.seconds += time.monotonic() - started_at
            if progress.step % every == 0 or progress.step == self.steps_per_epoch:
                on_step(self._live_figures())
            raise_if_asked()
            if self._alone and time.monotonic() - saved_at > SAVE_EVERY_S:
                self.save()
                saved_at = time.monotonic()

    def _ask_teachers(self, raise_if_asked: Callable[[], None]) -> None:
        stage, faces = self.stage, self.train_faces
        if stage.distill > 0 and stage.distill_once and faces.answers_NK is None:
            with self.accelerator.autocast():
                answers_NK = answers_once(
                    self.teachers, faces, stage.distill_temperature, raise_if_asked
                )
            self.train_faces = replace(faces, answers_NK=answers_NK)

    def _live_figures(self) -> dict[str, Any]:
        self._read_sums()
        progress, labels = self.progress, self.stage.target == "labels"
        return {
            "stage": self.stage.name,
            "epoch": progress.epoch,
            "epochs": progress.stage_start + self.stage.epochs,
            "step": progress.step,
            "steps": self.steps_per_epoch,
            "loss": progress.loss_sum / progress.seen,
            "accuracy": progress.correct / progress.seen if labels else None,
        }

    def _read_sums(self) -> None:
        """Brings loss and accuracy from the device; the moment at which a broken run is noticed."""
        sums = (
            self.accelerator.reduce(self.sums) if self.accelerator.num_processes > 1 else self.sums
        )
        loss_sum, correct = sums.tolist()
        if not np.isfinite(loss_sum):
            raise EdgeFerError(
                f"the loss is not a number any more (stage {self.stage.name}, epoch "
                f"{self.progress.epoch + 1}, step {self.progress.step}): lower the learning rate "
                f"or set clip_norm; what {self.folder} holds is from before"
            )
        self.progress.loss_sum, self.progress.correct = loss_sum, int(correct)

    def _step(self, rows: Tensor) -> None:
        progress, stage = self.progress, self.stage
        rank = self.accelerator.process_index
        generator = self._generator(progress.epoch, progress.step + 1, rank)
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        faces = self.train_faces.take(rows)
        loss, correct = self.lesson.loss(faces, generator)
        step = (progress.epoch - progress.stage_start) * self.steps_per_epoch + progress.step
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(stage, step, self.steps_per_epoch, progress.cuts)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        if stage.clip_norm:
            self.accelerator.clip_grad_norm_(self.trainee.parameters(), stage.clip_norm)
        self.optimizer.step()
        decay = min(stage.ema_decay, (1 + step) / (10 + step))
        averaged(self.trainee.state_dict(), self.average, decay)
        self.sums += torch.stack([loss.detach().double() * len(rows), correct.double()])

    def _finish_epoch(self) -> dict[str, Any]:
        self._read_sums()
        progress, stage = self.progress, self.stage
        done = (progress.epoch - progress.stage_start + 1) * self.steps_per_epoch
        labels = stage.target == "labels"
        record = {
            "stage": stage.name,
            "epoch": progress.epoch,
            "learning_rate": learning_rate(stage, done, self.steps_per_epoch, progress.cuts),
            "train_loss": progress.loss_sum / progress.seen,
            "train_accuracy": progress.correct / progress.seen if labels else None,
            **self._validate(),
            "images_per_s": progress.seen / progress.seconds if progress.seconds else None,
        }
        after = self._judged(record)
        if self.accelerator.is_main_process:
            append_metrics(self.folder, record)
        after.start_epoch(progress.epoch + 1)
        self._between = True
        self.progress = after
        self.sums.zero_()
        self._between = False
        self.save()
        return record

    def _validate(self) -> dict[str, Any]:
        self.examiner.load_state_dict(self.average)
        share = (self.accelerator.process_index, self.accelerator.num_processes)
        return validate(
            self.examiner, self.validation, self.input_chw, len(self.label_names), share
        )

    def _judged(self, record: dict[str, Any]) -> Progress:
        """Keeps the weights if they are the best; returns the progress with that counted."""
        stage = self.stage
        by_loss = stage.monitor == "loss" or stage.target == "landmarks"
        monitor = -record["validation_loss"] if by_loss else record["validation_accuracy"]
        after = self.progress.judged(stage, monitor)
        if stage.target == "landmarks":
            if after.epochs_since_best == 0:
                self._save_landmarks(record)
        elif record["validation_accuracy"] > after.best_accuracy:
            self._save_checkpoint(BEST_FILE, record)
            after.best_accuracy, after.best_epoch = record["validation_accuracy"], after.epoch
        return after

    def _save_landmarks(self, record: dict[str, Any]) -> None:
        self._save_checkpoint(LANDMARKS_FILE, record)
        heads = _under(self.average, "heads.")
        if self.accelerator.is_main_process:
            save_checkpoint(self.folder / HEADS_FILE, heads, self.facts | {"metrics": record})

    def _save_checkpoint(self, name: str, record: dict[str, Any]) -> None:
        if self.accelerator.is_main_process:
            weights = _under(self.average, "network.")
            save_checkpoint(self.folder / name, weights, self.facts | {"metrics": record})

    def _build(self) -> nn.Module:
        network = build_model(
            self.config.model,
            num_classes=len(self.label_names),
            in_channels=self.input_chw[0],
            **self.config.options,
        )
        check_input(network, self.input_chw)
        return placed(network, self.device)

    def _generator(self, epoch: int, step: int, rank: int = 0) -> Generator:
        seed = (self.config.seed * 100_003 + epoch) * 1_000_003 + step
        return Generator().manual_seed(seed + rank * 2**40)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor.cpu()
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
