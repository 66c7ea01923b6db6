"""Damaged files: one line of a message, never anything else."""

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_fer.audit.audit import READERS
from edge_fer.audit.delegates import coverage
from edge_fer.audit.isolate import isolated
from edge_fer.audit.patterns import find_patterns
from edge_fer.audit.slow import slow_operators
from edge_fer.audit.verdicts import verdicts
from edge_fer.errors import ModelError

QUIET = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
EMPTY = {
    "float_operators": [],
    "macs": {"integer_share": 1},
    "weights": {"per_tensor": 0, "per_channel": 0, "asymmetric": 0},
    "inputs": [],
    "outputs": [],
    "engine": None,
}


def read_and_judge(content, format_):
    """All that is done in this process; engines run in one of their own."""
    try:
        graph = READERS[format_](content, f"some.{format_}")
    except ModelError as error:
        assert str(error).startswith(f"some.{format_}: ")
        return False
    found = {
        "patterns": find_patterns(graph),
        "slow": slow_operators(graph),
        "delegates": coverage(graph),
    }
    verdicts(graph, EMPTY | found, claims_int8=True)
    return True


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
@given(places=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), min_size=1, max_size=8))
@QUIET
def test_changed_bytes(artifacts, format_, places):
    content = bytearray(artifacts[f"int8.{format_}"])
    for place, change in places:
        content[int(place * (len(content) - 1))] ^= change
    read_and_judge(bytes(content), format_)


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
@given(kept=st.floats(0, 1, exclude_max=True))
@QUIET
def test_a_file_cut_short_is_refused(artifacts, format_, kept):
    """Or has all of its operators: .onnx ends with properties, between which it may be cut."""
    whole = artifacts[f"int8.{format_}"]
    cut = whole[: int(kept * len(whole))]
    if read_and_judge(cut, format_):
        assert format_ == "onnx"
        first, second = (len(READERS[format_](data, "some").operators) for data in (cut, whole))
        assert first == second


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
@given(content=st.binary(max_size=200))
@QUIET
def test_what_is_no_model_is_refused(format_, content):
    assert not read_and_judge(content, format_)


def crash():
    os.abort()


def complain():
    raise RuntimeError("first line\nsecond line")


def test_an_engine_that_crashes_is_one_line():
    with pytest.raises(ModelError, match=r"m\.tflite: the engine crashed"):
        isolated(crash, name="m.tflite")


def test_an_engine_that_complains_is_one_line():
    with pytest.raises(ModelError, match=r"^m\.tflite: first line$"):
        isolated(complain, name="m.tflite")
