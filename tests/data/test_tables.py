import csv
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.tables import find_tables, read_table
from edge_fer.errors import DataError

REQUIRED = ("Subject", "Onset Frame|Onset")


def read(file, required=REQUIRED, header=()):
    return list(read_table(file, required, header))


def test_columns_are_found_whatever_their_case_spaces_and_order(lines):
    (row,) = read(lines("t.csv", "onset_frame, SUBJECT ,,x", "7, sub01 ,,é"))
    assert row.text("Subject") == "sub01"
    assert row.integer("Onset Frame|Onset") == 7
    assert row.text("X") == "é"
    assert row.text("none") == ""


def test_a_header_may_follow_a_page_of_notes(lines):
    file = lines("t.csv", "Notes,", ",", "made by hand,", "Subject,Onset", "1,2", ",", "3,4")
    assert [row.text("Subject") for row in read(file)] == ["1", "3"]
    assert read(file)[0].where == f"{file}:5"


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    file = tmp_path / "t.csv"
    file.write_bytes(b"\xef\xbb\xbfSubject,Onset\n1,2\n")
    assert read(file)[0].text("subject") == "1"


def test_a_table_without_header_row_is_read_by_its_known_columns(lines):
    (row,) = read(lines("t.csv", "9,8,7"), header=("subject", "onset", "offset"))
    assert (row.text("subject"), row.text("offset")) == ("9", "7")


def test_a_short_row_has_empty_cells(lines):
    (row,) = read(lines("t.csv", "Subject,Onset", "1"))
    with pytest.raises(DataError, match=r"t\.csv:2: Onset Frame is '', not a whole number"):
        row.integer("Onset Frame|Onset")


@given(st.text(max_size=8))
def test_a_cell_is_a_whole_number_or_refused(text):
    row = next(_rows_of(text))
    try:
        number = row.integer("a")
    except DataError as error:
        assert repr(text) in str(error)
    else:
        assert float(text) == number


def _rows_of(text):
    from edge_fer.data.tables import TableRow

    yield TableRow("t.csv:1", {"a": text})


@given(
    st.lists(
        st.lists(
            st.text(st.characters(codec="utf-8", exclude_characters="\0\r")), min_size=2, max_size=2
        )
    )
)
def test_any_csv_is_read_or_refused_by_name(tmp_path_factory, cells):
    file = tmp_path_factory.getbasetemp() / "any.csv"
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([["Subject", "Onset"], *cells])
    texts = [(row.text("Subject"), row.text("Onset")) for row in read(file)]
    stripped = [(a.strip(), b.strip()) for a, b in cells]
    assert texts == [pair for pair in stripped if any(pair)]


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\0"])
def test_what_is_no_such_table_is_refused_by_name(tmp_path, content):
    file = tmp_path / "t.csv"
    file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read(file)
    assert str(file) in str(caught.value)


def test_a_missing_table_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.csv: no such file"):
        read(tmp_path / "nowhere.csv")


def test_the_old_excel_format_is_refused_with_a_way_out(tmp_path):
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    with pytest.raises(DataError, match=r"save it as \.xlsx or \.csv"):
        read(tmp_path / "t.xls")


def test_excel_without_its_package_names_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "t.xlsx")
    assert "pip install 'edge-fer[data]'" in str(caught.value)


def test_excel_cells_become_text(tmp_path, monkeypatch):
    cells = [("Subject", "Onset", None), (1, 46.0, None), ("02", 1.5, "x"), (None, None, None)]
    sheet = SimpleNamespace(iter_rows=lambda values_only: iter(cells))
    book = SimpleNamespace(worksheets=[sheet], close=lambda: None)
    fake = SimpleNamespace(load_workbook=lambda file, read_only, data_only: book)
    monkeypatch.setitem(sys.modules, "openpyxl", fake)
    (tmp_path / "t.xlsx").write_bytes(b"PK")
    rows = [(row.text("Subject"), row.text("Onset")) for row in read(tmp_path / "t.xlsx")]
    assert rows == [("1", "46"), ("02", "1.5")]


def test_a_real_excel_file_is_read_and_a_damaged_one_refused(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    file = tmp_path / "t.xlsx"
    book = openpyxl.Workbook()
    for row in (["Subject", "Onset"], [1, 46]):
        book.active.append(row)
    book.save(file)
    assert read(file)[0].integer("Onset") == 46
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(DataError, match=r"t\.xlsx"):
        read(file)


def test_tables_are_found_by_name_and_a_csv_goes_before_the_same_excel_file(tmp_path):
    for name in ("b-coding.xlsx", "b-coding.csv", "a-coding.xlsx", "~$b-coding.xlsx", "notes.csv"):
        (tmp_path / name).touch()
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "c-CODING.CSV").touch()
    names = [file.name for file in find_tables(tmp_path, "coding")]
    assert names == ["a-coding.xlsx", "b-coding.csv", "c-CODING.CSV"]
    assert find_tables(tmp_path / "notes.csv", "coding") == [tmp_path / "notes.csv"]
