"""Motion between the onset and the apex of a micro-expression: optical flow and optical strain.

The three channels u, v and strain are what several micro-expression networks take in place of
pixels. Optical strain is how much the skin deforms, whatever way the whole head moves: the norm of
the symmetric part of the flow's gradient,

    e = (grad f + (grad f)^T) / 2,   |e| = sqrt(e_xx^2 + e_yy^2 + e_xy^2 + e_yx^2),

as in Liong et al., "Spontaneous subtle expression detection and recognition based on facial
strain" (Signal Processing: Image Communication 47, 2016). Derivatives are central differences, one-
sided at the border.

Shape suffixes: H height, W width (pixels); the last axis of a flow is (u, v), rightwards and
downwards, in pixels.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from edge_fer.errors import DataError

#: Below this side the flow's coarsest pyramid level is smaller than a patch.
MIN_SIDE_PX = 16
#: The pixel of no motion: what ``preprocess.normalise`` maps to 0.
STILL_PIXEL = 128


@dataclass(frozen=True, kw_only=True)
class FlowScale:
    """What the ends of the pixel range stand for; larger values are clipped.

    Attributes:
        flow_px: Displacement at pixel 255 (rightwards, downwards) and at pixel 1 (the other way);
            none is ``STILL_PIXEL``.
        strain: Strain magnitude at pixel 255; none is 0.
    """

    flow_px: float = 4.0
    strain: float = 0.25

    def __post_init__(self) -> None:
        if min(self.flow_px, self.strain) <= 0:
            raise DataError("flow: flow_px and strain must be above 0")


def onset_apex_flow(onset: np.ndarray, apex: np.ndarray) -> np.ndarray:
    """Estimates where every pixel of the onset frame went by dense inverse search.

    The result depends on the two frames alone, not on the number of threads.

    Args:
        onset: uint8 ``[H, W]`` gray or ``[H, W, 3]`` BGR.
        apex: The same shape.

    Returns:
        float32 ``[H, W, 2]``: the pixel at (x, y) of the onset is at (x + u, y + v) of the apex.

    Raises:
        DataError: The frames differ in shape or are too small.
    """
    if onset.shape != apex.shape:
        raise DataError(f"flow: onset of {onset.shape} and apex of {apex.shape} pixels")
    if min(onset.shape[:2]) < MIN_SIDE_PX:
        raise DataError(f"flow: frames of {onset.shape} pixels; {MIN_SIDE_PX} are the least")
    method = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    empty = np.zeros((*onset.shape[:2], 2), np.float32)
    return np.asarray(method.calc(_gray(onset), _gray(apex), empty))


def optical_strain(flow_HW2: np.ndarray) -> np.ndarray:
    """Returns the strain magnitude, float32 ``[H, W]``, of a flow ``[H, W, 2]``; no unit."""
    u_y, u_x = np.gradient(flow_HW2[..., 0])
    v_y, v_x = np.gradient(flow_HW2[..., 1])
    e_xy = (u_y + v_x) / 2
    return np.asarray(np.sqrt(u_x**2 + v_y**2 + 2 * e_xy**2), np.float32)


def flow_channels(flow_HW2: np.ndarray) -> np.ndarray:
    """Returns (u in px, v in px, strain), float32 ``[H, W, 3]``."""
    strain = optical_strain(flow_HW2)
    return np.dstack([flow_HW2.astype(np.float32), strain])


def flow_pixels(flow_HW2: np.ndarray, scale: FlowScale) -> np.ndarray:
    """Packs (u, v, strain) into pixels, uint8 ``[H, W, 3]``, as ``scale`` says."""
    u_v_strain = flow_channels(flow_HW2)
    motion = STILL_PIXEL + (STILL_PIXEL - 1) * u_v_strain[..., :2] / scale.flow_px
    strain = 255 * u_v_strain[..., 2] / scale.strain
    packed = np.dstack([motion.clip(1, 255), strain.clip(0, 255)])
    return np.asarray(np.rint(packed), np.uint8)


def _gray(image: np.ndarray) -> np.ndarray:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
