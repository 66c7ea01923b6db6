from edge_fer.detect.table import tables_of

FIGURES = {"ap": 0.9, "recall": 0.8, "recall_ci95": [0.75, 0.85]}
ROW = {
    "detector": "own",
    "input": [160, 128],
    "scenes": FIGURES,
    "photos": FIGURES,
    "ap_by_size": {"12-20": 0.5, ">80": 0.7},
    "ap_by_roll": {"0-10": 0.9},
    "ap_by_light": {"dark": 0.6},
    "false_per_1000": 12.4,
    "point_error": None,
}


def test_every_figure_has_its_head():
    overall, where = tables_of({"results": [ROW, ROW | {"point_error": 0.05}]})
    for table in (overall, where):
        assert all(len(row) == len(table.heads) for row in table.rows)
    assert dict(zip(overall.heads, overall.rows[0], strict=True))["points off"] == "-"
    assert overall.rows[1][-2:] == ("12", "5.0 %")
    assert dict(zip(where.heads, where.rows[0], strict=True))["dark"] == "60.00"
