"""Inference engines behind one interface: bytes of a model in, raw tensors in and out.

An engine runs one model at batch 1 and speaks the artifact's own types: no quantization here.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from edge_fer.bundle import Tensor
from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.quiet import native_output_captured
from edge_fer.runtime.onnx_metadata import onnx_metadata

_TELEMETRY = "openvino_telemetry"


class Engine(Protocol):
    """A loaded model. ``input`` and ``output`` say what it takes and gives."""

    input: Tensor
    output: Tensor

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Runs one inference on an array of exactly ``input``'s shape and dtype."""


class LiteRtEngine:
    """LiteRT's interpreter with XNNPACK; reads ``.tflite``."""

    def __init__(
        self,
        content: bytes,
        name: str,
        threads: int,
        module: str = "ai_edge_litert.interpreter",
    ) -> None:
        try:
            Interpreter = importlib.import_module(module).Interpreter
        except ImportError as error:
            raise ModelError(f"{name}: {module} cannot be imported ({error})") from error
        try:
            with native_output_captured(show_on_error=False):
                self._interpreter = Interpreter(model_content=content, num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{name}: LiteRT cannot load it ({_first_line(error)})") from error
        self._name = name
        self._describe()

    def _describe(self) -> None:
        (source,) = self._interpreter.get_input_details()
        (result,) = self._interpreter.get_output_details()
        self._source_index, self._result_index = source["index"], result["index"]
        self.input, self.output = _litert_tensor(source), _litert_tensor(result)

    def resize(self, shape: tuple[int, ...]) -> None:
        """Gives the input another shape; the model must be convolutions all through.

        Raises:
            ModelError: It is not.
        """
        try:
            self._interpreter.resize_tensor_input(self._source_index, shape)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self._name}: LiteRT cannot resize its input to {shape} ({_first_line(error)})"
            ) from error
        self._describe()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Runs one inference."""
        self._interpreter.set_tensor(self._source_index, x)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._result_index))


class OnnxRuntimeEngine:
    """ONNX Runtime; reads ``.onnx``.

    Quantization of integer inputs and outputs comes from the file's own metadata, where
    ``edge_fer.input`` and ``edge_fer.output`` hold ``scale,zero_point``.
    """

    def __init__(
        self,
        content: bytes,
        name: str,
        threads: int,
        provider: str = "CPUExecutionProvider",
        profile: str = "",
    ) -> None:
        """Loads a model; ``profile`` is the beginning of the name of a trace to write."""
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("ONNX Runtime", "onnx") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_profiling = bool(profile)
        if profile:
            options.profile_file_prefix = profile
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=[provider])
        except Exception as error:  # ONNX Runtime's own exceptions share no public base.
            raise ModelError(
                f"{name}: ONNX Runtime cannot load it ({_first_line(error)})"
            ) from error
        if self._session.get_providers()[0] != provider:
            raise ModelError(f"{name}: {provider} does not start here")
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.input = _onnx_tensor(self._session.get_inputs()[0], metadata.get("edge_fer.input"))
        self.output = _onnx_tensor(self._session.get_outputs()[0], metadata.get("edge_fer.output"))
        self._names = [self._session.get_outputs()[0].name], self._session.get_inputs()[0].name

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Runs one inference."""
        outputs, source = self._names
        return np.asarray(self._session.run(outputs, {source: x})[0])

    def end_profiling(self) -> str:
        """Ends the trace and returns its path."""
        return str(self._session.end_profiling())


class OpenVinoEngine:
    """OpenVINO on the CPU; reads ``.onnx``, quantization as ``OnnxRuntimeEngine``."""

    def __init__(self, content: bytes, name: str, threads: int) -> None:
        openvino = _import_openvino()
        settings = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        try:
            core = openvino.Core()
            compiled = core.compile_model(core.read_model(content), "CPU", settings)
        except RuntimeError as error:
            raise ModelError(f"{name}: OpenVINO cannot load it ({_first_line(error)})") from error
        said = onnx_metadata(content)
        self.input = _openvino_tensor(compiled.input(0), said.get("edge_fer.input"))
        self.output = _openvino_tensor(compiled.output(0), said.get("edge_fer.output"))
        self._request = compiled.create_infer_request()

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Runs one inference."""
        return np.asarray(self._request.infer([x], share_inputs=True)[0])


def _import_openvino() -> Any:
    """Imports OpenVINO without its telemetry, which sends a message for every model it loads.

    Raises:
        MissingExtraError: It is not installed.
    """
    loaded = sys.modules.get(_TELEMETRY)
    if "openvino" not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    try:
        return importlib.import_module("openvino")
    except ImportError as error:
        raise MissingExtraError("OpenVINO", "openvino") from error
    finally:
        if loaded is not None:
            sys.modules[_TELEMETRY] = loaded
        elif sys.modules.get(_TELEMETRY, _TELEMETRY) is None:
            del sys.modules[_TELEMETRY]


def _on_provider(provider: str) -> Callable[[bytes, str, int], Engine]:
    return lambda content, name, threads: OnnxRuntimeEngine(content, name, threads, provider)


def _tflite_runtime(content: bytes, name: str, threads: int) -> Engine:
    return LiteRtEngine(content, name, threads, "tflite_runtime.interpreter")


PROVIDERS = {
    "onnxruntime-cuda": "CUDAExecutionProvider",
    "onnxruntime-tensorrt": "TensorrtExecutionProvider",
}
#: The first two read what bundles are made and evaluated for; the others are for comparison.
ENGINES: dict[str, Callable[[bytes, str, int], Engine]] = {
    "litert": LiteRtEngine,
    "onnxruntime": OnnxRuntimeEngine,
    "openvino": OpenVinoEngine,
    "tflite-runtime": _tflite_runtime,
    **{name: _on_provider(provider) for name, provider in PROVIDERS.items()},
}
DEFAULT_ENGINES = ("litert", "onnxruntime")
ENGINE_FORMATS = {
    "openvino": "onnx",
    "onnxruntime-cuda": "onnx",
    "onnxruntime-tensorrt": "onnx",
    "tflite-runtime": "tflite",
    "litert": "tflite",
    "onnxruntime": "onnx",
}
_ENGINE_MODULES = {
    "litert": "ai_edge_litert",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tflite-runtime": "tflite_runtime",
    **dict.fromkeys(PROVIDERS, "onnxruntime"),
}


def installed_engines() -> list[str]:
    """Names of those of ``DEFAULT_ENGINES`` that are installed here."""
    return [name for name in DEFAULT_ENGINES if why_missing(name) is None]


def why_missing(engine: str) -> str | None:
    """Returns why an engine of ``ENGINES`` cannot be used here, ``None`` if it can."""
    if importlib.util.find_spec(_ENGINE_MODULES[engine]) is None:
        return "not installed"
    if engine in PROVIDERS:
        import onnxruntime

        if PROVIDERS[engine] not in onnxruntime.get_available_providers():
            return f"the installed onnxruntime has no {PROVIDERS[engine]}"
    return None


def load_engine(engine: str, content: bytes, name: str, *, threads: int = 1) -> Engine:
    """Loads a model into an engine.

    Args:
        engine: Name in ``ENGINES``.
        content: The model file's bytes.
        name: What to call the model in messages.
        threads: Number of threads of one inference.

    Raises:
        ModelError: The engine is unknown or cannot load the bytes.
        MissingExtraError: The engine is not installed.
    """
    if engine not in ENGINES:
        raise ModelError(f"unknown engine {engine!r}; known: {', '.join(ENGINES)}")
    return ENGINES[engine](content, name, threads)


def _litert_tensor(details: dict[str, Any]) -> Tensor:
    scale, zero_point = details["quantization"]
    dtype = np.dtype(details["dtype"])
    return Tensor(
        shape=tuple(int(size) for size in details["shape"]),
        dtype=dtype.name,
        scale=float(scale) if dtype.kind in "iu" else 1.0,
        zero_point=int(zero_point),
    )


def _onnx_tensor(argument: Any, quantization: str | None) -> Tensor:
    types = {"tensor(float)": "float32", "tensor(int8)": "int8", "tensor(uint8)": "uint8"}
    shape = tuple(size if isinstance(size, int) else 1 for size in argument.shape)
    scale, zero_point = (quantization or "1,0").split(",")
    return Tensor(
        shape=shape,
        dtype=types.get(argument.type, argument.type),
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _openvino_tensor(port: Any, quantization: str | None) -> Tensor:
    scale, zero_point = (quantization or "1,0").split(",")
    return Tensor(
        shape=tuple(int(size) for size in port.shape),
        dtype=np.dtype(port.element_type.to_dtype()).name,
        scale=float(scale),
        zero_point=int(zero_point),
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
