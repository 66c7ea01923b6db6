"""``--data`` specifications: ``name:path``, e.g. ``fer2013:~/fer2013.csv``."""

from collections.abc import Callable
from pathlib import Path

from edge_fer.data.faces import Faces
from edge_fer.data.fer2013 import read_fer2013
from edge_fer.errors import DataError

READERS: dict[str, Callable[[Path, str], Faces]] = {
    "fer2013": read_fer2013,
}
TERMS: dict[str, str] = {
    "fer2013": "FER2013 images: collected from the web for research; some labels are wrong, and "
    "288 PrivateTest and 280 PublicTest images also occur in Training",
}


def read_faces(spec: str, split: str) -> Faces:
    """Reads one split of the dataset that ``spec`` names.

    Raises:
        DataError: Not ``name:path``, an unknown name, or files that the reader refuses.
    """
    name, separator, path = spec.partition(":")
    if not separator or not path:
        raise DataError(f"{spec!r} is not NAME:PATH, e.g. fer2013:~/fer2013.csv")
    if name not in READERS:
        raise DataError(f"unknown dataset {name!r}; known: {', '.join(READERS)}")
    return READERS[name](Path(path).expanduser(), split)
