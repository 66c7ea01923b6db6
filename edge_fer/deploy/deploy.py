"""Deploys a release to several hosts at once, each from the first look to its health check."""

import json
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from edge_fer.deploy import preflight
from edge_fer.deploy.release import DEVICE_HOME, INSTALLER, build_release, verify_release
from edge_fer.deploy.ssh import Connection, HostError
from edge_fer.target import Target

SCHEMA = "edge-fer/deploy/1"
#: Of the user who logs in; kept, so that the next upload sends only what has changed.
STAGING = ".cache/edge-fer/upload"
MAX_AT_ONCE = 16
#: What the installer's document says when a host is well.
DONE = ("installed", "unchanged", "rolled back")
Progress = Callable[[str, str], None]
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Device:
    """How things are on the hosts.

    Attributes:
        root: Before every path there; another than ``/`` only for a trial.
        service: A command there that takes the verbs of ``systemctl``.
        health: A shell command there that says by its exit code whether the service is well; by
            default the service has to stay active.
        settle_s: How long, seconds.
        ssh_config: ssh configuration file here, instead of the user's own.
    """

    root: str = "/"
    service: str = "systemctl"
    health: str = ""
    settle_s: float = 5.0
    ssh_config: Path | None = None

    def connect(self, host: str) -> Connection:
        """Returns a connection, which opens at its first command."""
        return Connection(host, self.ssh_config)

    def options(self) -> list[str]:
        """Returns the installer's options."""
        health = ["--health", self.health] if self.health else []
        settle = ["--settle-s", str(self.settle_s)]
        return ["--root", self.root, "--service", self.service, *settle, *health]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What is deployed: a release that is there, or what to make one of.

    Attributes:
        target: The device.
        release: A ready release; the rest is not looked at.
        bundle: Folder or .tar.
        arguments: Of ``edge-fer run``.
        wheels: Folder of ready wheels.
        key: To sign with.
    """

    target: Target
    release: Path | None = None
    bundle: Path | None = None
    arguments: Sequence[str] = ()
    wheels: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How it went on one host.

    Attributes:
        host: As it was given.
        ok: It runs what it should.
        action: What the installer did, ``refused`` among it; ``error`` if it cannot be told.
        message: One line.
        current: Id of its release, if it told.
        previous: Id of the one before.
        seconds: It took.
    """

    host: str
    ok: bool
    action: str
    message: str
    current: str | None = None
    previous: str | None = None
    seconds: float = 0.0


def deploy(
    hosts: Sequence[str],
    content: Content,
    *,
    device: Device | None = None,
    progress: Progress = lambda _host, _line: None,
) -> dict[str, Any]:
    """Deploys to every host, whatever happens on the others.

    Args:
        hosts: Each as ssh takes it.
        content: What.
        device: How things are there.
        progress: Called with a host, or nothing for all, and a line; from several threads.

    Returns:
        ``edge-fer/deploy/1``; ``ok`` only if every host is.

    Raises:
        EdgeFerError: The release cannot be made or is not whole; nothing was changed anywhere.
    """
    device, hosts = device or Device(), list(dict.fromkeys(hosts))
    with ExitStack() as stack:
        open_hosts = {host: stack.enter_context(device.connect(host)) for host in hosts}

        def look(host: str) -> preflight.Host:
            progress(host, "looking")
            seen = preflight.examine(open_hosts[host], device.root)
            preflight.check(seen, content.target, needs_systemd=device.service == "systemctl")
            return seen

        found, outcomes = _each(hosts, look, progress)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="edge-fer-")))
        releases = _releases(folder, content, {seen.python for seen in found.values()}, progress)

        def put(host: str) -> Outcome:
            seen = found[host]
            connection, release = open_hosts[host], releases[seen.python]
            staging = _upload(connection, seen, release, lambda line: progress(host, line))
            command = [f"{staging}/installer/install.py", "--release", f"{staging}/release"]
            return _install(connection, seen, [*command, *device.options()], progress)

        done, failed = _each(list(found), put, progress)
    return _document(hosts, {**outcomes, **failed, **done})


def roll_back(
    hosts: Sequence[str],
    *,
    device: Device | None = None,
    progress: Progress = lambda _host, _line: None,
) -> dict[str, Any]:
    """Makes every host go back to the release before; the rest is as of ``deploy``."""
    device, hosts = device or Device(), list(dict.fromkeys(hosts))
    home = f"{device.root.rstrip('/')}{DEVICE_HOME}"

    def back(host: str) -> Outcome:
        with device.connect(host) as connection:
            seen = preflight.examine(connection, device.root)
            program = f"{home}/current/install.py"
            if connection.run(f"test -e {shlex.quote(program)}").returncode:
                raise HostError("no release is installed there")
            command = [program, "--rollback", *device.options()]
            return _install(connection, seen, command, progress)

    done, failed = _each(hosts, back, progress)
    return _document(hosts, {**failed, **done})


def _each(
    hosts: Sequence[str], work: Callable[[str], Result], progress: Progress
) -> tuple[dict[str, Result], dict[str, Outcome]]:
    """Works on all hosts at once; returns what came of each, and of those that failed."""

    def guarded(host: str) -> Result | HostError:
        try:
            return work(host)
        except HostError as error:
            progress(host, str(error))
            return error

    with ThreadPoolExecutor(MAX_AT_ONCE) as pool:
        results = dict(zip(hosts, pool.map(guarded, hosts), strict=True))
    failed = {
        host: Outcome(host=host, ok=False, action="error", message=str(result))
        for host, result in results.items()
        if isinstance(result, HostError)
    }
    good = {host: r for host, r in results.items() if not isinstance(r, HostError)}
    return good, failed


def _releases(
    folder: Path, content: Content, pythons: set[str], progress: Progress
) -> dict[str, Path]:
    """Returns a release for each Python that the hosts have, made where it has to be."""
    if content.release:
        verify_release(content.release)
        return dict.fromkeys(pythons, content.release)
    assert content.bundle is not None
    releases = {}
    for python in sorted(pythons):
        releases[python] = folder / python
        build_release(
            releases[python],
            target=replace(content.target, python=python),
            bundle=content.bundle,
            arguments=content.arguments,
            wheels=content.wheels,
            key=content.key,
            progress=lambda line: progress("", line),
        )
    return releases


def _upload(
    connection: Connection, seen: preflight.Host, release: Path, say: Callable[[str], None]
) -> str:
    """Brings a release, and this edge-fer's own installer: the release's is not trusted yet."""
    say("uploading")
    staging = f"{seen.home}/{STAGING}"
    folders = shlex.join([f"{staging}/installer", f"{staging}/release"])
    connection.run(f"umask 077; mkdir -p {folders}")
    connection.upload(str(INSTALLER), f"{staging}/installer")
    connection.upload(f"{release}/", f"{staging}/release")
    return staging


def _install(
    connection: Connection, seen: preflight.Host, command: Sequence[str], progress: Progress
) -> Outcome:
    """Runs the installer there; its last line is a document."""
    lines: list[str] = []

    def on_line(line: str) -> None:
        lines.append(line)
        if not line.startswith("{"):
            progress(connection.host, line)

    started_s = time.monotonic()
    connection.follow(f"{seen.as_root}python3 {shlex.join(command)}", on_line)
    try:
        document = json.loads(lines[-1])
        outcome = Outcome(
            host=connection.host,
            ok=document["action"] in DONE,
            action=document["action"],
            message=document["message"],
            current=document["current"],
            previous=document["previous"],
            seconds=round(time.monotonic() - started_s, 1),
        )
    except (ValueError, KeyError, TypeError, IndexError):
        said = lines[-1] if lines else "nothing"
        raise HostError(f"the installer did not end as it should; it said: {said}") from None
    progress(connection.host, outcome.message)
    return outcome


def _document(hosts: Sequence[str], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "ok": all(outcomes[host].ok for host in hosts),
        "hosts": [asdict(outcomes[host]) for host in hosts],
    }
