from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from torch import nn

from edge_fer.data.augment import Augmentation
from edge_fer.search.lesson import Classroom, lesson_on
from edge_fer.search.supernet import Moment
from edge_fer.train.config import Stage
from edge_fer.train.inputs import Batch
from edge_fer.train.lesson import Lesson
from edge_fer.train.teachers import answers_once

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


def test_teachers_answer_once_to_a_face_and_its_mirror_image():
    def teach(x_NCHW, temperature):
        left_N = x_NCHW[..., 0].mean((1, 2))
        return torch.stack([left_N / temperature, 1 - left_N / temperature], 1)

    pixels = torch.arange(300 * 4).remainder(256).byte()
    faces = Batch(
        pixels_NCHW=pixels.view(300, 1, 1, 4),
        labels_N=torch.zeros(300, dtype=torch.int64),
    )
    calls = []
    answers_NK = answers_once(teach, faces, 2.0, lambda: calls.append(None))
    x_NW = (faces.pixels_NCHW[:, 0, 0].float() - 128) / 128
    assert answers_NK.shape == (300, 2)
    torch.testing.assert_close(answers_NK[:, 0], (x_NW[:, 0] + x_NW[:, -1]) / 4)
    assert len(calls) == 2


def test_answers_given_once_are_what_is_learnt(faces):
    def never(x_NCHW, temperature):
        raise AssertionError("asked again")

    def loss(share):
        answers_NK = torch.full((40, 7), (1 - share) / 6)
        answers_NK[:, 0] = share
        lesson = Lesson(
            stage=dark_stage(distill=1.0, distill_once=True),
            trainee=(student := Watching()),
            model=student,
            input_chw=(1, 16, 16),
            prior_K=PRIOR_K,
            teachers=never,
            autocast=nullcontext,
        )
        generator = torch.Generator().manual_seed(0)
        return float(lesson.loss(replace(faces, answers_NK=answers_NK), generator)[0])

    assert loss(0.9) > loss(1 / 7) == pytest.approx(0, abs=1e-5)


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
