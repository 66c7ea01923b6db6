"""Photos as a source."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Closing, Frame
from edge_fer.runtime.sources.images import list_images, read_image

_log = logging.getLogger("edge_fer.sources")


class PhotoSource(Closing):
    """A photo, or every photo of a folder in the order of their names.

    A photo that cannot be read is an error if it was asked for by name or if the folder has no
    other; among good ones it is skipped with a warning.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._files = path, list_images(path)
        self.single = path.is_file()

    def __iter__(self) -> Iterator[Frame]:
        skipped = 0
        for index, file in enumerate(self._files):
            started_s = time.monotonic()
            try:
                image = read_image(file)
            except SourceError as error:
                if self.single:
                    raise
                _log.warning("skipped: %s", error)
                skipped += 1
                continue
            capture_ms = 1e3 * (time.monotonic() - started_s)
            yield Frame(index, 0.0, image, capture_ms, file.name, dropped=skipped)
            skipped = 0
        if skipped == len(self._files):
            raise SourceError(f"{self._path}: none of its {skipped} photos can be read")
