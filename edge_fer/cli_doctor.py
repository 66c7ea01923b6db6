"""``edge-fer doctor``."""

import typer

from edge_fer.cli_common import Json, print_json


def doctor(as_json: Json = False) -> None:
    """Tells what this device is, what is wrong with it, and what helps.

    Exit code 1: a check failed.
    """
    from edge_fer.doctor.diagnose import diagnose, exit_code
    from edge_fer.show_doctor import doctor_table

    document = diagnose()
    if as_json:
        print_json(document)
    else:
        doctor_table(document)
    raise typer.Exit(exit_code(document))
