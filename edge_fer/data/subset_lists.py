"""Lists of hard test images (occluded, turned faces), as tags on items.

The lists of the region attention network's authors name an image per line, with its class before or
after it and other suffixes than the images have: only the image's number is looked at.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from edge_fer.data.dataset import Item
from edge_fer.data.reading import Found, first_existing
from edge_fer.errors import DataError


def tagged(
    found: Iterable[Found], folders: Iterable[Path], lists: Mapping[str, str], image_name: str
) -> Iterator[Found]:
    """Tags items that are on a list.

    Args:
        found: What the reader found.
        folders: Where the lists may be.
        lists: Tag by file name.
        image_name: Regular expression of an image's name without its suffix.

    Yields:
        What was found, and a line for each list that names images that were not.
    """
    pattern = re.compile(image_name)
    members = _read_lists(list(folders), lists, pattern)
    missing = {tag: set(names) for tag, names in members.items()}
    for one in found:
        match = pattern.search(one.name) if isinstance(one, Item) else None
        if isinstance(one, str) or match is None:
            yield one
            continue
        tags = tuple(tag for tag, names in members.items() if match.group() in names)
        for tag in tags:
            missing[tag].discard(match.group())
        yield replace(one, tags=one.tags + tags)
    for tag, names in missing.items():
        if names:
            yield f"list {tag}: {len(names)} images are not in the dataset, e.g. {min(names)}"


def _read_lists(
    folders: list[Path], lists: Mapping[str, str], pattern: re.Pattern[str]
) -> dict[str, set[str]]:
    members = {}
    for file_name, tag in lists.items():
        file = next(filter(None, (first_existing(folder, file_name) for folder in folders)), None)
        if file is not None:
            members[tag] = set(pattern.findall(_read_text(file)))
    return members


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
