import os

import numpy as np
import pytest

from edge_fer.data import cache
from edge_fer.data.cache import cached_arrays
from edge_fer.data.fer2013 import read_fer2013


@pytest.fixture(autouse=True)
def small_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_FER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "MIN_BYTES", 0)
    return tmp_path / "cache"


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "table.txt"
    file.write_text("1 2 3")
    return file


class Parser:
    def __init__(self):
        self.calls = 0

    def __call__(self, file):
        self.calls += 1
        return {"numbers": np.array(file.read_text().split(), np.int64), "words": np.array(["é"])}


def test_a_file_is_parsed_once(table):
    parse = Parser()
    first, second = cached_arrays(table, parse), cached_arrays(table, parse)
    assert parse.calls == 1
    assert first["numbers"].tolist() == second["numbers"].tolist() == [1, 2, 3]
    assert second["words"].tolist() == ["é"]


def test_a_changed_file_is_parsed_again(table):
    parse = Parser()
    cached_arrays(table, parse)
    table.write_text("4 5 6")
    os.utime(table, ns=(1, 1))
    assert cached_arrays(table, parse)["numbers"].tolist() == [4, 5, 6]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut", b"not an archive"])
def test_a_damaged_entry_is_parsed_again(table, small_cache, damage):
    parse = Parser()
    cached_arrays(table, parse)
    (entry,) = small_cache.iterdir()
    entry.write_bytes(damage)
    assert cached_arrays(table, parse)["numbers"].tolist() == [1, 2, 3]
    assert parse.calls == 2
    assert cached_arrays(table, parse)["numbers"].tolist() == [1, 2, 3]
    assert parse.calls == 2


def test_a_cache_that_cannot_be_written_is_done_without(table, small_cache):
    small_cache.write_text("a file where the folder should be")
    assert cached_arrays(table, Parser())["numbers"].tolist() == [1, 2, 3]


def test_small_files_are_not_cached(table, small_cache, monkeypatch):
    monkeypatch.setattr(cache, "MIN_BYTES", 1000)
    cached_arrays(table, Parser())
    assert not small_cache.exists()


def test_fer2013_is_the_same_from_the_cache(tiny_fer2013, small_cache):
    parsed = read_fer2013(tiny_fer2013, "Training")
    assert list(small_cache.iterdir())
    cached = read_fer2013(tiny_fer2013, "Training")
    assert (parsed.images_NHW == cached.images_NHW).all()
    assert parsed.labels_N.tolist() == cached.labels_N.tolist()
