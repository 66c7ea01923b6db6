"""``edge-fer explain`` as a process: pictures, one line for what it cannot do."""

import json
import subprocess
import sys
from pathlib import Path

from tests.e2e.conftest import CHECKPOINT, Cli

WITHOUT_CAPTUM = """
import sys

class Fence:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "captum":
            raise ModuleNotFoundError("no " + name, name=name)

sys.meta_path.insert(0, Fence())
sys.argv = {arguments}
from edge_fer.cli import main
main()
"""


def test_explains_a_photo(cli: Cli, astronaut: Path, tmp_path: Path) -> None:
    done = cli("explain", CHECKPOINT, astronaut, "--detect", "--out", "out")
    assert done.returncode == 0, done.stderr
    assert "upper half %" in done.stdout
    assert (tmp_path / "out" / "gradcam-astronaut.png").read_bytes().startswith(b"\x89PNG")


def test_real_faces(cli: Cli, fer2013_file: Path) -> None:
    """The trained network's features tell classes apart, and the heat is on the faces."""
    data = ("--data", f"fer2013:{fer2013_file}", "--faces", "140", "--tsne", "--per-class", "1")
    done = cli("explain", CHECKPOINT, *data, "--out", "out", "--json", "--quiet")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["tsne"]["knn_accuracy"] > 0.4
    assert {row["n"] for row in document["classes"]["rows"]} == {20}
    for row in document["classes"]["rows"]:
        assert 0.2 < row["heat"][0]["upper"] < 0.7


def test_unreadable_picture_is_one_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("not a picture")
    done = cli("explain", CHECKPOINT, "text.png", "--out", "out", "--quiet")
    assert done.returncode == 2
    assert done.stderr == "edge-fer: text.png: not an image that OpenCV can read\n"
    assert not (tmp_path / "out").exists()


def test_missing_extra_is_named(astronaut: Path, tmp_path: Path) -> None:
    arguments = ["edge-fer", "explain", str(CHECKPOINT), str(astronaut), "--quiet"]
    program = WITHOUT_CAPTUM.format(arguments=[*arguments, "--out", str(tmp_path / "out")])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 2
    assert "pip install 'edge-fer[explain]'" in done.stderr
    assert not (tmp_path / "out").exists()
