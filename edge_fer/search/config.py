"""What a search is made of."""

from dataclasses import asdict, dataclass, field
from typing import Any

from edge_fer.errors import EdgeFerError
from edge_fer.search.guards import GUARDS, PARTIAL_SHARE
from edge_fer.search.op_table_schema import PRECISIONS as LATENCY_PRECISIONS
from edge_fer.search.space import Space
from edge_fer.train.config import PRECISIONS, Stage


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """One search, of one seed.

    Attributes:
        data: Data specification, ``name:path``.
        stage: How the weights learn; its epochs are the search's.
        space: Of the network that is searched.
        final: Of the network that the genotype is for; the same in the paper.
        order: 1: alpha is judged with the weights as they are; 2: with weights one step ahead.
        alpha_learning_rate: Of Adam (0.5, 0.999), constant.
        alpha_weight_decay: L2 of alpha.
        alpha_from: Epochs in which the weights learn alone (Xu et al. 2020).
        guards: Names in ``GUARDS``.
        table: File of latencies; empty: none are looked at.
        latency_precision: ``fp32`` or ``int8``, which of them.
        budget_ms: Latency of the final network that costs nothing; 0: no term.
        latency_weight: Loss of being over the budget by once the budget.
        faces: Search on so many faces, drawn by lot; 0: on all.
        seed: Of weights, halves, order and augmentation.
        precision: ``auto`` is bfloat16 autocast where the hardware has it, else float32.
    """

    data: str
    stage: Stage = field(default_factory=Stage)
    space: Space = field(default_factory=Space)
    final: Space = field(default_factory=Space)
    order: int = 1
    alpha_learning_rate: float = 3e-4
    alpha_weight_decay: float = 1e-3
    alpha_from: int = 0
    guards: tuple[str, ...] = ()
    table: str = ""
    latency_precision: str = "int8"
    budget_ms: float = 0.0
    latency_weight: float = 1.0
    faces: int = 0
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        _require_known("guard", self.guards, GUARDS)
        _require_known("precision", (self.precision,), PRECISIONS)
        _require_known("latency precision", (self.latency_precision,), LATENCY_PRECISIONS)
        if self.order not in (1, 2):
            raise EdgeFerError(f"order {self.order} is neither 1 nor 2")
        if self.alpha_learning_rate <= 0 or self.latency_weight <= 0:
            raise EdgeFerError("alpha_learning_rate and latency_weight must be above 0")
        if min(self.alpha_from, self.faces, self.seed, self.budget_ms, self.alpha_weight_decay) < 0:
            raise EdgeFerError("epochs, faces, seed, budget and decay must not be below 0")
        if self.budget_ms and not self.table:
            raise EdgeFerError("a budget needs latencies: give --table TABLE.json")
        if self.alpha_from >= self.stage.epochs:
            raise EdgeFerError(f"alpha never learns: it starts after {self.alpha_from} epochs")
        if self.space.nodes != self.final.nodes:
            raise EdgeFerError("the final network has the nodes that are searched")
        if "partial-channels" in self.guards and self.space.channels % PARTIAL_SHARE:
            raise EdgeFerError(f"partial-channels needs channels in {PARTIAL_SHARE} equal parts")

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        return asdict(self)


def _require_known(what: str, values: tuple[str, ...], known: tuple[str, ...]) -> None:
    for value in values:
        if value not in known:
            raise EdgeFerError(f"unknown {what} {value!r}; known: {', '.join(known)}")
