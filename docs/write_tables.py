"""Fills the tables of the READMEs from benchmarks/results; ``--check`` only compares."""

import importlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import bundle_tables
from table_parts import RESULTS, ROOT, as_table, percent, read_result

from edge_fer.bench.formats import markdown
from edge_fer.bench.tables import bench_tables
from edge_fer.detect.table import tables_of
from edge_fer.show import MODELS_HEADS, models_rows
from edge_fer.zoo import models_document

TRAINING = ROOT / "benchmarks" / "training"
PAGES = (
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    ROOT / "benchmarks" / "PAPERS.md",
    ROOT / "docs" / "model-cards.md",
)
MARKED = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def latency_table() -> str:
    """One line per file, engine and thread count, of every benchmark of networks that ship."""
    return "\n".join(_latency_of(path) for path in sorted(RESULTS.glob("bench_*.json")))


def _latency_of(path: Path) -> str:
    document = json.loads(path.read_text())
    machine = document["machine"]
    heads = ["file", "engine", "threads", "p50 ms", "p90 ms", "p99 ms", "fps", "CPU ms"]
    heads += ["MB", "arena MB", "RSS MB"]
    rows = [
        [row["file"], row["engine"], str(row["threads"])]
        + [f"{row[key]:.3f}" for key in ("p50_ms", "p90_ms", "p99_ms")]
        + [f"{row['fps']:.0f}"]
        + [f"{row[key]:.3f}" for key in ("cpu_ms", "size_mb", "arena_mb")]
        + [f"{row['rss_mb']:.0f}"]
        for row in document["rows"]
        if row["params"] == bundle_tables.params_of(row["file"].partition("/")[0])
    ]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    load = f"load {machine['load_before']:.1f} before the start"
    title = f"{machine['cpu']}, {machine['cores']} cores, {load}; {versions}."
    return f"{title}\n\n{as_table(heads, rows)}"


def training_table() -> str:
    """One line per run of ``benchmarks/training`` that was measured on PrivateTest."""
    heads = ["run", "model", "recipe", "faces", "epochs", "PublicTest %"]
    heads += ["PrivateTest %", "95 %", "without the 288 %", "UAR %", "ECE %"]
    measured = {
        folder: RESULTS / f"evaluate_{folder.name}_checkpoint.json"
        for folder in sorted(TRAINING.iterdir())
        if folder.is_dir()
    }
    rows = [
        _run_row(folder, path)
        for folder, path in measured.items()
        if path.is_file() and json.loads(path.read_text())["data"] == "fer2013"
    ]
    return as_table(heads, rows)


def _run_row(folder: Path, path: Path) -> list[str]:
    config = json.loads((folder / "config.json").read_text())
    epochs = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    best = max(epoch.get("validation_accuracy") or 0.0 for epoch in epochs)
    result = json.loads(path.read_text())["results"][0]
    options = "".join(f" {key}={value}" for key, value in config["options"].items())
    return [
        f"[{folder.name}](training/{folder.name}/)",
        config["model"] + options,
        config.get("recipe", "cosine"),
        f"{config['faces']:,}" if config.get("faces") else "all",
        str(len(epochs)),
        percent(best),
        percent(result["accuracy"]),
        " - ".join(percent(bound) for bound in result["accuracy_ci95"]),
        *(percent(result[key]) for key in ("accuracy_without_leaks", "uar", "ece")),
    ]


def int8_table() -> str:
    """One line per quantized file of every network that was trained and quantized."""
    heads = ["network", "recipe", "file", "MB", "of float", "float %", "INT8 %", "drop, points"]
    heads += ["95 %", "other label %", "latency, INT8 / float"]
    p50_ms = _latencies()
    rows = [
        _int8_row(path.stem.partition("_")[2], document["recipe"]["name"], pair, p50_ms)
        for path in sorted(RESULTS.glob("quantize_*.json"))
        for document in [json.loads(path.read_text())]
        for pair in _pairs(document["rows"])
    ]
    return as_table(heads, rows)


def _pairs(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Returns each quantized file behind its float twin."""
    twins = {row["format"]: row for row in rows if "against_float" not in row}
    return [(twins[row["format"]], row) for row in rows if "against_float" in row]


def _int8_row(
    name: str,
    recipe: str,
    pair: tuple[dict[str, Any], dict[str, Any]],
    p50_ms: dict[tuple[str, float], float],
) -> list[str]:
    twin, row = pair
    cost = row["against_float"]
    float_ms, int8_ms = (p50_ms[f"{name}/{one['file']}", one["size_mb"]] for one in pair)
    return [
        name,
        recipe,
        row["file"].rpartition(".")[2],
        f"{row['size_mb']:.3f}",
        f"{row['size_mb'] / twin['size_mb']:.3f}",
        percent(twin["accuracy"]),
        percent(row["accuracy"]),
        f"{cost['drop_pt']:+.2f}",
        " .. ".join(f"{bound:+.2f}" for bound in cost["drop_ci95_pt"]),
        f"{cost['flips_percent']:.2f}",
        f"{int8_ms / float_ms:.2f}",
    ]


def _latencies() -> dict[tuple[str, float], float]:
    """Returns p50 by file and size, which tells networks of one name apart, on LiteRT and ORT."""
    documents = (json.loads(path.read_text()) for path in RESULTS.glob("int8_*.json"))
    wanted = {("litert", "tflite"), ("onnxruntime", "onnx")}
    return {
        (row["file"], row["size_mb"]): row["p50_ms"]
        for document in documents
        for row in document["rows"]
        if (row["engine"], row["format"]) in wanted
    }


def detector_table() -> str:
    """How well detectors find faces, how long they take, and what a classifier loses by them."""
    path = newest("detector")
    document = json.loads(path.read_text())
    head = _made(path, document)
    return f"{head}\n\n{markdown(tables_of(document))}\n{_detector_times()}\n{_boxes_table()}"


def _detector_times() -> str:
    path = newest("detector_latency")
    document = json.loads(path.read_text())
    rows = [
        [
            row["detector"],
            "x".join(map(str, row["picture"])),
            *(f"{row[key]:.2f}" for key in ("p50_ms", "p90_ms", "cpu_ms")),
        ]
        for row in document["rows"]
    ]
    heads = ["detector", "picture", "p50 ms", "p90 ms", "CPU ms"]
    return f"{_made(path, document)}\n\n{as_table(heads, rows)}"


def _boxes_table() -> str:
    path = newest("detector_to_classifier")
    document = json.loads(path.read_text())
    rows = [
        [
            row["model"].partition("/")[0],
            row["detector"],
            row["cut_by"],
            f"{row['crop_scale']:g}",
            percent(row["found"]),
            str(row["n"]),
            percent(row["accuracy_of_crop"]),
            percent(row["accuracy"]),
            f"{100 * row['accuracy_difference']:+.2f}",
            " .. ".join(f"{100 * bound:+.2f}" for bound in row["accuracy_difference_ci95"]),
        ]
        for row in document["rows"]
    ]
    heads = ["bundle", "box of", "cut by", "crop scale", "found %", "n", "dataset's crop %"]
    heads += ["box %", "points", "95 %"]
    return f"{_made(path, document)}\n\n{as_table(heads, rows)}"


def micro_table() -> str:
    """MEGC2019's composite, and each of its databases, subjects left out one at a time."""
    figures = read_result("sweep_megc2019_loso.json")["rows"][0]["figures"]
    names = {"all": "", "CASME II": "casme2 ", "SAMM": "samm ", "SMIC": "smic "}
    rows = [
        [name] + [percent(figures[f"{prefix}{key}"]["mean"]) for key in ("uf1", "uar", "accuracy")]
        for name, prefix in names.items()
    ]
    return as_table(["database", "UF1 %", "UAR %", "accuracy %"], rows)


def papers_table() -> str:
    """The papers' own complexity tables, with what was counted and measured here beside them."""
    path = newest("papers")
    document = json.loads(path.read_text())
    tables = bench_tables(document)
    return f"{_made(path, document)}\n\n{markdown(tables)}"


def peers_table() -> str:
    """Edge-fer and what people use instead, from one interleaved run."""
    sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))
    as_markdown = importlib.import_module("tables").as_markdown
    path = newest("peers")
    document = json.loads(path.read_text())
    return f"{_made(path, document)}\n\n{as_markdown(document)}"


def loop_table() -> str:
    """Stages of the camera loop, and what a frame takes in all."""
    path = newest("loop")
    document = json.loads(path.read_text())
    timed = document["latency"]
    rows = [
        [stage, *(f"{entry[key]:.3f}" for key in ("p50_ms", "mean_ms")), f"{entry['share']:.1%}"]
        for stage, entry in timed["stages"].items()
    ]
    for name, key in (("frame, wall clock", "wall_ms"), ("frame, CPU", "cpu_ms")):
        figures = timed[key]
        rows.append([name, f"{figures['p50']:.3f}", f"{figures['mean']:.3f}", "-"])
    worst = f"p99 of a frame: {timed['wall_ms']['p99']:.2f} ms, CPU {timed['cpu_ms']['p99']:.2f} ms"
    tail = f"{worst}; overhead of the loop over its stages {timed['overhead']:.1%}."
    table = as_table(["stage", "p50 ms", "mean ms", "share"], rows)
    return f"{_made(path, document)}\n\n{table}\n{tail}"


def soak_table() -> str:
    """A very long run, tenth by tenth."""
    path = newest("soak")
    document = json.loads(path.read_text())
    keys = ("rss_mb_median", "wall_p50_ms", "wall_p99_ms", "cpu_p50_ms", "cpu_p99_ms")
    rows = [
        [str(number), *(f"{figures[key]:.2f}" for key in keys)]
        for number, figures in enumerate(document["tenths"], 1)
    ]
    head = f"{document['frames']:,} frames in {document['minutes']:.0f} minutes. "
    heads = ["tenth", "RSS MB", "p50 ms", "p99 ms", "CPU p50 ms", "CPU p99 ms"]
    return f"{head}{_made(path, document)}\n\n{as_table(heads, rows)}"


def newest(kind: str) -> Path:
    """Returns the latest result of a kind; its name ends with the date."""
    found = [
        path
        for path in RESULTS.glob(f"{kind}_*.json")
        if path.stem.count("_") == kind.count("_") + 2
    ]
    return max(found, key=lambda path: path.stem.rpartition("_")[2])


def _made(path: Path, document: dict[str, Any]) -> str:
    machine = document["machine"]
    load = f"load {machine.get('load_before', document.get('load')):.1f} before the start"
    link = f"[{path.name}](results/{path.name})"
    return f"{machine['cpu']}, {machine['cores']} cores, {load}: {link}."


def zoo_table() -> str:
    """One line per model of the zoo, from its code, beside its paper."""
    return as_table(list(MODELS_HEADS), models_rows(models_document()))


TABLES = {
    **bundle_tables.TABLES,
    "detector": detector_table,
    "int8": int8_table,
    "latency": latency_table,
    "loop": loop_table,
    "micro": micro_table,
    "papers": papers_table,
    "peers": peers_table,
    "soak": soak_table,
    "training": training_table,
    "zoo": zoo_table,
}


def filled(page: Path) -> str:
    """Returns a page with its tables made anew."""

    def table(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]()}\n{match[3]}"

    return MARKED.sub(table, page.read_text())


if __name__ == "__main__":
    for page in PAGES:
        if "--check" not in sys.argv:
            page.write_text(filled(page))
        elif page.read_text() != filled(page):
            sys.exit(f"{page.name} is old: run make docs")
