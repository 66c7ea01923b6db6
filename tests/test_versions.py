from importlib.metadata import version

from edge_fer.versions import installed_versions


def test_packages_that_are_not_installed_are_left_out():
    assert installed_versions(["numpy", "no-such-package-here"]) == {"numpy": version("numpy")}
