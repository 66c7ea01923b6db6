import errno

import pytest

from edge_fer.errors import OutputError
from edge_fer.files import refuse_overwrite, write_atomic


def full_disk_after(part):
    def write(file):
        file.write_bytes(part)
        raise OSError(errno.ENOSPC, "No space left on device")

    return write


def test_a_new_file_appears_with_its_folders(tmp_path):
    path = tmp_path / "a" / "b" / "new.txt"
    write_atomic(path, lambda file: file.write_text("whole"))
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_an_old_file_is_replaced(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    write_atomic(path, lambda file: file.write_text("new"))
    assert path.read_text() == "new"


def test_the_file_can_be_read_by_others(tmp_path):
    path = tmp_path / "file.txt"
    write_atomic(path, lambda file: file.write_text("x"))
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_the_old_file_and_no_rest(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match=r"file\.bin.*No space left"):
        write_atomic(path, full_disk_after(b"half of the ne"))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_nothing_where_nothing_was(tmp_path):
    with pytest.raises(OutputError):
        write_atomic(tmp_path / "file.bin", full_disk_after(b"half"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_writer_leaves_the_old_file_and_no_rest(tmp_path, interruption):
    def write(file):
        file.write_text("half")
        raise interruption

    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(interruption):
        write_atomic(path, write)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_the_place_of_a_folder_is_an_output_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        write_atomic(tmp_path / "file" / "below.txt", lambda file: file.write_text("x"))


def test_a_folder_in_the_place_of_the_file_is_an_output_error(tmp_path):
    (tmp_path / "target.txt").mkdir()
    with pytest.raises(OutputError):
        write_atomic(tmp_path / "target.txt", lambda file: file.write_text("x"))
    assert [path.name for path in tmp_path.iterdir()] == ["target.txt"]


def test_overwriting_needs_force(tmp_path):
    path = tmp_path / "file.txt"
    refuse_overwrite(path, force=False)
    path.write_text("x")
    refuse_overwrite(path, force=True)
    with pytest.raises(OutputError, match="--force"):
        refuse_overwrite(path, force=False)
