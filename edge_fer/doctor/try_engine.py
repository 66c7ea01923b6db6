"""Loads a bundle's model into an engine: ``ENGINE BUNDLE``; says ``loads`` at the end."""

import sys
from pathlib import Path

from edge_fer.bundle import Bundle
from edge_fer.errors import ModelError
from edge_fer.runtime.engines import ENGINE_FORMATS, load_engine


def try_engine(engine: str, path: Path) -> None:
    """Loads the first of a bundle's files that the engine reads.

    Raises:
        ModelError: The engine cannot load it, or the bundle has none for it.
        MissingExtraError: The engine is not installed.
    """
    bundle = Bundle.load(path)
    for model_file in bundle.manifest.files:
        if model_file.format == ENGINE_FORMATS[engine]:
            load_engine(engine, bundle.contents[model_file.file], model_file.file)
            return
    raise ModelError(f"{path}: no file for {engine}")


if __name__ == "__main__":
    try_engine(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.write("loads\n")
