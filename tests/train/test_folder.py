import json

import pytest

from edge_fer.errors import ModelError
from edge_fer.train.folder import CONFIG_FILE, require_same_config

BEFORE = {"model": "arch-1", "data": "fer2013:here", "stages": [{"epochs": 3, "mix": 0.0}]}


def check(folder, now):
    (folder / CONFIG_FILE).write_text(json.dumps(BEFORE))
    require_same_config(folder, now)


def test_files_may_have_moved(tmp_path):
    check(tmp_path, BEFORE | {"data": "fer2013:there"})


def test_a_setting_that_is_younger_than_the_run_is_off_in_it(tmp_path):
    check(tmp_path, BEFORE | {"stages": [{"epochs": 3, "mix": 0.0, "noise": 0.0, "x": ""}]})
    with pytest.raises(ModelError, match=r"another stages\.0\.noise"):
        check(tmp_path, BEFORE | {"stages": [{"epochs": 3, "mix": 0.0, "noise": 0.1}]})


@pytest.mark.parametrize(
    ("now", "named"),
    [
        (BEFORE | {"model": "arch-2"}, "model"),
        (BEFORE | {"stages": [{"epochs": 3, "mix": 0.5}]}, r"stages\.0\.mix"),
        (BEFORE | {"stages": [{"mix": 0.0}]}, r"stages\.0\.epochs"),
        (BEFORE | {"stages": [*BEFORE["stages"], {"epochs": 1}]}, r"stages\.1\.epochs"),
    ],
)
def test_any_other_difference_is_named(tmp_path, now, named):
    with pytest.raises(ModelError, match=f"another {named}; cannot resume"):
        check(tmp_path, now)
