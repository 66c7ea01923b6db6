"""What a host is, asked before anything is changed there, and whether a release fits it."""

import shlex
from dataclasses import dataclass

from edge_fer.deploy import install
from edge_fer.deploy.ssh import Connection, HostError
from edge_fer.target import Target

#: A board with ``memory_mb`` tells less: its firmware and graphics take a part.
MEMORY_SHARE = 0.6
TIMEOUT_S = 60
#: Prints KEY=VALUE lines; works in any POSIX shell, without any package.
SCRIPT = """
echo "home=$HOME"
echo "architecture=$(uname -m)"
echo "user_id=$(id -u)"
echo "python=$(python3 -c 'import sys; print("cp%d%d" % sys.version_info[:2])' 2>/dev/null)"
place=ROOT
while [ ! -d "$place" ]; do place=$(dirname "$place"); done
echo "disk_mb=$(df -Pm "$place" | awk 'NR == 2 { print $4 }')"
echo "memory_mb=$(awk '/^MemTotal/ { print int($2 / 1024) }' /proc/meminfo)"
command -v rsync >/dev/null && echo "rsync=yes"
[ -d /run/systemd/system ] && echo "systemd=yes"
[ "$(id -u)" = 0 ] || { sudo -n true 2>/dev/null && echo "sudo=yes"; }
exit 0
"""


@dataclass(frozen=True, kw_only=True)
class Host:
    """What a host says of itself.

    Attributes:
        home: Folder of the user who logs in.
        architecture: As ``uname -m`` says.
        python: Tag, e.g. ``cp313``; empty if there is none.
        disk_mb: Free where releases go.
        memory_mb: In all.
        rsync: It is installed.
        systemd: It runs.
        root: The user is root.
        sudo: The user may become root without a password.
    """

    home: str
    architecture: str
    python: str
    disk_mb: int
    memory_mb: int
    rsync: bool
    systemd: bool
    root: bool
    sudo: bool

    @property
    def as_root(self) -> str:
        """What goes before a command that only root may run."""
        return "" if self.root else "sudo -n "


def examine(connection: Connection, root: str = "/") -> Host:
    """Asks a host what it is.

    Raises:
        HostError: It cannot be reached, or its answer is not one.
    """
    place = shlex.quote(f"{root.rstrip('/')}/{install.HOME}")
    done = connection.run("sh -s", stdin=SCRIPT.replace("ROOT", place), timeout_s=TIMEOUT_S)
    return parse(done.stdout)


def parse(text: str) -> Host:
    """Reads what the script printed.

    Raises:
        HostError: Something is missing.
    """
    facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    try:
        return Host(
            home=facts["home"],
            architecture=facts["architecture"],
            python=facts["python"],
            disk_mb=int(facts["disk_mb"]),
            memory_mb=int(facts["memory_mb"]),
            rsync="rsync" in facts,
            systemd="systemd" in facts,
            root=facts["user_id"] == "0",
            sudo="sudo" in facts,
        )
    except (KeyError, ValueError) as error:
        raise HostError(f"it does not tell what it is ({error}); is it a Linux device?") from error


def check(host: Host, target: Target, *, needs_systemd: bool = True) -> None:
    """Raises ``HostError`` for the first reason why nothing can be deployed.

    Args:
        host: The device.
        target: What it is meant to be.
        needs_systemd: The service is systemd's.
    """
    pythons = {target.python, *target.pythons.values()}
    least_mb = int(target.memory_mb * MEMORY_SHARE)
    reasons = {
        f"it is {host.architecture}, target {target.name} is {target.architectures[0]}": (
            host.architecture not in target.architectures
        ),
        "it has no python3; install it: sudo apt-get install python3": not host.python,
        f"its Python is {host.python}, target {target.name} has {', '.join(sorted(pythons))}": (
            host.python not in pythons
        ),
        f"{host.disk_mb} MB are free, {target.disk_mb} are needed": host.disk_mb < target.disk_mb,
        f"it has {host.memory_mb} MB of memory, {least_mb} are needed": host.memory_mb < least_mb,
        "it has no rsync; install it: sudo apt-get install rsync": not host.rsync,
        "systemd does not run there": needs_systemd and not host.systemd,
        "its user may not use sudo without a password; allow it in sudoers, or log in as root": (
            not host.root and not host.sudo
        ),
    }
    for reason, applies in reasons.items():
        if applies:
            raise HostError(reason)
