"""Choosing by what no face of training is in: composed scenes, and whole photos at two sizes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from edge_fer.data.scenes import Photo
from edge_fer.data.scenes_compose import Mixture, Pool, composed
from edge_fer.detect.finders import WEAKEST
from edge_fer.detect.metrics import judge
from edge_fer.detect.pictures import LARGE, SMALL, fitted
from edge_fer.preprocess import normalise
from edge_fer.runtime.faces.decode import Faces, decode_faces

#: False faces per picture at which the weakest score that counts is set.
FALSE_PER_PICTURE = 0.1
_SEED = 2**32


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Pictures of the validation part, ready for the network.

    Attributes:
        scenes: Composed, of the small size.
        small: Photos fitted into the small size, with faces and without.
        large: The same in the large one.
    """

    scenes: Sequence[Photo]
    small: Sequence[Photo]
    large: Sequence[Photo]


def checks_of(pool: Pool, count: int, mixture: Mixture) -> Checks:
    """Makes the pictures to choose by; always the same.

    Args:
        pool: Of the validation part.
        count: Scenes to compose.
        mixture: As in training.
    """
    rngs = [np.random.default_rng((_SEED, index)) for index in range(count)]
    photos = [*pool.photos, *pool.scenes]
    return Checks(
        scenes=[composed(pool, SMALL, rng, mixture) for rng in rngs],
        small=[fitted(photo, SMALL) for photo in photos],
        large=[fitted(photo, LARGE) for photo in photos],
    )


def found_by(network: nn.Module, photos: Sequence[Photo]) -> list[Faces]:
    """Runs a network in evaluation mode on pictures whose sides are multiples of 32."""
    device = next(network.parameters()).device
    found = []
    for photo in photos:
        x_NCHW = torch.from_numpy(normalise(photo.image_HW))[None, None].to(device)
        with torch.no_grad():
            raw_CHW = network(x_NCHW)[0].float().cpu().numpy()
        found.append(decode_faces(raw_CHW.transpose(1, 2, 0), min_score=WEAKEST))
    return found


def validate(network: nn.Module, checks: Checks) -> dict[str, Any]:
    """Returns average precisions, recalls and thresholds; ``validation_ap`` chooses the epoch."""
    judged = {
        name: judge(found_by(network, photos), photos, sizes_px=(least_px, math.inf))
        for name, photos, least_px in (
            ("scenes", checks.scenes, 0.0),
            ("small", checks.small, 12.0),
            ("large", checks.large, 12.0),
        )
    }
    chosen_by = [judged[name].average_precision for name in ("scenes", "large")]
    return {
        "validation_ap": float(np.mean(chosen_by)),
        **{f"ap_{name}": one.average_precision for name, one in judged.items()},
        **{f"recall_{name}": one.recall_at(FALSE_PER_PICTURE) for name, one in judged.items()},
        "min_score": {
            str(size[0]): judged[name].score_at(FALSE_PER_PICTURE)
            for name, size in (("small", SMALL), ("large", LARGE))
        },
    }
