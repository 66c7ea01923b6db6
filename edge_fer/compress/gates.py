"""Gates: what quantization may cost, measured against the float file on the same faces.

Faces are paired, so an interval of a difference is much narrower than two intervals suggest.
Everything here is in percentage points, and positive is worse.

Shape suffixes: N faces, K classes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_fer.evaluate.compare import comparison, paired_difference_interval
from edge_fer.evaluate.metrics import expected_calibration_error


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The most that a quantized file may lose; ``None`` is no limit.

    Attributes:
        drop_pt: Accuracy, in points.
        class_drop_pt: Recall of any class, in points.
        flips_percent: Faces that get another label than from the float file.
    """

    drop_pt: float | None = None
    class_drop_pt: float | None = None
    flips_percent: float | None = None


def against_float(
    float_NK: np.ndarray, own_NK: np.ndarray, labels_N: np.ndarray, label_names: Sequence[str]
) -> dict[str, Any]:
    """Compares a quantized file with its float twin.

    Args:
        float_NK: Probabilities by the float file.
        own_NK: Probabilities by the quantized file.
        labels_N: int ``[N]``, what is right.
        label_names: The K classes.

    Returns:
        ``drop_pt`` with ``drop_ci95_pt`` and ``mcnemar_p``; ``flips_percent`` with
        ``flips_ci95_percent``; ``ece_change_pt``; ``classes``: for each class that has faces its
        ``label``, ``n``, ``drop_pt`` and ``drop_ci95_pt``; ``worst_class``: the first of those with
        the largest drop; ``n``; ``interval_method``.
    """
    whole = comparison(float_NK, own_NK, labels_N)
    low, high = whole["accuracy_difference_ci95"]
    classes = list(_class_drops(float_NK.argmax(1), own_NK.argmax(1), labels_N, label_names))
    change = expected_calibration_error(own_NK, labels_N)
    change -= expected_calibration_error(float_NK, labels_N)
    return {
        "n": whole["n"],
        "drop_pt": _points(-whole["accuracy_difference"]),
        "drop_ci95_pt": [_points(-high), _points(-low)],
        "mcnemar_p": whole["mcnemar_p"],
        "flips_percent": _points(whole["label_flip_rate"]),
        "flips_ci95_percent": [_points(end) for end in whole["label_flip_rate_ci95"]],
        "ece_change_pt": _points(change),
        "classes": classes,
        "worst_class": max(classes, key=lambda figures: figures["drop_pt"]),
        "interval_method": whole["interval_method"],
    }


def gates_of(file: str, figures: Mapping[str, Any], limits: Limits) -> list[dict[str, Any]]:
    """Judges one quantized file.

    Args:
        file: Its name.
        figures: From ``against_float``.
        limits: Those that are ``None`` give no gate.

    Returns:
        For each gate: ``gate`` (the option's name), ``file``, ``value``, ``ci95``, ``limit`` and
        ``over`` (all in points or percent), ``n``, ``passed`` and ``message``.
    """
    worst = figures["worst_class"]
    n, p = figures["n"], figures["mcnemar_p"]
    accuracy = _Measured(
        figures["drop_pt"], figures["drop_ci95_pt"], n, "points of accuracy", f", McNemar p {p:.3g}"
    )
    recall = _Measured(
        worst["drop_pt"], worst["drop_ci95_pt"], worst["n"], f"points of {worst['label']}'s recall"
    )
    flips = _Measured(
        figures["flips_percent"], figures["flips_ci95_percent"], n, "% of labels flipped"
    )
    wanted = (
        ("--max-drop", limits.drop_pt, accuracy),
        ("--max-class-drop", limits.class_drop_pt, recall),
        ("--max-flips", limits.flips_percent, flips),
    )
    return [
        _gate(name, file, limit, measured) for name, limit, measured in wanted if limit is not None
    ]


@dataclass(frozen=True)
class _Measured:
    value: float
    ci95: Sequence[float]
    n: int
    unit: str
    remark: str = ""


def _gate(name: str, file: str, limit: float, measured: _Measured) -> dict[str, Any]:
    low, high = measured.ci95
    over = measured.value - limit
    verb = "" if measured.unit.startswith("%") else "loses "
    message = (
        f"{file} {verb}{measured.value:.2f} {measured.unit} (95 % {low:.2f} .. {high:.2f}"
        f"{measured.remark}, n {measured.n}); {name} is {limit:g}"
    )
    if over > 0:
        message += f", {over:.2f} less"
    return {
        "gate": name,
        "file": file,
        "value": measured.value,
        "ci95": list(measured.ci95),
        "limit": limit,
        "over": over,
        "n": measured.n,
        "passed": over <= 0,
        "message": message,
    }


def _class_drops(
    float_N: np.ndarray, own_N: np.ndarray, labels_N: np.ndarray, label_names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for index, label in enumerate(label_names):
        inside_N = labels_N == index
        if not inside_N.any():
            continue
        before_N, after_N = float_N[inside_N] == index, own_N[inside_N] == index
        low, high = paired_difference_interval(
            int((before_N & after_N).sum()),
            int((before_N & ~after_N).sum()),
            int((~before_N & after_N).sum()),
            int((~before_N & ~after_N).sum()),
        )
        yield {
            "label": label,
            "n": int(inside_N.sum()),
            "drop_pt": _points(float(before_N.mean()) - float(after_N.mean())),
            "drop_ci95_pt": [_points(-high), _points(-low)],
        }


def _points(fraction: float) -> float:
    return 100 * fraction + 0.0
