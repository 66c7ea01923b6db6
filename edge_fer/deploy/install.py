"""Installs a release on the device: run there as root, by the system's own Python.

    python3 install.py --release FOLDER       install it, or go back if it does not come up
    python3 install.py --rollback             go back to the release before
    python3 install.py --status               what is installed

One file, standard library only, Python 3.9 or newer, no network. A release is made beside the one
that runs and counts only once its ``release.json`` is there, which is written last; ``current`` is
then switched by one rename. Whatever stops this program, ``current`` is the old release or the new
one, and running it again finishes the work.

Lines of progress go to stdout; the last line is one JSON document (``edge-fer/install/1``). Exit
code 0: done; 1: the release did not come up; 2: refused, and nothing was changed.
"""

from __future__ import annotations

import argparse
import fcntl
import grp
import hashlib
import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

RELEASE_SCHEMA = "edge-fer/release/1"
SCHEMA = "edge-fer/install/1"
MANIFEST, SIGNATURE = "release.json", "release.sig"
HOME = "opt/edge-fer"
SIGNERS = "etc/edge-fer/allowed_signers"
UNITS = "etc/systemd/system"
USER = "edge-fer"
UNIT = "edge-fer.service"
PROGRAM = "venv/bin/edge-fer"
#: Prints what the service itself said last.
LOG = f"journalctl --boot --lines 1 --output cat --quiet --no-pager _SYSTEMD_UNIT={UNIT}"
#: Who signs, and for what, in ``ssh-keygen -Y``.
IDENTITY = NAMESPACE = "edge-fer"
KEPT = 3
REQUIRED = {"version", "target", "python", "system_site_packages", "groups", "arguments", "files"}
#: Exactly the release's wheels, whatever the system has, and nothing from a network.
PIP_OPTIONS = (
    "--isolated",
    "--quiet",
    "--disable-pip-version-check",
    "--no-index",
    "--no-deps",
    "--ignore-installed",
)
COMMAND_TIMEOUT_S = 1800
SERVICE_TIMEOUT_S = 180


class RefusedError(Exception):
    """One line for the user; nothing was changed."""


class Device:
    """Where things are on a device, and how its service is asked.

    Args:
        root: Before every path; ``/`` but in tests and images.
        service: A command that takes the verbs of ``systemctl``.
        health: A shell command that says by its exit code whether the service is well; without
            one, the service has to stay active for ``settle_s``.
        settle_s: Seconds.
        log: A command that prints what the service said last.
    """

    def __init__(self, root: Path, service: str, health: str, settle_s: float, log: str) -> None:
        self.root, self.home = root, root / HOME
        self.service, self.log = shlex.split(service), shlex.split(log)
        self.health, self.settle_s = health, settle_s
        self.releases = self.home / "releases"
        self.current, self.previous = self.home / "current", self.home / "previous"
        self.running = self.home / "running"

    def release_of(self, link: Path) -> str | None:
        """Returns the id that a link leads to, ``None`` if there is no complete release."""
        try:
            name = link.readlink().name
        except OSError:
            return None
        return name if self.is_complete(name) else None

    def is_complete(self, name: str) -> bool:
        """Whether a release was made to its end."""
        return (self.releases / name / MANIFEST).is_file()

    def ask(self, *verb: str) -> str:
        """Asks the service manager; returns what went wrong, or nothing."""
        return run([*self.service, *verb], timeout_s=SERVICE_TIMEOUT_S)

    def last_words(self) -> str:
        """Returns what the service said last, if that can be told."""
        try:
            done = subprocess.run(self.log, capture_output=True, timeout=30, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return ""
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def say(line: str) -> None:
    """Tells the progress; a reader who has gone away stops nothing."""
    with suppress(OSError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def run(command: Sequence[str], *, timeout_s: float = COMMAND_TIMEOUT_S, stdin: bytes = b"") -> str:
    """Runs a command; returns why it failed in one line, or nothing."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout_s,
            check=False,
        )
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{command[0]}: not done after {timeout_s:.0f} s"
    if not done.returncode:
        return ""
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else f"{command[0]}: exit code {done.returncode}"
    return next((line for line in lines if line.startswith(("ERROR", "Job "))), last)


def sync_folder(folder: Path) -> None:
    """Makes what a folder lists last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file_system(folder: Path) -> None:
    """Makes all that was written beside a folder last through a power cut."""
    trouble = run(["sync", "-f", str(folder)])
    if trouble:
        raise RefusedError(trouble)


def write_synced(path: Path, content: bytes) -> None:
    """Replaces a file in one step that lasts."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def point(link: Path, target: str) -> None:
    """Makes a link lead to a target in one step that lasts."""
    temporary = link.with_name(f".{link.name}.new")
    with suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    temporary.replace(link)
    sync_folder(link.parent)


# What a release says, and whether it is so


def verify(folder: Path, signers: Path | None) -> dict[str, Any]:
    """Returns what a release says, once its signature and every file of it were checked."""
    try:
        text = (folder / MANIFEST).read_bytes()
    except OSError as error:
        raise RefusedError(f"{folder}: no readable {MANIFEST} ({error.strerror})") from error
    if signers and signers.exists():
        check_signature(text, folder / SIGNATURE, signers)
    manifest = parse(text, folder)
    for name, record in manifest["files"].items():
        check_file(folder, name, record)
    return manifest


def parse(text: bytes, folder: Path) -> dict[str, Any]:
    """Reads ``release.json``; its id holds a digest of everything else it says."""
    try:
        manifest: dict[str, Any] = json.loads(text)
        if manifest["schema"] != RELEASE_SCHEMA:
            raise ValueError(f"schema is {manifest['schema']!r}, not {RELEASE_SCHEMA}")
        if manifest["id"] != release_id(manifest):
            raise ValueError("it was changed after it was written")
        if missing := REQUIRED - set(manifest):
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RefusedError(f"{folder / MANIFEST}: not a release: {error}") from error
    return manifest


def release_id(manifest: dict[str, Any]) -> str:
    """Returns the version and a digest of all that a release says beside its id."""
    rest = {key: value for key, value in manifest.items() if key != "id"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    version = "".join(c if c.isalnum() or c in ".+-" else "-" for c in str(manifest["version"]))
    return f"{version.lstrip('.')}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def check_signature(text: bytes, signature: Path, signers: Path) -> None:
    """Checks ``release.sig`` against the keys that were put on the device."""
    if not signature.is_file():
        raise RefusedError(f"{signature.parent}: not signed, and {signers} asks for a signature")
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers), "-I", IDENTITY]
    trouble = run([*command, "-n", NAMESPACE, "-s", str(signature)], stdin=text)
    if trouble:
        raise RefusedError(f"{signature}: not a signature by a key of {signers} ({trouble})")


def check_file(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Checks one file's size and SHA-256."""
    path = folder / name
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise RefusedError(f"{folder}: file name {name!r} leaves the release")
    if path.is_symlink() or not path.is_file():
        raise RefusedError(f"{folder}: {name} is missing; bring the release again")
    size = path.stat().st_size
    if size != record["size"]:
        expected = f"{size} bytes instead of {record['size']}"
        raise RefusedError(f"{folder}: {name} has {expected}; bring the release again")
    if file_sha256(path) != record["sha256"]:
        raise RefusedError(f"{folder}: {name} is not what was released (SHA-256)")


def file_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(1 << 20), b""):
            digest.update(piece)
    return digest.hexdigest()


# Making a release


def make(device: Device, folder: Path, manifest: dict[str, Any]) -> None:
    """Makes a release beside the others; ``release.json`` comes last and says that it is whole."""
    home = device.releases / manifest["id"]
    if device.is_complete(home.name):
        is_current = device.release_of(device.current) == home.name
        if is_current or not run([str(home / PROGRAM), "--version"]):
            return
    drop(home)
    home.mkdir(parents=True)
    try:
        make_environment(home, folder, manifest)
        copy_files(home, folder, manifest)
        sync_file_system(home)
    except (OSError, RefusedError) as error:
        shutil.rmtree(home, ignore_errors=True)
        raise RefusedError(f"{manifest['id']} cannot be installed: {error}") from error
    write_synced(home / MANIFEST, (folder / MANIFEST).read_bytes())
    sync_folder(device.releases)


def make_environment(home: Path, folder: Path, manifest: dict[str, Any]) -> None:
    """Makes ``venv`` from the release's wheels alone; pip is one of them and is run from there."""
    tag = "cp{}{}".format(*sys.version_info[:2])
    if manifest["python"] != tag:
        raise RefusedError(f"it is for Python {manifest['python']}, this device has {tag}")
    wheels = [str(folder / name) for name in manifest["files"] if name.endswith(".whl")]
    pip = next((wheel for wheel in wheels if Path(wheel).name.startswith("pip-")), None)
    if pip is None:
        raise RefusedError("there is no wheel of pip in it")
    system = ["--system-site-packages"] if manifest["system_site_packages"] else []
    python = str(home / "venv/bin/python")
    say(f"installing {len(wheels) - 1} wheels")
    install = [python, f"{pip}/pip", "install", *PIP_OPTIONS]
    for command in (
        [sys.executable, "-m", "venv", "--without-pip", *system, str(home / "venv")],
        [*install, *(wheel for wheel in wheels if wheel != pip)],
        [str(home / PROGRAM), "--version"],
    ):
        trouble = run(command)
        if trouble:
            raise RefusedError(trouble)


def copy_files(home: Path, folder: Path, manifest: dict[str, Any]) -> None:
    """Copies the bundle, the unit and this program, which serves ``--rollback`` later."""
    for name in manifest["files"]:
        if name.startswith("bundle/") or name == UNIT:
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, home / name)
    shutil.copyfile(__file__, home / "install.py")
    text = json.dumps(manifest["arguments"], indent=1) + "\n"
    (home / "arguments.json").write_text(text, encoding="utf-8")


def ensure_user(device: Device, groups: Sequence[str]) -> None:
    """Makes the service's user, in those of the groups that this device has."""
    if device.root != Path("/"):
        return
    try:
        pwd.getpwnam(USER)
    except KeyError:
        add = ["useradd", "--system", "--user-group", "--no-create-home"]
        trouble = run(
            [*add, "--home-dir", "/var/lib/edge-fer", "--shell", "/usr/sbin/nologin", USER]
        )
        if trouble:
            raise RefusedError(f"user {USER} cannot be made: {trouble}") from None
    present = {group.gr_name for group in grp.getgrall()}
    wanted = ",".join(group for group in groups if group in present)
    trouble = run(["usermod", "--append", "--groups", wanted, USER]) if wanted else ""
    if trouble:
        raise RefusedError(f"user {USER} cannot join {wanted}: {trouble}")


def link_unit(device: Device) -> None:
    """Makes the unit that of the current release, whichever it is; enables it the first time."""
    units = device.root / UNITS
    unit, target = units / UNIT, f"/{HOME}/current/{UNIT}"
    if unit.is_symlink() and unit.readlink() == Path(target):
        return
    wants = units / "multi-user.target.wants"
    wants.mkdir(parents=True, exist_ok=True)
    point(wants / UNIT, f"../{UNIT}")
    point(unit, target)


# Switching


def install(device: Device, folder: Path) -> dict[str, Any]:
    """Installs a release; goes back to the one before if it does not come up."""
    say("verifying")
    manifest = verify(folder, device.root / SIGNERS)
    name, before = manifest["id"], device.release_of(device.current)
    make(device, folder, manifest)
    ensure_user(device, manifest["groups"])
    link_unit(device)
    earlier = device.release_of(device.previous)
    if name != before:
        switch(device, name, before)
    if name == before and is_running(device, name):
        return status(device, "unchanged", f"{name} runs already")
    trouble = start(device, name)
    if not trouble:
        prune(device)
        return status(device, "installed", f"{name} runs")
    return go_back(device, name, before if before != name else earlier, earlier, trouble)


def switch(device: Device, name: str, before: str | None) -> None:
    """Makes a release the current one, and the one before the previous."""
    say(f"switching to {name}")
    if before:
        point(device.previous, f"releases/{before}")
    point(device.current, f"releases/{name}")


def go_back(
    device: Device, failed: str, good: str | None, earlier: str | None, trouble: str
) -> dict[str, Any]:
    """Makes the release before the current one again."""
    if not good or good == failed:
        message = f"{failed} does not come up: {trouble}; there is no release to go back to"
        return status(device, "failed", message)
    say(f"{failed} does not come up: {trouble}; going back to {good}")
    point(device.current, f"releases/{good}")
    if earlier and earlier != failed:
        point(device.previous, f"releases/{earlier}")
    again = start(device, good)
    after = f"{good} does not come up either: {again}" if again else f"{good} runs again"
    return status(device, "failed", f"{failed} does not come up: {trouble}; {after}")


def roll_back(device: Device) -> dict[str, Any]:
    """Swaps the current and the previous release."""
    before, name = device.release_of(device.current), device.release_of(device.previous)
    if not name or name == before:
        raise RefusedError(f"{device.home}: there is no release to go back to")
    say(f"switching to {name}")
    point(device.current, f"releases/{name}")
    if before:
        point(device.previous, f"releases/{before}")
    trouble = start(device, name)
    if trouble:
        return status(device, "failed", f"{name} does not come up: {trouble}")
    return status(device, "rolled back", f"{name} runs")


def start(device: Device, name: str) -> str:
    """Restarts the service; returns why it is not well, or nothing."""
    say("restarting the service")
    write_synced(device.running, b"\n")
    trouble = device.ask("daemon-reload") or device.ask("restart", UNIT) or check(device)
    if not trouble:
        write_synced(device.running, f"{name}\n".encode())
        return ""
    said = device.last_words()
    return f"{trouble} ({said})" if said else trouble


def check(device: Device) -> str:
    """Returns why the service is not well, or nothing.

    With ``Type=notify``, the restart was over only when the service said that it is ready.
    """
    if device.health:
        return run(["sh", "-c", device.health], timeout_s=SERVICE_TIMEOUT_S)
    until_s = time.monotonic() + device.settle_s
    while True:
        trouble = device.ask("is-active", UNIT)
        left_s = until_s - time.monotonic()
        if trouble or left_s <= 0:
            return f"the service is {trouble}" if trouble else ""
        time.sleep(min(1.0, left_s))


def is_running(device: Device, name: str) -> bool:
    """Whether a release was seen well since the last switch, and the service is active."""
    try:
        seen = device.running.read_text(encoding="utf-8").strip() == name
    except OSError:
        return False
    return seen and not device.ask("is-active", UNIT)


def prune(device: Device) -> None:
    """Removes all but the current, the previous and the newest releases."""
    kept = {device.release_of(device.current), device.release_of(device.previous)}
    others = [path for path in device.releases.iterdir() if path.name not in kept]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    complete = [path for path in others if device.is_complete(path.name)]
    spared = complete[: max(0, KEPT - len(kept - {None}))]
    for path in others:
        if path in spared:
            continue
        drop(path)


def drop(home: Path) -> None:
    """Removes a release, or a part of one; from the first moment on it does not count any more."""
    with suppress(FileNotFoundError):
        (home / MANIFEST).unlink()
        sync_folder(home)
    shutil.rmtree(home, ignore_errors=True)


def status(device: Device, action: str, message: str) -> dict[str, Any]:
    """Returns the document that tells what is installed and what was done."""
    return {
        "schema": SCHEMA,
        "action": action,
        "message": message,
        "current": device.release_of(device.current),
        "previous": device.release_of(device.previous),
        "releases": sorted(path.parent.name for path in device.releases.glob(f"*/{MANIFEST}")),
    }


@contextmanager
def locked(device: Device) -> Iterator[None]:
    """Lets one installation at a time go on."""
    device.releases.mkdir(parents=True, exist_ok=True)
    with (device.home / "lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError("another installation is at work on this device") from None
        yield


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Installs an edge-fer release on this device.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--release", type=Path, help="folder of the release to install")
    what.add_argument("--rollback", action="store_true", help="go back to the release before")
    what.add_argument("--status", action="store_true", help="tell what is installed")
    parser.add_argument("--root", type=Path, default=Path("/"), help="before every path")
    parser.add_argument("--service", default="systemctl", help="takes the verbs of systemctl")
    parser.add_argument("--health", default="", help="shell command, exit code 0: it is well")
    parser.add_argument("--settle-s", type=float, default=5.0, help="how long it must stay active")
    parser.add_argument("--log", default=LOG, help="prints what the service said last")
    return parser.parse_args(arguments)


def act(device: Device, options: argparse.Namespace) -> dict[str, Any]:
    """Does what was asked for."""
    if options.status:
        return status(device, "status", "")
    with locked(device):
        return roll_back(device) if options.rollback else install(device, options.release)


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = parse_arguments(arguments)
    os.umask(0o022)
    root, settle_s = options.root.resolve(), options.settle_s
    device = Device(root, options.service, options.health, settle_s, options.log)
    try:
        document = act(device, options)
    except (RefusedError, OSError) as error:
        document = status(device, "refused", str(error))
    say(json.dumps(document))
    return {"refused": 2, "failed": 1}.get(document["action"], 0)


if __name__ == "__main__":
    sys.exit(main())
