import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

pytest.importorskip("matplotlib", reason="the extra report")

from edge_fer.report.plots import (
    confusion_figure,
    inline_svg,
    png_bytes,
    reliability_figure,
)

MATRIX = [[8, 2, 0], [0, 0, 0], [1, 4, 995]]
NAMES = ("angry", "<b> & $x^2", "sad")
BINS = [
    {"from": 0.0, "to": 0.5, "n": 0, "confidence": None, "accuracy": None},
    {"from": 0.5, "to": 1.0, "n": 9, "confidence": 0.9, "accuracy": 0.6},
]
PROGRAM = f"""
from edge_fer.report.plots import *
print(inline_svg(confusion_figure({MATRIX}, {NAMES}), "a"))
print(inline_svg(reliability_figure({BINS}), "b"))
"""


@pytest.fixture(params=["confusion", "reliability"])
def draw(request):
    """A function that draws the figure anew."""
    if request.param == "confusion":
        return lambda: confusion_figure(MATRIX, NAMES)
    return lambda: reliability_figure(BINS)


def test_a_drawing_is_the_same_every_time(draw):
    figure = draw()
    assert inline_svg(figure, "a") == inline_svg(draw(), "a")
    assert png_bytes(figure) == png_bytes(draw())
    assert inline_svg(figure, "a") == inline_svg(draw(), "a"), "not changed by drawing"


def test_a_drawing_is_the_same_in_every_process():
    command = [sys.executable, "-c", PROGRAM]
    first, second = (subprocess.run(command, capture_output=True, check=True) for _ in range(2))
    assert first.stdout == second.stdout != b""


def test_a_drawing_is_one_element_with_ids_of_its_own(draw):
    text = inline_svg(draw(), "mine-1")
    root = ET.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(set(ids)) == len(ids) > 5
    assert all(name.startswith("mine-1-") for name in ids)
    for element in root.iter():
        for key, value in element.items():
            if key.endswith("href"):
                assert value[0] == "#"
                assert value[1:] in ids
            if "url(" in value:
                assert value.partition("url(#")[2].partition(")")[0] in ids
    assert "metadata" not in text


def test_class_names_are_text_as_they_are():
    root = ET.fromstring(inline_svg(confusion_figure(MATRIX, NAMES), "a"))
    texts = {element.text for element in root.iter() if element.tag.endswith("}text")}
    assert {*NAMES, "predicted", "label"} <= {text and text.strip() for text in texts}


def test_counts_stand_in_their_cells():
    figure = confusion_figure(MATRIX, NAMES)
    cells = {t.get_position(): t.get_text() for t in figure.axes[0].texts}
    assert cells[0.5, 0.5] == "8\n80%"
    assert cells[1.5, 0.5] == "2\n20%"
    assert cells[1.5, 1.5] == "0\n0%"
    assert figure.axes[0].yaxis_inverted()


def test_a_script_that_the_font_lacks_does_not_stop_anything():
    figure = confusion_figure([[1, 0], [0, 1]], ("開心", "難過"))
    assert png_bytes(figure).startswith(b"\x89PNG")
    assert "開心" in inline_svg(figure, "a")
