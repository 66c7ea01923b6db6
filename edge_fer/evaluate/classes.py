"""Which classes models and a dataset share, and faces and logits in those classes alone.

Shape suffixes: N faces, K classes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_fer.data.faces import Faces
from edge_fer.data.vocabulary import places_of
from edge_fer.errors import DataError
from edge_fer.labels import canonical_label


@dataclass(frozen=True, kw_only=True)
class SharedClasses:
    """The classes that a dataset and every model have.

    Attributes:
        label_names: As the first model calls them, in its order.
        of_data: For each class of the dataset its place in ``label_names``, or -1.
        of_models: For each model and each of ``label_names`` the place in its outputs.
    """

    label_names: tuple[str, ...]
    of_data: tuple[int, ...]
    of_models: tuple[tuple[int, ...], ...]

    def faces(self, faces: Faces) -> tuple[Faces, np.ndarray]:
        """Drops faces of other classes and labels the rest in ``label_names``.

        Args:
            faces: All labelled, in the dataset's own classes.

        Returns:
            The faces that stay, and bool ``[N]`` over all of them, True where one stays.

        Raises:
            DataError: None stays.
        """
        labels_N = np.array(self.of_data)[faces.labels_N]
        kept_N = labels_N >= 0
        if not kept_N.any():
            names = ", ".join(self.label_names)
            raise DataError(f"{faces.source}: none of {len(faces)} faces is of a class of {names}")
        kept = replace(faces.take(kept_N), labels_N=labels_N[kept_N], label_names=self.label_names)
        return kept, kept_N

    def logits(self, logits_NK: np.ndarray, model: int) -> np.ndarray:
        """Keeps the shared outputs of a model, in the shared order.

        The softmax of those is the model's probabilities, renormalised over the shared classes.
        """
        return logits_NK[:, list(self.of_models[model])]

    def dropped_faces(self, faces: Faces) -> dict[str, int]:
        """Counts the faces of each class that is not shared, classes without a face included."""
        counts = Counter(faces.labels_N.tolist())
        return {
            name: counts[index]
            for index, name in enumerate(faces.label_names)
            if self.of_data[index] < 0
        }


def share_classes(
    models: Sequence[tuple[str, ...]], data: tuple[str, ...], source: str
) -> SharedClasses:
    """Finds the classes that all models and a dataset have.

    Classes are the same whose canonical names are (``Happiness``, ``happy``). An emotion of the
    dataset also counts as the micro-expression class that it belongs to, if the models have that.

    Args:
        models: Labels of each model, in the order of its outputs; at least one.
        data: Labels of the dataset.
        source: What the dataset is called, for the message.

    Raises:
        DataError: There are fewer than two.
    """
    keys = [_known_as(labels) for labels in models]
    common = [key for key in keys[0] if all(key in others for others in keys)]
    of_data = places_of(data, common)
    kept = [place for place in range(len(common)) if place in of_data]
    if len(kept) < 2:
        raise DataError(
            f"the labels of {_the_models(models)} and those of {source} ({', '.join(data)}) "
            f"share {len(kept)} classes; 2 are needed"
        )
    return SharedClasses(
        label_names=tuple(models[0][keys[0].index(common[place])] for place in kept),
        of_data=tuple(kept.index(place) if place in kept else -1 for place in of_data),
        of_models=tuple(tuple(own.index(common[place]) for place in kept) for own in keys),
    )


def _known_as(labels: tuple[str, ...]) -> tuple[str, ...]:
    """Canonical names, or the labels themselves where two of them would become one."""
    canonical = tuple(canonical_label(name) or name for name in labels)
    return canonical if len(set(canonical)) == len(labels) else labels


def _the_models(models: Sequence[tuple[str, ...]]) -> str:
    lists = list(dict.fromkeys(f"({', '.join(labels)})" for labels in models))
    return f"{'the model' if len(lists) == 1 else 'the models'} {' and '.join(lists)}"
