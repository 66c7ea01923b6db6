"""``edge-fer data``: look at a dataset, split it, find its landmarks."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_fer.cli_common import Force, Json, Quiet, print_json
from edge_fer.errors import OutputError
from edge_fer.files import refuse_overwrite, write_atomic

if TYPE_CHECKING:
    import numpy as np

data_app = typer.Typer(
    no_args_is_help=True,
    help="Look at a dataset: counts, faults, repeats, a preview, splits, landmarks.",
)

Spec = Annotated[str, typer.Argument(help="Dataset, NAME:PATH, e.g. fer2013:~/fer2013.csv.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn by lot.")]
Strict = Annotated[
    bool, typer.Option("--strict", help="Refuse a dataset of which anything is left out.")
]


@data_app.command()
def info(
    spec: Spec,
    as_json: Json = False,
    strict: Strict = False,
    near: Annotated[
        bool | None,
        typer.Option(
            "--near/--no-near",
            help="Look for near duplicates, or not; by default if ImageHash is installed.",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Counts a dataset and reads all of it: damage, repeats, leaks between its splits."""
    from edge_fer.data.report import info_document
    from edge_fer.data.spec import read_dataset
    from edge_fer.show_data import info_tables, item_counter

    dataset = read_dataset(spec, strict=strict)
    document = info_document(dataset, near=near, on_progress=item_counter(quiet=quiet))
    if as_json:
        print_json(document)
    else:
        info_tables(document)
    if strict and document["unreadable"]:
        raise typer.Exit(1)


@data_app.command()
def preview(
    spec: Spec,
    out: Annotated[Path, typer.Option(help="Picture to write, .png.")],
    per_class: Annotated[int, typer.Option(min=1, max=200, help="Images per class.")] = 10,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Draws some images of every class on one sheet."""
    from edge_fer.data.report import contact_sheet
    from edge_fer.data.spec import read_dataset

    _check_picture(out, force=force)
    sheet = contact_sheet(read_dataset(spec, strict=False), per_class=per_class, seed=seed)
    _write_picture(out, sheet)
    typer.echo(f"{sheet.shape[1]}x{sheet.shape[0]} pixels -> {out}")


@data_app.command()
def split(
    spec: Spec,
    protocol: Annotated[str, typer.Option(help="official, loso, k-fold or holdout.")],
    out: Annotated[Path, typer.Option(help="File to write, JSON.")],
    k: Annotated[int, typer.Option("--k", help="Folds of k-fold.")] = 10,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Writes who is trained on and who is tested, subject-independent where subjects are known."""
    from edge_fer.data.protocols import make_folds, write_protocol
    from edge_fer.data.spec import read_dataset
    from edge_fer.show_data import folds_table

    refuse_overwrite(out, force=force)
    dataset = read_dataset(spec, strict=False)
    folds = make_folds(dataset, protocol, k=k, seed=seed)
    write_protocol(out, dataset, folds)
    folds_table(folds, f"{dataset.name}, {protocol}")
    typer.echo(f"{len(folds)} {'fold' if len(folds) == 1 else 'folds'} -> {out}")


@data_app.command()
def landmarks(
    spec: Spec,
    out: Annotated[Path, typer.Option(help="File to write or to go on with, .npz.")],
    split: Annotated[
        list[str] | None,
        typer.Option(help="Split of the dataset; repeatable; by default all.", show_default=False),
    ] = None,
    preview: Annotated[
        Path | None, typer.Option(help="Also draw the points of some faces, .png.")
    ] = None,
    as_json: Json = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an existing preview; OUT is never emptied.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Finds 68 landmarks of every face, for training; stopped, it goes on where it was."""
    from edge_fer.data import landmark_set
    from edge_fer.show_data import item_counter, landmarks_line

    if out.suffix.lower() != ".npz":
        raise OutputError(f"{out}: landmarks are kept in a file whose name ends in .npz")
    if preview:
        _check_picture(preview, force=force)
    counter = item_counter(quiet=quiet)
    try:
        sets = landmark_set.find_sets(spec, split or landmark_set.SPLITS, out, on_progress=counter)
    except KeyboardInterrupt:
        sys.stderr.write(f"edge-fer: stopped; what was found is in {out}: run it again to go on\n")
        raise typer.Exit(130) from None
    if preview:
        _write_picture(preview, landmark_set.landmark_sheet(sets))
    document = landmark_set.landmarks_document(sets, out)
    if as_json:
        print_json({**document, "preview": str(preview) if preview else None})
    else:
        landmarks_line(document)


def _check_picture(out: Path, *, force: bool) -> None:
    if out.suffix.lower() != ".png":
        raise OutputError(f"{out}: the sheet is a picture whose name ends in .png")
    refuse_overwrite(out, force=force)


def _write_picture(out: Path, sheet: "np.ndarray") -> None:
    import cv2

    _, png = cv2.imencode(".png", sheet)
    write_atomic(out, lambda file: file.write_bytes(png.tobytes()))
