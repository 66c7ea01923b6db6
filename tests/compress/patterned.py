"""Pictures that a small network learns in seconds to tell apart for sure."""

import cv2
import numpy as np

LABELS = ("happy", "neutral", "sad", "surprise")
DESCRIPTION = """
schema = "edge-fer/model/1"
labels = ["happy", "neutral", "sad", "surprise"]
output = "{output}"
[input]
height_px = 48
width_px = 48
color = "gray"
layout = "{layout}"
range = [0.0, 1.0]
"""


def patterned(count, seed):
    """uint8 ``[N, 48, 48]`` of stripes, stripes across, checks or nothing, and which it is."""
    rng = np.random.default_rng(seed)
    labels_N = np.arange(count) % len(LABELS)
    return np.stack([_picture(label, rng) for label in labels_N]), labels_N


def _picture(label, rng):
    phase = rng.uniform(0, 2 * np.pi)
    wave = np.sin(2 * np.pi * np.arange(48) / rng.uniform(5.5, 6.5) + phase)
    ones = np.ones(48)
    pattern = (np.outer(ones, wave), np.outer(wave, ones), 1.4 * np.outer(wave, wave), 0)[label]
    light = rng.uniform(90, 160) + rng.uniform(60, 90) * pattern
    return np.clip(light + rng.normal(0, 3, (48, 48)), 0, 255).astype(np.uint8)


def write_folder(folder, images_NHW, labels_N):
    """Writes class folders; returns their specification."""
    for index, (image, label) in enumerate(zip(images_NHW, labels_N, strict=True)):
        path = folder / LABELS[label] / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), image)
    return f"folder:{folder}"
