"""The training loop: resumable at any step, with averaged weights, chosen on PublicTest."""

import json
import math
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

import edge_fer
from edge_fer.data.augment import augment
from edge_fer.data.faces import Faces, require_labels
from edge_fer.errors import ModelError, OutputError
from edge_fer.files import write_atomic
from edge_fer.models import build_model, find_model, load_imagenet
from edge_fer.preprocess import PIXEL_OFFSET, PIXEL_SCALE
from edge_fer.train.checkpoint import averaged, save_checkpoint
from edge_fer.train.config import TrainConfig
from edge_fer.train.interrupt import deferred_interrupt
from edge_fer.train.state import Progress, load_state, save_state

STATE_FILE = "state.safetensors"
BEST_FILE = "best.safetensors"
METRICS_FILE = "metrics.jsonl"
CONFIG_FILE = "config.json"
SAVE_EVERY_S = 60.0
VALIDATION_BATCH = 256
PACKAGE = "package"

Report = Callable[[dict[str, Any]], None]


class Run:
    """One training run and its folder.

    Args:
        config: What to train and how.
        train: Labelled faces to learn from.
        validation: Labelled faces on which the best epoch is chosen.
        folder: Where ``best.safetensors``, ``metrics.jsonl`` and the state are written.
        command: The command line, for the checkpoint's metadata.
    """

    def __init__(
        self, config: TrainConfig, train: Faces, validation: Faces, folder: Path, command: str
    ) -> None:
        require_labels(train)
        require_labels(validation)
        self.config, self.folder, self.command = config, folder, command
        self.label_names = train.label_names
        self.entry = find_model(config.model)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.precision = _resolve_precision(config.precision, self.device)
        self.images_NCHW, self.labels_N = _to_device(train, self.device)
        self.validation = _to_device(validation, self.device)
        self.steps_per_epoch = max(1, len(train) // config.batch_size)

        torch.manual_seed(config.seed)
        self.network = self._build()
        if config.imagenet:
            path = None if config.imagenet == PACKAGE else Path(config.imagenet).expanduser()
            load_imagenet(config.model, self.network, path)
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.optimizer = _optimizer(self.network, config)
        self.progress = Progress()
        self._inside_step = False

    def start(self, *, resume: bool, force: bool) -> None:
        """Prepares the folder: a new run, or with ``resume`` the one that is there.

        Raises:
            OutputError: The folder holds a run, and neither ``resume`` nor ``force`` was given.
            EdgeFerError: The run there has another configuration.
        """
        state, config = self.folder / STATE_FILE, self.folder / CONFIG_FILE
        if resume and state.is_file():
            self._require_same_config(config)
            self._resume(state)
            return
        outputs = [self.folder / name for name in (STATE_FILE, BEST_FILE, METRICS_FILE)]
        if any(path.exists() for path in outputs) and not force:
            raise OutputError(
                f"{self.folder} holds a run; give --resume to go on, --force to replace"
            )
        try:
            for path in outputs:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot be written: {error.strerror}") from error
        text = json.dumps(self.config.to_dict(), indent=2) + "\n"
        write_atomic(config, lambda file: file.write_text(text))

    def _require_same_config(self, path: Path) -> None:
        try:
            before = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: not a readable configuration ({error})") from error
        now = json.loads(json.dumps(self.config.to_dict()))
        changed = sorted(key for key in now if key != "data" and before.get(key) != now[key])
        if changed:
            raise ModelError(
                f"{path}: the run there has another {', '.join(changed)}; cannot resume"
            )

    def _resume(self, path: Path) -> None:
        groups, self.progress = load_state(path)
        self.network.load_state_dict(groups["weights"])
        self.average = {k: v.to(self.device) for k, v in groups["average"].items()}
        for name, parameter in self.network.named_parameters():
            if name in groups.get("momentum", {}):
                buffer = groups["momentum"][name].to(self.device)
                self.optimizer.state[parameter]["momentum_buffer"] = buffer
        _keep_metrics(self.folder / METRICS_FILE, self.progress.epoch)

    def save(self) -> None:
        """Writes the state from which ``resume`` goes on."""
        momentum = {
            name: self.optimizer.state[parameter]["momentum_buffer"]
            for name, parameter in self.network.named_parameters()
            if self.optimizer.state[parameter].get("momentum_buffer") is not None
        }
        groups = {
            "weights": self.network.state_dict(),
            "average": self.average,
            "momentum": momentum,
        }
        save_state(self.folder / STATE_FILE, groups, self.progress)

    def fit(self, on_step: Report, on_epoch: Report) -> dict[str, Any]:
        """Trains to the end; saves on the way, and once more when interrupted.

        Args:
            on_step: Called after each step with ``epoch``, ``step``, ``steps``, ``loss``,
                ``accuracy``.
            on_epoch: Called after each epoch with its line of ``metrics.jsonl``.

        Returns:
            ``best`` (the checkpoint's path), ``best_epoch`` and ``best_accuracy`` (on the
            validation faces).
        """
        try:
            with deferred_interrupt() as raise_if_asked:
                while self.progress.epoch < self.config.epochs:
                    self._train_epoch(on_step, raise_if_asked)
                    on_epoch(self._finish_epoch())
                    raise_if_asked()
        except KeyboardInterrupt:
            if not self._inside_step:
                self.save()
            raise
        return {
            "best": str(self.folder / BEST_FILE),
            "best_epoch": self.progress.best_epoch,
            "best_accuracy": self.progress.best_accuracy,
        }

    def _train_epoch(self, on_step: Report, raise_if_asked: Callable[[], None]) -> None:
        self.network.train()
        progress, saved_at = self.progress, time.monotonic()
        order = torch.randperm(len(self.labels_N), generator=self._generator(progress.epoch, 0))
        while progress.step < self.steps_per_epoch:
            started_at = time.monotonic()
            first = progress.step * self.config.batch_size
            rows = order[first : first + self.config.batch_size].to(self.device)
            self._inside_step = True
            self._step(rows)
            self._inside_step = False
            progress.seconds += time.monotonic() - started_at
            on_step(
                {
                    "epoch": progress.epoch,
                    "step": progress.step,
                    "steps": self.steps_per_epoch,
                    "loss": progress.loss_sum / progress.seen,
                    "accuracy": progress.correct / progress.seen,
                }
            )
            raise_if_asked()
            if time.monotonic() - saved_at > SAVE_EVERY_S:
                self.save()
                saved_at = time.monotonic()

    def _step(self, rows: Tensor) -> None:
        progress, config = self.progress, self.config
        generator = self._generator(progress.epoch, progress.step + 1)
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
        x_NCHW = augment(_normalised(self.images_NCHW[rows]), config.augmentation, generator)
        x_NCHW = fit_input(x_NCHW, self.entry.input_chw)
        x_NCHW = x_NCHW.contiguous(memory_format=torch.channels_last)
        labels_N = self.labels_N[rows]
        with torch.autocast(self.device.type, self.precision, self.precision != torch.float32):
            logits_NK = self.network(x_NCHW).float()
            loss = functional.cross_entropy(
                logits_NK, labels_N, label_smoothing=config.label_smoothing
            )
        global_step = progress.epoch * self.steps_per_epoch + progress.step
        learning_rate = self._learning_rate(global_step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        self.optimizer.step()
        decay = min(config.ema_decay, (1 + global_step) / (10 + global_step))
        averaged(self.network.state_dict(), self.average, decay)

        progress.loss_sum += float(loss.detach()) * len(rows)
        progress.correct += int((logits_NK.argmax(1) == labels_N).sum())
        progress.seen += len(rows)
        progress.step += 1

    def _finish_epoch(self) -> dict[str, Any]:
        progress = self.progress
        accuracy, loss = self._validate()
        record = {
            "epoch": progress.epoch,
            "learning_rate": self._learning_rate((progress.epoch + 1) * self.steps_per_epoch),
            "train_loss": progress.loss_sum / progress.seen,
            "train_accuracy": progress.correct / progress.seen,
            "validation_loss": loss,
            "validation_accuracy": accuracy,
            "images_per_s": progress.seen / progress.seconds if progress.seconds else None,
        }
        if accuracy > progress.best_accuracy:
            self._save_best(record)
            progress.best_accuracy, progress.best_epoch = accuracy, progress.epoch
        _append_line(self.folder / METRICS_FILE, record)
        progress.start_epoch(progress.epoch + 1)
        self.save()
        return record

    def _validate(self) -> tuple[float, float]:
        images_NCHW, labels_N = self.validation
        network = self._build()
        network.load_state_dict(self.average)
        network.eval()
        with torch.inference_mode():
            starts = range(0, len(images_NCHW), VALIDATION_BATCH)
            batches = (images_NCHW[first : first + VALIDATION_BATCH] for first in starts)
            logits_NK = torch.cat([network(self._input(batch)) for batch in batches])
        accuracy = float((logits_NK.argmax(1) == labels_N).float().mean())
        return accuracy, float(functional.cross_entropy(logits_NK, labels_N))

    def _save_best(self, record: dict[str, Any]) -> None:
        metadata = {
            "model": self.config.model,
            "options": self.config.options,
            "labels": list(self.label_names),
            "input_nchw": [1, *self.entry.input_chw],
            "preprocessing": self.entry.preprocessing.to_dict(),
            "data": self.config.data.partition(":")[0],
            "split": {"train": "Training", "validation": "PublicTest"},
            "metrics": record,
            "config": self.config.to_dict(),
            "command": self.command,
            "versions": {
                "edge-fer": edge_fer.__version__,
                "torch": str(torch.__version__),
                "python": platform.python_version(),
            },
        }
        weights = {name: tensor.cpu() for name, tensor in self.average.items()}
        save_checkpoint(self.folder / BEST_FILE, weights, metadata)

    def _build(self) -> nn.Module:
        network = build_model(
            self.config.model,
            num_classes=len(self.label_names),
            in_channels=self.entry.input_chw[0],
            **self.config.options,
        )
        return _placed(network, self.device)

    def _input(self, pixels_NCHW: Tensor) -> Tensor:
        return fit_input(_normalised(pixels_NCHW), self.entry.input_chw)

    def _learning_rate(self, global_step: int) -> float:
        warmup = self.config.warmup_epochs * self.steps_per_epoch
        total = self.config.epochs * self.steps_per_epoch
        if global_step < warmup:
            return self.config.learning_rate * (global_step + 1) / warmup
        done = (global_step - warmup) / max(1, total - warmup)
        return self.config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

    def _generator(self, epoch: int, step: int) -> Generator:
        return Generator().manual_seed((self.config.seed * 100_003 + epoch) * 1_000_003 + step)


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Moves a network to a device, with channels last in memory: what fast convolutions want."""
    placed: nn.Module = network.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def use_threads(threads: int) -> None:
    """Caps torch's CPU threads; 0 leaves its own choice."""
    if threads:
        torch.set_num_threads(threads)


def _optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    parameters = list(network.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, config.learning_rate, momentum=config.momentum, nesterov=True)


def fit_input(x_NCHW: Tensor, input_chw: tuple[int, int, int]) -> Tensor:
    """Resizes gray images ``[N, 1, H, W]`` to a network's size and repeats them for its channels.

    The same as ``Preprocessing.fit`` up to its rounding to whole pixels.
    """
    channels, *size = input_chw
    if list(x_NCHW.shape[2:]) != size:
        x_NCHW = functional.interpolate(x_NCHW, size, mode="bilinear", antialias=True)
    return x_NCHW.expand(-1, channels, -1, -1)


def _normalised(pixels: Tensor) -> Tensor:
    return (pixels.float() - PIXEL_OFFSET) * PIXEL_SCALE


def _to_device(faces: Faces, device: torch.device) -> tuple[Tensor, Tensor]:
    images_NCHW = torch.from_numpy(faces.images_NHW).unsqueeze(1)
    return images_NCHW.to(device), torch.from_numpy(faces.labels_N).to(device)


def _resolve_precision(name: str, device: torch.device) -> torch.dtype:
    if name != "auto":
        return torch.bfloat16 if name == "bfloat16" else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def _append_line(path: Path, record: dict[str, Any]) -> None:
    try:
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")
    except OSError as error:
        raise OutputError(f"{path}: cannot be written: {error.strerror}") from error


def _keep_metrics(path: Path, epochs: int) -> None:
    """Drops lines of epochs that a resumed run will do again, and a line cut short by a crash."""
    if path.is_file():
        lines = [line for line in path.read_text().splitlines() if _epoch_of(line) < epochs]
        write_atomic(path, lambda file: file.write_text("".join(f"{line}\n" for line in lines)))


def _epoch_of(line: str) -> float:
    try:
        return float(json.loads(line)["epoch"])
    except (ValueError, KeyError, TypeError):
        return math.inf
