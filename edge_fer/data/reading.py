"""What the readers share: looking through folders, and sorting finds into items and problems."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

from edge_fer.data.dataset import IMAGE_SUFFIXES, Dataset, Item
from edge_fer.errors import DataError
from edge_fer.labels import canonical_label

Found: TypeAlias = Item | str
"""What a reader found: an item, or a line that says what was left out and why."""

T = TypeVar("T")

_SUBJECT_FOLDER = re.compile(r"(?:s|sn|p|sub|subject|subj)?[ _-]?[0-9]+", re.IGNORECASE)
_SUBJECT_PREFIX = re.compile(r"((?:s|sn|p|sub|subject|subj)[0-9]+)[_.-]", re.IGNORECASE)


def require(path: Path) -> Path:
    """Returns the path, or raises ``DataError`` if it does not exist."""
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    return path


def require_folder(path: Path) -> Path:
    """Returns the path, or raises ``DataError`` unless it is a folder."""
    if not require(path).is_dir():
        raise DataError(f"{path}: not a folder")
    return path


def require_picture(path: Path) -> Path:
    """Returns the path, or raises ``DataError`` unless it is a file with a picture's suffix."""
    if not path.is_file():
        raise DataError(f"{path}: no such picture")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise DataError(f"{path}: not a kind of picture that is read")
    return path


def first_existing(root: Path, *names: str) -> Path | None:
    """Returns the first of ``names`` that exists in ``root``."""
    return next((root / name for name in names if (root / name).exists()), None)


def natural_key(name: str) -> tuple[list[str | int], str]:
    """Returns a sort key that puts ``img9`` before ``img10``."""
    parts = re.split(r"([0-9]+)", name.lower())
    return [int(part) if odd % 2 else part for odd, part in enumerate(parts)], name


def pictures_by_folder(root: Path) -> dict[Path, list[Path]]:
    """Returns every folder under ``root`` that holds pictures, both in natural order.

    Links are followed, each folder is visited once, and what systems leave behind (``.DS_Store``,
    ``._face.jpg``, ``__MACOSX``) is passed over.
    """
    found, seen = {}, set()
    for folder, children, files in os.walk(root, followlinks=True):
        place = Path(folder).resolve()
        children[:] = [] if place in seen else sorted(filter(_is_data, children), key=natural_key)
        pictures = [] if place in seen else [name for name in files if _is_picture(name)]
        seen.add(place)
        if pictures:
            found[Path(folder)] = [
                Path(folder) / name for name in sorted(pictures, key=natural_key)
            ]
    return found


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"


def _is_picture(name: str) -> bool:
    return _is_data(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES


def only_in_splits(found: Iterable[Found]) -> Iterator[Found]:
    """Leaves out items without a split, for layouts in which every item has one."""
    for one in found:
        if isinstance(one, Item) and not one.split:
            yield f"{one.name}: not in a folder of a split"
        else:
            yield one


def cropped_first(root: Path, folders: Iterable[Path]) -> list[Path]:
    """Sorts folders under ``root`` so that cropped versions come before the originals."""
    return sorted(folders, key=lambda folder: "crop" not in str(folder.relative_to(root)).lower())


def first_and_last(pictures: list[Path], last: int) -> tuple[Path | None, list[Path]]:
    """Splits a sequence that goes from neutral to its peak: the first frame, and the last ones.

    A sequence of one frame is its peak.
    """
    if len(pictures) == 1:
        return None, pictures
    return pictures[0], pictures[1:][-last:]


def each(rows: Iterable[T], parse: Callable[[T], Item]) -> Iterator[Found]:
    """Parses every row; one that cannot be used becomes the line that says why."""
    for row in rows:
        try:
            found: Found = parse(row)
        except (DataError, OSError) as error:
            found = str(error)
        yield found


def class_folder_items(
    root: Path,
    label_names: tuple[str, ...],
    class_of: Callable[[str], str | None] = canonical_label,
    split_of: Callable[[str], str] = lambda _: "",
) -> Iterator[Found]:
    """Finds pictures sorted into class folders, however deep.

    Args:
        root: Where to look.
        label_names: The vocabulary.
        class_of: From a folder's name to a class.
        split_of: From the name of a folder right under ``root`` to a split.

    Yields:
        A picture per file; its class is the innermost folder that names one. Its subject is the
        folder next to that in its path, if named like one (``S010``, ``sub01``, ``7``), else what
        its name begins with, if that looks like one (``S010_``).
    """
    for folder, pictures in pictures_by_folder(root).items():
        parts = folder.relative_to(root).parts
        depth, name = _innermost(parts, class_of, label_names)
        if depth < 0:
            yield f"{folder}: {len(pictures)} pictures in no class folder"
            continue
        around = (*parts[depth + 1 : depth + 2], *parts[max(depth - 1, 0) : depth])
        for picture in pictures:
            yield Item(
                name=picture.relative_to(root).as_posix(),
                source=picture,
                label=label_names.index(name),
                subject=_subject(around, picture.name),
                split=split_of(parts[0]),
            )


def _innermost(
    parts: tuple[str, ...], class_of: Callable[[str], str | None], label_names: tuple[str, ...]
) -> tuple[int, str]:
    for depth in range(len(parts) - 1, -1, -1):
        name = class_of(parts[depth])
        if name in label_names:
            return depth, name
    return -1, ""


def _subject(around: tuple[str, ...], file_name: str) -> str:
    for part in around:
        if _SUBJECT_FOLDER.fullmatch(part):
            return part
    match = _SUBJECT_PREFIX.match(file_name)
    return match.group(1) if match else ""


def dataset_of(
    name: str, label_names: tuple[str, ...], path: Path, found: Iterable[Found]
) -> Dataset:
    """Sorts what was found into items and problems.

    Raises:
        DataError: Nothing that was found can be used.
    """
    items: dict[str, Item] = {}
    problems = []
    repeated: Counter[str] = Counter()
    for one in found:
        if isinstance(one, str):
            problems.append(one)
        elif one.name in items:
            repeated[one.name] += 1
        else:
            items[one.name] = one
    problems += [f"{key}: listed {count + 1} times, read once" for key, count in repeated.items()]
    if not items:
        first = f"; {problems[0]}" if problems else ""
        raise DataError(f"{path}: nothing of {name} found here{first}")
    return Dataset(
        name=name, label_names=label_names, items=tuple(items.values()), problems=tuple(problems)
    )
