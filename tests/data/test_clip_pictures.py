import cv2
import numpy as np
import pytest
import torch

from edge_fer.data.clips import read_clip
from edge_fer.data.dataset import read_pixels
from edge_fer.data.spec import read_dataset, read_faces
from edge_fer.data.synthetic import synthetic_clip
from edge_fer.dynamic_image import dynamic_image
from edge_fer.errors import DataError
from edge_fer.evaluate.predict import torch_logits
from edge_fer.flow import STILL_PIXEL
from edge_fer.preprocess import Preprocessing
from edge_fer.train.inputs import fit_input, normalised, on_device, prepared

HEAD = "Subject,Filename,,OnsetFrame,ApexFrame,OffsetFrame,,Action Units,Estimated Emotion"
FRAMES = 9


@pytest.fixture
def casme2(tmp_path, lines):
    """Six drawn clips of three people in CASME II's layout."""
    rows = []
    for index, expression in enumerate(["happy", "disgust", "surprise"] * 2):
        clip = synthetic_clip(expression, FRAMES, seed=index)
        subject, name = index // 2 + 1, f"EP{index:02d}"
        folder = tmp_path / f"sub{subject:02d}" / name
        folder.mkdir(parents=True)
        for number, frame in enumerate(clip.frames_THW, 1):
            cv2.imwrite(str(folder / f"img{number}.png"), frame)
        emotion = {"happy": "happiness"}.get(expression, expression)
        first, apex, last = clip.onset + 1, clip.apex + 1, clip.offset + 1
        rows.append(f"{subject},{name},,{first},{apex},{last},,4,{emotion}")
    lines("CASME2-coding-20190701.csv", HEAD, *rows)
    return tmp_path


def test_a_dynamic_image_is_that_of_the_clips_frames(casme2):
    clips, pictures = (read_dataset(f"{way}casme2:{casme2}") for way in ("", "dynamic:"))
    assert len(pictures) == len(clips) == 6
    square = Preprocessing(height_px=128, width_px=128, crop_scale=1.0)
    frames = read_clip(clips.items[0])
    squared = np.stack([square.face_pixels(f, (0, 0, *f.shape[1::-1])) for f in frames])
    picture = read_pixels(pictures.items[0])
    assert picture.shape == (128, 128, 3)
    assert np.array_equal(picture[:, :, 1], dynamic_image(squared, "bilen"))
    assert not np.array_equal(picture, read_pixels(
        read_dataset(f"dynamic-paper:casme2:{casme2}").items[0]
    ))  # fmt: skip


def test_flow_is_still_where_nothing_moves_and_not_where_the_face_does(casme2):
    picture = read_pixels(read_dataset(f"flow:casme2:{casme2}").items[0])
    motion = np.abs(picture[:, :, :2].astype(int) - STILL_PIXEL).max(2)
    assert np.median(motion) < motion.max() / 4
    assert motion.max() > 5


def test_subjects_and_labels_stay_those_of_the_clips(casme2):
    clips, pictures = (read_dataset(f"{way}casme2:{casme2}") for way in ("", "flow:"))
    assert pictures.subjects == clips.subjects
    assert [i.label for i in pictures.items] == [i.label for i in clips.items]


def test_pictures_are_read_as_faces_and_a_network_sees_them_as_they_are(casme2):
    faces = read_faces(f"dynamic:casme2:{casme2}", "Training")
    assert faces.images_NHW.shape[1:] == (128, 128, 3)
    pre = Preprocessing(height_px=64, width_px=64, color="flow")
    batch = on_device(prepared(faces, pre), torch.device("cpu"))
    training_NCHW = fit_input(normalised(batch.pixels_NCHW), (3, 64, 64))
    seen = []

    class Looking(torch.nn.Module):
        def forward(self, x_NCHW):
            seen.append(x_NCHW)
            return torch.zeros(len(x_NCHW), 7)

    torch_logits(Looking(), faces.images_NHW, pre)
    assert torch.equal(training_NCHW, torch.cat(seen))


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ("dynamic:synthetic:28", "not of clips"),
        ("flow:casme2", "NAME:PATH"),
        ("dynamic:nothing:x", "unknown dataset"),
    ],
)
def test_what_has_no_clips_is_refused(spec, named):
    with pytest.raises(DataError, match=named):
        read_dataset(spec)
