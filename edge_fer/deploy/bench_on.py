"""``edge-fer bench`` on a device, by the release that runs there."""

import json
import shlex
from collections.abc import Callable, Sequence
from typing import Any

from edge_fer.deploy import preflight
from edge_fer.deploy.deploy import Device
from edge_fer.deploy.install import UNIT
from edge_fer.deploy.release import DEVICE_HOME
from edge_fer.deploy.ssh import HostError

#: The service would take a part of the processor: it rests meanwhile, and starts again after.
SCRIPT = """
if {ask} is-active --quiet {unit}; then
    {root}{ask} stop {unit} >&2
    trap '{root}{ask} start {unit} >&2' EXIT
    trap 'exit 143' HUP INT TERM
fi
{command} </dev/null
"""


def bench_on(
    host: str,
    arguments: Sequence[str] = (),
    *,
    device: Device | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measures on a device and returns its document, ``edge-fer/bench/1``.

    Args:
        host: As ssh takes it.
        arguments: Of ``edge-fer bench`` there, without ``--json``; paths are the device's, and
            ``DEVICE_BUNDLE`` is the bundle of its current release.
        device: How things are there.
        progress: Told what is going on.

    Raises:
        HostError: It cannot be reached, has no release, or the bench fails.
    """
    device = device or Device()
    program = f"{device.root.rstrip('/')}{DEVICE_HOME}/current/venv/bin/edge-fer"
    with device.connect(host) as connection:
        seen = preflight.examine(connection, device.root)
        progress(f"{host}: measuring")
        command = shlex.join([program, "bench", *arguments, "--quiet", "--json"])
        script = SCRIPT.format(ask=device.service, unit=UNIT, root=seen.as_root, command=command)
        done = connection.run("sh -s", stdin=script)
        if done.returncode == 127:
            raise HostError(f"{host}: no release is installed; first: edge-fer deploy {host}")
        if done.returncode:
            said = [line for line in done.stderr.splitlines() if line.strip()]
            raise HostError(f"{host}: bench failed: {said[-1] if said else 'without a word'}")
    try:
        document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError) as error:
        raise HostError(f"{host}: what bench printed is no document ({error})") from error
    return document
