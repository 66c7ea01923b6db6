"""Photos as a device sees them: fitted into the network's input."""

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_warp import Move, moved_faces
from edge_fer.runtime.faces.bundle_detector import fit_picture

#: Width and height of the two inputs.
SMALL, LARGE = (160, 128), (320, 256)


def fitted(photo: Photo, size: tuple[int, int]) -> Photo:
    """Fits a photo into a picture of width and height ``size``, as a device does."""
    image_HW, scale = fit_picture(photo.image_HW, size[::-1])
    return moved_faces(photo, Move(source=(0, 0), target=(0, 0), scale=scale), image_HW)
