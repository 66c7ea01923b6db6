"""The steps in front of a recipe's name: prune a checkpoint, train it to bear rounding."""

from dataclasses import dataclass
from pathlib import Path

from edge_fer.compress.prune import prune
from edge_fer.compress.prune_budget import Budget
from edge_fer.compress.prune_request import Request, Tools, Tuning
from edge_fer.compress.retrain import retraining
from edge_fer.errors import EdgeFerError
from edge_fer.files import refuse_overwrite
from edge_fer.train.checkpoint import load_checkpoint
from edge_fer.train.session import open_run

#: Of what a network learns in ``qat``, the share that is its own answer in float.
QAT_DISTILL = 0.8


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Steps that a checkpoint goes through before it is quantized.

    Attributes:
        steps: As ``split_steps`` gives them.
        data: Specification of the data to train on; a chain with steps needs it.
        folder: Where their runs and checkpoints are written.
        epochs: Of each step; None: as the recipes ``finetune`` and ``qat`` have them.
        command: The command line, for the checkpoints.

    Raises:
        EdgeFerError: There is no data to train on.
    """

    steps: tuple[str, ...]
    data: str | None
    folder: Path
    epochs: int | None = None
    command: str = ""

    def __post_init__(self) -> None:
        if self.steps and self.data is None:
            raise EdgeFerError(
                f"{' and '.join(self.steps)} means training first: give --data NAME:PATH"
            )


def run_chain(chain: Chain, checkpoint: Path, tools: Tools, *, resume: bool, force: bool) -> Path:
    """Takes a checkpoint through the steps of a chain.

    Args:
        chain: What to do.
        checkpoint: ``*.safetensors``.
        tools: What training takes.
        resume: Go on with a chain that was interrupted.
        force: Replace what is in the folder.

    Returns:
        The checkpoint to quantize; the same one where there are no steps.

    Raises:
        EdgeFerError: Checkpoint, data or folder cannot be used.
    """
    if chain.steps:
        refuse_overwrite(chain.folder, force=force or resume)
    for step in chain.steps:
        walk = _train_for_integers if step == "qat" else _prune
        checkpoint = walk(chain, step, checkpoint, tools, resume=resume, force=force)
    return checkpoint


def _prune(
    chain: Chain, step: str, checkpoint: Path, tools: Tools, *, resume: bool, force: bool
) -> Path:
    out = chain.folder / f"{step}.safetensors"
    if not (resume and out.is_file()):
        request = Request(
            checkpoint=checkpoint,
            out=out,
            budget=Budget(kind="ratio", value=int(step.removeprefix("prune")) / 100),
            tuning=_tuning(chain, "finetune"),
            command=chain.command,
        )
        prune(request, tools, resume=resume, force=force)
    return out


def _train_for_integers(
    chain: Chain, step: str, checkpoint: Path, tools: Tools, *, resume: bool, force: bool
) -> Path:
    tools.announce("train with rounded weights and activations")
    tuning = _tuning(chain, "qat", distill=QAT_DISTILL)
    config = retraining(tuning, load_checkpoint(checkpoint), checkpoint, checkpoint)
    run = open_run(config, chain.folder / step, chain.command)
    run.start(resume=resume, force=force)
    return Path(tools.fit(run)["best"])


def _tuning(chain: Chain, recipe: str, **changes: float) -> Tuning:
    assert chain.data is not None
    return Tuning(data=chain.data, recipe=recipe, epochs=chain.epochs, changes=changes)
