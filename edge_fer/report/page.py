"""One self-contained HTML page: no network, no scripts, readable on a phone and on paper."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from edge_fer.report.table import Table, printable

_TEMPLATE = Path(__file__).with_name("page.html")


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawing on the page.

    Attributes:
        svg: As ``plots.inline_svg`` gives it; the one thing that goes into the page unescaped.
        caption: Below it.
    """

    svg: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the page under a heading of its own.

    Attributes:
        title: The heading.
        texts: Paragraphs.
        tables: After them.
        pictures: After those, side by side where there is room.
    """

    title: str
    texts: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    pictures: tuple[Picture, ...] = ()


def render_page(title: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    """Returns an HTML page; all text in it is escaped.

    Args:
        title: Of the page.
        facts: Names and values, below the title.
        sections: The rest, in order.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True
    )
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return printable(template.render(title=title, facts=facts, sections=sections))
