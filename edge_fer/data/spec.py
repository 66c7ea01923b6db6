"""``--data`` specifications: ``name:path``, e.g. ``fer2013:~/fer2013.csv``."""

from collections.abc import Callable
from pathlib import Path

from edge_fer.data.affectnet import read_affectnet
from edge_fer.data.ck_plus import read_ck_plus
from edge_fer.data.dataset import Dataset
from edge_fer.data.faces import Faces
from edge_fer.data.fer2013 import read_fer2013, read_fer2013_dataset
from edge_fer.data.ferplus import read_ferplus
from edge_fer.data.folder import read_csv, read_folder
from edge_fer.data.lab_faces import (
    read_disfa,
    read_imed,
    read_ised,
    read_jaffe,
    read_mug,
    read_oulu_casia,
)
from edge_fer.data.load import faces_named, faces_of, with_validation
from edge_fer.data.megc2019 import read_megc2019
from edge_fer.data.micro import read_cas_me_2, read_casme, read_casme2, read_samm
from edge_fer.data.protocols import find_fold, read_protocol
from edge_fer.data.raf_db import read_raf_db
from edge_fer.data.sfew import read_sfew
from edge_fer.data.smic import read_smic
from edge_fer.errors import DataError


def _read_synthetic(count: Path) -> Dataset:
    from edge_fer.data.synthetic import read_synthetic  # draws with OpenCV, which training lacks

    return read_synthetic(count)


READERS: dict[str, Callable[[Path, str], Faces]] = {
    "fer2013": read_fer2013,
}
DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "fer2013": read_fer2013_dataset,
    "ferplus": read_ferplus,
    "raf-db": read_raf_db,
    "ck-plus": read_ck_plus,
    "jaffe": read_jaffe,
    "mug": read_mug,
    "oulu-casia": read_oulu_casia,
    "ised": read_ised,
    "disfa": read_disfa,
    "imed": read_imed,
    "sfew": read_sfew,
    "affectnet": read_affectnet,
    "casme": read_casme,
    "casme2": read_casme2,
    "cas-me-2": read_cas_me_2,
    "samm": read_samm,
    "smic": read_smic,
    "megc2019": read_megc2019,
    "folder": read_folder,
    "csv": read_csv,
    "synthetic": _read_synthetic,
}
#: Ways to make pictures of a dataset of clips, ``WAY:NAME:PATH``; see ``clip_pictures``.
WAYS = ("dynamic", "dynamic-paper", "flow")
TERMS: dict[str, str] = {
    "fer2013": "FER2013 images: collected from the web for research; some labels are wrong, and "
    "288 PrivateTest and 280 PublicTest images also occur in Training",
}


def read_faces(spec: str, split: str) -> Faces:
    """Reads one split of the dataset that ``spec`` names into memory.

    Args:
        spec: ``name:path``.
        split: FER2013's names for its splits stand for training, validation and test of any
            dataset; see ``faces_of``.

    Raises:
        DataError: Not ``name:path``, an unknown name, or files that the reader refuses.
    """
    name, path = parse_spec(spec)
    if name in READERS:
        return READERS[name](path, split)
    return faces_of(read_dataset(spec), split)


def read_dataset(spec: str, *, strict: bool = False) -> Dataset:
    """Lists the images or clips of the dataset that ``spec`` names.

    Args:
        spec: ``name:path``.
        strict: Refuse a dataset of which anything had to be left out.

    Raises:
        DataError: Not ``name:path``, an unknown name, files that the reader refuses, or, if strict,
            any problem.
    """
    name, path = parse_spec(spec)
    dataset = _pictures(name, str(path)) if name in WAYS else DATASETS[name](path)
    if strict and dataset.problems:
        count = len(dataset.problems)
        plural = "s" if count > 1 else ""
        raise DataError(f"{spec}: {count} problem{plural}, the first: {dataset.problems[0]}")
    return dataset


def read_fold(spec: str, protocol: Path, name: str, side: str) -> Faces:
    """Reads one side of a fold into memory.

    Args:
        spec: ``name:path``.
        protocol: File of ``edge-fer data split``, made for that dataset.
        name: Of the fold; empty if the protocol has only one.
        side: ``train``, ``validation`` or ``test``. Where the protocol has no validation set, a
            tenth of training is cut off by lot, always the same, by subject where they are known.

    Raises:
        DataError: No such fold, or a file that cannot be used.
    """
    dataset = read_dataset(spec)
    fold = with_validation(dataset, find_fold(read_protocol(protocol, dataset), name, protocol))
    return faces_named(dataset, getattr(fold, side), f"{fold.name}/{side}")


def spec_name(spec: str) -> str:
    """Returns a specification without its path: ``fer2013``, ``dynamic:casme2``."""
    name, _, rest = spec.partition(":")
    return f"{name}:{spec_name(rest)}" if name in WAYS else name


def parse_spec(spec: str) -> tuple[str, Path]:
    """Splits ``name:path``; raises ``DataError`` if it is not that, or of an unknown name."""
    name, separator, path = spec.partition(":")
    if not separator or not path:
        raise DataError(f"{spec!r} is not NAME:PATH, e.g. fer2013:~/fer2013.csv")
    known = (*DATASETS, *WAYS)
    if name not in known:
        raise DataError(f"unknown dataset {name!r}; known: {', '.join(known)}")
    return name, Path(path).expanduser()


def _pictures(way: str, spec: str) -> Dataset:
    from edge_fer.data.clip_pictures import pictures_of  # draws in OpenCV, which training lacks

    return pictures_of(read_dataset(spec), way)
