"""What both quantizers have in common: layers of a float file, and which of them stay in float."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A layer as the quantizer of one format sees it: an operator with weights and what follows.

    Attributes:
        name: Readable and unique in its file.
        operators: Names of its operators, in the file's own words.
    """

    name: str
    operators: tuple[str, ...]


class StaticQuantizer(Protocol):
    """A calibrated float file, ready to be quantized, wholly or but for some layers."""

    @property
    def layers(self) -> Sequence[Layer]:
        """In execution order; together they hold every operator."""

    def quantize(self, kept: Collection[str] = ()) -> bytes:
        """Returns the quantized file.

        Args:
            kept: Operators that stay in float.
        """


def layers_from(operators: Sequence[tuple[str, str, bool]]) -> tuple[Layer, ...]:
    """Groups operators into layers: one with weights, and all that follow up to the next.

    Args:
        operators: In execution order: name, readable name, and whether it has weights.
    """
    groups: list[tuple[str, list[str]]] = []
    for name, readable, has_weights in operators:
        if has_weights or not groups:
            groups.append((readable, []))
        groups[-1][1].append(name)
    return tuple(
        Layer(name=f"{index} {readable}", operators=tuple(names))
        for index, (readable, names) in enumerate(groups)
    )
