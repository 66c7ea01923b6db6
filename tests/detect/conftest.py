import zipfile

import pytest

from edge_fer.data.scenes import SETS, part_of
from tests.detect.faces import drawn_pool

pool = pytest.fixture(scope="session")(drawn_pool)


@pytest.fixture
def some_photos(data_root, tmp_path):
    """A few photos of every set and part."""
    for name in SETS:
        with (
            zipfile.ZipFile(data_root / "detect" / f"{name}.zip") as whole,
            zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as few,
        ):
            taken = dict.fromkeys(("train", "validation", "test"), 0)
            for member in whole.namelist():
                part = "" if member == "annotations.csv" else part_of(f"{name}/{member}")
                if not part or taken[part] < 3:
                    few.writestr(member, whole.read(member))
                    taken[part or "train"] += bool(part)
    return tmp_path
