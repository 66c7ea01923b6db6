"""RAF-DB, basic expressions: 15,339 faces in seven classes, 12,271 to train and 3,068 to test.

Two layouts are read:

* the official one: ``EmoLabel/list_patition_label.txt`` (``train_00001.jpg 5``, 1 to 7) and
  ``Image/aligned/train_00001_aligned.jpg``; without aligned images, ``Image/original``,
* class folders ``train/1..7`` and ``test/1..7``, or with the names of the classes.

The lists of occluded and turned faces (``rafdb_occlusion_list.txt``, ``val_raf_db_list.txt`` and
``val_raf_db_list_45.txt``, beside the images or in ``EmoLabel``) become the tags ``occlusion``,
``pose-30`` and ``pose-45``; faces turned more than 45 degrees have both pose tags.
"""

from collections.abc import Iterator
from pathlib import Path

from edge_fer.data.dataset import Dataset, Item
from edge_fer.data.reading import (
    Found,
    class_folder_items,
    dataset_of,
    each,
    first_existing,
    only_in_splits,
    require_folder,
    require_picture,
)
from edge_fer.data.subset_lists import tagged
from edge_fer.errors import DataError
from edge_fer.labels import FER2013_LABELS, RAF_DB_CODES, canonical_label

_LISTS = {
    "rafdb_occlusion_list.txt": "occlusion",
    "val_raf_db_list.txt": "pose-30",
    "val_raf_db_list_45.txt": "pose-45",
}
_LABEL_LISTS = ("EmoLabel/list_patition_label.txt", "list_patition_label.txt")
_IMAGE_FOLDERS = ("Image/aligned", "aligned", "Image/original", "original")


def read_raf_db(path: Path) -> Dataset:
    """Reads RAF-DB's basic expressions.

    Args:
        path: The folder ``basic``, the one that holds it, or one with ``train`` and ``test``.

    Raises:
        DataError: The path is missing, of another layout, or holds no face.
    """
    root = first_existing(require_folder(path), "basic") or path
    label_list = first_existing(root, *_LABEL_LISTS)
    if label_list is not None:
        found = _official(root, label_list)
    elif (root / "train").is_dir() or (root / "test").is_dir():
        faces = class_folder_items(root, FER2013_LABELS, _class_of_folder, _split_of)
        found = only_in_splits(faces)
    else:
        raise DataError(f"{path}: neither {_LABEL_LISTS[0]} nor folders train and test")
    lists_in = [root / "EmoLabel", root]
    name = r"(?:train|test)_[0-9]+"
    return dataset_of("raf-db", FER2013_LABELS, path, tagged(found, lists_in, _LISTS, name))


def _official(root: Path, label_list: Path) -> Iterator[Found]:
    images = first_existing(root, *_IMAGE_FOLDERS)
    if images is None:
        raise DataError(f"{root}: no folder {_IMAGE_FOLDERS[0]}")
    try:
        lines = label_list.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{label_list}: cannot be read ({error})") from error
    numbered = [(f"{label_list}:{i}", line) for i, line in enumerate(lines, 1) if line.strip()]
    return each(numbered, lambda pair: _parse_line(root, images, *pair))


def _parse_line(root: Path, images: Path, where: str, line: str) -> Item:
    name, _, code = line.strip().rpartition(" ")
    if not (code.isascii() and code.isdigit()) or int(code) not in RAF_DB_CODES:
        raise DataError(f"{where}: {line.strip()!r} does not end in a class from 1 to 7")
    split = _split_of(name.partition("_")[0])
    if not split:
        raise DataError(f"{where}: {name!r} begins with neither train_ nor test_")
    picture = _picture(images, name.strip())
    return Item(
        name=picture.relative_to(root).as_posix(),
        source=picture,
        label=FER2013_LABELS.index(RAF_DB_CODES[int(code)]),
        split=split,
    )


def _picture(images: Path, name: str) -> Path:
    plain = Path(name)
    aligned = images / f"{plain.stem}_aligned{plain.suffix}"
    return aligned if aligned.is_file() else require_picture(images / plain)


def _class_of_folder(name: str) -> str | None:
    if len(name) == 1 and name in "1234567":
        return RAF_DB_CODES[int(name)]
    return canonical_label(name)


def _split_of(name: str) -> str:
    return name if name in ("train", "test") else ""
