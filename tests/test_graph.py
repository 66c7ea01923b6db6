import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_fer.bundle import Bundle
from edge_fer.errors import ModelError
from edge_fer.graph import live_peak, summarise_tflite

LIFETIMES = st.lists(
    st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 100)).map(
        lambda t: (min(t[:2]), max(t[:2]), t[2])
    ),
    max_size=12,
)


@pytest.fixture(scope="module")
def tflite(bundle_dir):
    return bundle_dir / "model.int8.tflite"


@given(lifetimes=LIFETIMES)
@settings(deadline=None, max_examples=200)
def test_the_peak_is_the_largest_sum_alive_at_any_step(lifetimes):
    sums = [
        sum(size for first, last, size in lifetimes if first <= step <= last) for step in range(13)
    ]
    assert live_peak(lifetimes) == max(sums)


@given(lifetimes=LIFETIMES, seed=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=50)
def test_the_peak_does_not_depend_on_the_order(lifetimes, seed):
    shuffled = list(lifetimes)
    seed.shuffle(shuffled)
    assert live_peak(shuffled) == live_peak(lifetimes)


def test_a_tensor_and_the_next_that_reads_it_are_alive_together():
    assert live_peak([(0, 1, 10), (1, 2, 20), (2, 3, 5)]) == 30
    assert live_peak([]) == 0


def test_the_shipped_file_is_counted_as_its_manifest_says(bundle_dir, tflite):
    bundle = Bundle.load(bundle_dir)
    (said,) = [f for f in bundle.manifest.files if f.file == "model.int8.tflite"]
    summary = summarise_tflite(tflite.read_bytes(), "model")
    assert (summary.params, summary.macs) == (said.params, said.macs)
    assert summary.arena_bytes / 1e6 == said.arena_mb
    assert (summary.input_type, summary.output_type) == ("INT8", "INT8")


@pytest.mark.parametrize("content", [b"", b"TFL3", b"no model at all", b"\x1c\0\0\0TFL3"])
def test_what_is_no_tflite_model_is_refused_by_name(content):
    with pytest.raises(ModelError, match=r"some\.tflite"):
        summarise_tflite(content, "some.tflite")


@given(kept=st.floats(0, 1, exclude_max=True))
@settings(deadline=None, max_examples=40)
def test_a_truncated_tflite_model_is_refused(tflite, kept):
    whole = tflite.read_bytes()
    with pytest.raises(ModelError):
        summarise_tflite(whole[: int(kept * len(whole))], "cut.tflite")


@pytest.mark.parametrize("missing", [1, 16, 1000])
def test_a_tflite_model_that_lacks_its_last_bytes_is_refused(tflite, missing):
    with pytest.raises(ModelError):
        summarise_tflite(tflite.read_bytes()[:-missing], "cut.tflite")
