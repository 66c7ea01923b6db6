"""Tiny networks that tell what each operation of a search takes, as files for a device to run.

``operation_ms`` is a difference: three times the operation, against the same network without it.
Everything around is kept by either one, the conversion to INT8 included, so that only the
operation is left. Whole networks stand beside them: for what no operation changes, and to check
what is predicted.

Shape suffixes: N images, C channels, H height, W width (pixels).
"""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_fer.files import write_atomic

if TYPE_CHECKING:
    from torch import nn

    from edge_fer.search.space import Place, Space

SCHEMA = "edge-fer/probes/1"
PROBES_FILE = "probes.json"
REPEATS = 3
BASE_NETWORKS = 3
NOTHING = "nothing"
_SEED = 20_26
_CALIBRATION_IMAGES = 4


def write_probes(
    space: "Space", folder: Path, checks: int, on_probe: Callable[[int, int], None]
) -> None:
    """Writes the probes of a space, and ``probes.json`` last; what is there already stays.

    Args:
        space: Whose operations are asked for.
        folder: Where to.
        checks: Whole networks beside those that the base is taken from.
        on_probe: Called with the number of probes done and of all.

    Raises:
        MissingExtraError: The converters are not installed.
        OutputError: A file cannot be written.
    """
    import torch

    wanted = [*_operations(space), *_networks(space, BASE_NETWORKS + checks)]
    for number, (entry, build) in enumerate(wanted, 1):
        paths = {p: folder / f"{entry['name']}.{p}.tflite" for p in ("fp32", "int8")}
        if not all(path.is_file() for path in paths.values()):
            torch.manual_seed(number)
            _write(build(), entry["size_px"], paths)
        on_probe(number, len(wanted))
    document = {
        "schema": SCHEMA,
        "name": str(space),
        "space": space.to_dict(),
        "repeats": REPEATS,
        "base_networks": BASE_NETWORKS,
        "probes": [entry for entry, _ in wanted],
    }
    text = json.dumps(document, indent=1) + "\n"
    write_atomic(folder / PROBES_FILE, lambda file: file.write_text(text, encoding="utf-8"))


_Wanted = tuple[dict[str, Any], Callable[[], "nn.Module"]]


def _operations(space: "Space") -> Iterator[_Wanted]:
    from edge_fer.models.emonas import OPERATIONS

    for place in space.places:
        for operation in (NOTHING, *OPERATIONS):
            head = {"operation": operation, **place._asdict()}
            name = f"{operation}_{place.channels}x{place.size_px}_s{place.stride}"
            yield {"name": name, **head}, partial(_probe, operation, place)


def _networks(space: "Space", count: int) -> Iterator[_Wanted]:
    from edge_fer.models.emonas import EmoNas, genotype_document
    from edge_fer.search.draw import random_genotypes
    from edge_fer.search.space import parts_of

    for number, genotype in enumerate(random_genotypes(space, count, _SEED)):
        entry = {
            "name": f"network-{number:02d}_{space}",
            "size_px": space.input_px,
            "genotype": genotype_document(genotype),
            "parts": [[part.operation, *part.place] for part in parts_of(genotype, space)],
        }
        yield entry, partial(EmoNas, genotype=genotype)


def _probe(operation: str, place: "Place") -> "nn.Module":
    """Sums of three inputs, each through the operation; without it, of what is there anyway."""
    import torch
    from torch import Tensor, nn

    from edge_fer.models.blocks import conv_bn_relu, global_average
    from edge_fer.models.emonas import OPERATIONS

    class Probe(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            c, stride = place.channels, place.stride
            self.sources = nn.ModuleList(conv_bn_relu(3, c) for _ in range(REPEATS))
            self.starts = nn.ModuleList(conv_bn_relu(3, c, stride=stride) for _ in range(2))
            self.operations = nn.ModuleList(
                OPERATIONS[operation](c, stride, True)
                for _ in range(REPEATS if operation != NOTHING else 0)
            )
            self.classifier = nn.Linear(c * (REPEATS + 1), 2)

        def forward(self, x_NCHW: Tensor) -> Tensor:
            sources = [source(x_NCHW) for source in self.sources]
            before_NCHW, last_NCHW = (start(x_NCHW) for start in self.starts)
            for number, source_NCHW in enumerate(sources):
                term_NCHW = self.operations[number](source_NCHW) if self.operations else before_NCHW
                before_NCHW, last_NCHW = last_NCHW, nn.functional.relu(last_NCHW + term_NCHW)
            means = [global_average(y_NCHW) for y_NCHW in (last_NCHW, *sources)]
            logits_NK: Tensor = self.classifier(torch.cat(means, 1))
            return logits_NK

    return Probe()


def _write(network: "nn.Module", size_px: int, paths: dict[str, Path]) -> None:
    from edge_fer.compress.quantize_tflite import quantize_tflite
    from edge_fer.export.tflite import export_tflite

    shape = (_CALIBRATION_IMAGES, size_px, size_px, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    content = export_tflite(network.eval(), (1, 3, size_px, size_px))
    contents = {"fp32": content, "int8": quantize_tflite(content, images)}
    for precision, path in paths.items():
        write_atomic(path, partial(Path.write_bytes, data=contents[precision]))
