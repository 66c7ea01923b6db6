"""``edge-fer doctor`` on whatever machine this is."""

import json

from tests.e2e.conftest import Cli


def test_a_diagnosis_for_machines_and_for_people(cli: Cli) -> None:
    done = cli("doctor", "--json")
    document = json.loads(done.stdout)
    assert document["schema"] == "edge-fer/doctor/1"
    statuses = {check["name"]: check["status"] for check in document["checks"]}
    assert statuses["bundle"] == "ok"
    assert done.returncode == ("fail" in statuses.values())
    table = cli("doctor")
    assert table.returncode == done.returncode
    for check in document["checks"]:
        assert f"{check['name']}: " in table.stdout
        if check["status"] in {"warn", "fail"}:
            assert check["advice"]
