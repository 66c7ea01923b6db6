"""Why a layer strays: the likeliest cause, from its figures."""

from collections.abc import Mapping
from typing import Any

#: Above these shares and ratios a cause is named; chosen by eye, not fitted.
CLIPPED_SHARE = 0.001
SPREAD = 8.0
FEW_LEVELS = 64
#: An operator this little worse than what it reads adds little of its own.
OWN_DB = 1.0


def cause_of(figures: Mapping[str, Any]) -> str:
    """Returns the cause in words.

    Args:
        figures: ``sqnr_db``, ``clipped_share``, ``levels``, ``weight_spread`` and ``upstream_db``.
    """
    sqnr, upstream, spread = (figures[key] for key in ("sqnr_db", "upstream_db", "weight_spread"))
    if sqnr is None:
        return "none"
    if figures["clipped_share"] > CLIPPED_SHARE:
        return f"range clipped: {figures['clipped_share']:.2%} of values"
    if spread is not None and spread > SPREAD:
        return f"one scale for weights of which one channel is {spread:.0f} times another"
    if upstream is not None and sqnr > upstream - OWN_DB:
        return "error of earlier layers"
    if figures["levels"] < FEW_LEVELS:
        return f"range too wide: {figures['levels']} of 256 levels used"
    return "rounding"
