"""The driver's side of the line protocol that ``workers/serve.py`` describes."""

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from environments import PeerError

LIMIT_S = 600
#: One thread wherever a library can be told so, no GPU, no chatter.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "PYTHONWARNINGS": "ignore",
}


class Client:
    """A worker process; used in a ``with`` statement, which ends it.

    Args:
        name: For messages.
        command: That starts it.
        limit_s: An answer that takes longer is an error.
    """

    def __init__(self, name: str, command: Sequence[str], limit_s: float = LIMIT_S) -> None:
        self._name, self._limit_s = name, limit_s
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment | SETTINGS,
            )
        except OSError as error:
            raise PeerError(f"{name}: {error}") from error

    def ask(self, op: str, **values: Any) -> dict[str, Any]:
        """Sends a request and waits for the answer.

        Raises:
            PeerError: The worker ended, took too long or answered with an error.
        """
        timer = threading.Timer(self._limit_s, self._process.kill)
        timer.start()
        try:
            print(json.dumps({"op": op, **values}), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise PeerError(f"{self._name}: its worker ended or took over {self._limit_s:.0f} s")
        return self._checked(line)

    def _checked(self, line: str) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(line)
        except ValueError as error:
            raise PeerError(f"{self._name}: answered {line.strip()[:80]!r}") from error
        if "error" in answer:
            raise PeerError(f"{self._name}: {answer['error']}")
        return answer

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
