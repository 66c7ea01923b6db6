"""What the command line makes of its own little languages."""

import pytest

from edge_fer.cli import EXTRA_OF_MODULE
from edge_fer.cli_bench import _thread_counts
from edge_fer.errors import EdgeFerError
from edge_fer.models import build_model
from edge_fer.train.recipe import parse_changes


def test_options_reach_the_model():
    options = parse_changes(["attention=none"])
    with_attention = build_model("patt-lite", num_classes=7)
    without = build_model("patt-lite", num_classes=7, **options)
    assert len(without.state_dict()) == len(with_attention.state_dict()) - 1


def test_thread_counts_are_sorted_and_unique():
    assert _thread_counts("4,1,4,2") == [1, 2, 4]


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, [1]), (2, [1, 2]), (4, [1, 2, 4]), (6, [1, 2, 4, 6])]
)
def test_by_default_threads_double_up_to_all_cores(monkeypatch, cores, counts):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert _thread_counts("") == counts


@pytest.mark.parametrize("text", ["x", "1,,2", "0", "-1", "1,0", "1.5"])
def test_bad_thread_counts_are_refused(text):
    with pytest.raises(EdgeFerError, match="--threads"):
        _thread_counts(text)


def test_every_extra_that_a_message_names_exists():
    from pathlib import Path

    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    for extra in EXTRA_OF_MODULE.values():
        assert f"\n{extra} = [" in text
