"""Runs two models side by side and compares tensors inside them.

Runs native code; call ``compare_tensors`` through ``isolated``.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fer.bundle import Tensor
from edge_fer.preprocess import to_tensor_shape
from edge_fer.runtime.classifier import input_of_pixel

Handle = str | int


@dataclass(frozen=True, kw_only=True)
class Pair:
    """An integer tensor and the float tensor it stands for.

    Attributes:
        ours: Handle of the integer tensor: a number in LiteRT, a name in ONNX.
        theirs: Handle of the float tensor.
        dtype: Of the integer tensor.
        scale: Real value of one step.
        zero_point: Integer that means 0.0.
    """

    ours: Handle
    theirs: Handle
    dtype: str
    scale: float
    zero_point: int

    @property
    def limits(self) -> tuple[int, int]:
        """Smallest and largest integer."""
        bounds = np.iinfo(self.dtype.lower())
        return int(bounds.min), int(bounds.max)


@dataclass
class Sums:
    """What is added up over faces for one pair."""

    signal: float = 0.0
    noise: float = 0.0
    clipped: int = 0
    values: int = 0
    seen: np.ndarray | None = None

    def add(self, pair: Pair, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Adds one face's tensors."""
        low, high = pair.limits
        steps = ours.astype(np.int64).reshape(-1)
        real = theirs.astype(np.float64).reshape(-1)
        error = (steps - pair.zero_point) * pair.scale - real
        wanted = real / pair.scale + pair.zero_point
        self.signal += float(real @ real)
        self.noise += float(error @ error)
        self.clipped += int(((wanted < low - 0.5) | (wanted > high + 0.5)).sum())
        self.values += len(real)
        counts = np.bincount(steps - low, minlength=high - low + 1)
        self.seen = counts if self.seen is None else self.seen + counts

    def figures(self) -> dict[str, Any]:
        """Signal-to-noise ratio in dB (None without noise), clipped share, levels in use."""
        ratio = self.signal / self.noise if self.noise else None
        return {
            "sqnr_db": None if ratio is None else 10 * float(np.log10(max(ratio, 1e-12))),
            "clipped_share": self.clipped / max(self.values, 1),
            "levels": 0 if self.seen is None else int((self.seen > 0).sum()),
        }


def compare_tensors(
    format_: str,
    quantized: bytes,
    reference: bytes,
    pairs: Sequence[Pair],
    ends: tuple[dict[str, Any], dict[str, Any]],
    faces: np.ndarray,
) -> list[dict[str, Any]]:
    """Feeds the same faces to both models.

    Args:
        format_: ``tflite`` or ``onnx``, of both.
        quantized: The integer model.
        reference: The float model.
        pairs: What to compare.
        ends: How to feed the two: ``handle``, ``shape``, ``dtype``, ``scale``, ``zero_point``.
        faces: uint8 ``[N, H, W]`` or ``[N, H, W, 3]``.

    Returns:
        ``Sums.figures`` of each pair.
    """
    open_model = _RUNNERS[format_]
    ours = open_model(quantized, ends[0]["handle"], [pair.ours for pair in pairs])
    theirs = open_model(reference, ends[1]["handle"], [pair.theirs for pair in pairs])
    sums = [Sums() for _ in pairs]
    for x_ours, x_theirs in zip(_fed(ends[0], faces), _fed(ends[1], faces), strict=True):
        results = zip(sums, pairs, ours(x_ours), theirs(x_theirs), strict=True)
        for one, pair, our_values, their_values in results:
            one.add(pair, our_values, their_values)
    return [one.figures() for one in sums]


def _fed(end: dict[str, Any], faces: np.ndarray) -> Iterator[np.ndarray]:
    tensor = Tensor(
        shape=end["shape"], dtype=end["dtype"], scale=end["scale"], zero_point=end["zero_point"]
    )
    table = input_of_pixel(tensor)
    for face in faces:
        yield to_tensor_shape(table[face], tensor.shape)


_Run = Callable[[np.ndarray], list[np.ndarray]]


def _litert(content: bytes, source: Handle, wanted: Sequence[Handle]) -> _Run:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=content,
        num_threads=1,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()

    def run(x: np.ndarray) -> list[np.ndarray]:
        interpreter.set_tensor(source, x)
        interpreter.invoke()
        return [np.asarray(interpreter.get_tensor(handle)) for handle in wanted]

    return run


def _onnxruntime(content: bytes, source: Handle, wanted: Sequence[Handle]) -> _Run:
    import onnx
    import onnxruntime

    from edge_fer.audit.read_onnx import close_batch

    model = onnx.load_from_string(content)
    close_batch(model)
    shown = {value.name for value in model.graph.output}
    typed = onnx.shape_inference.infer_shapes(model).graph
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*typed.value_info, *typed.output)}
    for name in dict.fromkeys(map(str, wanted)):
        if name not in shown:
            value = onnx.helper.make_tensor_value_info(name, kinds[name], None)
            model.graph.output.append(value)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda x: [np.asarray(one) for one in session.run(list(wanted), {source: x})]


_RUNNERS: dict[str, Callable[[bytes, Handle, Sequence[Handle]], _Run]] = {
    "tflite": _litert,
    "onnx": _onnxruntime,
}
