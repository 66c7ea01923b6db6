"""Results as a table: one row per face and frame, in a file that only grows."""

import csv
import io
import os
from datetime import datetime, timezone
from pathlib import Path

from edge_fer.errors import OutputError
from edge_fer.files import refuse_overwrite
from edge_fer.runtime.result import Face, Result

COLUMNS = ("time", "t_s", "file", "frame", "id", "x", "y", "w", "h", "label", "score")


class CsvRows:
    """A CSV file with a header, then a row per face and frame.

    The rows of a frame are written together, in one piece, straight to the file: a crash of the
    program loses nothing, and a full disk leaves no half row.

    Args:
        path: The file.
        labels: The vocabulary; each gets a column ``p_LABEL``.
        force: Replace a file that is there.

    Raises:
        OutputError: The file exists without ``force``, or cannot be written.
    """

    def __init__(self, path: Path, labels: tuple[str, ...], *, force: bool = False) -> None:
        refuse_overwrite(path, force=force)
        self._path, self._length, self._closed = path, 0, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = os.open(path, flags, 0o644)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            self._append([[*COLUMNS, *(f"p_{label}" for label in labels), "total_ms"]])
        except OutputError:
            self.close()
            raise

    def write(self, result: Result) -> None:
        """Writes the rows of one frame; none if no face is in it.

        Raises:
            OutputError: The disk is full. The file ends with the last row that was whole.
        """
        if result.faces:
            now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            time = now.replace("+00:00", "Z")
            self._append([_row(time, result, face) for face in result.faces])

    def close(self) -> None:
        """Closes the file."""
        if not self._closed:
            self._closed = True
            os.close(self._file)

    def _append(self, rows: list[list[object]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(rows)
        data = text.getvalue().encode(errors="backslashreplace")
        written, reason = _write(self._file, data)
        if written < len(data):
            os.ftruncate(self._file, self._length)
            raise OutputError(
                f"{self._path}: cannot be written: {reason}; the rows so far are kept"
            )
        self._length += written


def _write(file: int, data: bytes) -> tuple[int, str]:
    """Returns how many bytes went to the file, and why not all did."""
    written = 0
    try:
        while written < len(data):
            written += os.write(file, data[written:])
    except OSError as error:
        return written, error.strerror or str(error)
    return written, ""


def _row(time: str, result: Result, face: Face) -> list[object]:
    return [
        time,
        round(result.frame.t_s, 4),
        result.frame.name.replace("\r", "\\r"),
        result.frame.index,
        face.id,
        *(round(value, 1) for value in face.box),
        face.label,
        round(face.score, 4),
        *(round(p, 4) for p in face.probabilities.tolist()),
        round(result.latency_ms["total"], 3),
    ]
