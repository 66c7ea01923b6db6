"""Everyone's worker, running."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from catalogue import CLASSIFIER, EDGE_FER, NEEDS_YUNET, PEERS, PIPELINE, Contender, Peer
from client import Client
from environments import PeerError, disk_mb, prepare, worker_command
from pictures import Pictures

from edge_fer.labels import canonical_label

FIRST_FACES, FIRST_FRAMES = 50, 10


@dataclass(frozen=True, kw_only=True)
class Material:
    """What everyone is given.

    Attributes:
        faces: For the classifier alone.
        frames: For the whole pipeline; ``None`` where only faces are needed.
    """

    faces: Pictures
    frames: Pictures | None


@dataclass(frozen=True)
class Contest:
    """Contenders whose workers answer, by name.

    Attributes:
        clients: Their workers.
        contenders: What they are.
        commands: That start a worker of theirs.
        peers: What is known of each peer, for the document.
        skipped: What could not be measured, and why.
    """

    clients: dict[str, Client] = field(default_factory=dict)
    contenders: dict[str, Contender] = field(default_factory=dict)
    commands: dict[str, list[str]] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)

    def doing(self, part: str) -> dict[str, Client]:
        """Returns the workers of whom a part is measured."""
        return {
            name: client
            for name, client in self.clients.items()
            if part in self.contenders[name].parts
        }


@contextmanager
def contest(
    wanted: Sequence[Contender], material: Material, envs: Path, announce: Callable[[str], None]
) -> Iterator[Contest]:
    """Installs and starts everyone, and has each do a little of everything once.

    Args:
        wanted: The contenders.
        material: What they are given.
        envs: Where environments lie.
        announce: Called with what is being done.

    Raises:
        PeerError: edge-fer does not run; others are left out with a line in ``skipped``.
    """
    with ExitStack() as stack:
        found, failed = Contest(), set[str]()
        for contender in wanted:
            if contender.peer in failed:
                continue
            try:
                _install(contender, found, envs, announce)
                command = found.commands[contender.name]
                client = stack.enter_context(Client(contender.name, command))
                _try(contender, client, found, material)
            except PeerError as error:
                if contender.peer == EDGE_FER:
                    raise
                failed.add(contender.peer)
                found.skipped.append(str(error))
        yield found


def with_detector(wanted: Sequence[Contender], yunet: Path | None) -> list[Contender]:
    """Fills in YuNet's file; without one, who needs it is left out."""
    return [
        replace(
            one, arguments=tuple(a.replace(NEEDS_YUNET, f"yunet:{yunet}") for a in one.arguments)
        )
        for one in wanted
        if yunet or NEEDS_YUNET not in one.arguments
    ]


def _install(
    contender: Contender, found: Contest, envs: Path, announce: Callable[[str], None]
) -> None:
    peer, environment = PEERS[contender.peer], envs / contender.peer
    if peer.name not in found.peers:
        prepare(peer, envs, announce)
        found.peers[peer.name] = _described(peer, environment)
    found.commands[contender.name] = worker_command(peer, environment, contender.arguments)


def _described(peer: Peer, environment: Path) -> dict[str, Any]:
    return {
        "package": peer.package,
        "version": peer.version,
        "licence": peer.licence,
        "note": peer.note,
        "disk_mb": disk_mb(environment),
        "pipelines": {},
    }


def _try(contender: Contender, client: Client, found: Contest, material: Material) -> None:
    said = client.ask("describe")
    for op, pictures, count in (
        (CLASSIFIER, material.faces, FIRST_FACES),
        (PIPELINE, material.frames, FIRST_FRAMES),
    ):
        if pictures is not None:
            client.ask(op, file=str(pictures.file), indices=pictures.chunk(0, count))
    peer = found.peers[contender.peer]
    peer["labels"] = {label: canonical_label(label) for label in said["labels"]}
    peer["pipelines"][contender.name] = said["pipeline"]
    found.clients[contender.name] = client
    found.contenders[contender.name] = contender
