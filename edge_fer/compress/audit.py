"""Is it really INT8? Lists what is not."""

from collections.abc import Collection

from edge_fer.graph import GraphSummary

_FLOATS = {"FLOAT16", "BFLOAT16", "FLOAT32", "FLOAT64"}


def audit_int8(summary: GraphSummary, allowed: Collection[str] = ()) -> list[str]:
    """Returns one line per fault: float input or output, and operators that touch float tensors.

    Args:
        summary: Of the artifact.
        allowed: Kinds of operators that may stay in float.
    """
    faults = [
        f"{end} is {dtype}"
        for end, dtype in (("input", summary.input_type), ("output", summary.output_type))
        if dtype in _FLOATS
    ]
    for index, operator in enumerate(summary.operators):
        floats = _FLOATS & {*operator.input_types, *operator.output_types}
        if floats and operator.kind not in allowed:
            faults.append(
                f"operator {index} {operator.kind} computes in {', '.join(sorted(floats))}"
            )
    return faults
