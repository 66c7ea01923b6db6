import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_fer.errors import SourceError
from edge_fer.runtime.sources.images import list_images, read_image
from edge_fer.runtime.sources.opening import open_source

CODECS = {"clip.mp4": "mp4v", "clip.avi": "MJPG"}


def picture(path, value=100, size=(40, 60)):
    assert cv2.imwrite(str(path), np.full((*size, 3), value, np.uint8))
    return path


def video(folder, name, count=8, fps=10.0):
    path = folder / name
    if name.endswith(".gif"):
        if not hasattr(cv2, "imwriteanimation"):
            pytest.skip(f"OpenCV {cv2.__version__} writes no GIF")
        animation = cv2.Animation()
        animation.frames = [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(count)]
        animation.durations = np.full(count, round(1000 / fps), np.int32)
        assert cv2.imwriteanimation(str(path), animation)
        return path
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*CODECS[name]), fps, (64, 48))
    for index in range(count):
        writer.write(np.full((48, 64, 3), 20 * index % 256, np.uint8))
    writer.release()
    return path


def read_all(spec):
    with open_source(str(spec)) as source:
        return list(source)


def test_a_photo_is_one_frame_with_its_name(tmp_path):
    path = picture(tmp_path / "face.png")
    with open_source(str(path)) as source:
        assert source.single
        (frame,) = source
    assert (frame.index, frame.t_s, frame.name) == (0, 0.0, "face.png")
    assert frame.image.shape == (40, 60, 3)
    assert frame.capture_ms > 0


def test_a_folder_gives_its_photos_by_name_and_nothing_else(tmp_path):
    for value, name in ((30, "c.png"), (10, "a.jpg"), (20, "b.JPEG")):
        picture(tmp_path / name.lower(), value).rename(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    frames = read_all(tmp_path)
    assert [frame.name for frame in frames] == ["a.jpg", "b.JPEG", "c.png"]
    assert [int(frame.image.mean()) for frame in frames] == [10, 20, 30]
    assert [frame.index for frame in frames] == [0, 1, 2]


def test_a_folder_of_one_photo_is_still_a_folder(tmp_path):
    picture(tmp_path / "a.png")
    with open_source(str(tmp_path)) as source:
        assert not source.single


@pytest.mark.parametrize("name", [*CODECS, "clip.gif"])
def test_a_video_gives_all_its_frames_in_order(tmp_path, name):
    frames = read_all(video(tmp_path, name))
    assert [frame.index for frame in frames] == list(range(8))
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    brightness = [float(frame.image.mean()) for frame in frames]
    assert np.allclose(brightness, [20 * i for i in range(8)], atol=6)


@pytest.mark.parametrize("name", [*CODECS, "clip.gif"])
def test_a_frame_carries_its_own_time_in_the_video(tmp_path, name):
    frames = read_all(video(tmp_path, name, fps=10.0))
    assert np.allclose([frame.t_s for frame in frames], np.arange(8) / 10, atol=0.011)


def test_a_video_knows_its_frame_rate(tmp_path):
    with open_source(str(video(tmp_path, "clip.mp4", fps=12.5))) as source:
        assert source.fps == pytest.approx(12.5)
        assert not source.single


@pytest.mark.parametrize("spec", ["99", "/dev/video99"])
def test_a_missing_camera_is_refused_by_its_device(spec):
    with pytest.raises(SourceError, match="/dev/video99"):
        open_source(spec)


def test_without_picamera2_and_cameras_there_is_no_camera(monkeypatch):
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda p: not str(p).startswith("/dev/video") and exists(p))
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SourceError, match="no such camera"):
        open_source("camera")


@pytest.mark.parametrize("name", ["text.jpg", "text.png", "text.mp4", "text.gif", "text.txt"])
def test_a_text_file_of_any_name_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_text("no picture at all")
    with pytest.raises(SourceError, match=name):
        read_all(tmp_path / name)


@pytest.mark.parametrize("name", ["empty.jpg", "empty.mp4"])
def test_an_empty_file_is_refused_by_name(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=name):
        read_all(tmp_path / name)


def test_a_truncated_video_is_refused_or_ends_early(tmp_path):
    path = video(tmp_path, "clip.avi", count=30)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    try:
        frames = read_all(path)
    except SourceError:
        return
    assert 0 < len(frames) < 30


def test_an_empty_folder_is_refused_with_what_is_looked_for(tmp_path):
    with pytest.raises(SourceError, match=r"\.jpg"):
        open_source(str(tmp_path))


@pytest.mark.parametrize("name", ["none.jpg", "none.mp4", "none"])
def test_a_missing_source_is_refused_by_name(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SourceError, match=name):
        open_source(name)


def with_orientation(jpeg, orientation):
    """Puts an EXIF block with an orientation behind the first marker of a JPEG."""
    tiff = b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


def test_a_photo_is_turned_upright_by_its_exif_orientation(tmp_path):
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 32:] = 255
    jpeg = cv2.imencode(".jpg", image)[1].tobytes()
    path = tmp_path / "turned.jpg"
    path.write_bytes(with_orientation(jpeg, 6))
    upright = read_image(path)
    assert upright.shape == (64, 32, 3)
    assert upright[:28].mean() < 5 < 250 < upright[36:].mean()


def test_a_gray_photo_is_read_as_three_channels(tmp_path):
    path = tmp_path / "gray.png"
    cv2.imwrite(str(path), np.full((20, 30), 77, np.uint8))
    assert read_image(path).shape == (20, 30, 3)


def test_names_outside_ascii_are_read(tmp_path):
    picture(tmp_path / "a.png").rename(tmp_path / "grüße 笑.png")
    assert read_image(tmp_path / "grüße 笑.png").shape == (40, 60, 3)
    assert [path.name for path in list_images(tmp_path)] == ["grüße 笑.png"]


def test_a_photo_that_cannot_be_read_among_good_ones_is_skipped(tmp_path, caplog):
    for value, name in ((10, "a.png"), (30, "c.png")):
        picture(tmp_path / name, value)
    (tmp_path / "b.png").write_text("no picture at all")
    frames = read_all(tmp_path)
    assert [(frame.name, frame.index, frame.dropped) for frame in frames] == [
        ("a.png", 0, 0),
        ("c.png", 2, 1),
    ]
    (line,) = caplog.messages
    assert "b.png: not an image" in line


def test_a_folder_of_bad_photos_only_is_an_error(tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_text("no picture at all")
    with pytest.raises(SourceError, match="none of its 2 photos can be read"):
        read_all(tmp_path)


@pytest.mark.parametrize("spec", ["ftp://me:geheim@host/x?key=geheim", "webcam:0", "csi:x"])
def test_an_unknown_kind_of_source_is_refused_with_those_that_are_known(spec):
    with pytest.raises(SourceError) as caught:
        open_source(spec)
    message = str(caught.value)
    assert message.startswith(spec[:4])
    assert all(kind in message for kind in ("photo", "/dev/videoN", "csi", "gst:", "rtsp://"))
    assert "\n" not in message
    assert "geheim" not in message


def test_a_url_with_spaces_keeps_its_password(monkeypatch):
    with pytest.raises(SourceError) as caught:
        open_source("http://me:ge heim@127.0.0.1:1/x")
    assert "heim" not in str(caught.value)


def test_photos_do_not_care_about_real_time(tmp_path):
    picture(tmp_path / "a.png")
    with open_source(str(tmp_path), every_frame=False) as source:
        assert not source.live
        assert len(list(source)) == 1


def test_a_file_whose_name_has_a_colon_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "a.png").rename("night:1.png")
    assert len(read_all("night:1.png")) == 1
