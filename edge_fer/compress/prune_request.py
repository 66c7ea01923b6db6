"""What is to be pruned, how far and how."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_fer.compress.prune_budget import Budget, LatencyMeter
from edge_fer.errors import EdgeFerError
from edge_fer.train.loop import Run

IMPORTANCES = ("auto", "magnitude", "scale", "taylor")
SPREADS = ("global", "uniform", "cost")


@dataclass(frozen=True, kw_only=True)
class Method:
    """Which channels go first.

    Attributes:
        importance: ``magnitude`` of weights, ``scale`` of batch norms, ``taylor``, or ``auto``:
            ``taylor`` with data and ``magnitude`` without.
        spread: ``global`` takes what matters least in its layer, ``uniform`` the same share of
            every layer, ``cost`` what matters least anywhere for what it saves.
        round_to: What widths become multiples of.

    Raises:
        EdgeFerError: Not such a value.
    """

    importance: str = "auto"
    spread: str = "global"
    round_to: int = 8

    def __post_init__(self) -> None:
        for name, known in (("importance", IMPORTANCES), ("spread", SPREADS)):
            value = getattr(self, name)
            if value not in known:
                raise EdgeFerError(f"{name} {value!r} is not one of {', '.join(known)}")
        if self.round_to < 1:
            raise EdgeFerError(f"widths are rounded to 1 or more, not to {self.round_to}")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Faces to learn from and to judge on, and how a pruned network learns.

    Attributes:
        data: Data specification, ``name:path``.
        recipe: Training recipe, by name or path.
        epochs: Of each step; the recipe's if None; 0: only judge, do not train.
        changes: Of the recipe's settings.
        teachers: Checkpoints to learn from; the unpruned one if there are none.
        protocol: As in ``TrainConfig``, and so the next two.
        fold: See there.
        seed: See there; also of the draw of faces for ``taylor``.
    """

    data: str
    recipe: str = "finetune"
    epochs: int | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    teachers: tuple[str, ...] = ()
    protocol: str = ""
    fold: str = ""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Request:
    """One pruning.

    Attributes:
        checkpoint: What is pruned.
        out: The pruned checkpoint to write.
        budget: What may be left.
        method: Which channels go.
        tuning: Data and training; without it the network is cut once and not trained.
        steps: Cuts, each followed by training.
        command: The command line, for the checkpoint's metadata.

    Raises:
        EdgeFerError: Parts that do not fit together.
    """

    checkpoint: Path
    out: Path
    budget: Budget
    method: Method = Method()
    tuning: Tuning | None = None
    steps: int = 1
    command: str = ""

    def __post_init__(self) -> None:
        if self.out.suffix != ".safetensors":
            raise EdgeFerError(f"{self.out}: a checkpoint ends in .safetensors")
        if self.steps < 1:
            raise EdgeFerError(f"there is at least 1 step, not {self.steps}")
        if self.steps > 1 and not self.trains:
            raise EdgeFerError("several steps need training between them: give --data and --epochs")
        if self.method.importance == "taylor" and self.tuning is None:
            raise EdgeFerError("importance taylor needs faces: give --data")

    @property
    def trains(self) -> bool:
        """Whether the network learns again after a cut."""
        return self.tuning is not None and self.tuning.epochs != 0

    @property
    def folder(self) -> Path:
        """Where the steps have their runs: ``half.steps`` beside ``half.safetensors``."""
        return self.out.with_suffix(".steps")


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What pruning is given from above.

    Attributes:
        announce: Called with the name of each stage when it starts.
        fit: Trains a run to its end, and returns what ``Run.fit`` does.
        meter: Measures the latency of a network, for a budget of it.
    """

    announce: Callable[[str], None]
    fit: Callable[[Run], dict[str, Any]]
    meter: LatencyMeter | None = None
