"""A real ssh server with its own keys and configuration, and the client's configuration for it."""

import getpass
import os
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

SSHD = shutil.which("sshd") or shutil.which("/usr/sbin/sshd")
#: Where an ssh server that root starts shuts itself in.
PRIVILEGE_FOLDER = Path("/run/sshd")


def missing_programs() -> list[str]:
    """Names of the programs that are not installed."""
    found = {"sshd": SSHD, **{name: shutil.which(name) for name in ("ssh", "ssh-keygen", "rsync")}}
    return [name for name, path in found.items() if path is None]


def make_key(path: Path) -> str:
    """Makes a key; returns the line of its public half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True)
    return path.with_name(f"{path.name}.pub").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SshServer:
    """An ssh server while the ``with`` block lasts.

    Hosts of the client's configuration: ``robot`` is the server, ``refused`` has
    no server, ``changed`` another key than the known one, ``stranger`` an unknown one, ``locked``
    takes no key, ``nowhere`` does not exist.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.home, self.programs = folder / "home", folder / "bin"
        self.config = folder / "ssh_config"
        self.home.mkdir()
        self.programs.mkdir()
        self.program("python3", f'exec {sys.executable} "$@"')
        public = make_key(folder / "user_key")
        (folder / "authorized_keys").write_text(public)
        self._write_client(make_key(folder / "host_key"), make_key(folder / "other_key"))
        self._write_server()

    def program(self, name: str, body: str) -> Path:
        """Puts a shell script where the server's commands look first."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
        return path

    def __enter__(self) -> "SshServer":
        if os.getuid() == 0:
            PRIVILEGE_FOLDER.mkdir(exist_ok=True)
        assert SSHD is not None
        command = [SSHD, "-D", "-e", "-f", str(self.folder / "sshd_config")]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        assert self._process.stderr is not None
        self._log = self._process.stderr
        if not any("Server listening" in line for line in self._log):
            raise RuntimeError("sshd does not start")
        self._reader = threading.Thread(target=self._log.read)
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._log.close()

    def _write_server(self) -> None:
        path = f"{self.programs}:{os.environ['PATH']}"
        lines = [
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.folder / 'host_key'}",
            f"AuthorizedKeysFile {self.folder / 'authorized_keys'}",
            "StrictModes no",
            "UsePAM no",
            "PidFile none",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin prohibit-password",
            f'SetEnv "HOME={self.home}" "PATH={path}"',
        ]
        (self.folder / "sshd_config").write_text("\n".join([*lines, ""]))

    def _write_client(self, host_key: str, other_key: str) -> None:
        known = self.folder / "known_hosts"
        known.write_text(f"robot {host_key}changed {other_key}locked {host_key}")
        hosts = {
            "robot": ["HostKeyAlias robot"],
            "changed": ["HostKeyAlias changed"],
            "stranger": ["HostKeyAlias stranger"],
            "locked": ["HostKeyAlias robot", f"IdentityFile {self.folder / 'other_key'}"],
            "refused": [f"Port {free_port()}"],
            "nowhere": ["HostName nowhere.invalid"],
        }
        common = [
            "HostName 127.0.0.1",
            f"Port {self.port}",
            f"User {getpass.getuser()}",
            f"IdentityFile {self.folder / 'user_key'}",
            "IdentitiesOnly yes",
            f"UserKnownHostsFile {known}",
            "GlobalKnownHostsFile /dev/null",
            "StrictHostKeyChecking yes",
        ]
        lines = []
        for names, settings in hosts.items():
            keyless = names == "locked"
            rest = [one for one in common if not (keyless and one.startswith("IdentityFile"))]
            lines += [f"Host {names}", *settings, *rest]
        self.config.write_text("\n".join([*lines, ""]))
