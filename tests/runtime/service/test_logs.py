import io
import json
import logging
import os
import re
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.runtime.service.logs import MAX_KINDS, REPEAT_AFTER_S, RepeatFilter, set_up_logging

log = logging.getLogger("edge_fer.camera")


@pytest.fixture(autouse=True)
def logger_as_before():
    logger = logging.getLogger("edge_fer")
    before, level = list(logger.handlers), logger.level
    yield
    logger.handlers[:] = before
    logger.setLevel(level)


def test_people_get_one_line_with_the_time():
    stream = io.StringIO()
    set_up_logging(stream=stream)
    log.warning("lost: %s", "a cable,\nor the power")
    line = stream.getvalue()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} warning camera: lost: a cable, or the power\n", line
    )


def test_programs_get_json():
    stream = io.StringIO()
    set_up_logging(json_lines=True, stream=stream)
    log.info("opened %s", "grüße")
    try:
        raise OSError("gone")
    except OSError:
        log.exception("stopped")
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert set(first) == {"ts", "level", "part", "message"}
    assert (first["level"], first["part"], first["message"]) == ("info", "camera", "opened grüße")
    assert datetime.fromisoformat(first["ts"]).utcoffset().total_seconds() == 0
    assert second["exception"].endswith("OSError: gone")


@given(st.text(), st.booleans())
def test_whatever_is_logged_is_one_line(message, json_lines):
    stream = io.StringIO()
    set_up_logging(json_lines=json_lines, stream=stream)
    log.info("%s", message)
    assert stream.getvalue().count("\n") == 1
    assert len(stream.getvalue().splitlines()) == 1


def test_an_exception_is_told_in_the_line():
    stream = io.StringIO()
    set_up_logging(stream=stream)
    try:
        raise OSError("gone")
    except OSError:
        log.exception("stopped")
    assert stream.getvalue().endswith("error camera: stopped (OSError: gone)\n")


@pytest.mark.parametrize(("verbose", "told"), [(False, ["b", "c"]), (True, ["a", "b", "c"])])
def test_details_are_told_on_request(verbose, told):
    stream = io.StringIO()
    set_up_logging(json_lines=True, verbose=verbose, stream=stream)
    log.debug("a")
    log.info("b")
    log.error("c")
    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == told


def test_setting_up_again_replaces():
    first, second = io.StringIO(), io.StringIO()
    set_up_logging(stream=first)
    set_up_logging(stream=second)
    log.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


def test_journald_gets_its_level_and_no_time(tmp_path):
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        journal = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        set_up_logging(stream=stream, environment=journal)
        log.info("opened")
        log.warning("lost")
        stream.seek(0)
        assert stream.read() == "<6>info camera: opened\n<4>warning camera: lost\n"


def test_a_stream_that_is_not_the_journal_gets_the_time(tmp_path):
    with (tmp_path / "redirected").open("w+") as stream:
        set_up_logging(stream=stream, environment={"JOURNAL_STREAM": "1:2"})
        log.info("opened")
        stream.seek(0)
        assert re.match(r"\d{4}-", stream.read())


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_a_line_wipes_what_was_being_rewritten():
    stream = Terminal()
    set_up_logging(stream=stream)
    log.info("opened")
    assert stream.getvalue().endswith("opened\x1b[K\n")


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def repeats():
    """Warns as ``log.warning`` would; returns what is told: None, or how often it came."""
    clock = Clock()
    limit = RepeatFilter(clock)

    def warn(message, *arguments, at_s, level=logging.WARNING, name="edge_fer.camera"):
        clock.now_s = at_s
        record = logging.LogRecord(name, level, "", 0, message, arguments, None)
        return getattr(record, "repeats", 1) if limit.filter(record) else None

    return warn


def test_a_warning_of_every_frame_is_told_first_then_counted_each_minute(repeats):
    times_s = [index / 10 for index in range(1801)]
    told = [(at_s, repeats("frame %d is late", int(at_s * 10), at_s=at_s)) for at_s in times_s]
    assert [entry for entry in told if entry[1]] == [(0, 1), (60, 600), (120, 600), (180, 600)]


def test_trouble_of_different_kinds_is_told_apart(repeats):
    assert repeats("%s: lost", "mqtt://a", at_s=0) == 1
    assert repeats("%s: lost", "mqtt://b", at_s=0) == 1
    assert repeats("%s: lost", "mqtt://a", at_s=0, name="edge_fer.other") == 1
    assert repeats("%s: lost", "mqtt://a", at_s=1) is None


def test_what_comes_seldom_is_always_told(repeats):
    for index in range(5):
        assert repeats("lost", at_s=index * REPEAT_AFTER_S) == 1


def test_what_is_no_trouble_is_not_counted(repeats):
    assert [repeats("opened", at_s=0, level=logging.INFO) for _ in range(3)] == [1, 1, 1]


def test_ever_new_warnings_do_not_pile_up():
    limit = RepeatFilter(lambda: 0.0)
    for index in range(10 * MAX_KINDS):
        record = logging.LogRecord("edge_fer.a", logging.ERROR, "", 0, f"bad {index}", (), None)
        assert limit.filter(record)
    assert len(limit._kinds) == MAX_KINDS


def test_a_counted_warning_says_so(monkeypatch):
    clock = Clock()
    stream = io.StringIO()
    handler = set_up_logging(stream=stream)
    handler.filters[:] = [RepeatFilter(clock)]
    for at_s in (0, 1, 2, 61):
        clock.now_s = at_s
        log.warning("late")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("camera: late")
    assert second.endswith("camera: late (3 times since it was last told)")
