"""The steps of a pruning: cut, train, and again; each has a folder of its own and is resumable."""

import json
import shutil
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import nn

from edge_fer.compress.prune_budget import Cost
from edge_fer.compress.prune_cut import Losses, cut
from edge_fer.compress.prune_faces import accuracy, losses
from edge_fer.compress.prune_request import Request, Tools
from edge_fer.compress.retrain import retraining
from edge_fer.data.faces import Faces
from edge_fer.errors import ModelError, OutputError
from edge_fer.files import write_atomic
from edge_fer.models.complexity import describe
from edge_fer.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from edge_fer.train.config import TrainConfig
from edge_fer.train.folder import BEST_FILE
from edge_fer.train.session import open_run

PLAN_FILE, STEP_FILE, CUT_FILE = "plan.json", "step.json", "pruned.safetensors"
#: True of the unpruned network only.
_NO_MORE = ("schema", "metrics", "temperature", "temperature_fitted", "classes_fitted", "pruned")


@dataclass(frozen=True, kw_only=True)
class Work:
    """What all steps of a pruning share.

    Attributes:
        request: What is wanted.
        original: The checkpoint as it was.
        cost: Of a network, in the budget's unit.
        train: Faces to learn from, if there are any.
        validation: Faces to judge by, if there are any.
        tools: From above.
    """

    request: Request
    original: Checkpoint
    cost: Cost
    train: Faces | None
    validation: Faces | None
    tools: Tools

    @property
    def input_nchw(self) -> tuple[int, int, int, int]:
        """Shape of the network's input."""
        n, c, h, w = self.original.metadata["input_nchw"]
        return n, c, h, w

    def accuracy(self, network: nn.Module) -> float | None:
        """Returns the accuracy on the validation faces, if there are any."""
        if self.validation is None:
            return None
        return accuracy(network, self.validation, self.original.preprocessing)

    def losses(self) -> Losses | None:
        """Returns what gives a network's losses on faces to learn from, if there are any."""
        faces, tuning = self.train, self.request.tuning
        if faces is None or tuning is None:
            return None
        input_chw, preprocessing = self.input_nchw[1:], self.original.preprocessing
        return lambda network: losses(network, faces, input_chw, preprocessing, tuning.seed)


def open_folder(request: Request, *, resume: bool, force: bool) -> None:
    """Makes the folder of the steps ready: a new one, or with ``resume`` the one that is there.

    Raises:
        OutputError: It holds a pruning, and neither ``resume`` nor ``force`` was given, or it holds
            something else.
        ModelError: The pruning there is another one.
    """
    folder, plan = request.folder, _plan(request)
    path = folder / PLAN_FILE
    if resume and path.is_file():
        if _read(path) != plan:
            raise ModelError(f"{folder} holds another pruning; cannot resume")
        return
    if folder.exists():
        if not path.is_file():
            raise OutputError(f"{folder} is in the way: it is not the folder of a pruning")
        if not force:
            raise OutputError(
                f"{folder} holds a pruning; give --resume to go on, --force to replace"
            )
        shutil.rmtree(folder)
    _write(path, plan)


def take_steps(work: Work, whole: float, limit: float) -> tuple[Checkpoint, list[dict[str, Any]]]:
    """Prunes from ``whole`` to ``limit`` (in the budget's unit) in equal steps.

    Returns:
        The last step's network with the metadata that it is to be saved with, and a record of every
        step: ``step``, ``limit``, ``cost``, ``params``, ``macs``, ``accuracy_pruned``,
        ``accuracy_tuned``, ``best_epoch``.
    """
    checkpoint, records = work.original, []
    for number in range(1, work.request.steps + 1):
        limit_now = whole + (limit - whole) * number / work.request.steps
        checkpoint, record = _take_step(work, checkpoint, number, limit_now)
        records.append(record)
    return checkpoint, records


def _take_step(
    work: Work, before: Checkpoint, number: int, limit: float
) -> tuple[Checkpoint, dict[str, Any]]:
    if not work.request.trains:
        network = _cut(work, before, number, limit)
        record = _record(work, network, number, limit)
        return Checkpoint(network=network, metadata=_pruned_metadata(work)), record
    folder = work.request.folder / f"step-{number}"
    if not (folder / STEP_FILE).is_file():
        if (folder / CUT_FILE).is_file():  # a resumed step goes on with the cut that it made
            network = load_checkpoint(folder / CUT_FILE).network
        else:
            network = _cut(work, before, number, limit)
            save_checkpoint(folder / CUT_FILE, network.state_dict(), _pruned_metadata(work))
        record = _record(work, network, number, limit)
        result = _train(work, folder, number)
        record["accuracy_tuned"] = result["best_accuracy"]
        record["best_epoch"] = result["best_epoch"]
        _write(folder / STEP_FILE, record)
    return _trained(work, folder), _read(folder / STEP_FILE)


def _cut(work: Work, before: Checkpoint, number: int, limit: float) -> nn.Module:
    request = work.request
    work.tools.announce(f"step {number} of {request.steps}: prune")
    return cut(
        before.network,
        work.input_nchw,
        request.method,
        cost=work.cost,
        limit=limit,
        unit=request.budget.unit,
        losses=work.losses(),
    )


def _record(work: Work, network: nn.Module, number: int, limit: float) -> dict[str, Any]:
    complexity = describe(network, work.input_nchw)
    return {
        "step": number,
        "limit": limit,
        "cost": work.cost(network),
        "params": complexity.params_total,
        "macs": complexity.macs,
        "accuracy_pruned": work.accuracy(network),
        "accuracy_tuned": None,
        "best_epoch": None,
    }


def _train(work: Work, folder: Path, number: int) -> dict[str, Any]:
    request = work.request
    work.tools.announce(f"step {number} of {request.steps}: train")
    run = open_run(training_config(request, work.original, folder), folder, request.command)
    run.start(resume=True, force=True)
    return work.tools.fit(run)


def training_config(request: Request, original: Checkpoint, folder: Path) -> TrainConfig:
    """Returns how a step trains: the recipe, from the cut network, with the unpruned as teacher.

    Args:
        request: Has data and training.
        original: The unpruned checkpoint.
        folder: Of the step.

    Raises:
        EdgeFerError: The recipe or its changes cannot be used.
    """
    assert request.tuning is not None
    return retraining(request.tuning, original, request.checkpoint, folder / CUT_FILE)


def _trained(work: Work, folder: Path) -> Checkpoint:
    """A step's best weights; of a face it expects what the unpruned network does."""
    checkpoint = load_checkpoint(folder / BEST_FILE)
    kept = {"preprocessing": work.original.metadata["preprocessing"], "pruned": True}
    return Checkpoint(network=checkpoint.network, metadata=checkpoint.metadata | kept)


def _pruned_metadata(work: Work) -> dict[str, Any]:
    metadata = work.original.metadata
    kept = {key: value for key, value in metadata.items() if key not in _NO_MORE}
    return kept | {"pruned": True, "metrics": {}, "command": work.request.command}


def _plan(request: Request) -> Any:
    """What has to be the same for a pruning to go on; files may have moved."""
    tuning = asdict(request.tuning) if request.tuning else {}
    plan = {
        "checkpoint_sha256": sha256(request.checkpoint.read_bytes()).hexdigest(),
        "budget": asdict(request.budget),
        "method": asdict(request.method),
        "steps": request.steps,
        **{key: tuning.get(key) for key in ("recipe", "epochs", "changes", "seed", "fold")},
    }
    return json.loads(json.dumps(plan))


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not readable ({error})") from error


def _write(path: Path, document: Any) -> None:
    text = json.dumps(document, indent=1) + "\n"
    write_atomic(path, lambda file: file.write_text(text, encoding="utf-8"))
