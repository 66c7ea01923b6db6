"""``release``, ``deploy`` and ``flash``: what cannot work is told in one line."""

from pathlib import Path

import pytest

from tests.e2e.conftest import Cli

CARD = ("--release", "release", "--hostname", "robot", "--user", "ada", "--ssh-key", "key.pub")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("release", "--target", "toaster", "--out", "r"), "toaster"),
        (("deploy", "pi@robot"), "--bundle and --target"),
        (("deploy", "pi@robot", "--bundle", "none", "--target", "raspberry-pi-5"), "none"),
        (("flash", "os.img", "--target", "toaster", "--out", "card.img", *CARD), "toaster"),
        (("flash", "os.img", "--target", "raspberry-pi-5", "--out", "card.img", *CARD), "release"),
        (
            ("flash", "os.img", "--target", "jetson-orin-nano", "--out", "card.img", *CARD),
            "JetPack",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value[:2]),
)
def test_bad_use_is_one_line(
    cli: Cli, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = cli(*arguments)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert words in line
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_is_not_there_is_named_and_fails_the_command(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Host robot\n  HostName 127.0.0.1\n  Port 9\n")
    device = ("--bundle", "small", "--target", "generic-x86_64", "--quiet")
    done = cli("deploy", "robot", *device, "--ssh-config", tmp_path / "config")
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("FAILED robot: ")
