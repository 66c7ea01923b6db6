"""What ``edge-fer explain`` prints."""

from collections.abc import Iterable, Mapping
from typing import Any

from edge_fer.show_table import print_line, print_table

_SPLIT_HEADS = ["network", "upper half %", "lower half %"]


def explanation_tables(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/explain/1``: figures, then the files written."""
    height, width = document["map_hw"]
    print_line(f"{document['model']}, Grad-CAM at {document['layer']} ({height}x{width})")
    if document["images"]:
        _images_table(document["images"])
    if document["classes"]:
        _classes_table(document["classes"])
    if document["tsne"]:
        _features_lines(document["tsne"])
    if document["landmarks"]:
        _landmarks_table(document["landmarks"])
    for file in document["files"]:
        print_line(f"-> {file}")


def _images_table(images: Iterable[Mapping[str, Any]]) -> None:
    rows = [
        [
            image["file"],
            image["predicted"],
            f"{image['probability']:.2f}",
            image["label"] or "-",
            heat["class"],
            *_heat_cells(heat),
        ]
        for image in images
        for heat in image["heat"]
    ]
    heads = ["image", "predicted", "probability", "true", "heat for", *_SPLIT_HEADS]
    print_table("Where the heat is", heads, rows)


def _classes_table(classes: Mapping[str, Any]) -> None:
    rows = [
        [
            row["class"],
            f"{row['n']:,}",
            f"{100 * row['correct'] / row['n']:.1f}",
            f"{row['without_heat']:,}",
            *_heat_cells(heat),
        ]
        for row in classes["rows"]
        for heat in row["heat"]
    ]
    heads = ["class", "faces", "right %", "without heat", *_SPLIT_HEADS]
    print_table(f"Mean heat, {classes['source']}", heads, rows)


def _features_lines(tsne: Mapping[str, Any]) -> None:
    print_line(
        f"{tsne['features']} features of {tsne['n']:,} faces of {tsne['source']}: "
        f"{tsne['neighbours']}-NN accuracy {tsne['knn_accuracy']:.1%}, "
        f"silhouette {tsne['silhouette']:.3f}"
    )


def _landmarks_table(landmarks: Mapping[str, Any]) -> None:
    rows = [
        [
            row["part"],
            str(row["points"]),
            *(f"{row[state]['l1']:.4f}" for state in ("before", "after")),
            *(f"{row[state]['percent_of_eyes']:.2f}" for state in ("before", "after")),
        ]
        for row in landmarks["parts"]
    ]
    heads = ["part", "points", "L1 before", "L1 after", "% of eyes before", "% of eyes after"]
    print_table(f"Landmarks of {landmarks['n']:,} faces, {landmarks['source']}", heads, rows)


def _heat_cells(heat: Mapping[str, Any]) -> list[str]:
    shares = [heat["upper"], heat["lower"]]
    cells = ["-" if share is None else f"{100 * share:.1f}" for share in shares]
    return [heat["network"] or "-", *cells]
