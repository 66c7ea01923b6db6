"""The system's ssh and rsync: one connection to a host, kept open, and what fails in one line.

The user's own ssh configuration counts: names, ports, keys and jump hosts are set there.
"""

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from edge_fer.errors import EdgeFerError

CONNECT_TIMEOUT_S = 10
COMMAND_TIMEOUT_S = 3600
#: Exit code of ssh where it is not the remote command's.
SSH_FAILED = 255
#: What ssh says, and what to tell of it.
FAILURES = {
    "Could not resolve hostname": "no such host; check the name, or give its address",
    "REMOTE HOST IDENTIFICATION HAS CHANGED": (
        "its host key has changed; if the card was written anew: ssh-keygen -R {host}"
    ),
    "Host key verification failed": "its host key is not known; once by hand: ssh {user_host}",
    "Permission denied": "no key is accepted; put one there: ssh-copy-id {user_host}",
    "Connection refused": "it is up, but no ssh server answers; enable ssh on it",
    "No route to host": "it is not reachable; is it on, and in this network?",
    "Network is unreachable": "it is not reachable; is it on, and in this network?",
    "timed out": "it does not answer; is it on, and in this network?",
    "Timeout, server": "the connection was lost; deploy again, it goes on where it stopped",
    "closed by remote host": "the connection was lost; deploy again, it goes on where it stopped",
    "Broken pipe": "the connection was lost; deploy again, it goes on where it stopped",
}


class HostError(EdgeFerError):
    """A host that cannot be reached, or does not do what it is asked."""


class Connection:
    """A host, over one ssh connection that all commands share.

    Args:
        host: As ssh takes it, e.g. ``USER@HOST``, or a name of the ssh configuration.
        config: ssh configuration file instead of the user's own.
    """

    def __init__(self, host: str, config: Path | None = None) -> None:
        if not host or host.startswith("-") or any(c.isspace() for c in host):
            raise HostError(f"{host!r}: not a host; give USER@HOST")
        self.host = host
        self._folder = tempfile.TemporaryDirectory(prefix="edge-fer-ssh-")
        control = [f"ControlPath={self._folder.name}/s", "ControlMaster=auto", "ControlPersist=60"]
        alive = ["ServerAliveInterval=5", "ServerAliveCountMax=4"]
        settings = ["BatchMode=yes", f"ConnectTimeout={CONNECT_TIMEOUT_S}", *alive, *control]
        chosen = ["-F", str(config)] if config else []
        self._ssh = ["ssh", *chosen, *(word for one in settings for word in ("-o", one))]

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call([*self._ssh, "-O", "exit", self.host], None, CONNECT_TIMEOUT_S)
        self._folder.cleanup()

    def run(
        self, command: str, *, stdin: str | None = None, timeout_s: float = COMMAND_TIMEOUT_S
    ) -> "subprocess.CompletedProcess[str]":
        """Runs a shell command there.

        Raises:
            HostError: The host cannot be reached.
        """
        done = self._call([*self._ssh, self.host, command], stdin, timeout_s)
        if done.returncode == SSH_FAILED:
            raise HostError(self.explain(done.stderr))
        return done

    def follow(self, command: str, on_line: Callable[[str], None]) -> int:
        """Runs a shell command there, gives each line it prints, and returns its exit code.

        Raises:
            HostError: The host cannot be reached any more.
        """
        lines: list[str] = []
        with subprocess.Popen(
            [*self._ssh, self.host, command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                on_line(lines[-1])
        if process.returncode == SSH_FAILED:
            raise HostError(self.explain("\n".join(lines[-5:])))
        return process.returncode

    def upload(self, source: str, folder: str) -> None:
        """Copies a file, or a folder (``NAME/``) exactly; a broken upload goes on later.

        Raises:
            HostError: It does not work.
        """
        shell = " ".join(_quoted(word) for word in self._ssh)
        options = [
            "-r",
            "--times",
            "--perms",
            "--checksum",
            "--delete",
            "--partial",
            "--chmod=D700,F600",
        ]
        command = ["rsync", *options, "-e", shell, source, f"{self.host}:{folder}/"]
        done = self._call(command, None, COMMAND_TIMEOUT_S)
        if done.returncode == SSH_FAILED:
            raise HostError(self.explain(done.stderr))
        if done.returncode:
            raise HostError(f"the upload broke off ({first_line(done.stderr)}); deploy again")

    def explain(self, stderr: str) -> str:
        """Returns what went wrong, and what to do, in one line."""
        plain = self.host.rpartition("@")[2]
        for said, advice in FAILURES.items():
            if said in stderr:
                return advice.format(host=plain, user_host=self.host)
        return first_line(stderr)

    def _call(
        self, command: Sequence[str], stdin: str | None, timeout_s: float
    ) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                command,
                input=stdin or "",
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            raise HostError(f"no answer to {command[0]} in {timeout_s:.0f} s") from error
        except OSError as error:
            raise HostError(f"{command[0]} is not installed here: {error.strerror}") from error


def first_line(text: str) -> str:
    """Returns the first line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "without a word"


def _quoted(word: str) -> str:
    """As rsync's ``-e`` reads words: quotes keep spaces together, a backslash means itself."""
    return f'"{word}"' if " " in word else word
