"""``edge-fer release``, ``edge-fer deploy`` and ``edge-fer flash``."""

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from edge_fer.cli_common import Force, Json, Quiet, print_json
from edge_fer.errors import EdgeFerError

BundleName = Annotated[str, typer.Option(help="Bundle, by name or path.")]
Arguments = Annotated[
    str,
    typer.Option(help="Of run on the device, e.g. '--publish mqtt://localhost/robot'."),
]
Wheels = Annotated[
    Path | None,
    typer.Option(help="Folder of ready wheels, edge-fer's among them, instead of a download."),
]
Key = Annotated[Path | None, typer.Option(help="Sign the release with this ed25519 key.")]


def deploy(
    hosts: Annotated[
        list[str],
        typer.Argument(help="USER@HOST, or names of your ssh configuration; several at once."),
    ],
    bundle: BundleName = "",
    target: Annotated[str, typer.Option(help="What the devices are, e.g. raspberry-pi-5.")] = "",
    arguments: Arguments = "",
    release: Annotated[
        Path | None, typer.Option(help="A ready release, instead of --bundle and --target.")
    ] = None,
    wheels: Wheels = None,
    key: Key = None,
    health: Annotated[
        str, typer.Option(help="Shell command on the device; exit code 0: the service is well.")
    ] = "",
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the release before.")
    ] = False,
    ssh_config: Annotated[
        Path | None, typer.Option(help="ssh configuration file instead of your own.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Installs a release over ssh on one or more devices; goes back if it does not come up.

    Exit code 1: it failed on a device; the others are done.
    """
    from edge_fer.deploy.deploy import Content, Device, roll_back
    from edge_fer.deploy.deploy import deploy as deploy_to
    from edge_fer.deploy.release import verify_release
    from edge_fer.resources import find_resource
    from edge_fer.target import read_target

    def tell(host: str, line: str) -> None:
        if not quiet:
            sys.stderr.write(f"{host or 'release'}: {line}\n")

    device = Device(health=health, ssh_config=ssh_config)
    if rollback:
        document = roll_back(hosts, device=device, progress=tell)
    else:
        if release is None and not (bundle and target):
            raise EdgeFerError("deploy needs --bundle and --target, or --release, or --rollback")
        name = verify_release(release)["target"] if release else target
        content = Content(
            target=read_target(find_resource("target", name)),
            release=release,
            bundle=None if release else find_resource("bundle", bundle),
            arguments=shlex.split(arguments),
            wheels=wheels,
            key=key,
        )
        document = deploy_to(hosts, content, device=device, progress=tell)
    if as_json:
        print_json(document)
    else:
        for one in document["hosts"]:
            typer.echo(f"{'ok    ' if one['ok'] else 'FAILED'} {one['host']}: {one['message']}")
    if not document["ok"]:
        raise typer.Exit(1)


def release(
    target: Annotated[str, typer.Option(help="What the device is, e.g. raspberry-pi-5.")],
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    bundle: BundleName = "",
    arguments: Arguments = "",
    wheels: Wheels = None,
    key: Key = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Collects what a device needs, wheels and bundle, to install it there without a network."""
    from edge_fer.deploy.release import build_release
    from edge_fer.resources import find_resource
    from edge_fer.runtime.recognizer import DEFAULT_BUNDLE
    from edge_fer.show import stage_printer
    from edge_fer.target import read_target

    document = build_release(
        out,
        target=read_target(find_resource("target", target)),
        bundle=find_resource("bundle", bundle or DEFAULT_BUNDLE),
        arguments=shlex.split(arguments),
        wheels=wheels,
        key=key,
        progress=stage_printer(quiet=quiet),
    )
    if as_json:
        print_json(document)
    else:
        typer.echo(f"{out}: release {document['id']}")


def flash(
    image: Annotated[
        Path, typer.Argument(help="Stock system image: .img, .img.xz, .gz, .zip, .zst.")
    ],
    target: Annotated[str, typer.Option(help="Device, a name or a path of a profile.")],
    out: Annotated[Path, typer.Option(help="A new file, or a whole disk, e.g. /dev/sdb.")],
    release: Annotated[
        Path, typer.Option(help="Folder of the release to install at the first boot.")
    ],
    hostname: Annotated[str, typer.Option(help="Name of the device.")],
    user: Annotated[str, typer.Option(help="Who logs in.")],
    ssh_key: Annotated[Path, typer.Option(help="File with public keys that may log in.")],
    password_file: Annotated[
        Path | None,
        typer.Option(help="File with the user's password on one line; without it, keys only."),
    ] = None,
    wifi_ssid: Annotated[str, typer.Option(help="Name of the Wi-Fi network.")] = "",
    wifi_password_file: Annotated[
        Path | None, typer.Option(help="File with its passphrase on one line.")
    ] = None,
    wifi_country: Annotated[str, typer.Option(help="Two capitals, e.g. AT.")] = "",
    wifi_hidden: Annotated[
        bool, typer.Option("--wifi-hidden", help="The network does not tell its name.")
    ] = False,
    signers: Annotated[
        Path | None,
        typer.Option(help="Public ed25519 keys; the device installs only what one has signed."),
    ] = None,
    timezone: Annotated[str, typer.Option(help="E.g. Europe/Vienna.")] = "Etc/UTC",
    sha256: Annotated[
        str,
        typer.Option(help="Of the image, packed or unpacked; else IMAGE.sha256, if it is there."),
    ] = "",
    force: Force = False,
    force_fixed: Annotated[
        bool, typer.Option("--force-fixed", help="Take a disk that is no card and not on USB.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask before a disk is overwritten.")
    ] = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Makes a card of a stock image that installs a release at its first boot."""
    from edge_fer.flash.flash import flash as make_card
    from edge_fer.flash.request import FlashRequest
    from edge_fer.resources import find_resource
    from edge_fer.runtime.service.signals import stop_on_signals
    from edge_fer.show_flash import FlashProgress
    from edge_fer.target import read_target

    request = FlashRequest(
        image=image,
        target=read_target(find_resource("target", target)),
        out=out,
        release=release,
        hostname=hostname,
        user=user,
        ssh_key=ssh_key,
        password_file=password_file,
        wifi_ssid=wifi_ssid,
        wifi_password_file=wifi_password_file,
        wifi_country=wifi_country,
        wifi_hidden=wifi_hidden,
        signers=signers,
        timezone=timezone,
        sha256=sha256,
        force=force,
        force_fixed=force_fixed,
        yes=yes,
    )
    with stop_on_signals(), FlashProgress(quiet=quiet or as_json) as progress:
        document = make_card(request, progress.show, progress.ask)
    if as_json:
        print_json(document)
    else:
        typer.echo(
            f"{out}: {document['hook']}, {document['hostname']}, release {document['release']}, "
            f"read back and right"
        )
