"""The search: weights and alphas in turn, resumable at any step, every epoch on record."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from edge_fer.data.faces import Faces, require_labels
from edge_fer.errors import EdgeFerError
from edge_fer.models.emonas import save_genotype
from edge_fer.search.config import SearchConfig
from edge_fer.search.guards import has_collapsed, moment_of
from edge_fer.search.latency import LatencyTerm
from edge_fer.search.learner import Learner
from edge_fer.search.lesson import lesson_on
from edge_fer.search.record import epoch_record, read_metrics
from edge_fer.search.table import table_for
from edge_fer.train.config import Stage, TrainConfig
from edge_fer.train.devices import memory_errors, open_accelerator
from edge_fer.train.facts import input_of
from edge_fer.train.folder import (
    STATE_FILE,
    append_metrics,
    clear_folder,
    goes_on,
    keep_metrics,
)
from edge_fer.train.inputs import on_device, prepared
from edge_fer.train.interrupt import deferred_interrupt
from edge_fer.train.objective import class_prior
from edge_fer.train.schedule import learning_rate
from edge_fer.train.state import Progress, load_state, save_state

GENOTYPE_FILE = "genotype.json"
MODEL = "emonas"
SAVE_EVERY_S = 60.0
_SUMS = "sums"

Report = Callable[[dict[str, Any]], None]


class Search:
    """One search and its folder.

    Args:
        config: What to search and how.
        faces: Labelled faces; the weights learn from one half of them and alpha from the other.
        folder: Where ``genotype.json``, ``metrics.jsonl`` and the state are written.

    Raises:
        EdgeFerError: Faces without labels or too few of them, or a table of other networks.
    """

    def __init__(self, config: SearchConfig, faces: Faces, folder: Path) -> None:
        require_labels(faces)
        self.config, self.folder = config, folder
        self.table = table_for(config.table, config.final)
        self.accelerator = open_accelerator(config.precision)
        self.device = self.accelerator.device
        wanted = TrainConfig(model=MODEL, data=config.data, input_px=config.space.input_px)
        input_chw, preprocessing = input_of(wanted, faces, None)
        learning, judging = halves(prepared(faces, preprocessing), config.seed)
        self.learning, self.judging = (on_device(half, self.device) for half in (learning, judging))
        prior_K = class_prior(self.learning.labels_N, len(faces.label_names))
        self.learner = Learner(config, input_chw, prior_K, self.accelerator)
        self.latency = self._latency()
        self.sums = torch.zeros(2, 2, dtype=torch.float64, device=self.device)
        self.progress = Progress()
        self._between = False
        if not self.steps_per_epoch:
            raise EdgeFerError(
                f"{len(faces)} faces are too few: half of them has to fill a batch of "
                f"{self.stage.batch_size}; give --batch-size"
            )

    @property
    def stage(self) -> Stage:
        """How the weights learn."""
        return self.config.stage

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in the smaller half."""
        return min(len(self.learning), len(self.judging)) // self.stage.batch_size

    @property
    def stopped(self) -> bool:
        """Whether the last epoch's genotype was one to stop before."""
        return self.progress.best_epoch < self.progress.epoch - 1

    def start(self, *, resume: bool, force: bool) -> None:
        """Prepares the folder: a new search, or with ``resume`` the one that is there.

        Raises:
            OutputError: The folder holds a run, and neither ``resume`` nor ``force`` was given.
            EdgeFerError: The search there has another configuration.
        """
        if goes_on(self.folder, self.config.to_dict(), resume=resume):
            self._resume()
            self.accelerator.wait_for_everyone()
            return
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            clear_folder(self.folder, self.config.to_dict(), force=force)
        self.save()

    def save(self) -> None:
        """Writes the state from which ``resume`` goes on."""
        if self.accelerator.is_main_process:
            groups = {**self.learner.state(), _SUMS: {_SUMS: self.sums}}
            save_state(self.folder / STATE_FILE, groups, self.progress)

    def fit(self, on_step: Report, on_epoch: Report) -> dict[str, Any]:
        """Searches to the end; saves on the way, and once more when interrupted.

        Args:
            on_step: Called after each step with ``stage``, ``epoch``, ``epochs``, ``step``,
                ``steps``, and ``loss`` and ``accuracy`` of the weights.
            on_epoch: Called after each epoch with its line of ``metrics.jsonl``.

        Returns:
            ``genotype`` (the file's path), ``epochs``, ``stopped`` and ``seconds``.

        Raises:
            EdgeFerError: The loss is no longer a number, or memory does not suffice.
        """
        try:
            with deferred_interrupt() as raise_if_asked, memory_errors(self):
                while self.progress.epoch < self.stage.epochs and not self.stopped:
                    self._search_epoch(on_step, raise_if_asked)
                    on_epoch(self._finish_epoch())
                    raise_if_asked()
        except KeyboardInterrupt:
            if self._alone and not self._between:
                self.save()
            raise
        self.accelerator.wait_for_everyone()
        return {
            "genotype": str(self.folder / GENOTYPE_FILE),
            "epochs": self.progress.epoch,
            "stopped": self.stopped,
            "seconds": sum(record["seconds"] for record in read_metrics(self.folder)),
        }

    @property
    def _alone(self) -> bool:
        """Whether no other process searches along; several save at the end of an epoch."""
        return bool(self.accelerator.num_processes == 1)

    def _resume(self) -> None:
        groups, self.progress = load_state(self.folder / STATE_FILE)
        self.learner.restore(groups)
        self.sums = groups[_SUMS][_SUMS].to(self.device)
        if self.accelerator.is_main_process:
            keep_metrics(self.folder, self.progress.epoch)

    def _latency(self) -> LatencyTerm | None:
        config = self.config
        if self.table is None:
            return None
        return LatencyTerm(
            self.table,
            config.latency_precision,
            config.budget_ms,
            config.latency_weight,
            self.device,
            config.guards,
        )

    def _search_epoch(self, on_step: Report, raise_if_asked: Callable[[], None]) -> None:
        self.learner.network.train()
        progress, batch, saved_at = self.progress, self.stage.batch_size, time.monotonic()
        learn, judge = (
            self._order(len(half), number)
            for number, half in enumerate((self.learning, self.judging))
        )
        while progress.step < self.steps_per_epoch:
            started_at = time.monotonic()
            rows = slice(progress.step * batch, (progress.step + 1) * batch)
            self._between = True
            self._step(learn[rows], judge[rows])
            progress.seen += batch
            progress.step += 1
            self._between = False
            progress.seconds += time.monotonic() - started_at
            on_step(self._live_figures())
            raise_if_asked()
            if self._alone and time.monotonic() - saved_at > SAVE_EVERY_S:
                self.save()
                saved_at = time.monotonic()

    def _step(self, learn: Tensor, judge: Tensor) -> None:
        progress, config, stage = self.progress, self.config, self.stage
        rank, processes = self.accelerator.process_index, self.accelerator.num_processes
        generator = self._generator(progress.epoch, progress.step + 2, rank)
        step = progress.epoch * self.steps_per_epoch + progress.step
        moment = moment_of(config.guards, step / (stage.epochs * self.steps_per_epoch))
        room, test = self.learner.room, None
        lesson = lesson_on(self.learning.take(learn[rank::processes]), room, moment, generator)
        if progress.epoch >= config.alpha_from:
            term = self.latency if config.budget_ms else None
            faces = self.judging.take(judge[rank::processes])
            test = lesson_on(faces, room, moment, generator, term)
        self.learner.step(lesson, test, learning_rate(stage, step, self.steps_per_epoch))
        self.sums[0] += lesson.figures
        if test is not None:
            self.sums[1] += test.figures

    def _live_figures(self) -> dict[str, Any]:
        progress = self.progress
        loss, accuracy = (self.sums[0] * self.accelerator.num_processes / progress.seen).tolist()
        if not np.isfinite(loss):
            raise EdgeFerError(
                f"the loss is not a number any more (epoch {progress.epoch + 1}, step "
                f"{progress.step}): lower the learning rate or set clip_norm; what {self.folder} "
                "holds is from before"
            )
        return {
            "stage": "search",
            "epoch": progress.epoch,
            "epochs": self.stage.epochs,
            "step": progress.step,
            "steps": self.steps_per_epoch,
            "loss": loss,
            "accuracy": accuracy,
        }

    def _finish_epoch(self) -> dict[str, Any]:
        genotype, progress = self.learner.genotype(), self.progress
        collapsed = has_collapsed(genotype.normal, self.config.guards)
        sums = self.sums if self._alone else self.accelerator.reduce(self.sums)
        record = epoch_record(
            self.learner, genotype, progress, sums.tolist(), self.table, self.latency
        )
        if self.accelerator.is_main_process:
            append_metrics(self.folder, record)
            if not collapsed or progress.epoch == 0:
                save_genotype(self.folder / GENOTYPE_FILE, genotype)
        after = replace(progress)
        after.best_epoch = progress.best_epoch if collapsed else progress.epoch
        after.start_epoch(progress.epoch + 1)
        self._between = True
        self.progress = after
        self.sums.zero_()
        self._between = False
        self.save()
        return record

    def _order(self, count: int, half: int) -> Tensor:
        generator = self._generator(self.progress.epoch, half)
        return torch.randperm(count, generator=generator).to(self.device)

    def _generator(self, epoch: int, step: int, rank: int = 0) -> Generator:
        seed = (self.config.seed * 100_003 + epoch) * 1_000_003 + step
        return Generator().manual_seed(seed + rank * 2**40)


def halves(faces: Faces, seed: int) -> tuple[Faces, Faces]:
    """Cuts faces in two by lot, with every class in its share in both."""
    rows = np.random.default_rng(seed).permutation(len(faces))
    rows = rows[np.argsort(faces.labels_N[rows], kind="stable")]
    return faces.take(np.sort(rows[::2])), faces.take(np.sort(rows[1::2]))
