"""SMIC: micro-expression clips of 16 people in three classes, from three cameras.

``SMIC_all_cropped/HS/s1/micro/negative/s1_ne_01/*.bmp``: a folder of frames per clip, cut to onset
.. offset; the apex is not annotated. The cameras are tags: ``hs``, ``vis`` and ``nir``. Where
originals (``SMIC_all_raw``) and cropped faces are both there, the cropped ones are read;
``non_micro`` is not.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from edge_fer.data.dataset import Clip, Dataset, Item
from edge_fer.data.reading import (
    Found,
    cropped_first,
    dataset_of,
    pictures_by_folder,
    require_folder,
)
from edge_fer.labels import MICRO_3

_CAMERAS = ("hs", "vis", "nir")
_SUBJECT = re.compile(r"s0*([0-9]+)", re.IGNORECASE)


def read_smic(path: Path) -> Dataset:
    """Reads SMIC from its folder, or from the folder of one camera.

    Raises:
        DataError: The path is missing, of another layout, or holds no clip.
    """
    root = require_folder(path)
    return dataset_of("smic", MICRO_3, path, _clips(root))


def _clips(root: Path) -> Iterator[Found]:
    folders = pictures_by_folder(root)
    seen = set()
    for folder in cropped_first(root, folders):
        parts = (root.resolve().name, *folder.relative_to(root).parts)
        lower = [part.lower() for part in parts]
        if any(part.startswith("non_micro") for part in lower):
            continue
        label = next((MICRO_3.index(part) for part in lower if part in MICRO_3), -1)
        subject = next(filter(None, map(_SUBJECT.fullmatch, parts)), None)
        if label < 0 or subject is None:
            yield f"{folder}: {len(folders[folder])} pictures that are not in SUBJECT/micro/CLASS"
            continue
        cameras = tuple(part for part in lower if part in _CAMERAS)[-1:]
        person = f"s{int(subject.group(1)):02d}"
        name = "/".join((*cameras, person, parts[-1]))
        if name not in seen:
            seen.add(name)
            yield Item(
                name=name,
                source=Clip(files=tuple(folders[folder])),
                label=label,
                subject=person,
                tags=cameras,
            )
