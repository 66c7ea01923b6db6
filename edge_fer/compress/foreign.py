"""``edge-fer quantize`` for a model that edge-fer did not train.

``.pt2`` (torch.export), ``.onnx``, ``.keras`` and ``.h5``, each with a small TOML that says what
the model takes and gives. Its own normalisation becomes the first operator of the float files, so
that on the device every bundle takes ``(pixel - 128) / 128``, and its INT8 input is the pixel.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_fer.errors import EdgeFerError, ModelError

if TYPE_CHECKING:
    from edge_fer.compress.description import Description
    from edge_fer.compress.foreign_model import ForeignModel
    from edge_fer.compress.gates import Limits
    from edge_fer.compress.recipe import Recipe

PICKLED = frozenset({".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"})


def _open_pt2(path: Path, description: "Description") -> "ForeignModel":
    from edge_fer.compress.foreign_torch import open_pt2

    return open_pt2(path, description)


def _open_onnx(path: Path, description: "Description") -> "ForeignModel":
    from edge_fer.compress.foreign_onnx import open_onnx

    return open_onnx(path, description)


def _open_keras(path: Path, description: "Description") -> "ForeignModel":
    from edge_fer.compress.foreign_keras import open_keras

    return open_keras(path, description)


#: What reads which file; each brings its own libraries.
READERS: Mapping[str, Callable[[Path, "Description"], "ForeignModel"]] = {
    ".pt2": _open_pt2,
    ".onnx": _open_onnx,
    ".keras": _open_keras,
    ".h5": _open_keras,
}


@dataclass(frozen=True, kw_only=True)
class ForeignRequest:
    """What to quantize and how to judge it.

    Attributes:
        model: The user's file.
        description: TOML that says what it takes and gives.
        recipe: How; not one of mixed precision.
        calibration: Specification of the calibration faces.
        out: Bundle folder to write.
        evaluation: Specification of labelled faces; without it labels are compared with the
            model's own on the calibration faces.
        split: Split of ``evaluation``.
        limits: The most that a quantized file may lose.
        int8_only: Leave the float files out of the bundle.
        command: The command line, for the manifest.
    """

    model: Path
    description: Path
    recipe: "Recipe"
    calibration: str | None
    out: Path
    limits: "Limits"
    evaluation: str | None = None
    split: str = "PrivateTest"
    int8_only: bool = False
    command: str = ""

    def __post_init__(self) -> None:
        if self.calibration is None or self.calibration == "distilled":
            raise EdgeFerError(
                f"{self.model}: a model of your own needs --calibration: NAME:PATH or photos:PATH"
            )


def is_foreign(path: Path) -> bool:
    """Whether a path is a model that edge-fer did not train, or a pickle, which it refuses."""
    return path.suffix.lower() in READERS or path.suffix.lower() in PICKLED


def described(model: Path, description: Path | None) -> Path:
    """Returns the description that a foreign model needs.

    Raises:
        EdgeFerError: There is none.
        ModelError: The model is a pickle.
    """
    if model.suffix.lower() in PICKLED:
        raise ModelError(
            f"{model}: a pickle can run code when it is loaded; save the network with "
            "torch.export.save as .pt2, or as .onnx"
        )
    if description is None:
        raise EdgeFerError(
            f"{model}: say what it takes and gives: --describe FILE.toml (docs/your-own-model.md)"
        )
    return description


def quantize_foreign(request: ForeignRequest, announce: Callable[[str], None]) -> dict[str, Any]:
    """Converts, quantizes, audits, compares and writes the bundle.

    Args:
        request: What to do.
        announce: Called with the name of each stage when it starts.

    Returns:
        A document of schema ``edge-fer/quantize/1``; see ``quantization_document``.

    Raises:
        EdgeFerError: Model, description, data or output cannot be used, or a quantized file is not
            all-integer.
    """
    from edge_fer.compress.description import read_description
    from edge_fer.compress.foreign_bundle import bundle_of

    description_file = described(request.model, request.description)
    if not request.model.is_file():
        raise ModelError(f"{request.model}: no such file")
    description = read_description(description_file)
    return bundle_of(request, description, READERS[request.model.suffix.lower()], announce)
