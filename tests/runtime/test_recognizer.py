import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import edge_fer
from edge_fer.dynamic_image import dynamic_image
from edge_fer.errors import ModelError, SourceError
from edge_fer.preprocess import Preprocessing
from edge_fer.runtime.faces.detectors import Detection
from edge_fer.runtime.faces.region import PHOTO_PX, VIDEO_PX
from edge_fer.runtime.faces.tracking import overlap
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.labels.micro import SIDE_PX
from edge_fer.runtime.labels.steadiness import Steadiness
from edge_fer.runtime.recognizer import Recognizer
from edge_fer.runtime.result import STAGES, UNSURE
from edge_fer.runtime.settings import Settings
from edge_fer.runtime.sources.images import read_image
from tests.runtime.scenes import Told, frame, scene

pytestmark = pytest.mark.device
BOX, OTHER = (100.0, 80.0, 60.0, 60.0), (220.0, 60.0, 40.0, 40.0)


@pytest.fixture
def load(shipped_bundle):
    def _load(*boxes, **settings):
        detector = Told(*boxes)
        return Recognizer.load(str(shipped_bundle), detector=detector, **settings), detector

    return _load


def read_all(recognizer, images, fps=30.0):
    return [recognizer.read(frame(index, image, fps)) for index, image in enumerate(images)]


def test_three_lines_are_enough(astronaut):
    found = [
        face.label
        for result in edge_fer.Recognizer.load(detector="haar").stream(str(astronaut))
        for face in result.faces
    ]
    assert len(found) == 1
    assert edge_fer.Settings is Settings
    with pytest.raises(AttributeError, match="nothing"):
        edge_fer.nothing  # noqa: B018


def test_importing_the_package_imports_nothing_heavy():
    code = "import sys, edge_fer; sys.exit('cv2' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_source_that_is_not_there_is_an_error_when_it_is_read(load):
    recognizer, _ = load()
    with pytest.raises(SourceError, match=r"missing\.mp4"):
        next(recognizer.stream("missing.mp4"))


def test_the_detector_is_asked_now_and_then_and_faces_are_followed_in_between(load):
    recognizer, detector = load(BOX)
    boxes = [(BOX[0] + 2 * step, *BOX[1:]) for step in range(31)]
    for index, box in enumerate(boxes):
        detector.boxes = [box]
        asked = detector.asked
        (face,) = recognizer.read(frame(index, scene([box]))).faces
        assert overlap(face.box, box) > 0.85
        assert face.tracked == (detector.asked == asked)
        assert face.id == 0
    assert detector.asked == 4


@pytest.mark.parametrize(("every", "asked"), [(1, 20), (5, 4)])
def test_detect_every_n_frames(load, every, asked):
    recognizer, detector = load(BOX, detect_every=every)
    read_all(recognizer, [scene([BOX])] * 20)
    assert detector.asked == asked


def test_a_lost_face_or_another_scene_asks_the_detector_at_once(load):
    recognizer, detector = load(BOX)
    read_all(recognizer, [scene([BOX])] * 2)
    detector.boxes = [OTHER]
    (face,) = recognizer.read(frame(2, scene([OTHER], seeds=[3]))).faces
    assert detector.asked == 2
    assert (face.box, face.id) == (OTHER, 1)


def test_a_new_face_is_found_within_0_3_seconds(load):
    for first in ([], [BOX]):
        recognizer, detector = load(*first)
        read_all(recognizer, [scene(first)] * 10)
        detector.boxes = [*first, OTHER]
        results = [recognizer.read(frame(10 + i, scene(detector.boxes))) for i in range(9)]
        assert len(results[-1].faces) == len(detector.boxes)


def test_an_error_of_the_detector_leaves_everything_as_it_was(load):
    recognizer, detector = load(BOX, detect_every=3)
    image = scene([BOX])
    (before,) = read_all(recognizer, [image] * 3)[-1].faces
    detector.error = RuntimeError("lost")
    for index in (3, 4):
        with pytest.raises(RuntimeError, match="lost"):
            recognizer.read(frame(index, image))
    detector.error = None
    (after,) = recognizer.read(frame(5, image)).faces
    assert (after.id, after.tracked) == (before.id, False)


def test_an_error_of_the_classifier_does_not_last(load):
    recognizer, _ = load(BOX)
    logits, image = recognizer.classifier.logits, scene([BOX])
    recognizer.classifier.logits = lambda pixels: 1 / 0
    with pytest.raises(ZeroDivisionError):
        recognizer.read(frame(0, image))
    recognizer.classifier.logits = logits
    assert len(recognizer.read(frame(1, image)).faces) == 1


def test_gray_frames_read_as_their_colour_ones_do(load):
    image = scene([BOX])
    colour, _ = load(BOX)
    gray, detector = load(BOX)
    for wanted, got in zip(
        read_all(colour, [image] * 5), read_all(gray, [image[:, :, 0]] * 5), strict=True
    ):
        assert np.array_equal(wanted.faces[0].probabilities, got.faces[0].probabilities)
        assert got.faces[0].box == pytest.approx(wanted.faces[0].box)
    assert len(detector.shape) == 2


SHAPES = [(1, 1), (1, 1, 3), (1, 700, 3), (700, 1), (33, 31, 3), (240, 320), (480, 640, 3)]


@pytest.mark.parametrize("settings", [{}, {"roi": (0.4, 0.4, 0.3, 0.3), "min_face": 0.1}], ids=str)
@pytest.mark.parametrize("detector", ["haar", pytest.param("yunet", marks=pytest.mark.data)])
def test_frames_of_any_size_and_of_nothing_are_read(request, shipped_bundle, detector, settings):
    if detector == "yunet":
        detector = f"yunet:{request.getfixturevalue('yunet_file')}"
    recognizer = Recognizer.load(str(shipped_bundle), detector=detector, **settings)
    rng = np.random.default_rng(0)
    for index, shape in enumerate(SHAPES * 2):
        for image in (np.zeros(shape, np.uint8), rng.integers(0, 256, shape, np.uint8)):
            for name in ("", "photo.jpg"):
                recognizer.read(Frame(index, index / 30, image, 0.0, name))


def test_a_frame_of_another_size_or_an_earlier_time_starts_anew(load):
    recognizer, _ = load(BOX)
    image = scene([BOX])
    ids = [recognizer.read(frame(index, image)).faces[0].id for index in (5, 6)]
    ids.append(recognizer.read(frame(7, image[:200])).faces[0].id)
    ids.append(recognizer.read(frame(0, image[:200])).faces[0].id)
    assert ids == [0, 0, 1, 2]


def test_photos_are_searched_and_read_each_for_itself(load, astronaut):
    recognizer, detector = load(BOX)
    image, results = scene([BOX]), []
    for index, name in enumerate(("a.jpg", "b.jpg")):
        results.append(recognizer.read(Frame(index, 0.0, image, 0.0, name)))
    assert detector.asked == 2
    for result in results:
        (face,) = result.faces
        assert (face.id, face.answer, face.tracked) == (0, "", False)
        assert face.raw_probabilities is None
    large = cv2.resize(image, (1280, 960))
    recognizer.read(Frame(0, 0.0, large, 0.0, "c.jpg"))
    assert max(detector.shape) == PHOTO_PX
    recognizer.read(Frame(0, 0.0, large, 0.0))
    assert max(detector.shape) == VIDEO_PX


def test_boxes_and_landmarks_are_in_the_frame_whatever_the_detector_saw(load):
    recognizer, detector = load(detect_width_px=320)
    detector.detect = lambda image: [Detection((10.0, 20.0, 30.0, 40.0), 0.9, ((15.0, 25.0),))]
    image = np.zeros((480, 640, 3), np.uint8)
    (face,) = recognizer.read(frame(0, image)).faces
    assert face.box == (20, 40, 60, 80)
    assert face.landmarks == ((30, 50),)
    inside, inner = load(roi=(320, 0, 320, 240))
    inner.detect = detector.detect
    assert inside.read(frame(0, image)).faces[0].box == (330, 20, 30, 40)


@pytest.mark.parametrize(
    ("roi", "shape"),
    [
        ((0.5, 0.0, 0.5, 1.0), (240, 160)),
        ((100, 50, 90, 60), (60, 90)),
        ((300, 200, 500, 500), (40, 20)),
        ((1000, 1000, 5, 5), (1, 1)),
    ],
)
def test_only_the_region_is_searched(load, roi, shape):
    recognizer, detector = load(roi=roi)
    recognizer.read(frame(0, scene([])))
    assert detector.shape[:2] == shape


def test_small_faces_do_not_count_and_smaller_ones_get_a_larger_picture(load):
    recognizer, detector = load(BOX, OTHER, min_face=50.0)
    assert len(recognizer.read(frame(0, scene([BOX, OTHER]))).faces) == 1
    image = np.zeros((480, 640, 3), np.uint8)
    for min_face, longest in ((0.2, VIDEO_PX), (25, 512), (0.025, 640), (0.0, VIDEO_PX)):
        recognizer, detector = load(min_face=min_face)
        recognizer.read(frame(0, image))
        assert max(detector.shape) == longest


def test_what_no_face_can_be_is_left_out(load):
    recognizer, _ = load((np.nan, 0, 5, 5), (0, 0, np.inf, 5), (0, 0, 0, 5), BOX)
    assert [face.box for face in recognizer.read(frame(0, scene([BOX]))).faces] == [BOX]


def test_the_largest_face_alone_and_not_another_one_at_every_breath(load):
    recognizer, detector = load(OTHER, BOX, faces="largest", detect_every=1)
    first = recognizer.read(frame(0, scene([OTHER, BOX]))).faces
    assert [face.box for face in first] == [BOX]
    detector.boxes = [(*OTHER[:2], 63.0, 63.0), BOX]
    (still,) = recognizer.read(frame(1, scene(detector.boxes))).faces
    assert still.box == BOX
    detector.boxes = [(*OTHER[:2], 90.0, 90.0), BOX]
    (other,) = recognizer.read(frame(2, scene(detector.boxes))).faces
    assert other.box == detector.boxes[0]


def test_faces_come_largest_first(load):
    recognizer, _ = load(OTHER, BOX)
    for result in read_all(recognizer, [scene([OTHER, BOX])] * 3):
        assert [face.box[2] for face in result.faces] == pytest.approx([60, 40], abs=1)


def test_labels_are_smoothed_by_the_frames_time_and_the_raw_ones_stay_beside_them(load):
    recognizer, _ = load(BOX, smooth_s=0.5, hysteresis=0.0, unsure=0.0)
    count = len(recognizer.classifier.labels)
    recognizer.classifier.logits = lambda pixels: np.float32([9.0, *[0.0] * (count - 1)])
    recognizer.read(frame(0, scene([BOX])))
    recognizer.classifier.logits = lambda pixels: np.float32([0.0, 9.0, *[0.0] * (count - 2)])
    (face,) = recognizer.read(frame(3, scene([BOX]))).faces
    weight = 1 - np.exp(-0.1 / 0.5)
    assert face.raw_probabilities.argmax() == 1
    assert face.probabilities[1] == pytest.approx(weight, abs=0.01)
    assert (face.label, face.raw_label) == face.labels[:2]


def test_without_smoothing_there_is_no_answer(load):
    recognizer, _ = load(BOX, smooth_s=0)
    for result in read_all(recognizer, [scene([BOX])] * 3):
        (face,) = result.faces
        assert (face.answer, face.raw_probabilities) == ("", None)


def test_who_is_forgotten_leaves_nothing_behind(load):
    recognizer, detector = load(detect_every=1)
    for index in range(40):
        detector.boxes = [(40.0 * (index % 5), 60.0, 40.0, 40.0)]
        recognizer.read(frame(index, scene(detector.boxes, seeds=[index]), fps=1.0))
        assert len(recognizer._histories) <= 5


def test_a_second_stream_begins_without_the_first_ones_people(load):
    recognizer, _ = load(BOX)
    clip = [frame(index, scene([BOX])) for index in range(3)]
    ids = [[result.faces[0].id for result in recognizer.stream(clip)] for _ in range(2)]
    assert ids == [[0, 0, 0], [1, 1, 1]]


def test_the_stages_add_up_to_the_total(load):
    recognizer, _ = load(BOX, OTHER)
    for result in read_all(recognizer, [scene([BOX, OTHER])] * 12):
        stages = dict(result.latency_ms)
        assert tuple(stages) == STAGES
        assert stages.pop("total") == pytest.approx(sum(stages.values()), abs=1e-6)
        json.dumps(result.to_dict())


def test_a_baseline_needs_a_neutral_label(load):
    recognizer, detector = load(BOX, neutral_baseline=True)
    assert len(recognizer.read(frame(0, scene([BOX]))).faces) == 1
    recognizer.classifier.labels = ("happy", "sad")
    with pytest.raises(ModelError, match="neutral"):
        Recognizer(recognizer.classifier, detector, recognizer.settings)


class ClipClassifier:
    """Stands in for a network of dynamic images, and keeps what it is shown."""

    labels = ("negative", "positive", "surprise")
    preprocessing = Preprocessing(
        height_px=32, width_px=32, color="flow", clip="bilen", crop_scale=1.0
    )

    def __init__(self):
        self.seen = []

    def logits(self, pixels):
        self.seen.append(pixels)
        return np.float32([0, 5, 0])

    def probabilities(self, logits_K):
        return np.exp(logits_K) / np.exp(logits_K).sum()


def test_a_network_for_clips_is_shown_the_dynamic_image_of_the_followed_face():
    classifier = ClipClassifier()
    recognizer = Recognizer(classifier, Told(BOX), Settings(clip_s=0.2, detect_every=1))
    images = [scene([BOX], seeds=[seed]) // 2 + seed for seed in range(9)]
    recognizer._finder.people.follow = lambda *_: False
    results = read_all(recognizer, images)
    assert [result.faces[0].label for result in results] == [UNSURE] * 6 + ["positive"] * 3
    crop = replace(classifier.preprocessing, color="rgb", clip="", height_px=SIDE_PX)
    crop = replace(crop, width_px=SIDE_PX)
    for last, pixels in zip((6, 7, 8), classifier.seen, strict=True):
        crops = [crop.face_pixels(image, BOX) for image in images[last - 5 : last + 1]]
        picture = dynamic_image(np.stack(crops), "bilen")
        assert np.array_equal(pixels, classifier.preprocessing.fit(picture))


def test_a_gap_starts_a_clip_anew_and_a_photo_has_none():
    classifier = ClipClassifier()
    recognizer = Recognizer(classifier, Told(BOX), Settings(clip_s=0.2))
    for index in [*range(6), 30, *range(31, 36)]:
        recognizer.read(frame(index, scene([BOX])))
    assert not classifier.seen
    with pytest.raises(ModelError, match=r"a\.jpg"):
        recognizer.read(Frame(0, 0.0, scene([BOX]), 0.0, "a.jpg"))


@pytest.mark.parametrize("values", [{"clip": "other", "color": "flow"}, {"clip": "bilen"}], ids=str)
def test_a_manifest_with_an_impossible_clip_is_refused(values):
    with pytest.raises(ModelError, match="clip"):
        Preprocessing(**values)


def test_a_manifest_says_that_its_network_is_for_clips_and_old_ones_still_load():
    preprocessing = ClipClassifier.preprocessing
    values = preprocessing.to_dict()
    assert Preprocessing.from_dict(values) == preprocessing
    del values["clip"]
    assert Preprocessing.from_dict(values).clip == ""


@pytest.mark.data
def test_on_real_clips_following_does_as_well_as_detecting_and_smoothing_halves_the_flips(
    shipped_bundle, yunet_file, demo_gif
):
    detector, overlaps, same, asked = f"yunet:{yunet_file}", [], [], []
    steadiness = Steadiness()
    for clip in sorted(demo_gif.parent.glob("*.gif")):
        runs = []
        for every in (0, 1):
            recognizer = Recognizer.load(str(shipped_bundle), detector=detector, detect_every=every)
            runs.append(list(recognizer.stream(str(clip))))
        for followed, detected in zip(*runs, strict=True):
            steadiness.add(followed)
            asked.append(followed.latency_ms["detect"] > 0)
            for face in followed.faces:
                box = face.box
                best = max(detected.faces, key=lambda one: overlap(one.box, box), default=face)
                overlaps.append(overlap(best.box, box))
                same.append(best.raw_label == face.raw_label)
    assert np.mean(overlaps) > 0.9
    assert np.mean(same) > 0.75
    assert np.mean(asked) < 0.5
    assert steadiness.to_dict()["flips_removed"] >= 0.5


@pytest.mark.data
def test_yunet_finds_the_same_face_in_a_small_picture(shipped_bundle, yunet_file, astronaut):
    photo = read_image(astronaut)
    boxes = []
    for width_px in (160, 320, 512):
        recognizer = Recognizer.load(
            str(shipped_bundle), detector=f"yunet:{yunet_file}", detect_width_px=width_px
        )
        (face, *_) = recognizer.read(frame(0, photo)).faces
        boxes.append(face.box)
    assert all(overlap(box, boxes[-1]) > 0.75 for box in boxes)


def test_settings_without_a_detector_object_open_one(shipped_bundle):
    recognizer = Recognizer.load(str(shipped_bundle), detector="haar", threads=1)
    other = SimpleNamespace(detect=lambda image: [])
    recognizer.detector = other
    assert recognizer.detector is other
    assert recognizer.read(frame(0, scene([]))).faces == ()
