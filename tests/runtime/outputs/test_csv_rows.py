import csv
import os
import re
import string
import subprocess
import sys
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.csv_rows import CsvRows
from tests.runtime.results import LABELS, result

HEADER = "time,t_s,file,frame,id,x,y,w,h,label,score,p_angry,p_happy,p_sad,total_ms"  # documented


def rows_in(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_row_per_face_and_frame(tmp_path):
    path = tmp_path / "below" / "faces.csv"
    sink = CsvRows(path, LABELS)
    started = datetime.now(timezone.utc)
    for index, faces in enumerate([1, 0, 2]):
        sink.write(result(index, faces=faces, t_s=index / 25))
    sink.close()
    assert path.read_text().splitlines()[0] == HEADER
    rows = rows_in(path)
    assert [row["frame"] for row in rows] == ["0", "2", "2"]
    first, last = rows[0], rows[-1]
    assert [first[key] for key in ("id", "x", "y", "w", "h")] == [
        "0",
        "40.0",
        "50.0",
        "30.0",
        "20.0",
    ]
    assert (first["label"], first["score"], first["total_ms"]) == ("happy", "0.7", "1.5")
    assert [first[f"p_{label}"] for label in LABELS] == ["0.1", "0.7", "0.2"]
    assert last["t_s"] == "0.08"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first["time"])
    time = datetime.fromisoformat(first["time"].replace("Z", "+00:00"))
    assert abs((time - started).total_seconds()) < 60


def test_rows_are_in_the_file_before_it_is_closed(tmp_path):
    sink = CsvRows(tmp_path / "a.csv", LABELS)
    sink.write(result())
    assert len(rows_in(tmp_path / "a.csv")) == 1
    sink.close()
    sink.close()


@given(st.text(string.printable + "äö€\udcff", max_size=20))
def test_any_file_name_is_one_cell(tmp_path_factory, name):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    sink = CsvRows(path, LABELS)
    sink.write(result(name=name))
    sink.close()
    (row,) = rows_in(path)
    assert row["file"] == name.replace("\r", "\\r").encode(errors="backslashreplace").decode()
    assert row["total_ms"] == "1.5"


def test_an_existing_file_is_not_replaced_without_force(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("precious\n" * 100)
    with pytest.raises(OutputError, match="--force"):
        CsvRows(path, LABELS)
    assert path.read_text() == "precious\n" * 100
    CsvRows(path, LABELS, force=True).close()
    assert path.read_text() == HEADER + "\n"


def test_a_place_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="file"):
        CsvRows(tmp_path / "file" / "a.csv", LABELS)


UNTIL_FULL = """
import resource, sys
from pathlib import Path
from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.csv_rows import CsvRows
from tests.runtime.results import LABELS, result

resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
sink = CsvRows(Path(sys.argv[1]), LABELS)
for frame in range(1000):
    try:
        sink.write(result(frame, faces=3))
    except OutputError as error:
        print(frame, error)
        sink.close()
        break
"""


def test_a_full_disk_leaves_whole_frames_only(tmp_path):
    path = tmp_path / "a.csv"
    done = subprocess.run(
        [sys.executable, "-c", UNTIL_FULL, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    frame, _, message = done.stdout.partition(" ")
    assert message.strip() == f"{path}: cannot be written: File too large; the rows so far are kept"
    assert 4000 < path.stat().st_size <= 5000
    assert path.read_text().endswith("\n")
    rows = rows_in(path)
    assert len(rows) == 3 * int(frame) > 0
    assert all(row["total_ms"] == "1.5" and row["time"].endswith("Z") for row in rows)


def test_a_disk_full_from_the_start_is_said_at_the_start(small_disk):
    (small_disk / "ballast").write_bytes(bytes(small_disk.stat().st_blksize))
    with (small_disk / "ballast").open("ab", buffering=0) as stream:
        while _written(stream):
            pass
    with pytest.raises(OutputError, match="No space left"):
        CsvRows(small_disk / "a.csv", LABELS)
    assert (small_disk / "a.csv").read_bytes() == b""


def _written(stream):
    try:
        return stream.write(bytes(4096))
    except OSError:
        return 0
