"""Drawn faces with known expressions and landmarks: a source for tests and demonstrations.

No accuracy on these faces says anything about people, and edge-fer states none. They are there so
that every path from pixels to a robot can be run without a dataset.

A face is 68 landmarks (iBUG order) placed by facial action units, a person's own proportions and a
pose; polygons through them are filled with gray, then light and noise are laid over. Landmarks are
fractions of width and height, as in ``edge_fer.data.landmarks``. The first n faces of a seed are
the same however many are asked for.

Shape suffixes: N faces, T frames, P points, H height, W width (pixels), 1 broadcast over points.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edge_fer.data.dataset import Dataset, Item, Row
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS

#: Fewest faces of a dataset: three people with seven expressions each, one person per split.
MIN_FACES = 21
SIZE_PX = 48
_SPLITS = ("train", "validation", "test")
_MOST_PEOPLE = 30

#: Action units and how strong each is, after Ekman and Friesen's prototypes.
EXPRESSIONS: Mapping[str, Mapping[str, float]] = {
    "angry": {"brow_lower": 1.0, "lid_raise": 0.2, "lid_tighten": 0.6, "lip_tighten": 1.0},
    "disgust": {"brow_lower": 0.6, "lid_tighten": 0.8, "nose_wrinkle": 1.0, "lip_raise": 1.0,
                "corner_depress": 0.5},
    "fear": {"inner_brow": 1.0, "outer_brow": 0.6, "brow_lower": 0.4, "lid_raise": 1.0,
             "lip_stretch": 1.0, "jaw_drop": 0.35},
    "happy": {"lid_tighten": 0.5, "corner_pull": 1.0, "lips_part": 1.0},
    "sad": {"inner_brow": 1.2, "brow_lower": 0.4, "lid_droop": 0.8, "corner_depress": 1.0},
    "surprise": {"inner_brow": 1.1, "outer_brow": 1.1, "lid_raise": 0.9, "jaw_drop": 1.0},
    "neutral": {},
}  # fmt: skip
_UNITS = (
    "inner_brow", "outer_brow", "brow_lower", "lid_raise", "lid_tighten", "lid_droop",
    "nose_wrinkle", "lip_raise", "corner_pull", "corner_depress", "lip_stretch", "lip_tighten",
    "lips_part", "jaw_drop",
)  # fmt: skip
_PERSON = {
    "width": (0.9, 1.06), "chin": (0.92, 1.05), "eye_size": (0.85, 1.15), "eye_gap": (0.39, 0.46),
    "brow_thick": (0.05, 0.1), "brow_y": (-0.04, 0.04), "mouth_width": (0.85, 1.15),
    "lip_full": (0.8, 1.3), "nose_width": (0.8, 1.2), "skin": (110.0, 205.0), "hair": (15.0, 95.0),
    "hairline": (0.97, 1.1),
}  # fmt: skip
_VIEW = {
    "strength": (0.65, 1.0), "yaw": (-0.3, 0.3), "pitch": (-0.15, 0.15), "roll": (-0.15, 0.15),
    "scale": (0.36, 0.4), "x": (0.47, 0.53), "y": (0.46, 0.51), "gaze": (-0.04, 0.04),
    "background": (20.0, 235.0), "gain": (0.8, 1.15), "slope_x": (-0.3, 0.3),
    "slope_y": (-0.2, 0.2), "noise": (1.0, 6.0),
}  # fmt: skip
_JITTER = 0.15
_SHIFT_BITS = 4
_CHUNK = 512

#: Values of shape ``[N, 1]`` by name.
_Values = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class SyntheticClip:
    """One person's face going from neutral to an expression and back.

    Attributes:
        frames_THW: uint8 ``[T, H, W]``.
        landmarks_TP2: float32 ``[T, 68, 2]``.
        onset: Last neutral frame before the expression.
        apex: Frame of the strongest expression.
        offset: First neutral frame after it.
    """

    frames_THW: np.ndarray
    landmarks_TP2: np.ndarray
    onset: int
    apex: int
    offset: int


def synthetic_faces(
    n: int, size_px: int = SIZE_PX, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws faces; expressions and people take turns.

    Returns:
        uint8 ``[N, size_px, size_px]``, int64 ``[N]`` indices into ``FER2013_LABELS``, and float32
        ``[N, 68, 2]`` landmarks.
    """
    labels_N = np.arange(n) % len(FER2013_LABELS)
    draws = np.random.default_rng([seed, 0]).random((n, len(_UNITS) + len(_VIEW)))
    jitter = 1 + _JITTER * (2 * draws[:, : len(_UNITS)] - 1)
    view = _between(draws[:, len(_UNITS) :], _VIEW)
    strengths = np.stack([_strengths(label) for label in FER2013_LABELS])
    units = _named(strengths[labels_N] * jitter * view["strength"], _UNITS)
    person = _people(_person_of(n), seed)
    images_NHW, landmarks_NP2 = _render(units, person, view, size_px, seed)
    return images_NHW, labels_N, landmarks_NP2


def synthetic_clip(
    expression: str, frames: int, seed: int = 0, size_px: int = SIZE_PX
) -> SyntheticClip:
    """Draws a clip: neutral, onset after a tenth, apex in the middle, offset before the last tenth.

    Raises:
        DataError: Unknown expression, or fewer than 5 frames.
    """
    if expression not in EXPRESSIONS:
        raise DataError(f"synthetic: no expression {expression!r}; it has {', '.join(EXPRESSIONS)}")
    if frames < 5:
        raise DataError(f"synthetic: a clip needs at least 5 frames, not {frames}")
    rng = np.random.default_rng([seed, 2])
    onset, apex = max(1, frames // 10), frames // 2
    offset = frames - 1 - onset
    course_T = np.interp(np.arange(frames), [onset, apex, offset], [0.0, 1.0, 0.0])
    view = _between(np.repeat(rng.random((1, len(_VIEW))), frames, axis=0), _VIEW)
    view["yaw"] = view["yaw"] + np.linspace(0, 0.02, frames)[:, np.newaxis]
    person = _people(np.full(frames, int(rng.integers(_MOST_PEOPLE))), seed)
    units = _named(course_T[:, np.newaxis] * _strengths(expression), _UNITS)
    frames_THW, landmarks_TP2 = _render(units, person, view, size_px, seed)
    return SyntheticClip(
        frames_THW=frames_THW, landmarks_TP2=landmarks_TP2, onset=onset, apex=apex, offset=offset
    )


def read_synthetic(path: str | Path) -> Dataset:
    """Draws the dataset of the specification ``synthetic:COUNT[,seed]``.

    Every person is in one split only, which the seed chooses, and shows all expressions; the last
    one may show fewer if COUNT is no multiple of seven.

    Args:
        path: ``COUNT`` or ``COUNT,SEED``.

    Raises:
        DataError: Not a count and a seed, or a count below ``MIN_FACES``.
    """
    count, seed = parse_count(str(path))
    images_NHW, labels_N, _ = synthetic_faces(count, SIZE_PX, seed)
    person_N = _person_of(count)
    split_of = _splits(int(person_N.max()) + 1, seed)
    items = tuple(
        Item(
            name=str(index),
            source=Row(images_NHW, index),
            label=int(labels_N[index]),
            subject=f"person-{person_N[index]:02d}",
            split=split_of[person_N[index]],
        )
        for index in range(count)
    )
    return Dataset(name="synthetic", label_names=FER2013_LABELS, items=items)


def parse_count(text: str) -> tuple[int, int]:
    """Reads ``COUNT[,SEED]``; raises ``DataError`` if it is not that."""
    count, _, seed = text.partition(",")
    numbers = (count.strip(), seed.strip() or "0")
    if not all(number.isdecimal() for number in numbers):
        raise DataError(f"synthetic:{text} is not synthetic:COUNT[,SEED], e.g. synthetic:700,1")
    if int(numbers[0]) < MIN_FACES:
        raise DataError(f"synthetic:{text}: at least {MIN_FACES} faces")
    return int(numbers[0]), int(numbers[1])


def _splits(people: int, seed: int) -> list[str]:
    """About 70, 15 and 15 % of the people, at least one person each."""
    held_out = max(1, round(0.15 * people))
    shares = [_SPLITS[0]] * (people - 2 * held_out)
    shares += [_SPLITS[1]] * held_out + [_SPLITS[2]] * held_out
    return [shares[place] for place in np.random.default_rng([seed, 3]).permutation(people)]


def _strengths(expression: str) -> np.ndarray:
    return np.array([EXPRESSIONS[expression].get(unit, 0.0) for unit in _UNITS])


def _person_of(n: int) -> np.ndarray:
    return np.arange(n) // len(FER2013_LABELS) % _MOST_PEOPLE


def _people(person_N: np.ndarray, seed: int) -> _Values:
    draws = np.random.default_rng([seed, 4]).random((_MOST_PEOPLE, len(_PERSON)))
    return _between(draws[person_N], _PERSON)


def _between(draws_NK: np.ndarray, ranges: Mapping[str, tuple[float, float]]) -> _Values:
    low, high = np.array(list(ranges.values())).T
    return _named(low + draws_NK * (high - low), tuple(ranges))


def _named(values_NK: np.ndarray, names: Sequence[str]) -> _Values:
    return {name: values_NK[:, [column]] for column, name in enumerate(names)}


def _points(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.stack(np.broadcast_arrays(x, y), axis=-1)


_MIRROR = np.array([-1.0, 1.0])
#: How far the nose stands out of the face, bridge then nostrils.
_NOSE_DEPTH = np.array([0.04, 0.1, 0.17, 0.24, 0.1, 0.16, 0.18, 0.16, 0.1])
#: What is drawn, in order: contour, its shade, and whether it is filled or a line.
_LAYERS = (
    ("hair", "hair", True), ("face", "skin", True), ("eye_left", "white", True),
    ("eye_right", "white", True), ("iris_left", "iris", True), ("iris_right", "iris", True),
    ("lid_left", "lid", False), ("lid_right", "lid", False), ("fat_left", "brow", True),
    ("fat_right", "brow", True), ("crease_left", "crease", False),
    ("crease_right", "crease", False), ("ridge", "shadow", False), ("nostrils", "nostril", False),
    ("fold_left", "fold", False), ("fold_right", "fold", False), ("lips", "lips", True),
    ("gap", "gap", True), ("teeth", "teeth", True),
)  # fmt: skip
_PARTS_OF_LANDMARKS = {
    "ridge": slice(27, 31), "nostrils": slice(31, 36), "eye_left": slice(36, 42),
    "eye_right": slice(42, 48), "lid_left": slice(36, 40), "lid_right": slice(42, 46),
    "lips": slice(48, 60), "gap": slice(60, 68),
}  # fmt: skip


# Face coordinates: x to the picture's right, 1 at the ear; y downwards, 0 at the ear, eyes at -0.3.


def _jaw(unit: _Values, person: _Values) -> np.ndarray:
    angle = np.linspace(0, np.pi, 17)
    y = 1.12 * person["chin"] * np.sin(angle) ** 0.85
    y = y + 0.22 * unit["jaw_drop"] * np.sin(angle) ** 2
    return _points(-np.cos(angle) * person["width"], y)


def _brow(unit: _Values, person: _Values) -> np.ndarray:
    """The brow on the picture's right, from its inner end."""
    inner = np.linspace(1, 0, 5)
    x = person["eye_gap"] + 0.3 - (0.52 + 0.06 * unit["brow_lower"]) * inner
    y = -0.56 + person["brow_y"] - 0.3 * inner * (1 - inner)
    y = y - 0.16 * unit["inner_brow"] * inner - 0.15 * unit["outer_brow"] * (1 - 0.4 * inner)
    return _points(x, y + unit["brow_lower"] * (0.03 + 0.14 * inner))


def _lids(unit: _Values, person: _Values) -> tuple[np.ndarray, np.ndarray]:
    """How far the upper and the lower lid are open."""
    upper = 1 + 0.7 * unit["lid_raise"] - 0.5 * unit["lid_tighten"] - 0.45 * unit["lid_droop"]
    lower = 1 - 0.6 * unit["lid_tighten"]
    return 0.1 * person["eye_size"] * upper, 0.065 * person["eye_size"] * lower


def _eye(unit: _Values, person: _Values, side: int) -> np.ndarray:
    upper, lower = _lids(unit, person)
    across = 0.2 * person["eye_size"] * np.array([-1, -0.4, 0.4, 1, 0.4, -0.4])
    opening = lower * np.array([0, 0, 0, 0, 1, 1]) - upper * np.array([0, 1, 1, 0, 0, 0])
    return _points(side * person["eye_gap"] + across, -0.3 + opening)


def _iris(unit: _Values, person: _Values, gaze: np.ndarray, side: int) -> np.ndarray:
    """A disc, cut off where the lids are."""
    upper, lower = _lids(unit, person)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    away = gaze + 0.1 * np.cos(angle)
    share = np.clip((1 - np.abs(away) / (0.2 * person["eye_size"])) / 0.6, 0, 1)
    y = np.clip(0.1 * np.sin(angle) - 0.02, -upper * share, lower * share)
    return _points(side * person["eye_gap"] + away, -0.3 + y)


def _nose(unit: _Values, person: _Values) -> np.ndarray:
    tip = 0.3 - 0.07 * unit["nose_wrinkle"]
    bridge = _points(np.zeros(4), -0.28 + (tip + 0.16) * np.arange(4) / 3)
    across = 0.19 * person["nose_width"] * np.linspace(-1, 1, 5)
    return np.concatenate([bridge, _points(across, tip - [0.05, 0.01, 0, 0.01, 0.05])], axis=1)


def _mouth(unit: _Values, person: _Values) -> np.ndarray:
    stretch = 0.3 * unit["corner_pull"] + 0.25 * unit["lip_stretch"]
    half = 1 + stretch - 0.2 * unit["lip_tighten"] - 0.25 * unit["jaw_drop"]
    half = 0.36 * person["mouth_width"] * half
    corner = 0.6 - 0.15 * unit["corner_pull"] + 0.13 * unit["corner_depress"]
    corner = corner + 0.02 * unit["lip_stretch"] + 0.12 * unit["jaw_drop"]
    full = 0.085 * person["lip_full"] * (1 - 0.65 * unit["lip_tighten"])
    top = 0.6 - 0.1 * unit["lip_raise"] - 0.03 * unit["corner_depress"]
    bottom = top + _lips_gap(unit)

    def line(s: np.ndarray, middle: np.ndarray) -> np.ndarray:
        bend = np.where(np.abs(s) > 0.9, 1.0, s**2)
        return _points(half * s, corner * bend + middle * (1 - bend))

    outer, inner = np.linspace(-1, 1, 7), np.array([-0.91, -0.45, 0.0, 0.45, 0.91])
    upper = line(outer, top - full + 0.015 * (outer == 0))
    lower = line(outer[-2:0:-1], bottom + 1.2 * full)
    return np.concatenate([upper, lower, line(inner, top), line(inner[3:0:-1], bottom)], axis=1)


def _lips_gap(unit: _Values) -> np.ndarray:
    return 0.36 * unit["jaw_drop"] + 0.13 * unit["lips_part"] + 0.05 * unit["lip_raise"]


def _contours(unit: _Values, person: _Values, gaze: np.ndarray) -> dict[str, np.ndarray]:
    """All contours in face coordinates; the first seven are the landmarks in their order."""
    jaw, brow, mouth = _jaw(unit, person), _brow(unit, person), _mouth(unit, person)
    thick = person["brow_thick"] * np.array([0.7, 1.0, 1.0, 0.9, 0.4])
    fat = np.concatenate([brow, (brow + _points(np.zeros(5), thick))[:, ::-1]], axis=1)
    arc = np.linspace(0, -np.pi, 9)
    forehead = _points(np.cos(arc) * person["width"], np.sin(arc) * person["hairline"])
    wide_arc = np.linspace(0.3, -np.pi - 0.3, 15)
    hair = _points(1.13 * np.cos(wide_arc) * person["width"], 1.2 * np.sin(wide_arc) - 0.05)
    teeth = mouth[:, 12:17]
    drop = _points(np.zeros(5), 0.6 * _lips_gap(unit) * np.array([0, 1, 1, 1, 0])).clip(max=0.09)
    fold = _points(person["nose_width"] * [0.23, 0.4, 0.53], np.array([0.24, 0.33, 0.5]))
    crease = _points(person["eye_gap"] * [0.12, 0.14], np.array([-0.54, -0.4]))
    return {
        "jaw": jaw, "brow_left": brow[:, ::-1] * _MIRROR, "brow_right": brow,
        "nose": _nose(unit, person), "eye_left": _eye(unit, person, -1),
        "eye_right": _eye(unit, person, 1), "mouth": mouth, "hair": hair,
        "face": np.concatenate([jaw, forehead], axis=1),
        "iris_left": _iris(unit, person, gaze, -1), "iris_right": _iris(unit, person, gaze, 1),
        "fat_left": fat * _MIRROR, "fat_right": fat,
        "teeth": np.concatenate([teeth, (teeth + drop)[:, ::-1]], axis=1),
        "fold_left": fold * _MIRROR, "fold_right": fold,
        "crease_left": crease * _MIRROR, "crease_right": crease,
    }  # fmt: skip


def _posed(points_NP2: np.ndarray, view: _Values, depth_P: np.ndarray) -> np.ndarray:
    """Turns a face in space and puts it into the picture: fractions."""
    x, y = points_NP2[..., 0], points_NP2[..., 1]
    z = 0.8 * np.sqrt(np.clip(1 - 0.75 * x**2 - 0.25 * y**2, 0, None)) + depth_P
    x, z = (
        x * np.cos(view["yaw"]) + z * np.sin(view["yaw"]),
        z * np.cos(view["yaw"]) - x * np.sin(view["yaw"]),
    )
    y = y * np.cos(view["pitch"]) - z * np.sin(view["pitch"])
    cos, sin = view["scale"] * np.cos(view["roll"]), view["scale"] * np.sin(view["roll"])
    return _points(view["x"] + x * cos - y * sin, view["y"] + x * sin + y * cos)


def _shades(unit: _Values, person: _Values) -> dict[str, np.ndarray]:
    skin, hair = person["skin"], person["hair"]
    teeth = np.clip(_lips_gap(unit) / 0.1, 0, 1)
    fold = np.clip(np.maximum(unit["corner_pull"], unit["lip_raise"]), 0, 1)
    crease = np.clip(np.maximum(unit["brow_lower"], unit["nose_wrinkle"]), 0, 1)
    return {
        "skin": skin, "hair": hair, "brow": 0.85 * hair, "white": np.minimum(1.2 * skin + 20, 250),
        "iris": 0.6 * hair, "lid": 0.3 * skin, "shadow": 0.85 * skin, "nostril": 0.5 * skin,
        "fold": skin * (1 - 0.3 * fold), "crease": skin * (1 - 0.35 * crease), "lips": 0.7 * skin,
        "gap": 0.2 * skin, "teeth": 0.2 * skin + teeth * (240 - 0.2 * skin),
    }  # fmt: skip


def _render(
    unit: _Values, person: _Values, view: _Values, size_px: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    contours = _contours(unit, person, view["gaze"])
    ends = np.cumsum([contour.shape[1] for contour in contours.values()]).tolist()
    ranges = dict(zip(contours, map(slice, [0, *ends], ends), strict=True)) | _PARTS_OF_LANDMARKS
    depth_P = np.zeros(ends[-1])
    depth_P[27:36] = _NOSE_DEPTH
    points_NP2 = _posed(np.concatenate(list(contours.values()), axis=1), view, depth_P)
    shades = _shades(unit, person)
    fixed_NP2 = np.rint((points_NP2 * size_px - 0.5) * 2**_SHIFT_BITS).astype(np.int32)
    shades_NL = np.concatenate([shades[shade] for _, shade, _ in _LAYERS], axis=1).tolist()
    layers = [(ranges[name], filled) for name, _, filled in _LAYERS]
    images_NHW = np.empty((len(fixed_NP2), size_px, size_px), np.uint8)
    images_NHW[:] = view["background"][..., np.newaxis]
    for image, points_P2, shades_L in zip(images_NHW, fixed_NP2, shades_NL, strict=True):
        _draw(image, points_P2, shades_L, layers)
    _light(images_NHW, view, np.random.default_rng([seed, 1]))
    return images_NHW, points_NP2[:, :68].astype(np.float32)


def _draw(
    image: np.ndarray,
    points_P2: np.ndarray,
    shades_L: list[float],
    layers: list[tuple[slice, bool]],
) -> None:
    thickness = max(1, round(len(image) / 48))
    for (part, filled), shade in zip(layers, shades_L, strict=True):
        contour = [points_P2[part]]
        if filled:
            cv2.fillPoly(image, contour, (shade,), cv2.LINE_AA, _SHIFT_BITS)
        else:
            line = (shade,)
            cv2.polylines(image, contour, False, line, thickness, cv2.LINE_AA, _SHIFT_BITS)


def _light(images_NHW: np.ndarray, view: _Values, rng: np.random.Generator) -> None:
    """Lays light from one side and noise over the pictures, in place."""
    along = np.linspace(-1, 1, images_NHW.shape[1], dtype=np.float32)
    values = {name: value[..., np.newaxis].astype(np.float32) for name, value in view.items()}
    for first in range(0, len(images_NHW), _CHUNK):
        rows = slice(first, first + _CHUNK)
        light = 1 + values["slope_x"][rows] * along
        light = values["gain"][rows] * (light + values["slope_y"][rows] * along[:, np.newaxis])
        noise = rng.standard_normal(images_NHW[rows].shape, np.float32) * values["noise"][rows]
        images_NHW[rows] = np.rint(images_NHW[rows] * light + noise).clip(0, 255)
