"""Tables as Markdown, CSV and LaTeX."""

import csv
import io
from collections.abc import Callable, Sequence

from edge_fer.report.table import Table

_LATEX = str.maketrans({
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}", "°": r"\textdegree{}",
})  # fmt: skip


def markdown(tables: Sequence[Table]) -> str:
    """Returns tables under their titles; the first column to the left, figures to the right."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: Table) -> str:
    lines = [table.heads, ("---", *["--:"] * (len(table.heads) - 1)), *table.rows]
    escaped = [[cell.replace("|", r"\|") for cell in line] for line in lines]
    return f"{table.title}\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in escaped)


def comma_separated(tables: Sequence[Table]) -> str:
    """Returns CSV; each row begins with its table's title, and heads come before each table."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for table in tables:
        writer.writerow(("table", *table.heads))
        writer.writerows((table.title, *row) for row in table.rows)
    return text.getvalue()


def latex(tables: Sequence[Table]) -> str:
    """Returns ``table`` environments in booktabs' style."""
    return "\n".join(_latex(table) for table in tables)


def _latex(table: Table) -> str:
    columns = "l" + "r" * (len(table.heads) - 1)
    lines = [_latex_line(line) for line in (table.heads, *table.rows)]
    return "\n".join(
        [
            r"\begin{table}",
            rf"\caption{{{table.title.translate(_LATEX)}}}",
            rf"\begin{{tabular}}{{{columns}}}",
            r"\toprule",
            lines[0],
            r"\midrule",
            *lines[1:],
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(_LATEX) for cell in cells) + r" \\"


FORMATS: dict[str, Callable[[Sequence[Table]], str]] = {
    "markdown": markdown,
    "csv": comma_separated,
    "latex": latex,
}
