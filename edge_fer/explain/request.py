"""What ``edge-fer explain`` is asked for, and what it then reads."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from edge_fer.data.faces import Faces
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.explain.gradcam import Explainer, open_explainer
from edge_fer.explain.inputs import Inputs, draw, read_labelled_faces, read_photo_faces
from edge_fer.runtime.faces.detectors import open_detector
from edge_fer.runtime.sources.images import list_images
from edge_fer.train.checkpoint import Checkpoint, load_checkpoint

DEFAULT_PER_CLASS = 6


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to explain, and how.

    Attributes:
        checkpoint: Of the network.
        out: Folder of the pictures.
        images: Pictures or folders of pictures of one face each; each gets a Grad-CAM page.
        data: Dataset, ``name:path``, empty for none.
        split: Of the dataset.
        classes: Which classes a page explains: ``predicted``, ``all``, or names.
        label: True class of ``images``, empty if unknown.
        detector: As ``open_detector`` takes it; None takes each picture for a face crop.
        layer: Module whose output Grad-CAM weighs; None chooses.
        per_class: Faces of every class on the Grad-CAM sheet; None: a few, unless t-SNE or
            landmarks are asked for.
        faces: Faces of the dataset, at most, for means, t-SNE and landmarks.
        tsne: Whether to lay out features.
        landmarks: A run of the recipe ``part-ensemble``, to compare landmarks before and after.
        landmark_labels: What ``edge-fer data landmarks`` wrote for the dataset; None finds the
            landmarks with Dlib.
        seed: Of everything drawn by lot.
        force: Replace files.
    """

    checkpoint: Path
    out: Path
    images: tuple[Path, ...] = ()
    data: str = ""
    split: str = "PrivateTest"
    classes: str = "predicted"
    label: str = ""
    detector: str | None = None
    layer: str | None = None
    per_class: int | None = None
    faces: int = 1000
    tsne: bool = False
    landmarks: Path | None = None
    landmark_labels: Path | None = None
    seed: int = 0
    force: bool = False

    def __post_init__(self) -> None:
        if not self.images and not self.data:
            raise EdgeFerError("nothing to explain: give pictures, --data, or both")
        if not self.data and (self.tsne or self.per_class):
            raise EdgeFerError("--tsne and --per-class need --data")

    @property
    def sheet_faces(self) -> int:
        """Faces of every class on the Grad-CAM sheet; 0: no sheet."""
        if self.per_class is not None:
            return self.per_class
        alone = self.data and not self.tsne and not self.landmarks
        return DEFAULT_PER_CLASS if alone else 0


@dataclass(frozen=True)
class Task:
    """A request with its checkpoint read."""

    request: Request
    checkpoint: Checkpoint
    explainer: Explainer

    @cached_property
    def faces(self) -> Faces:
        """Of the dataset."""
        return read_labelled_faces(self.request.data, self.request.split, self.checkpoint.labels)

    @cached_property
    def photos(self) -> list[Path]:
        """Picture files, in order."""
        return [file for path in self.request.images for file in list_images(path)]

    @cached_property
    def photo_inputs(self) -> Inputs:
        """The face in each picture."""
        detector = self.request.detector
        return read_photo_faces(
            self.photos,
            self.checkpoint.preprocessing,
            None if detector is None else open_detector(detector),
            self._label(),
        )

    def read(self) -> None:
        """Reads everything asked for, so that bad input is refused before anything is written."""
        if self.request.data:
            _ = self.faces
        if self.request.images:
            _ = self.photo_inputs

    def some_faces(self) -> Faces:
        """Faces of the dataset, drawn by lot."""
        return self.faces.take(draw(len(self.faces), self.request.faces, self.request.seed))

    def title(self, source: str) -> str:
        """Says what a Grad-CAM picture shows."""
        model, (height, width) = self.checkpoint.metadata["model"], self.explainer.map_hw
        return f"{source}\nGrad-CAM of {model} at {self.explainer.layer} ({height}x{width})"

    def _label(self) -> int:
        label, labels = self.request.label, self.checkpoint.labels
        if label and label not in labels:
            raise DataError(f"--label {label!r} is no class of the model ({', '.join(labels)})")
        return labels.index(label) if label else -1


def open_task(request: Request) -> Task:
    """Reads the checkpoint and prepares its network.

    Raises:
        ModelError: The checkpoint cannot be used, or has no layer of the name asked for.
    """
    checkpoint = load_checkpoint(request.checkpoint)
    explainer = open_explainer(checkpoint.network, input_nchw_of(checkpoint), request.layer)
    return Task(request, checkpoint, explainer)


def input_nchw_of(checkpoint: Checkpoint) -> tuple[int, ...]:
    """Shape of one image of a checkpoint's network; N is 1."""
    return (1, *checkpoint.metadata["input_nchw"][1:])
