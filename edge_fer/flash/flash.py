"""From a system's stock image to a card whose first boot installs a release.

The image is read twice. The first pass finds everything that may be wrong with it, and copies the
boot partition to a file without a name, where it is changed. Only then is the card written, and
read back.
"""

import errno
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from edge_fer.deploy.release import verify_release
from edge_fer.errors import EdgeFerError, MissingExtraError, OutputError
from edge_fer.flash.boot import HOOKS, detect_hook, put_files, refuse_customised
from edge_fer.flash.card import verify_card, write_card
from edge_fer.flash.credentials import (
    read_password_hash,
    read_signers,
    read_ssh_keys,
    read_wifi_key,
)
from edge_fer.flash.disks import ROOT, Disk
from edge_fer.flash.fat import FatVolume
from edge_fer.flash.output import check_output, check_room, new_file, open_disk
from edge_fer.flash.request import Confirm, FlashRequest, Progress
from edge_fer.flash.survey import Survey, expected_sha256, file_sha256, survey_image
from edge_fer.provision import NO_PASSWORD, FirstBoot, cloud_init_files

SCHEMA = "edge-fer/flash/1"


def flash(
    request: FlashRequest, progress: Progress, confirm: Confirm, root: Path = ROOT
) -> dict[str, Any]:
    """Makes a card, or a file that can be written to one.

    Args:
        request: What to make.
        progress: Told how far it is.
        confirm: Asks before a disk is overwritten; what it returns must be the disk's path.
        root: Where ``sys`` and ``proc`` are found.

    Returns:
        The document of ``--json``; it holds no secrets.

    Raises:
        EdgeFerError: Something cannot be used; unless the message says otherwise, nothing was
            written.
    """
    signers = read_signers(request.signers) if request.signers else ""
    release = _check_release(request, signers)
    boot = _first_boot(request, signers)
    disk = check_output(
        request.out, request.image, force=request.force, force_fixed=request.force_fixed, root=root
    )
    with tempfile.TemporaryFile(prefix="edge-fer-") as boot_file:
        survey, checksum = _survey(request, boot_file, progress)
        check_room(request.out, disk, survey.size_bytes)
        hook, files = _customise(request, boot_file, survey, boot, release)
        if disk and not request.yes:
            _ask(request.out, disk, confirm)
        _write(request, disk, boot_file, survey, files, progress)
    return {
        "schema": SCHEMA,
        "image": str(request.image),
        "image_sha256": survey.sha256,
        "checksum": checksum,
        "out": str(request.out),
        "size_mb": round(survey.size_bytes / 1e6, 3),
        "target": request.target.name,
        "hook": hook,
        "hostname": request.hostname,
        "user": request.user,
        "password_login": request.password_file is not None,
        "wifi_ssid": request.wifi_ssid or None,
        "instance_id": boot.instance_id,
        "release": release["id"],
        "signed_only": bool(signers),
        "files": sorted(files),
        "outside_sha256": survey.outside_sha256,
        "verified": True,
    }


def _check_release(request: FlashRequest, signers: str) -> dict[str, Any]:
    """Returns what the release says, verified as the device will do it."""
    with tempfile.NamedTemporaryFile("w", prefix="edge-fer-") as file:
        file.write(signers)
        file.flush()
        try:
            document = verify_release(request.release, Path(file.name) if signers else None)
        except EdgeFerError as error:
            raise EdgeFerError(str(error).replace(file.name, str(request.signers))) from error
    if document["target"] != request.target.name:
        raise EdgeFerError(
            f"{request.release}: is for {document['target']}, not for {request.target.name}"
        )
    return document


def _first_boot(request: FlashRequest, signers: str) -> FirstBoot:
    """Returns what is to be set up, all of it checked before the image is read."""
    password, wifi = request.password_file, request.wifi_password_file
    boot = FirstBoot(
        hostname=request.hostname,
        user=request.user,
        instance_id=f"edge-fer-{uuid.uuid4()}",
        ssh_keys=read_ssh_keys(request.ssh_key),
        password_hash=read_password_hash(password) if password else NO_PASSWORD,
        timezone=request.timezone,
        wifi_ssid=request.wifi_ssid,
        wifi_key=read_wifi_key(wifi, request.wifi_ssid) if wifi else "",
        wifi_country=request.wifi_country,
        wifi_hidden=request.wifi_hidden,
        signers=signers,
    )
    cloud_init_files(boot)
    return boot


def _survey(request: FlashRequest, boot_file: BinaryIO, progress: Progress) -> tuple[Survey, str]:
    """Returns what the image is, and which checksum was verified."""
    image = request.image
    expected = expected_sha256(image, request.sha256)
    packed = file_sha256(image) if expected else ""
    total = image.stat().st_size if image.is_file() else 0
    try:
        survey = survey_image(image, boot_file, lambda done: progress("check", done, total))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OutputError(
            f"{tempfile.gettempdir()}: no room for a copy of the boot partition; "
            "set TMPDIR to a folder with more"
        ) from error
    if expected and expected not in (packed, survey.sha256):
        raise EdgeFerError(f"{image}: is not what its checksum says (SHA-256); get it again")
    return survey, "verified" if expected else "not given"


def _customise(
    request: FlashRequest,
    boot_file: BinaryIO,
    survey: Survey,
    boot: FirstBoot,
    release: Mapping[str, Any],
) -> tuple[str, dict[str, str]]:
    try:
        with FatVolume(boot_file, 0, survey.partition.size_bytes) as volume:
            hook = detect_hook(volume)
            if not request.force:
                refuse_customised(volume)
            _check_python(request, hook, str(release["python"]))
            return hook, put_files(volume, hook, boot, request.release, release)
    except MissingExtraError:
        raise
    except EdgeFerError as error:
        raise EdgeFerError(f"{request.image}: {error}") from error


def _check_python(request: FlashRequest, hook: str, python: str) -> None:
    system = HOOKS[hook].system
    wanted = request.target.pythons.get(system, python)
    if python != wanted:
        raise EdgeFerError(f"its system ({system}) needs a release for {wanted}, not for {python}")


def _ask(out: Path, disk: Disk, confirm: Confirm) -> None:
    what = ", ".join(filter(None, [disk.model, f"{disk.size_bytes / 1e9:.1f} GB"]))
    if confirm(f"Everything on {out} ({what}) will be lost. Type {out} to go on") != str(out):
        raise OutputError(f"{out}: not confirmed; nothing was written")


def _write(
    request: FlashRequest,
    disk: Disk | None,
    boot_file: BinaryIO,
    survey: Survey,
    files: Mapping[str, str],
    progress: Progress,
) -> None:
    size = survey.size_bytes
    with open_disk(request.out) if disk else new_file(request.out) as stream:
        digest = write_card(
            stream,
            request.image,
            survey,
            boot_file,
            lambda done: progress("write", done, size),
            sparsely=disk is None,
        )
        verify_card(stream, survey, digest, files, lambda done: progress("verify", done, size))
