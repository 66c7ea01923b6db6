import pytest

from edge_fer.errors import EdgeFerError
from edge_fer.resources import find_resource, resource_names
from edge_fer.runtime.engines import ENGINES
from edge_fer.target import preferred_engines, read_target

GOOD = """
schema = "edge-fer/target/1"
description = "A board"
architectures = ["riscv64"]
engines = ["litert"]
verified = "nowhere"
"""


@pytest.mark.parametrize("name", resource_names("target"))
def test_every_shipped_profile_reads_and_prefers_engines_that_exist(name):
    target = read_target(find_resource("target", name))
    assert target.name == name
    assert target.engines
    assert set(target.engines) <= set(ENGINES)


def test_an_architecture_prefers_the_engines_of_its_profile():
    for name in resource_names("target"):
        target = read_target(find_resource("target", name))
        assert all(preferred_engines(architecture) for architecture in target.architectures)
    assert preferred_engines("no-such-architecture") == ()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("target/1", "target/2"),
        ('schema = "edge-fer/target/1"', ""),
        ('engines = ["litert"]', ""),
        ('engines = ["litert"]', "engines = 3"),
        ('description = "A board"', ""),
        ('description = "A board"', 'describe = "A board"'),
        ('verified = "nowhere"', "verified = "),
    ],
)
def test_a_bad_profile_is_refused_by_name(tmp_path, old, new):
    (tmp_path / "board").mkdir()
    path = tmp_path / "board" / "profile.toml"
    path.write_text(GOOD)
    assert read_target(path).name == "board"
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(EdgeFerError, match="board"):
        read_target(path)
