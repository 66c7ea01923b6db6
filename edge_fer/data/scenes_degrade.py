"""What cameras and light do to a picture: darkness, glare, shadows, blur, noise, compression."""

import math
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class Degradation:
    """Probabilities of what happens to a picture.

    Attributes:
        dark: Little light, with the noise that comes with it.
        bright: Too much light, whites cut off.
        side: Light from one side.
        blur: Out of focus, or moved.
        noise: Of the sensor.
        jpeg: Compressed hard.
    """

    dark: float = 0.15
    bright: float = 0.08
    side: float = 0.15
    blur: float = 0.2
    noise: float = 0.3
    jpeg: float = 0.3


NOTHING = {"dark": 0.0, "bright": 0.0, "side": 0.0, "blur": 0.0, "noise": 0.0, "jpeg": 0.0}
#: One condition each, for a test set.
ONLY: dict[str, Degradation] = {
    "plain": Degradation(**NOTHING),
    "dark": Degradation(**NOTHING | {"dark": 1.0}),
    "bright": Degradation(**NOTHING | {"bright": 1.0}),
    "side": Degradation(**NOTHING | {"side": 1.0}),
    "blurred": Degradation(**NOTHING | {"blur": 1.0}),
    "noisy": Degradation(**NOTHING | {"noise": 1.0}),
}


def degraded(image_HW: np.ndarray, rng: np.random.Generator, chances: Degradation) -> np.ndarray:
    """Returns a uint8 picture as a poorer camera would have taken it."""
    if rng.random() < chances.blur:
        image_HW = _blurred(image_HW, rng)
    if rng.random() < chances.side:
        image_HW = _lit_from_a_side(image_HW, rng)
    dark = rng.random() < chances.dark
    image_HW = cv2.LUT(image_HW, _tones(rng, dark=dark, bright=rng.random() < chances.bright))
    if dark or rng.random() < chances.noise:
        image_HW = _noisy(image_HW, rng, strongest=6 if dark else 14)
    if rng.random() < chances.jpeg:
        image_HW = _compressed(image_HW, int(rng.integers(15, 70)))
    return image_HW


def _tones(rng: np.random.Generator, *, dark: bool, bright: bool) -> np.ndarray:
    """A table of gray levels: gamma, contrast, brightness."""
    levels = np.linspace(0, 1, 256) ** math.exp(rng.normal(0, 0.25))
    if dark:
        levels = levels * rng.uniform(0.12, 0.4)
    elif bright:
        levels = levels * rng.uniform(1.4, 2.2) + rng.uniform(0, 0.2)
    else:
        contrast = math.exp(rng.normal(0, 0.2))
        levels = 0.5 + contrast * (levels - 0.5) + rng.normal(0, 0.07)
    return np.asarray((255 * levels).clip(0, 255), np.uint8)


def _lit_from_a_side(image_HW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = image_HW.shape
    turn, darkest = rng.uniform(0, 2 * math.pi), rng.uniform(0.15, 0.6)
    across_HW = np.add.outer(
        math.sin(turn) * np.linspace(-1, 1, height, dtype=np.float32),
        math.cos(turn) * np.linspace(-1, 1, width, dtype=np.float32),
    )
    share_HW = 1 / (1 + np.exp(-rng.uniform(1, 6) * (across_HW + rng.uniform(-0.5, 0.5))))
    light_HW = (darkest + (1.15 - darkest) * share_HW).astype(np.float32)
    return np.asarray((image_HW * light_HW).clip(0, 255), np.uint8)


def _blurred(image_HW: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    if rng.random() < 0.6:
        return cv2.GaussianBlur(image_HW, (0, 0), rng.uniform(0.5, 1.2))
    length = int(rng.integers(3, 6))
    kernel = np.zeros((length, length), np.float32)
    turn = rng.uniform(0, math.pi)
    middle = (length - 1) / 2
    for step in np.linspace(-middle, middle, 2 * length):
        row, column = middle + step * math.sin(turn), middle + step * math.cos(turn)
        kernel[round(row), round(column)] = 1
    return cv2.filter2D(image_HW, -1, kernel / kernel.sum())


def _noisy(image_HW: np.ndarray, rng: np.random.Generator, strongest: float) -> np.ndarray:
    noise_HW = rng.standard_normal(image_HW.shape, np.float32) * rng.uniform(1.5, strongest)
    return np.asarray((image_HW + noise_HW).clip(0, 255), np.uint8)


def _compressed(image_HW: np.ndarray, quality: int) -> np.ndarray:
    _, content = cv2.imencode(".jpg", image_HW, (cv2.IMWRITE_JPEG_QUALITY, quality))
    return np.asarray(cv2.imdecode(content, cv2.IMREAD_GRAYSCALE))
