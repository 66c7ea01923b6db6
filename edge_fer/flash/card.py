"""Writing a card, and reading it back."""

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

from edge_fer.errors import OutputError
from edge_fer.flash.fat import FatVolume
from edge_fer.flash.image import BLOCK_BYTES, read_image
from edge_fer.flash.output import append_sparsely, sync
from edge_fer.flash.survey import Survey

OnBytes = Callable[[int], None]
BAD = "what was read back is not what was written; do not trust this medium"


def write_card(
    stream: BinaryIO,
    image: Path,
    survey: Survey,
    boot_file: BinaryIO,
    on_bytes: OnBytes,
    *,
    sparsely: bool = False,
) -> str:
    """Writes an image with another boot partition.

    Args:
        stream: File or disk.
        image: Packed or not.
        survey: Of the image.
        boot_file: The boot partition.
        on_bytes: Told how many bytes were written.
        sparsely: It is a new file: leave out zeros.

    Returns:
        SHA-256 of everything that was written.

    Raises:
        OutputError: The image is no longer what was surveyed.
    """
    whole, outside, offset = hashlib.sha256(), hashlib.sha256(), 0
    append = partial(append_sparsely, stream) if sparsely else stream.write
    boot_file.seek(0)
    for block in read_image(image):
        before, inside, after = survey.partition.split(offset, block)
        new = before + boot_file.read(len(inside)) + after
        outside.update(before + after)
        whole.update(new)
        append(new)
        offset += len(block)
        on_bytes(offset)
    if sparsely:
        stream.truncate()
    sync(stream)
    if outside.hexdigest() != survey.outside_sha256:
        raise OutputError(f"{image} was changed while it was read")
    return whole.hexdigest()


def verify_card(
    stream: BinaryIO, survey: Survey, sha256: str, files: Mapping[str, str], on_bytes: OnBytes
) -> None:
    """Reads back every byte, and the files of the boot partition once more.

    Args:
        stream: File or disk.
        survey: Of the image.
        sha256: Of what was written.
        files: SHA-256 of the boot partition's files, by path.
        on_bytes: Told how many bytes were read.

    Raises:
        OutputError: Something is not as it was written, or the rest not as it was in the image.
    """
    whole, outside, offset = hashlib.sha256(), hashlib.sha256(), 0
    stream.seek(0)
    while block := stream.read(min(BLOCK_BYTES, survey.size_bytes - offset)):
        before, _, after = survey.partition.split(offset, block)
        whole.update(block)
        outside.update(before + after)
        offset += len(block)
        on_bytes(offset)
    if whole.hexdigest() != sha256 or outside.hexdigest() != survey.outside_sha256:
        raise OutputError(BAD)
    with FatVolume(stream, survey.partition.start_bytes, survey.partition.size_bytes) as volume:
        if any(volume.sha256(path) != digest for path, digest in files.items()):
            raise OutputError(BAD)
