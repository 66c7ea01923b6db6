from html.parser import HTMLParser

import pytest

pytest.importorskip("jinja2", reason="the extra report")

from edge_fer.report.page import Picture, Section, render_page
from edge_fer.report.table import Table, interval, percent, signed_interval

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Checker(HTMLParser):
    """Collects tags, text and references, and fails on a tag that is not closed."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.references, self.text = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.references += [value for key, value in attrs if key in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def checked(page):
    parser = Checker()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    assert all(reference.startswith("#") for reference in parser.references)
    assert not {"script", "link", "img", "iframe"} & set(parser.tags)
    return parser


NASTY = "<script>alert('x')</script> & \"quotes\""


def test_a_page_holds_all_it_is_given_escaped():
    table = Table(title=f"T {NASTY}", heads=("a", NASTY), rows=((NASTY, "1"), ("r", NASTY)))
    section = Section(
        title=f"S {NASTY}",
        texts=(f"P {NASTY}",),
        tables=(table,),
        pictures=(Picture(svg='<svg><path d="M 0 0"/></svg>', caption=f"C {NASTY}"),),
    )
    page = render_page(f"H {NASTY}", [(f"F {NASTY}", NASTY)], [section])
    parser = checked(page)
    text = "".join(parser.text)
    for name in "HSTPCF":
        assert f"{name} {NASTY}" in text
    assert {"svg", "figure", "caption", "dl"} <= set(parser.tags)


def test_a_page_says_what_a_browser_needs():
    page = render_page("Title", [], [])
    checked(page)
    assert page.startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in page
    assert '<meta charset="utf-8">' in page
    assert 'name="viewport"' in page
    assert "@media print" in page
    assert "<title>Title</title>" in page


def test_a_file_name_that_is_not_utf_8_is_written_as_an_escape():
    assert "\\udcff.png" in render_page("\udcff.png", [], [])


def test_figures_are_written_for_people():
    assert (percent(0.12345), percent(None)) == ("12.35", "-")
    assert (interval((0.1, 0.25)), interval(None)) == ("10.0-25.0", "-")
    assert signed_interval((-0.01, 0.02)) == "-1.00 .. +2.00"
