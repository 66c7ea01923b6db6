"""Smaller TFLite files of the same graph: short tensor names, equal vectors stored once.

A converter names a tensor after every module on its way, and integers with one scale per channel
carry eight bytes of zero point per channel, all of them zero. In EmoNAS's INT8 file the two were a
quarter of it.
"""

from typing import Any

_WRAPPER = "litert_torch."
_IDENTIFIER = b"TFL3"
#: What TFLite's schema asks of the start of a buffer.
_ALIGNMENT = 16


def shorten_names(content: bytes) -> bytes:
    """Returns the file with its tensors named as torch names their modules, e.g. ``stem.0.1``.

    Names that are not of litert-torch's making stay as they are; all stay different.
    """
    model = _read(content)
    for graph in model.subgraphs:
        names = _unique([_short(tensor.name.decode()) for tensor in graph.tensors])
        for tensor, name in zip(graph.tensors, names, strict=True):
            tensor.name = name.encode()
    return _write(model)


def share_vectors(content: bytes) -> bytes:
    """Returns the file with every vector of scales, zero points or weights stored once."""
    return _write(_read(content))


def _short(name: str) -> str:
    """The path of the first of the modules that were fused.

    A list of modules is not on it; the number of a module in one keeps the class, ``Cell_2``.
    """
    if not name.startswith(_WRAPPER):
        return name
    modules = [part.rpartition(".")[2] for part in name.partition(";")[0].split("/")[2:]]
    path = [module.lstrip("_").partition("_")[2] or module for module in modules]
    if path and path[0].isdigit():
        path[0] = modules[0]
    return ".".join(path) or "output"


def _unique(names: list[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        one, number = name, 1
        while one in taken:
            number += 1
            one = f"{name}:{number}"
        taken[one] = None
    return list(taken)


def _read(content: bytes) -> Any:
    """Reads a model; bytes of buffers that lie behind it are put back into it."""
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for buffer in model.buffers:
        if buffer.offset > 1:
            end = buffer.offset + buffer.size
            buffer.data = np.frombuffer(content[buffer.offset : end], np.uint8)
            buffer.offset = buffer.size = 0
    return model


def _write(model: Any) -> bytes:
    import flatbuffers
    import numpy as np

    class Sharing(flatbuffers.Builder):  # type: ignore[misc]
        """Stores equal arrays once."""

        def __init__(self) -> None:
            super().__init__(1 << 20)
            self._places: dict[tuple[str, bytes], int] = {}

        def CreateNumpyVector(self, x: Any) -> int:  # noqa: N802
            key = (x.dtype.str, x.tobytes())
            if key not in self._places:
                if x.dtype == np.uint8:
                    self.Prep(_ALIGNMENT, x.size)
                self._places[key] = super().CreateNumpyVector(x)
            return self._places[key]

    builder = Sharing()
    builder.Finish(model.Pack(builder), file_identifier=_IDENTIFIER)
    return bytes(builder.Output())
