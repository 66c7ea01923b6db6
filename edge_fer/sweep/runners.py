"""Where the trials of a sweep run: here, one after the other, or on a Ray cluster."""

import logging
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from edge_fer.errors import EdgeFerError
from edge_fer.sweep.outcome import Outcome, folder_of, read_outcome, write_error
from edge_fer.sweep.request import Sweep
from edge_fer.sweep.trial import attempt, error_line
from edge_fer.sweep.trials import Trial
from edge_fer.train.devices import use_threads

if TYPE_CHECKING:
    from ray import ObjectRef

#: Gives the outcome of each trial when it ends, in any order.
Runner: TypeAlias = Callable[[Sequence[Trial], Path], Iterator[Outcome]]
#: How often a trial is scheduled again after the process or node under it has died.
MAX_RETRIES = 8
_POLL_S = 0.5
_SAVING_S = 120.0
_REACH_S = 10.0


def run_here(
    trials: Sequence[Trial], out: Path, *, command: str, announce: Callable[[str], None]
) -> Iterator[Outcome]:
    """Runs trials one after the other in this process."""
    for trial in trials:
        attempt(trial, out, command, announce)
        yield read_outcome(out, trial)


def run_on_ray(
    trials: Sequence[Trial], out: Path, *, sweep: Sweep, address: str, command: str
) -> Iterator[Outcome]:
    """Runs each trial as a Ray task; those of a node that dies go on elsewhere.

    Results reach the driver through the folder, which all nodes have to share, and only there they
    are read: one file per trial, however often Ray may have started it.

    Args:
        trials: What to do.
        out: Folder of the sweep.
        sweep: How much a trial needs.
        address: ``auto``, ``HOST:PORT``, or ``local`` for a cluster of this machine alone.
        command: The command line.

    Raises:
        EdgeFerError: There is no such cluster, or no node with what a trial needs.
    """
    with redirect_stdout(sys.stderr):  # Ray tells of lost nodes on standard output
        _connect(address)
        try:
            yield from _on_cluster(trials, out, sweep, command)
        finally:
            _disconnect()


def _on_cluster(
    trials: Sequence[Trial], out: Path, sweep: Sweep, command: str
) -> Iterator[Outcome]:
    import ray

    cluster: Any = ray
    _require_node(cluster.nodes(), sweep)
    task = cluster.remote(_task).options(
        num_cpus=sweep.cpus,
        num_gpus=sweep.gpus,
        max_retries=MAX_RETRIES,
        scheduling_strategy="SPREAD",
    )
    submit = partial(task.remote, out=str(out.resolve()), command=command, cpus=sweep.cpus)
    refs = {submit(trial): trial for trial in trials}
    try:
        while refs:
            yield from _ended(refs, out)
    except BaseException:
        _cancel(list(refs))
        raise


def _task(trial: Trial, out: str, command: str, cpus: float) -> str:
    use_threads(max(1, int(cpus)))
    return attempt(trial, Path(out), command)


def _ended(refs: "dict[ObjectRef[Any], Trial]", out: Path) -> Iterator[Outcome]:
    import ray

    ready, _ = ray.wait(list(refs), num_returns=1, timeout=_POLL_S)
    for ref in ready:
        trial = refs.pop(ref)
        yield _accepted(ref, trial, out)


def _accepted(ref: "ObjectRef[Any]", trial: Trial, out: Path) -> Outcome:
    import ray

    try:
        error = ray.get(ref)
    except ray.exceptions.RayError as lost:
        error = error_line(lost)[:300]
    outcome = read_outcome(out, trial)
    if outcome.status == "finished" or (error and outcome.error == error):
        return outcome
    error = error or f"no result in {out}: do all nodes have this folder?"
    write_error(folder_of(out, trial), trial, error)
    return read_outcome(out, trial)


def _cancel(refs: "list[ObjectRef[Any]]") -> None:
    """Interrupts running tasks, which then save, and waits for them."""
    import ray

    for ref in refs:
        ray.cancel(ref)
    ray.wait(refs, num_returns=len(refs), timeout=_SAVING_S)


def _connect(address: str) -> None:
    import ray

    host, _, port = address.rpartition(":")
    try:
        if host and port.isdecimal():  # Ray itself tries for minutes
            socket.create_connection((host, int(port)), _REACH_S).close()
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, ValueError, RuntimeError) as error:
        raise EdgeFerError(f"no Ray cluster at {address}: {error}") from error


def _disconnect() -> None:
    import ray

    ray.shutdown()


def _require_node(nodes: Sequence[dict[str, Any]], sweep: Sweep) -> None:
    needs = {"CPU": sweep.cpus, "GPU": sweep.gpus}
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    if not any(all(node.get(key, 0) >= n for key, n in needs.items()) for node in alive):
        raise EdgeFerError(
            f"no node of the cluster has the {sweep.cpus:g} CPUs and {sweep.gpus:g} GPUs of a trial"
        )
