"""What people see of ``edge-fer audit``."""

from typing import Any

from edge_fer.show_table import print_line, print_table

_SHOWN_CHARACTERS = 48
_SHOWN_ROWS = 20


def audit_report(document: dict[str, Any]) -> None:
    """Prints ``edge-fer/audit/1``: facts, operators, layers and verdicts of each file."""
    for file in document["files"]:
        _facts(file)
        _operators(file)
        if file["float_operators"]:
            _float_operators(file)
        if file["layers"]:
            _layers(file["layers"])
        for one in file["verdicts"]:
            print_line(f"{one['severity']}: {one['message']}")
        if not any(one["severity"] == "error" for one in file["verdicts"]):
            print_line("no errors")
        print_line("")


def _facts(file: dict[str, Any]) -> None:
    rows = [(end, _tensor(one)) for end in ("inputs", "outputs") for one in file[end]]
    share = file["macs"]["integer_share"]
    integer = "" if share is None else f", {share:.1%} in integers"
    rows.append(("MACs", f"{file['macs']['total'] / 1e6:.2f} M{integer}"))
    rows.append(("weights", _weights(file["weights"])))
    for one in file["delegates"]:
        of_macs = "" if one["macs_share"] is None else f", {one['macs_share']:.1%} of MACs"
        taken = f"{one['operators']} of {one['operators_total']} operators{of_macs}"
        rows.append((one["name"], f"would take {taken} ({one['version']})"))
    rows.append(("this machine", _engine(file["engine"])))
    print_line(f"{file['file']}: {file['size_mb']:.3f} MB")
    for name, text in rows:
        print_line(f"  {name:15} {text}")


def _tensor(one: dict[str, Any]) -> str:
    shape = "x".join(map(str, one["shape"])) or "?"
    steps = "" if one["scale"] is None else f", scale {one['scale']:.6g}, zero {one['zero_point']}"
    return f"{_short(one['name'])} {one['dtype']} {shape}{steps}"


def _weights(weights: dict[str, Any]) -> str:
    parts = [
        f"{weights[key]} {text}"
        for key, text in (
            ("per_channel", "per channel"),
            ("per_tensor", "per tensor"),
            ("asymmetric", "asymmetric"),
            ("float", "float"),
        )
        if weights[key]
    ]
    return f"{', '.join(weights['types'])}: {', '.join(parts)}" if parts else "none"


def _engine(engine: dict[str, Any] | None) -> str:
    if engine is None:
        return "no engine for it is installed"
    if "problem" in engine:
        return str(engine["problem"])
    name = f"{engine['engine']} {engine['version']}"
    if engine["engine"] == "litert":
        taken = f"{name}: XNNPACK takes {engine['delegated']} of {engine['operators']} operators"
        return taken + (f"; not {_counts(engine['left'])}" if engine["left"] else "")
    floats = f"in float: {_counts(engine['float'])}" if engine["float"] else "none in float"
    return f"{name} runs {_counts(engine['operators'])}; {floats}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _operators(file: dict[str, Any]) -> None:
    total = file["macs"]["total"]
    rows = [
        [
            row["kind"],
            str(row["count"]),
            str(row["float"]),
            f"{row['macs'] / 1e6:.3f}",
            f"{100 * row['macs'] / total:.1f}" if total else "-",
        ]
        for row in file["operators"]
    ]
    print_table("", ["operator", "count", "in float", "MACs M", "MACs %"], rows)


def _float_operators(file: dict[str, Any]) -> None:
    rows = [
        [f"{one['index']} {one['kind']}", f"{one['macs'] / 1e6:.3f}", _short(one["tensor"])]
        for one in file["float_operators"]
    ]
    left = f"Left in float: {len(rows)} operators"
    print_table(left, ["operator", "MACs M", "gives"], rows[:_SHOWN_ROWS])


def _layers(layers: dict[str, Any]) -> None:
    rows = [
        [
            f"{row['index']} {row['kind']}",
            "exact" if row["sqnr_db"] is None else f"{row['sqnr_db']:.1f}",
            f"{100 * row['clipped_share']:.3f}",
            str(row["levels"]),
            row["cause"],
            _short(row["tensor"]),
        ]
        for row in layers["rows"]
    ]
    title = f"Error of each layer against {layers['reference']}, {layers['faces']} faces"
    heads = ["operator", "SQNR dB", "clipped %", "levels", "likely cause", "gives"]
    print_table(title, heads, rows)


def _short(name: str) -> str:
    """The end of a long name, where names differ."""
    return name if len(name) <= _SHOWN_CHARACTERS else f"..{name[2 - _SHOWN_CHARACTERS :]}"
