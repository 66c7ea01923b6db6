"""Reads the notes of an ``.onnx`` file without the ``onnx`` package."""

from collections.abc import Iterator

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
_METADATA_FIELD, _KEY_FIELD, _VALUE_FIELD = 14, 1, 2


def onnx_metadata(content: bytes) -> dict[str, str]:
    """Returns ``metadata_props`` of a model file that an engine has already loaded."""
    notes = {}
    for field, entry in _fields(content):
        if field == _METADATA_FIELD:
            parts = {number: value.decode() for number, value in _fields(entry)}
            notes[parts.get(_KEY_FIELD, "")] = parts.get(_VALUE_FIELD, "")
    return notes


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every field of a protobuf message that has a length."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == _LENGTH:
            size, at = _varint(message, at)
            yield tag >> 3, message[at : at + size]
            at += size
        elif kind == _VARINT:
            _, at = _varint(message, at)
        else:
            at += {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}[kind]


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
