"""Tables of the expression models that ship."""

import json
from statistics import mean, stdev
from typing import Any

from table_parts import ROOT, as_table, percent, read_result

BUNDLES = ROOT / "edge_fer" / "bundles"
SHIPPED = ("tiny", "small", "base")
EIGHT = "small-ferplus"
_ACCURACY_HEADS = ("accuracy %", "95 %", "without repeats %")


def bundles_table() -> str:
    """One line per shipped bundle: what it is made of."""
    heads = ["bundle", "classes", "parameters", "MACs M", "TFLite KB", "ONNX KB"]
    rows = []
    for name in (*SHIPPED, EIGHT):
        manifest = _manifest(name)
        counts = [str(len(manifest["labels"])), f"{manifest['params']:,}"]
        sizes = [
            f"{1000 * _sizes_mb(name)[f'model.int8.{kind}']:.0f}" for kind in ("tflite", "onnx")
        ]
        rows.append([f"`{name}`", *counts, f"{manifest['macs'] / 1e6:.2f}", *sizes])
    return as_table(heads, rows)


def accuracy_table() -> str:
    """One line per file of every shipped bundle."""
    heads = ["bundle", "file", "MB", *_ACCURACY_HEADS, "UAR %", "ECE %"]
    rows = [
        [
            name,
            result["file"],
            f"{_sizes_mb(name)[result['file']]:.3f}",
            *_accuracy(result),
            percent(result["uar"]),
            percent(result["ece"]),
        ]
        for name in SHIPPED
        for result in _bundle_results(name)
    ]
    return as_table(heads, rows)


def eight_table() -> str:
    """One line per file of the bundle that knows FERPlus's eight classes, and set of faces."""
    heads = ["file", "MB", "faces", "n", *_ACCURACY_HEADS, "UAR %", "ECE %"]
    rows = []
    for result in _bundle_results(EIGHT):
        agreed = result["subsets"]["majority"]
        file = [result["file"], f"{_sizes_mb(EIGHT)[result['file']]:.3f}"]
        wide = [percent(result["uar"]), percent(result["ece"])]
        rows.append([*file, "all", str(result["n"]), *_accuracy(result), *wide])
        rows.append([*file, "majority", str(agreed["n"]), *_accuracy(agreed), "-", "-"])
    return as_table(heads, rows)


def eight_classes_table() -> str:
    """One line per class of FERPlus."""
    return _classes((EIGHT,))


def classes_table() -> str:
    """One line per class, of the INT8 TFLite file of every shipped bundle."""
    return _classes(SHIPPED)


def _classes(names: tuple[str, ...]) -> str:
    of_bundles = [_tflite(name)["per_class"] for name in names]
    rows = [
        [name, str(figures["n"])]
        + [percent(one[name][key]) for key in ("recall", "f1") for one in of_bundles]
        for name, figures in of_bundles[0].items()
    ]
    heads = [f"{key} % of {name}" for key in ("recall", "F1") for name in names]
    return as_table(["class", "n", *heads], rows)


def disturbed_table() -> str:
    """One line per way to spoil a face and bundle: what is found at each of its levels."""
    return _disturbed(SHIPPED)


def eight_disturbed_table() -> str:
    """The same of the bundle that knows FERPlus's eight classes."""
    return _disturbed((EIGHT,))


def _disturbed(names: tuple[str, ...]) -> str:
    of_bundles = [
        read_result(f"disturbed_{name}.json")["results"][0]["robustness"] for name in names
    ]
    rows = [
        [one["disturbance"], one["unit"], name, *(_at_level(level) for level in one["levels"])]
        for same in zip(*of_bundles, strict=True)
        for name, one in zip(names, same, strict=True)
    ]
    heads = ["disturbance", "unit of its levels", "bundle", *["level: accuracy %"] * 4]
    return as_table(heads, rows)


def seeds_table() -> str:
    """One line per seed of a shipped bundle's last training, and one of their mean and spread."""
    rows = []
    for name in SHIPPED:
        seeds = [_seed_figures(*both) for both in zip(*_of_seeds(name), strict=True)]
        rows += [[name, str(seed), *map(percent, one)] for seed, one in enumerate(seeds)]
        spread = [f"{percent(mean(of))} ± {percent(stdev(of))}" for of in zip(*seeds, strict=True)]
        rows.append([name, "mean ± sd", *spread])
    heads = ["bundle", "seed", "PublicTest without repeats %", "accuracy %", "without repeats %"]
    return as_table([*heads, "UAR %", "ECE %"], rows)


def _of_seeds(name: str) -> list[list[dict[str, Any]]]:
    """The INT8 TFLite files' results on both splits, by seed."""
    both = [read_result(f"seeds_{name}_{split}.json") for split in ("PublicTest", "PrivateTest")]
    return [[one for one in split["results"] if one["format"] == "tflite"] for split in both]


def _seed_figures(public: dict[str, Any], private: dict[str, Any]) -> list[float]:
    keys = ("accuracy", "accuracy_without_leaks", "uar", "ece")
    return [public["accuracy_without_leaks"], *(private[key] for key in keys)]


def _accuracy(figures: dict[str, Any]) -> list[str]:
    return [
        percent(figures["accuracy"]),
        " - ".join(percent(bound) for bound in figures["accuracy_ci95"]),
        percent(figures["accuracy_without_leaks"]),
    ]


def _bundle_results(name: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = read_result(f"evaluate_{name}_bundle.json")["results"]
    return results


def _sizes_mb(name: str) -> dict[str, float]:
    return {one["file"]: one["size_mb"] for one in _manifest(name)["files"]}


def params_of(name: str) -> int:
    """Returns how many parameters a shipped bundle has."""
    return int(_manifest(name)["params"])


def _manifest(name: str) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((BUNDLES / name / "manifest.json").read_text())
    return manifest


def _tflite(name: str) -> dict[str, Any]:
    return next(r for r in _bundle_results(name) if r["file"] == "model.int8.tflite")


def _at_level(level: dict[str, Any]) -> str:
    return f"{level['level']:g}: {100 * level['accuracy']:.1f}"


TABLES = {
    "accuracy": accuracy_table,
    "bundles": bundles_table,
    "classes": classes_table,
    "disturbed": disturbed_table,
    "eight": eight_table,
    "eight_classes": eight_classes_table,
    "eight_disturbed": eight_disturbed_table,
    "seeds": seeds_table,
}
