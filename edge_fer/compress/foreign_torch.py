"""Programs of ``torch.export`` (``.pt2``).

``torch.export.load`` unpickles some parts of a file and evaluates others, so a file from a stranger
could run code. Here every part is looked at before torch reads it: weights and constants must be
plain bytes, sample inputs must pass torch's own safe unpickler, operations must be ATen's, and
shapes must be fixed (open ones are formulas, which torch evaluates).
"""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_fer.compress.description import Description
from edge_fer.compress.foreign_model import ForeignModel, no_softmax
from edge_fer.errors import ModelError
from edge_fer.export.onnx import export_onnx
from edge_fer.export.quiet import quiet
from edge_fer.export.tflite import export_tflite

_OPERATIONS = ("torch.ops.aten.", "_operator.getitem")
_SOFTMAX = {"aten.softmax.int", "aten._softmax.default", "aten.softmax.default"}
_PLAIN = ("weight_", "tensor_")


def open_pt2(path: Path, description: Description) -> ForeignModel:
    """Reads an exported program and exports it to both formats.

    Raises:
        ModelError: The file cannot be read, is not safe to read, or is no classifier of faces.
    """
    program = _load(path)
    _require_input(program, description, path)
    network = _AsOurs(_module(program), description)
    if description.output == "probabilities":
        network.inner = _without_softmax(_module(program), path)
    try:
        floats = {
            "tflite": export_tflite(network, description.input_nchw),
            "onnx": export_onnx(network, description.input_nchw),
        }
    except Exception as error:  # the exporters raise whatever they met
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: cannot be exported ({first_line})") from error
    return ForeignModel(
        floats=floats,
        scores=lambda images: _scores(_module(program), description.values(images)),
        params=sum(value.numel() for value in program.state_dict.values()),
    )


class _AsOurs(nn.Module):
    """Takes our input ``(pixel - 128) / 128`` as ``[1, C, H, W]`` and gives it its own form."""

    gain: torch.Tensor
    shift: torch.Tensor

    def __init__(self, inner: nn.Module, description: Description) -> None:
        super().__init__()
        self.inner, self.last = inner, description.layout == "NHWC"
        self.scaled = not description.is_ours
        gain, shift = (
            torch.from_numpy(values).reshape(1, -1, 1, 1)
            for values in (description.gain, description.shift)
        )
        self.register_buffer("gain", gain)
        self.register_buffer("shift", shift)
        self.train(False)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        x = x_NCHW * self.gain + self.shift if self.scaled else x_NCHW
        result: torch.Tensor = self.inner(x.permute(0, 2, 3, 1) if self.last else x)
        return result


def _load(path: Path) -> torch.export.ExportedProgram:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        with quiet():
            _require_safe(content, path)
            return torch.export.load(io.BytesIO(content))
    except ModelError:
        raise
    except Exception as error:  # torch's readers raise whatever they met
        first_line = str(error).strip().partition("\n")[0]
        raise ModelError(f"{path}: not a readable torch.export program ({first_line})") from error


def _require_safe(content: bytes, path: Path) -> None:
    from torch.export.pt2_archive._package import PT2ArchiveReader

    with PT2ArchiveReader(io.BytesIO(content)) as archive:
        names = archive.get_file_names()
        for name in names:
            _require_known_place(name, path)
        _require_plain(archive, "data/weights/model_weights_config.json", path)
        _require_plain(archive, "data/constants/model_constants_config.json", path)
        samples = archive.read_bytes("data/sample_inputs/model.pt")
        if samples:
            try:
                torch.load(io.BytesIO(samples), weights_only=True)
            except Exception as error:
                raise _unsafe(path, "its sample inputs are pickled objects") from error
        _require_plain_graph(json.loads(archive.read_string("models/model.json")), path)


def _require_known_place(name: str, path: Path) -> None:
    folders = ("data/weights/", "data/constants/", "data/sample_inputs/", "models/")
    if name.startswith("data/aotinductor/") or name.endswith((".so", ".pkl")):
        raise _unsafe(path, f"it has compiled or pickled parts ({name})")
    is_pickle = name.endswith(".pt") and name != "data/sample_inputs/model.pt"
    if is_pickle or (name.startswith("models/") and name != "models/model.json"):
        raise _unsafe(path, f"it has parts that are pickled, or several programs ({name})")
    if name.startswith("data/") and not name.startswith(folders):
        raise _unsafe(path, f"it has parts that are not known ({name})")


def _require_plain(archive: Any, name: str, path: Path) -> None:
    config = json.loads(archive.read_string(name))["config"]
    for key, entry in config.items():
        if entry["use_pickle"] or not entry["path_name"].startswith(_PLAIN):
            raise _unsafe(path, f"{key} is a pickled object")


def _require_plain_graph(document: Any, path: Path) -> None:
    if document.get("guards_code") or document.get("range_constraints"):
        raise _dynamic(path)
    for key, value in _entries(document):
        if key in {"expr_str", "as_expr"}:
            raise _dynamic(path)
        if key == "as_graph" or (key == "target" and _is_foreign_target(value)):
            raise _unsafe(path, f"it calls {value if key == 'target' else 'subgraphs'}")


def _is_foreign_target(value: object) -> bool:
    """Inputs and outputs have targets too: names of weights, which are no calls."""
    return isinstance(value, str) and not value.startswith(_OPERATIONS)


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """Keys and values at any depth of the graph and its ranges; notes and names left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in {"metadata", "signature", "module_call_graph"}:
                yield key, inner
                yield from _entries(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner)


def _unsafe(path: Path, why: str) -> ModelError:
    return ModelError(f"{path}: reading it could run code: {why}; export a plain network")


def _dynamic(path: Path) -> ModelError:
    return ModelError(f"{path}: has open sizes; export it with a fixed input, batch 1")


def _require_input(
    program: torch.export.ExportedProgram, description: Description, path: Path
) -> None:
    names = program.graph_signature.user_inputs
    nodes = {node.name: node for node in program.graph.nodes}
    if len(names) != 1 or len(program.graph_signature.user_outputs) != 1:
        raise ModelError(f"{path}: needs one input and one output")
    shape = tuple(nodes[str(names[0])].meta["val"].shape)
    if shape != description.input_shape:
        raise ModelError(
            f"{path}: takes {list(shape)}, not {list(description.input_shape)} as described"
        )


def _module(program: torch.export.ExportedProgram) -> Any:
    """The program as a module that exporters accept: theirs refuses to be put into eval mode."""
    module = program.module(check_guards=False)
    for name in ("train", "eval"):
        vars(module).pop(name, None)
    return module


def _without_softmax(module: Any, path: Path) -> Any:
    (output,) = [node for node in module.graph.nodes if node.op == "output"]
    (last,) = output.args[0] if isinstance(output.args[0], (tuple, list)) else output.args
    if str(last.target) not in _SOFTMAX:
        raise no_softmax(str(path))
    last.replace_all_uses_with(last.args[0])
    module.graph.erase_node(last)
    module.recompile()
    return module


def _scores(module: Any, values: np.ndarray) -> np.ndarray:
    """One face at a time: the batch of the program is fixed."""
    with torch.inference_mode():
        results = [module(torch.from_numpy(values[i : i + 1].copy())) for i in range(len(values))]
    return np.asarray(torch.cat(results).numpy(), np.float32)
