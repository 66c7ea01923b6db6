from pathlib import Path

import numpy as np
import pytest

from edge_fer.compress.quantize_tflite import StaticTflite
from edge_fer.compress.ranges import Method
from edge_fer.export.tflite import export_tflite
from edge_fer.runtime.faces.decode import LIMIT, STEP
from tests.runtime.faces.white_cells import white_cells, write_detector


@pytest.fixture(scope="session")
def white_cells_tflite() -> bytes:
    """INT8, its output's range fixed."""
    pictures = np.random.default_rng(0).integers(0, 256, (4, 64, 96), np.uint8)
    pictures[0, 0, :2] = 0, 255
    content = export_tflite(white_cells(), (1, 1, 64, 96), gives_map=True)
    ends = (-LIMIT, LIMIT - STEP)
    return StaticTflite(content, pictures, Method(), output_range=ends).quantize()


@pytest.fixture(scope="session")
def white_cells_bundle(white_cells_tflite, tmp_path_factory) -> Path:
    return write_detector(tmp_path_factory.mktemp("bundles") / "white-cells", white_cells_tflite)
