from contextlib import nullcontext

import pytest
import torch
from torch import nn

from edge_fer.data.augment import Augmentation
from edge_fer.search.lesson import Classroom, lesson_on
from edge_fer.search.supernet import Moment
from edge_fer.train.config import Stage
from edge_fer.train.inputs import Batch
from edge_fer.train.lesson import Lesson

GRAY = 160
STILL = {"flip": 0, "rotation_deg": 0, "shift": 0, "zoom": 0, "contrast": 0, "brightness": 0}
PRIOR_K = torch.full((7,), 1 / 7)


class Watching(nn.Module):
    """A classifier that keeps what it saw."""

    def forward(self, x_NCHW):
        self.seen_NCHW = x_NCHW
        return (x_NCHW.mean((2, 3)).expand(-1, 7),)


@pytest.fixture
def faces():
    return Batch(
        pixels_NCHW=torch.full((40, 1, 16, 16), GRAY, dtype=torch.uint8),
        labels_N=torch.arange(40) % 7,
    )


def dark_stage(**changes):
    return Stage(augmentation=Augmentation(**STILL, dark_stops=3), **changes)


def darker(x_NCHW):
    return int((x_NCHW.mean((1, 2, 3)) < (GRAY - 129) / 128).sum())


def test_a_student_sees_faces_spoiled_and_its_teacher_sees_them_clear(faces):
    student, shown = Watching(), []

    def teach(x_NCHW, temperature):
        shown.append(x_NCHW)
        return torch.full((len(x_NCHW), 7), 1 / 7)

    lesson = Lesson(
        stage=dark_stage(distill=0.5),
        trainee=student,
        model=student,
        input_chw=(1, 16, 16),
        prior_K=PRIOR_K,
        teachers=teach,
        autocast=nullcontext,
    )
    lesson.loss(faces, torch.Generator().manual_seed(0))
    assert 8 < darker(student.seen_NCHW) < 32
    assert darker(shown[0]) == 0


def test_a_search_sees_faces_spoiled_too(faces):
    room = Classroom(
        network=nn.Identity(),
        intermediate=1,
        stage=dark_stage(),
        input_chw=(1, 16, 16),
        prior_K=PRIOR_K,
        autocast=nullcontext,
    )
    lesson = lesson_on(faces, room, Moment(), torch.Generator().manual_seed(0))
    assert 8 < darker(lesson.x_NCHW) < 32
