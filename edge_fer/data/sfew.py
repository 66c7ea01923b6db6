"""SFEW 2.0: stills from films in seven classes, ``Train/Angry/*.png`` and ``Val/Angry/*.png``.

The folders of aligned faces (``Train_Aligned_Faces``, ``Val_Aligned_Faces``) are read in the same
way. The labels of the test set were never handed out: its faces are left out and counted.
"""

import re
from pathlib import Path

from edge_fer.data.dataset import Dataset
from edge_fer.data.reading import class_folder_items, dataset_of, require_folder
from edge_fer.labels import FER2013_LABELS

_SPLIT = re.compile(r"(train|val|test)(?![a-z])", re.IGNORECASE)


def read_sfew(path: Path) -> Dataset:
    """Reads SFEW from the folder that holds ``Train`` and ``Val``.

    Raises:
        DataError: The path is missing, of another layout, or holds no face.
    """
    root = require_folder(path)
    found = class_folder_items(root, FER2013_LABELS, split_of=_split_of)
    return dataset_of("sfew", FER2013_LABELS, path, found)


def _split_of(name: str) -> str:
    match = _SPLIT.match(name)
    return match.group(1).lower() if match else ""
