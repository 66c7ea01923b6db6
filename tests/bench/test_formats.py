import csv
import io

from edge_fer.bench.figures import pareto_front
from edge_fer.bench.formats import comma_separated, latex, markdown
from edge_fer.report.table import Table

TABLE = Table(title="50 % of a_b", heads=("file", "ms"), rows=(("a|b & c", "1.5"), ("d, e", "2")))


def test_markdown_has_figures_to_the_right_and_no_stray_bars():
    assert markdown([TABLE]).splitlines() == [
        "50 % of a_b",
        "",
        "| file | ms |",
        "| --- | --: |",
        r"| a\|b & c | 1.5 |",
        "| d, e | 2 |",
    ]


def test_csv_reads_back():
    rows = list(csv.reader(io.StringIO(comma_separated([TABLE, TABLE]))))
    assert rows[0] == ["table", "file", "ms"]
    assert rows[2] == [TABLE.title, "d, e", "2"]
    assert len(rows) == 6


def test_latex_is_escaped():
    text = latex([TABLE])
    assert r"\caption{50 \% of a\_b}" in text
    assert r"a|b \& c & 1.5 \\" in text
    assert text.count(r"\begin") == text.count(r"\end") == 2


def test_the_pareto_front_is_what_nothing_beats_in_both():
    points = [(1.0, 60.0), (2.0, 70.0), (2.0, 65.0), (3.0, 70.0), (4.0, 80.0), (0.5, 10.0)]
    assert pareto_front(points) == [5, 0, 1, 4]
