"""Small things to search with."""

import numpy as np

from edge_fer.data.augment import Augmentation
from edge_fer.data.faces import Faces
from edge_fer.labels import FER2013_LABELS
from edge_fer.models.emonas import OPERATIONS
from edge_fer.search.config import SearchConfig
from edge_fer.search.op_table_schema import PRECISIONS
from edge_fer.search.space import Part, Space
from edge_fer.search.table import Table
from edge_fer.train.config import Stage

SPACE = Space(cells=3, nodes=5, channels=4, input_px=16)
STAGE = Stage(
    name="search",
    epochs=2,
    batch_size=4,
    learning_rate=0.05,
    warmup_epochs=0,
    ema_decay=0.0,
    augmentation=Augmentation(),
)


def make_config(**changes) -> SearchConfig:
    values = {"data": "made:up", "stage": STAGE, "space": SPACE, "final": SPACE}
    values |= {"precision": "float32", "alpha_learning_rate": 0.1}
    return SearchConfig(**values | changes)


def make_faces(count=24, seed=1) -> Faces:
    """Dark faces are angry, bright ones happy."""
    rng = np.random.default_rng(seed)
    bright_N = np.arange(count) % 3 > 0
    level_N11 = np.where(bright_N, 160, 40)[:, None, None]
    images_NHW = (level_N11 + rng.integers(0, 60, (count, 16, 16))).astype(np.uint8)
    return Faces(
        images_NHW=images_NHW,
        labels_N=np.where(bright_N, 3, 0).astype(np.int64),
        label_names=FER2013_LABELS,
        source="made:up",
    )


def make_table(space=SPACE, seed=0) -> Table:
    """Times drawn by lot; an identity is free where the size stays."""
    rng = np.random.default_rng(seed)
    times_ms = {
        (precision, Part(operation, place)): (
            0.0 if (operation, place.stride) == ("skip_connect", 1) else float(rng.uniform(0.1, 1))
        )
        for precision in PRECISIONS
        for place in space.places
        for operation in OPERATIONS
    }
    return Table(space=space, base_ms={"fp32": 1.0, "int8": 2.0}, times_ms=times_ms)


def table_document(table: Table) -> dict:
    rows = []
    for place in table.space.places:
        for operation in OPERATIONS:
            row = {"operation": operation, **place._asdict()}
            for precision in PRECISIONS:
                row[f"{precision}_ms"] = table.times_ms[precision, Part(operation, place)]
            rows.append(row)
    return {
        "schema": "edge-fer/op-table/1",
        "space": table.space.to_dict(),
        "base_ms": dict(table.base_ms),
        "rows": rows,
    }
