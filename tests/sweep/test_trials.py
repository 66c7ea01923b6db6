import json
import re
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_fer.data.protocols import leave_one_subject_out, write_protocol
from edge_fer.data.spec import read_dataset
from edge_fer.errors import EdgeFerError
from edge_fer.sweep.check import plan
from edge_fer.sweep.request import Sweep, read_sweep
from edge_fer.sweep.trials import trials_of

FLOW = 'schema = "edge-fer/sweep/1"\nmodel = "tiny-rgb"\ndata = "megc2019:{flow}"\n'


def made(axes, **base):
    values = {"model": "tiny", "data": "fer2013:x.csv", "set": {}, "options": {}} | base
    return Sweep(name="made", base=values, axes=axes)


def test_axes_are_crossed_and_the_last_varies_fastest():
    trials = trials_of(made({"set.mixup": (0, 0.2), "seed": (0, 1, 2)}))
    assert [(t.config.stages[0].mixup, t.config.seed) for t in trials] == [
        (0.0, 0), (0.0, 1), (0.0, 2), (0.2, 0), (0.2, 1), (0.2, 2),
    ]  # fmt: skip
    assert [t.setting for t in trials[2:4]] == [{"set.mixup": 0}, {"set.mixup": 0.2}]
    assert re.fullmatch(r"mixup-0.2_seed-1-[0-9a-f]{8}", trials[4].id)


def test_an_axis_changes_one_key_of_a_table_and_keeps_the_others():
    sweep = made({"set.mixup": (0.3,)}, set={"epochs": 7, "mixup": 0.1}, options={"width": 5})
    (trial,) = trials_of(sweep)
    assert (trial.config.stages[0].epochs, trial.config.stages[0].mixup) == (7, 0.3)
    assert trial.config.options == {"width": 5}
    assert sweep.base["set"] == {"epochs": 7, "mixup": 0.1}


def test_a_sweep_without_axes_is_one_trial():
    (trial,) = trials_of(made({}))
    assert trial.id == f"tiny-{trial.digest[:8]}"


def test_the_same_training_twice_is_refused():
    with pytest.raises(EdgeFerError, match="are the same training"):
        trials_of(made({"pretrained": ("none", "")}))


@given(
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
    widths=st.lists(st.integers(1, 99), min_size=1, max_size=4, unique=True),
)
def test_ids_are_unique_stable_and_safe_as_names(seeds, widths):
    axes = {"options.width": tuple(widths), "seed": tuple(seeds)}
    trials = trials_of(made(axes))
    assert len({trial.id for trial in trials}) == len(seeds) * len(widths) == len(trials)
    assert [trial.id for trial in trials] == [trial.id for trial in trials_of(made(axes))]
    backwards = {key: values[::-1] for key, values in axes.items()}
    assert {t.id for t in trials} == {t.id for t in trials_of(made(backwards))}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]{1,80}", trial.id) for trial in trials)


def test_every_setting_is_in_the_digest_and_the_place_of_files_is_not(tmp_path):
    (trial,) = trials_of(made({}))
    for change in ({"seed": 1}, {"set": {"epochs": 3}}, {"faces": 9}, {"data": "folder:x.csv"}):
        assert trials_of(made({}, **change))[0].digest != trial.digest
    (moved,) = trials_of(made({}, data=f"fer2013:{tmp_path}/x.csv"))
    assert moved.digest == trial.digest
    (last,) = trials_of(Sweep(name="other", base=made({}).base, weights="last"))
    assert last.digest != trial.digest


def test_all_folds_are_those_of_the_protocol(write_sweep, flow_npz, tmp_path):
    protocol = tmp_path / "loso.json"
    dataset = read_dataset(f"megc2019:{flow_npz}")
    write_protocol(protocol, dataset, leave_one_subject_out(dataset))
    head = FLOW.format(flow=flow_npz) + f'protocol = "{protocol}"\n'
    sweep = read_sweep(write_sweep("[axes]", 'fold = "all"', head=head))
    trials = plan(sweep)
    assert [t.config.fold for t in trials] == ["casme2/s0", "samm/s1", "smic/s2"]
    assert trials[0].id.startswith("fold-casme2-s0-")
    assert {t.test for t in trials} == {""}
    for axis, message in (
        ('fold = ["samm/s1", "samm/s9"]', "no fold 'samm/s9'; it has 3: casme2/s0"),
        ("seed = [0]", "has 3 folds: name some"),
    ):
        with pytest.raises(EdgeFerError, match=message):
            plan(read_sweep(write_sweep("[axes]", axis, head=head)))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(protocol, elsewhere)
    again = read_sweep(
        write_sweep(
            "[axes]", 'fold = "all"', head=head.replace(str(protocol), str(elsewhere / "loso.json"))
        )
    )
    assert [t.digest for t in plan(again)] == [t.digest for t in trials]
    document = json.loads(protocol.read_text())
    (elsewhere / "loso.json").write_text(json.dumps(document))
    assert plan(again)[0].digest != trials[0].digest


def test_pictures_made_of_clips_are_named_with_their_dataset(tmp_path):
    for data in (f"flow:casme2:{tmp_path}", "dynamic:megc2019:nowhere", "synthetic:100"):
        (trial,) = trials_of(made({}, data=data))
        assert trial.config.data == data
    with pytest.raises(EdgeFerError, match="is not NAME:PATH"):
        trials_of(made({}, data="fer2013"))
