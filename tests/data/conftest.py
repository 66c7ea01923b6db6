"""Fixtures: miniatures of datasets."""

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[..., Path]:
    """Writes small pictures of the given names, of whatever suffix, into a folder."""
    encoded = cv2.imencode(".png", np.arange(64, dtype=np.uint8).reshape(8, 8))[1].tobytes()

    def write(names: Iterable[str], folder: str = ".") -> Path:
        for name in names:
            file = tmp_path / folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(encoded)
        return tmp_path

    return write


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes a text file of the given lines."""

    def write(name: str, *content: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(line + "\n" for line in content), encoding="utf-8")
        return file

    return write


@pytest.fixture
def labels_by_name() -> Callable[..., dict[str, str]]:
    """From a dataset to the class of each item."""
    return lambda dataset: {item.name: dataset.label_names[item.label] for item in dataset.items}
