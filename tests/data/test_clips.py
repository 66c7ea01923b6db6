from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer.data.clips import apex_index, read_clip
from edge_fer.data.dataset import Clip, Item
from edge_fer.errors import DataError

SIZE = (48, 64)


def item(*files, **cut):
    return Item(name="s1/ep1", source=Clip(tuple(files), **cut), label=0)


def pictures(folder, count=8, colour=False, size=SIZE):
    """Frames whose every pixel is ten times their number."""
    files = []
    for index in range(count):
        shape = (*size, 3) if colour else size
        files.append(folder / f"{index:03d}.png")
        assert cv2.imwrite(str(files[-1]), np.full(shape, 10 * index, np.uint8))
    return files


def video(folder, count=8):
    file = folder / "clip.avi"
    writer = cv2.VideoWriter(str(file), cv2.VideoWriter.fourcc(*"MJPG"), 25, SIZE[::-1])
    for index in range(count):
        writer.write(np.full((*SIZE, 3), 10 * index, np.uint8))
    writer.release()
    return file


def values(frames):
    return [round(float(frame.mean()) / 10) for frame in frames]


@pytest.mark.parametrize(
    ("cut", "kept"),
    [
        ({}, range(8)),
        ({"onset": 3}, range(3, 8)),
        ({"onset": 2, "apex": 4, "offset": 5}, range(2, 6)),
        ({"onset": 7, "offset": 7}, [7]),
    ],
)
def test_pictures_and_videos_are_cut_to_onset_and_offset_both_included(tmp_path, cut, kept):
    gray = read_clip(item(*pictures(tmp_path), **cut))
    assert gray.dtype == np.uint8
    assert gray.shape == (len(kept), *SIZE)
    assert values(gray) == list(kept)
    film = read_clip(item(video(tmp_path), **cut))
    assert film.dtype == np.uint8
    assert film.shape == (len(kept), *SIZE, 3)
    assert values(film) == list(kept)


def test_colour_pictures_stay_in_colour(tmp_path):
    assert read_clip(item(*pictures(tmp_path, colour=True))).shape == (8, *SIZE, 3)


def test_a_clip_of_one_picture_is_no_video(tmp_path):
    assert read_clip(item(*pictures(tmp_path, count=1))).shape == (1, *SIZE)


def test_pictures_outside_the_cut_are_not_read(tmp_path):
    files = pictures(tmp_path)
    files[0].unlink()
    files[7].write_text("x")
    assert values(read_clip(item(*files, onset=1, offset=6))) == list(range(1, 7))


def test_the_apex_is_counted_from_the_onset(tmp_path):
    files = pictures(tmp_path)
    apex = item(*files, onset=2, apex=5, offset=7)
    assert apex_index(apex) == 3
    assert values(read_clip(apex)[3:4]) == [5]
    assert apex_index(item(*files, onset=2, apex=2)) == 0
    assert apex_index(item(*files, onset=2)) is None


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        ({"onset": 2, "apex": 1, "offset": 6}, r"apex 1 is outside 2 \.\. 6"),
        ({"onset": 2, "apex": 7, "offset": 6}, r"apex 7 is outside 2 \.\. 6"),
        ({"onset": 2, "apex": 1}, r"apex 1 is outside 2 \.\. the end"),
        ({"onset": 5, "offset": 4}, "onset 5, offset 4"),
        ({"onset": -2}, "onset -2"),
        ({"onset": 8}, "ends before frame 8"),
        ({"offset": 8}, "ends before frame 8"),
        ({"onset": 2, "apex": 9}, "ends before frame 9"),
    ],
)
@pytest.mark.parametrize("kind", ["pictures", "video"])
def test_a_cut_that_does_not_fit_is_told_with_the_items_name(tmp_path, kind, cut, message):
    files = pictures(tmp_path) if kind == "pictures" else [video(tmp_path)]
    with pytest.raises(DataError, match=rf"^s1/ep1: .*{message}"):
        read_clip(item(*files, **cut))


def test_a_missing_frame_is_named(tmp_path):
    files = pictures(tmp_path)
    files[3].unlink()
    with pytest.raises(DataError, match=r"003\.png: cannot be read: No such file"):
        read_clip(item(*files))


def test_frames_of_different_sizes_are_told_apart(tmp_path):
    files = pictures(tmp_path)
    cv2.imwrite(str(files[4]), np.zeros((40, 64), np.uint8))
    with pytest.raises(DataError, match=r"frame 2 from the onset is 64x40 gray.* is 64x48 gray"):
        read_clip(item(*files, onset=2))
    cv2.imwrite(str(files[4]), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(DataError, match=r"64x48 colour.* is 64x48 gray"):
        read_clip(item(*files))


def test_unreadable_videos_are_errors_of_one_line(tmp_path, capfd):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video at all" * 50)
    empty = tmp_path / "empty.avi"
    empty.touch()
    for file in (broken, empty, tmp_path / "missing.avi"):
        with pytest.raises(DataError, match=file.name) as caught:
            read_clip(item(file))
        assert "\n" not in str(caught.value)
    assert capfd.readouterr().err == ""


def test_a_video_that_was_cut_off_is_told_where_it_ends(tmp_path):
    file = video(tmp_path)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    with pytest.raises(DataError, match=r"(ends before frame 7|no frame|not a video)"):
        read_clip(item(file, offset=7))


def test_an_image_is_no_clip():
    image = Item(name="a.png", source=Path("a.png"), label=0)
    with pytest.raises(DataError, match=r"a\.png: an image, not a clip"):
        read_clip(image)
    with pytest.raises(DataError, match="not a clip"):
        apex_index(image)
