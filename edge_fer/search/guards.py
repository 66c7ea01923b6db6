"""What the field learnt about searches that end in identities only.

* ``early-stop``: the search ends before the normal cell has more than two of them (Liang et al.
  2019, DARTS+).
* ``skip-dropout``: values of identities are dropped, fewer and fewer, and the two strongest of the
  normal cell may stay (Chen et al. 2019, P-DARTS).
* ``auxiliary-skip``: an identity beside every mixture fades out, so that no candidate is needed for
  the gradient to pass (Chu et al. 2021, DARTS-).
* ``partial-channels``: a quarter of the channels goes through the candidates, and edges are weighed
  against each other (Xu et al. 2020, PC-DARTS). Needs a quarter of the memory.
"""

from collections.abc import Collection

import numpy as np

from edge_fer.models.emonas import Node
from edge_fer.search.discrete import count_skips, discretise, discretise_limited
from edge_fer.search.supernet import Moment

GUARDS = ("early-stop", "skip-dropout", "auxiliary-skip", "partial-channels")
MOST_SKIPS = 2
SKIP_DROPOUT = 0.3
PARTIAL_SHARE = 4


def moment_of(guards: Collection[str], done: float) -> Moment:
    """Returns what holds when a fraction ``done`` of the search is over."""
    left = 1 - done
    return Moment(
        skip_dropout=SKIP_DROPOUT * left if "skip-dropout" in guards else 0.0,
        auxiliary=left if "auxiliary-skip" in guards else 0.0,
    )


def channel_share(guards: Collection[str]) -> int:
    """Returns ``MixedOperation``'s ``share``."""
    return PARTIAL_SHARE if "partial-channels" in guards else 1


def derive(
    normal_EO: np.ndarray, reduction_EO: np.ndarray, guards: Collection[str]
) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Returns the nodes of normal and reduction cells that the weights stand for now."""
    limited = "skip-dropout" in guards
    normal = discretise_limited(normal_EO, MOST_SKIPS) if limited else discretise(normal_EO)
    return normal, discretise(reduction_EO)


def has_collapsed(normal: tuple[Node, ...], guards: Collection[str]) -> bool:
    """Whether a search with ``early-stop`` ends here."""
    return "early-stop" in guards and count_skips(normal) > MOST_SKIPS
