import sys

import pytest

from tests.boot.console import Console
from tests.boot.stock import load_order

LINES = "import sys; sys.stdout.write('one\\r\\n\\x1b[1mtwo\\x1b[0m 2\\nthree'); sys.stdout.flush()"


def test_lines_are_waited_for_in_order_and_logged(tmp_path):
    with Console([sys.executable, "-c", LINES], tmp_path / "log", 60) as console:
        assert console.wait_for("^one$")
        assert console.wait_for(r"two (\d)")[1] == "2"
        with pytest.raises(AssertionError, match=r"did not say 'one'; (.|\n)*\none\ntwo 2"):
            console.wait_for("one")
    log = (tmp_path / "log").read_text().splitlines()
    assert [line.split(maxsplit=1)[1] for line in log] == ["one", "two 2"]


def test_nothing_is_waited_for_beyond_the_deadline(tmp_path):
    program = "import time; print('up', flush=True); time.sleep(600)"
    with Console([sys.executable, "-c", program], tmp_path / "log", 2) as console:
        with pytest.raises(AssertionError, match="did not say 'labels'"):
            console.wait_for("labels")
        machine = console._machine
    assert machine.returncode is not None


def test_modules_come_after_what_they_need():
    dependencies = (
        "kernel/crypto/crc32c_generic.ko.xz:\nkernel/drivers/block/virtio_blk.ko.xz:\n"
        "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n"
        "kernel/fs/jbd2/jbd2.ko.xz:\nkernel/lib/crc16.ko.xz:\n"
    )
    names = [name.rpartition("/")[2] for name in load_order(dependencies)]
    assert names == ["crc32c_generic.ko", "crc16.ko", "jbd2.ko", "ext4.ko", "virtio_blk.ko"]
