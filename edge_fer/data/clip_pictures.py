"""Clips as single pictures, so that a network for pictures can learn and read them.

``dynamic:SPEC`` and ``dynamic-paper:SPEC`` make dynamic images (Bilen's weights, EmoNAS's), and
``flow:SPEC`` the optical flow from onset to apex with its strain. Frames become squares of 128
pixels first, so that a flow of one pixel means the same in every dataset.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edge_fer.data.clips import apex_index, read_clip
from edge_fer.data.dataset import Clip, Dataset, Item, Made
from edge_fer.dynamic_image import dynamic_image
from edge_fer.errors import DataError
from edge_fer.flow import FlowScale, flow_pixels, onset_apex_flow
from edge_fer.preprocess import Preprocessing

SIDE_PX = 128
_GRAY = Preprocessing(height_px=SIDE_PX, width_px=SIDE_PX, crop_scale=1.0)
_RGB = replace(_GRAY, color="rgb")


def pictures_of(dataset: Dataset, way: str) -> Dataset:
    """Returns a dataset of clips as one of pictures, each made when it is read.

    Args:
        dataset: Of clips.
        way: A key of ``WAYS``.

    Raises:
        DataError: It has pictures already.
    """
    if not all(isinstance(item.source, Clip) for item in dataset.items):
        raise DataError(f"{way}:{dataset.name}: a dataset of pictures, not of clips")
    items = tuple(replace(item, source=Made(item, WAYS[way])) for item in dataset.items)
    return replace(dataset, items=items, flow=True)


def _dynamic(item: Item, weighting: str) -> np.ndarray:
    """Dynamic image of a clip, uint8 ``[128, 128, 3]`` RGB; gray three times if the clip is."""
    frames = np.stack([_squared(frame, _RGB) for frame in read_clip(item)])
    return dynamic_image(frames, weighting)


def _flow(item: Item) -> np.ndarray:
    """Flow and strain from a clip's onset to its apex (its middle if there is none)."""
    frames, apex = read_clip(item), apex_index(item)
    middle = frames[len(frames) // 2 if apex is None else apex]
    flow_HW2 = onset_apex_flow(_squared(frames[0], _GRAY), _squared(middle, _GRAY))
    return flow_pixels(flow_HW2, FlowScale())


def _squared(frame: np.ndarray, square: Preprocessing) -> np.ndarray:
    return square.face_pixels(frame, (0, 0, frame.shape[1], frame.shape[0]))


WAYS: Mapping[str, Callable[[Item], np.ndarray]] = {
    "dynamic": lambda item: _dynamic(item, "bilen"),
    "dynamic-paper": lambda item: _dynamic(item, "paper"),
    "flow": _flow,
}
