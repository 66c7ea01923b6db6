"""``edge-fer explain``: what a network looks at, and how it orders faces."""

from pathlib import Path
from typing import Annotated

import typer

from edge_fer.cli_common import DETECTOR_HELP, Data, Force, Json, Quiet, print_json


def explain(
    checkpoint: Annotated[Path, typer.Argument(help="Checkpoint (.safetensors).")],
    out: Annotated[Path, typer.Option(help="Folder for the pictures.")],
    images: Annotated[
        list[Path] | None, typer.Argument(help="Pictures of one face each, or folders of them.")
    ] = None,
    data: Data = "",
    split: Annotated[str, typer.Option(help="Split of the dataset, or all.")] = "PrivateTest",
    classes: Annotated[
        str,
        typer.Option(help="Explain in IMAGES: predicted (and true), all, or names: happy,sad."),
    ] = "predicted",
    label: Annotated[str, typer.Option(help="True class of IMAGES, if you know it.")] = "",
    detect: Annotated[
        bool, typer.Option("--detect", help="Find the face in IMAGES first; else they are crops.")
    ] = False,
    detector: Annotated[str, typer.Option(help=DETECTOR_HELP)] = "auto",
    layer: Annotated[
        str | None, typer.Option(help="Module to look at; by default the last feature map.")
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=20,
            help="Faces of every class on the Grad-CAM sheet; 6, or none with --tsne, --landmarks.",
            show_default=False,
        ),
    ] = None,
    faces: Annotated[
        int, typer.Option(min=1, help="Faces of the dataset for means, t-SNE, landmarks.")
    ] = 1000,
    tsne: Annotated[
        bool, typer.Option("--tsne", help="Lay out the features before the last layer.")
    ] = False,
    landmarks: Annotated[
        Path | None, typer.Option(help="Run of part-ensemble: landmarks before and after.")
    ] = None,
    landmark_labels: Annotated[
        Path | None, typer.Option(help="File of 'data landmarks' for DATA; else Dlib finds them.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of what is drawn by lot.")] = 0,
    force: Force = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Draws what a network looks at (Grad-CAM), its features (t-SNE), its landmarks."""
    from edge_fer.explain.explain import explain as run_explanation
    from edge_fer.explain.request import Request
    from edge_fer.show import stage_printer
    from edge_fer.show_explain import explanation_tables

    request = Request(
        checkpoint=checkpoint,
        out=out,
        images=tuple(images or ()),
        data=data,
        split=split,
        classes=classes,
        label=label,
        detector=detector if detect else None,
        layer=layer,
        per_class=per_class,
        faces=faces,
        tsne=tsne,
        landmarks=landmarks,
        landmark_labels=landmark_labels,
        seed=seed,
        force=force,
    )
    document = run_explanation(request, stage_printer(quiet=quiet))
    if as_json:
        print_json(document)
    else:
        explanation_tables(document)
