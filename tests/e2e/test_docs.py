"""Every command of the README and of docs/ runs, in order, page by page."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BLOCK = re.compile(r"^```(bash|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)
SELF = f"{sys.executable} -m edge_fer "


@pytest.fixture
def workplace(tmp_path: Path, tiny_fer2013: Path, astronaut: Path, shipped_bundle: Path) -> Path:
    """What the pages assume: two datasets, a photo, a clip, a trained run, a bundle and a model."""
    assert tiny_fer2013 == tmp_path / "fer2013.csv"
    _write_votes(tmp_path / "fer2013new.csv", len(tiny_fer2013.read_text().splitlines()) - 1)
    photo = cv2.imread(str(astronaut))
    cv2.imwrite(str(tmp_path / "photo.jpg"), photo)
    codec = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), codec, 25, (512, 512))
    for shift in range(5):
        writer.write(cv2.copyMakeBorder(photo, 0, 0, shift, 0, cv2.BORDER_REPLICATE)[:, :512])
    writer.release()
    for name in ("train/happy", "train/tired", "val/happy", "val/tired"):
        (tmp_path / "my-faces" / name).mkdir(parents=True)
        for number in range(4):
            face = cv2.resize(photo[60 : 260 + number, 160:330], (48, 48))
            cv2.imwrite(str(tmp_path / "my-faces" / name / f"{number}.png"), face)
    shutil.copytree(shipped_bundle, tmp_path / "arch-1-bundle")
    shutil.copy(shipped_bundle / "model.int8.tflite", tmp_path / "model.tflite")
    return tmp_path


def _write_votes(file: Path, count: int) -> None:
    """FERPlus: all ten annotators of a face agree, on one class after the other."""
    names = "neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"
    rows = (
        f"Training,fer{row:07d}.png,{','.join('10' if k == row % 8 else '0' for k in range(10))}"
        for row in range(count)
    )
    file.write_text("\n".join((f"Usage,Image name,{names}", *rows)) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_runs(
    page: Path, workplace: Path, trained_checkpoint: Path
) -> None:
    text = page.read_text()
    for settings in TOML.findall(text):
        (workplace / f"{page.stem}.toml").write_text(settings)
    commands = "".join(block for _, block in BLOCK.findall(text))
    if "runs/arch-1" in commands and "edge-fer train arch-1" not in commands:
        (workplace / "runs/arch-1").mkdir(parents=True)
        shutil.copy(trained_checkpoint, workplace / "runs/arch-1/best.safetensors")
    if page.name == "quantize.md":
        shutil.rmtree(workplace / "arch-1-bundle")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for language, block in BLOCK.findall(text):
        for command in _commands(language, block):
            done = subprocess.run(
                command, cwd=workplace, env=environment, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, f"{block}\n{done.stderr}"


def _commands(language: str, text: str) -> list[list[str]]:
    if language == "python":
        return [[sys.executable, "-c", text]]
    lines = text.replace("\\\n", " ").strip().splitlines()
    own = [line for line in lines if line.startswith("edge-fer ")]
    assert len(own) == len(lines), "a bash block holds edge-fer commands only"
    return [["sh", "-c", line.replace("edge-fer ", SELF, 1)] for line in own]


@pytest.mark.parametrize("script", ["write_reference.py", "write_tables.py"])
def test_generated_pages_are_current(script: str) -> None:
    command = [sys.executable, ROOT / "docs" / script, "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
