"""The HTML reports in a real browser: complete in one file, silent, with plots that are drawn."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright", reason="playwright is not installed")

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browser import CHROMIUM, FLAGS
from tests.e2e.conftest import CHECKPOINT, Cli

#: A text of a plot that is lower than this many pixels cannot be read.
LEGIBLE_PX = 8
TEXT_HEIGHTS = """() => [...document.querySelectorAll('svg')].map(
    svg => [...svg.querySelectorAll('text, g[id^=text]')].map(
        text => text.getBoundingClientRect().height).filter(height => height > 0))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def reports(cli: Cli, tmp_path: Path, tiny_fer2013: Path) -> dict[str, Path]:
    """``edge-fer bench`` and ``edge-fer evaluate`` with everything that draws."""
    commands = {
        "bench.html": ("bench", "--rounds", 3, "--ops", "--limit"),
        "evaluate.html": ("evaluate", CHECKPOINT, "--data", f"fer2013:{tiny_fer2013}"),
    }
    for name, command in commands.items():
        done = cli(*command, "--report", name)
        assert done.returncode == 0, done.stderr
    return {name: tmp_path / name for name in commands}


def test_reports_open_without_errors_and_without_a_network(
    browser: Browser, reports: dict[str, Path]
) -> None:
    for name, path in reports.items():
        context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
        page = context.new_page()
        said, asked = [], []
        page.on("console", lambda message, said=said: said.append(message.text))
        page.on("pageerror", lambda error, said=said: said.append(str(error)))
        page.on("request", lambda request, asked=asked: asked.append(request.url))
        page.goto(path.as_uri())
        plots = page.evaluate(TEXT_HEIGHTS)
        page.screenshot(path=path.with_suffix(".png"), full_page=True)
        context.close()
        assert said == [], name
        assert [url for url in asked if not url.startswith(("file:", "data:"))] == [], name
        assert plots, name
        for heights in plots:
            assert heights, f"{name}: a plot without any text"
            assert min(heights) >= LEGIBLE_PX, f"{name}: {min(heights)} px"
