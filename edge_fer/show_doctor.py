"""What people see of a diagnosis."""

from typing import Any

from rich.console import Console
from rich.markup import escape

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "unknown": "dim"}


def doctor_table(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/doctor/1``: a line for each check, and under it what to do."""
    console = Console(highlight=False, soft_wrap=True)
    for check in document["checks"]:
        style = _STYLES[check["status"]]
        console.print(
            f"[{style}]{check['status']:>7}[/]  {escape(check['name'])}: {escape(check['found'])}"
        )
        if check["advice"]:
            console.print(f"         -> {escape(check['advice'])}")
