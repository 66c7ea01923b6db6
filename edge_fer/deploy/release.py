"""Releases: one folder with all that a device needs, verified before any of it is used.

``release.json`` says what is in it, with the SHA-256 and the size of every other file:

    wheels/*.whl   edge-fer, what it needs, and pip
    bundle/        the model
    edge-fer.service   the unit
    install.py     what installs it, run by the device's own Python
    release.sig    optional, an ed25519 signature of release.json
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge_fer import __version__
from edge_fer.bundle import Bundle, save_bundle
from edge_fer.deploy import install, wheelhouse
from edge_fer.deploy.signature import sign
from edge_fer.errors import EdgeFerError, OutputError
from edge_fer.target import Target

INSTALLER = Path(install.__file__)
DEVICE_HOME = f"/{install.HOME}"
DEVICE_BUNDLE = f"{DEVICE_HOME}/current/bundle"
SECRETS = "put it into /etc/edge-fer/environment on the device"


def build_release(
    out: Path,
    *,
    target: Target,
    bundle: Path,
    arguments: Sequence[str] = (),
    wheels: Path | None = None,
    key: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Makes a release; it appears whole, or not at all.

    Args:
        out: The new folder.
        target: The device; its ``python`` is the one that the release is for.
        bundle: Folder or .tar.
        arguments: Of ``edge-fer run`` on the device, after those every service has; a first one
            without a dash is the source, instead of the target's camera.
        wheels: Folder of ready wheels, edge-fer's own among them; downloaded if none.
        key: Private ed25519 key to sign with.
        progress: Told what is going on.

    Returns:
        What ``release.json`` says.

    Raises:
        EdgeFerError: Something cannot be used, or there is something at ``out``.
    """
    if out.exists():
        raise OutputError(f"{out} exists; a release goes into a new folder")
    words = run_arguments(target, arguments)
    loaded = Bundle.load(bundle)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
            folder = Path(temporary) / "release"
            (folder / "wheels").mkdir(parents=True)
            save_bundle(folder / "bundle", loaded.manifest, loaded.contents)
            _collect(folder / "wheels", target, words, wheels, progress)
            document = _finish(folder, target, words, key)
            folder.rename(out)
    except OSError as error:
        raise OutputError(f"{out}: cannot be written: {error.strerror or error}") from error
    progress(f"release {document['id']}")
    return document


def verify_release(folder: Path, signers: Path | None = None) -> dict[str, Any]:
    """Returns what a release says, once every file of it was checked.

    Args:
        folder: The release.
        signers: ``allowed_signers`` file that its signature must be by; none: not looked at.

    Raises:
        EdgeFerError: A file is missing or changed, or the signature is not by an allowed key.
    """
    if signers and not signers.is_file():
        raise EdgeFerError(f"{signers}: no such file of allowed signers")
    try:
        return install.verify(folder, signers)
    except install.RefusedError as error:
        raise EdgeFerError(str(error)) from error


def run_arguments(target: Target, arguments: Sequence[str]) -> list[str]:
    """Returns what follows ``edge-fer run`` on the device.

    Raises:
        EdgeFerError: An argument holds a secret, which every user of the device could read.
    """
    for argument in arguments:
        if argument == "--token" or argument.startswith("--token="):
            raise EdgeFerError(f"--token would be readable by all; {SECRETS} as EDGE_FER_TOKEN=...")
        if "://" in argument and urlsplit(argument.partition("=")[2] or argument).password:
            raise EdgeFerError(f"an address with a password would be readable by all; {SECRETS}")
    has_source = bool(arguments) and not arguments[0].startswith("-")
    source, rest = (arguments[0], arguments[1:]) if has_source else (target.camera, arguments)
    fixed = ["--bundle", DEVICE_BUNDLE, "--retry-s", "0", "--silent", "--log-json"]
    return [source, *fixed, *rest]


def extras_for(target: Target, arguments: Sequence[str]) -> list[str]:
    """Returns the extras of edge-fer that a target's engines and the arguments need."""
    needs = {
        "onnx": "onnxruntime" in target.engines,
        "mqtt": any("mqtt://" in word or "mqtts://" in word for word in arguments),
        "serve": any(word.split("=")[0] == "--serve" for word in arguments),
    }
    return [extra for extra, needed in needs.items() if needed]


def _collect(
    folder: Path,
    target: Target,
    arguments: Sequence[str],
    wheels: Path | None,
    progress: Callable[[str], None],
) -> None:
    extras = extras_for(target, arguments)
    if wheels:
        wheelhouse.take(wheels, folder, target, extras)
    else:
        wheelhouse.gather(folder, target, extras, progress)


def _finish(
    folder: Path, target: Target, arguments: Sequence[str], key: Path | None
) -> dict[str, Any]:
    """Writes what is told of the release, and its signature."""
    from edge_fer.provision import service_unit

    shutil.copyfile(INSTALLER, folder / "install.py")
    (folder / install.UNIT).write_text(service_unit(target, arguments), encoding="utf-8")
    document: dict[str, Any] = {
        "schema": install.RELEASE_SCHEMA,
        "version": __version__,
        "target": target.name,
        "python": target.python,
        "system_site_packages": target.boot == "raspberry-pi",
        "groups": list(target.groups),
        "arguments": list(arguments),
        "files": _records(folder),
    }
    document["id"] = install.release_id(document)
    manifest = folder / install.MANIFEST
    manifest.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if key:
        sign(manifest, key, folder / install.SIGNATURE)
    folder.chmod(0o755)
    return document


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix(): {
            "size": path.stat().st_size,
            "sha256": install.file_sha256(path),
        }
        for path in files
    }
