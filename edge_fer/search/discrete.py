"""From weights on every edge to a genotype.

Shape suffixes: E edges of a cell, O operations.
"""

import numpy as np

from edge_fer.models.emonas import OPERATIONS, Edge, Node

SKIP = "skip_connect"
NAMES = tuple(OPERATIONS)


def discretise(weights_EO: np.ndarray) -> tuple[Node, ...]:
    """Keeps the two strongest operations of each node that read different nodes.

    Args:
        weights_EO: Not negative, rows as ``space.edges`` lists them. Of equal ones the first wins.

    Returns:
        The nodes of a cell; a node's edges by what they read.
    """
    nodes: list[Node] = []
    first = 0
    while first < len(weights_EO):
        own_SO = weights_EO[first : first + len(nodes) + 2]
        kept = sorted(np.argsort(-own_SO.max(1), kind="stable")[:2].tolist())
        one, other = (Edge(NAMES[int(own_SO[source].argmax())], source) for source in kept)
        nodes.append((one, other))
        first += len(own_SO)
    return tuple(nodes)


def discretise_limited(weights_EO: np.ndarray, most_skips: int) -> tuple[Node, ...]:
    """As ``discretise``, but with few identities: the weakest give way (Chen et al. 2019, P-DARTS).

    Args:
        weights_EO: As there.
        most_skips: How many identities may stay.
    """
    left_EO = np.array(weights_EO)
    column = NAMES.index(SKIP)
    nodes = discretise(left_EO)
    while count_skips(nodes) > most_skips:
        rows = _skip_rows(nodes)
        left_EO[min(rows, key=lambda row: left_EO[row, column]), column] = 0
        nodes = discretise(left_EO)
    return nodes


def count_skips(nodes: tuple[Node, ...]) -> int:
    """Returns how many edges of a cell are identities."""
    return len(_skip_rows(nodes))


def _skip_rows(nodes: tuple[Node, ...]) -> list[int]:
    """Rows of alpha; node ``i`` of the intermediate ones begins after ``2 + 3 + .. + (i + 1)``."""
    return [
        number * (number + 3) // 2 + edge.source
        for number, node in enumerate(nodes)
        for edge in node
        if edge.operation == SKIP
    ]
