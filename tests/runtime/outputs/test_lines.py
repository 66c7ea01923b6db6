import io
import json

from edge_fer.runtime.outputs.lines import JsonLines, TextLines, describe, json_line
from tests.runtime.results import result


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_json_line_has_the_documented_keys():
    stream = io.StringIO()
    JsonLines(stream).write(result(7, t_s=0.28))
    document = json.loads(stream.getvalue())
    assert (document["t"], document["frame"]) == (0.28, 7)
    assert set(document["latency_ms"]) == {
        "capture",
        "detect",
        "track",
        "preprocess",
        "classify",
        "post",
        "total",
    }
    (face,) = document["faces"]
    assert set(face) >= {"id", "box", "label", "score", "probabilities"}
    assert face["box"] == [40, 50, 30, 20]
    assert (face["label"], face["score"]) == ("happy", 0.7)
    assert face["probabilities"] == {"angry": 0.1, "happy": 0.7, "sad": 0.2}


def test_each_frame_is_one_line_even_without_faces():
    stream = io.StringIO()
    sink = JsonLines(stream)
    for index in range(3):
        sink.write(result(index, faces=0))
    sink.close()
    lines = stream.getvalue().splitlines()
    assert [json.loads(line)["frame"] for line in lines] == [0, 1, 2]
    assert json.loads(lines[0])["faces"] == []
    assert not stream.closed


def test_a_photos_line_names_the_file():
    stream = io.StringIO()
    JsonLines(stream).write(result(name="grüße.jpg"))
    assert "grüße.jpg" in stream.getvalue()
    assert json.loads(stream.getvalue())["file"] == "grüße.jpg"


def test_a_file_name_that_is_not_utf8_is_no_trouble():
    name = b"\xff.jpg".decode(errors="surrogateescape")
    assert json.loads(json_line(result(name=name)).encode())["file"] == name
    assert b".jpg" in describe(result(name=name)).encode()


def test_text_says_who_looks_how():
    assert "happy 70%" in describe(result(name="a.jpg"))
    assert "a.jpg" in describe(result(name="a.jpg"))
    assert "no face" in describe(result(faces=0))


def test_a_moving_source_rewrites_one_line_on_a_terminal_only():
    for stream, live, lines in (
        (Terminal(), True, 1),
        (Terminal(), False, 2),
        (io.StringIO(), True, 2),
    ):
        sink = TextLines(stream, live=live)
        sink.write(result(0))
        sink.write(result(1))
        sink.close()
        assert stream.getvalue().count("\n") == lines
        assert stream.getvalue().endswith("\n")
