"""Runs native code on a file that nobody vouches for, in a process of its own."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from edge_fer.errors import ModelError
from edge_fer.quiet import native_output_captured


def isolated(work: Callable[..., Any], *arguments: Any, name: str, timeout_s: float = 600) -> Any:
    """Calls a function of a module in a new process and returns what it returns.

    Args:
        work: What to call.
        arguments: Of the call.
        name: Of the file, for messages.
        timeout_s: After which the process is ended.

    Raises:
        ModelError: The function failed, or the engine crashed or did not end.
    """
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, work, arguments), daemon=True)
    process.start()
    sender.close()
    try:
        fine, result = receiver.recv() if receiver.poll(timeout_s) else (False, "it did not end")
    except EOFError:
        fine, result = False, "the engine crashed on it"
    finally:
        process.kill()
        process.join()
    if not fine:
        raise ModelError(f"{name}: {result}")
    return result


def _run(sender: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        with native_output_captured(show_on_error=False):
            outcome = (True, work(*arguments))
    except Exception as error:  # whatever it was, the parent says it in one line
        outcome = (False, str(error).strip().partition("\n")[0])
    sender.send(outcome)
    sender.close()
