"""Genotypes drawn by lot: the baseline of a search."""

import numpy as np

from edge_fer.models.emonas import Edge, Genotype, Node
from edge_fer.search.discrete import NAMES
from edge_fer.search.space import Space


def random_genotype(space: Space, rng: np.random.Generator) -> Genotype:
    """Draws one: every pair of earlier nodes and every operation as likely as any other."""
    normal, reduction = (_random_cell(space.intermediate, rng) for _ in range(2))
    return Genotype(normal=normal, reduction=reduction, cells=space.cells, channels=space.channels)


def random_genotypes(space: Space, count: int, seed: int) -> list[Genotype]:
    """Draws several; of one seed, fewer of them are the first ones of more."""
    rng = np.random.default_rng(seed)
    return [random_genotype(space, rng) for _ in range(count)]


def _random_cell(intermediate: int, rng: np.random.Generator) -> tuple[Node, ...]:
    nodes: list[Node] = []
    for node in range(2, intermediate + 2):
        one, other = sorted(rng.choice(node, 2, replace=False).tolist())
        names = [NAMES[int(rng.integers(len(NAMES)))] for _ in range(2)]
        nodes.append((Edge(names[0], one), Edge(names[1], other)))
    return tuple(nodes)
