"""Smaller files of the same graph."""

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.compress.quantize_tflite import quantize_tflite
from edge_fer.export.tflite import export_tflite
from edge_fer.export.tflite_file import _short, _unique, share_vectors, shorten_names
from edge_fer.models import build_model
from edge_fer.runtime.engines import load_engine


@pytest.fixture(scope="module")
def float_file() -> bytes:
    return export_tflite(build_model("arch-1", num_classes=7).eval(), (1, 1, 48, 48))


@pytest.fixture(scope="module")
def int8_file(float_file) -> bytes:
    faces_NHW = np.random.default_rng(0).integers(0, 256, (4, 48, 48), np.uint8)
    return quantize_tflite(float_file, faces_NHW)


def tensors_of(content: bytes) -> list:
    return schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0].tensors


def answer(content: bytes) -> np.ndarray:
    engine = load_engine("litert", content, "model")
    rng = np.random.default_rng(1)
    values = rng.integers(-128, 128, engine.input.shape)
    x = values / 128 if engine.input.dtype == "float32" else values
    return np.array(engine(x.astype(engine.input.dtype)))


def test_names_are_those_of_the_modules(float_file):
    modules = {name for name, _ in build_model("arch-1", num_classes=7).named_modules()}
    names = [tensor.name.decode() for tensor in tensors_of(float_file)]
    assert len(set(names)) == len(names)
    others = {name.partition(":")[0] for name in names} - modules
    assert "stem.2" in names
    assert all(name.startswith(("arith.", "serving_default_", "output")) for name in others)
    assert shorten_names(float_file) == float_file


@pytest.mark.parametrize(
    ("modules", "short"),
    [
        (("torch.nn.Sequential_stem", "torch.nn.ReLU_2"), "stem.2"),
        (("a.models.Cell_4", "a.models._Branch_input_0", "torch.nn.ReLU_3"), "Cell_4.input_0.3"),
        (("a.models.Block",), "Block"),
        ((), "output"),
    ],
)
def test_a_name_is_the_path_of_the_first_of_the_fused_modules(modules, short):
    path = "/".join(("litert_torch.a.Wrapper", "a.models.Network_wrapped", *modules))
    assert _short(f"{path};{path}/torch.nn.Conv2d_9;") == short


def test_equal_vectors_are_stored_once(int8_file):
    model = schema.ModelT.InitFromPackedBuf(int8_file, 0)
    unshared = 8 * sum(
        len(tensor.quantization.zeroPoint)
        for tensor in model.subgraphs[0].tensors
        if tensor.quantization is not None and tensor.quantization.zeroPoint is not None
    )
    weights = sum(0 if b.data is None else len(b.data) for b in model.buffers)
    assert unshared > 9_000
    assert len(int8_file) < weights + unshared + 10_000
    assert share_vectors(int8_file) == int8_file


def test_a_rewritten_file_gives_the_same_answer(float_file, int8_file):
    model = schema.ModelT.InitFromPackedBuf(int8_file, 0)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = b"litert_torch.x/y/torch.nn.Conv2d_0;" * 3
    import flatbuffers

    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    fat = bytes(builder.Output())
    thin = shorten_names(fat)
    assert len(thin) < len(fat)
    assert np.array_equal(answer(fat), answer(thin))
    assert np.array_equal(answer(int8_file), answer(thin))


def test_weights_start_where_vector_units_can_load_them(int8_file):
    for buffer in schema.ModelT.InitFromPackedBuf(int8_file, 0).buffers:
        if buffer.data is not None and len(buffer.data) > 1_000:
            assert int8_file.index(buffer.data.tobytes()) % 16 == 0


@given(st.lists(st.sampled_from(["a", "a:2", "a:3", "b", ""])))
def test_names_stay_different(names):
    unique = _unique(names)
    assert len(set(unique)) == len(names)
    assert all(new.startswith(old) for old, new in zip(names, unique, strict=True))
