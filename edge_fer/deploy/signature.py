"""Ed25519 signatures of releases, made and checked by OpenSSH's ``ssh-keygen -Y``."""

import subprocess
from pathlib import Path

from edge_fer.deploy.install import IDENTITY, NAMESPACE
from edge_fer.errors import EdgeFerError

KEY_TYPE = "ssh-ed25519"


def sign(file: Path, key: Path, out: Path) -> None:
    """Writes the signature of a file.

    Args:
        file: What is signed.
        key: Private ed25519 key, or the public one of a key that ssh-agent holds.
        out: The signature.

    Raises:
        EdgeFerError: The key cannot be used.
    """
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE]
    try:
        done = subprocess.run(
            command, input=file.read_bytes(), capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EdgeFerError(f"ssh-keygen, which signs releases, does not run: {error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise EdgeFerError(f"{key}: cannot sign with it ({lines[-1] if lines else 'no reason'})")
    out.write_bytes(done.stdout)


def allowed_signers(public_key: str) -> str:
    """Returns the line of a device's ``/etc/edge-fer/allowed_signers`` that admits a key.

    Args:
        public_key: Text of a ``.pub`` file.

    Raises:
        EdgeFerError: It is no ed25519 public key.
    """
    kind, _, rest = public_key.strip().partition(" ")
    if kind != KEY_TYPE or not rest or "\n" in rest:
        raise EdgeFerError("not an ed25519 public key; make one with: ssh-keygen -t ed25519")
    return f'{IDENTITY} namespaces="{NAMESPACE}" {kind} {rest.split()[0]}\n'
