"""The in-memory form of a face dataset that every reader returns."""

from dataclasses import dataclass, replace

import numpy as np

from edge_fer.errors import DataError


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Aligned gray face crops of one split, or flow images of its clips.

    Attributes:
        images_NHW: uint8 ``[N, H, W]`` gray, or ``[N, H, W, 3]`` of u, v and strain.
        labels_N: int64 ``[N]``, indices into ``label_names``; -1 where a face has no label.
        label_names: The vocabulary.
        source: What was read, for metadata and messages, e.g. ``fer2013:PrivateTest``.
        names: Of the faces, as ``Item.name``; empty if the reader gave none.
        tags: Of each face, as ``Item.tags``; empty if the reader gave none.
    """

    images_NHW: np.ndarray
    labels_N: np.ndarray
    label_names: tuple[str, ...]
    source: str
    names: tuple[str, ...] = ()
    tags: tuple[tuple[str, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.images_NHW)

    def take(self, rows: np.ndarray) -> "Faces":
        """Returns the given rows (indices or a boolean mask) as a new set."""
        places = np.arange(len(self))[rows]
        return replace(
            self,
            images_NHW=self.images_NHW[rows],
            labels_N=self.labels_N[rows],
            names=tuple(self.names[place] for place in places) if self.names else (),
            tags=tuple(self.tags[place] for place in places) if self.tags else (),
        )


def require_labels(faces: Faces) -> None:
    """Raises ``DataError`` unless every face of the set is labelled."""
    unlabelled = int((faces.labels_N < 0).sum())
    if unlabelled:
        raise DataError(f"{faces.source}: {unlabelled} of {len(faces)} faces have no label")


def repeats_in(reference: Faces, faces: Faces) -> np.ndarray:
    """Finds leaks: bool ``[N]``, True where an image of ``faces`` also occurs in ``reference``."""
    seen = {image.tobytes() for image in reference.images_NHW}
    return np.array([image.tobytes() in seen for image in faces.images_NHW], dtype=bool)
