"""Drawn faces: enough for a detector to learn a little."""

import cv2
import numpy as np

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_compose import Pool

POINTS = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)])


def drawn_face(seed, side=64, box=(12.0, 8.0, 40.0, 48.0)):
    """A bright ellipse with dark eyes and mouth on noise."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 120, (side, side), np.uint8)
    x, y, w, h = box
    points = POINTS * (w, h) + (x, y)
    cv2.ellipse(image, ((x + w / 2, y + h / 2), (w, h), 0), 210, cv2.FILLED)
    for point in points[[0, 1, 3, 4]]:
        cv2.circle(image, tuple(point.round().astype(int).tolist()), 4, 30, cv2.FILLED)
    return Photo(
        name=f"drawn/{seed}",
        image_HW=image,
        boxes_N4=np.array([box]),
        points_N52=points[np.newaxis],
    )


def noise_scene(seed, height=90, width=120):
    rng = np.random.default_rng((seed, 1))
    small = rng.integers(0, 256, (9, 12), np.uint8)
    return Photo(name=f"noise/{seed}", image_HW=cv2.resize(small, (width, height)))


def drawn_pool():
    faces = [drawn_face(seed) for seed in range(4)]
    return Pool(
        scenes=[noise_scene(seed) for seed in range(4)],
        photos=[drawn_face(seed, 200, (60.0, 60.0, 60.0, 75.0)) for seed in range(3)],
        portraits=faces,
        crops=faces,
    )
