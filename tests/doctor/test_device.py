import os
import subprocess
import sys

import pytest


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become a user without a name")
def test_a_user_without_a_name_is_told_by_number():
    program = (
        "import os; os.setgid(54321); os.setuid(54321);"
        "from edge_fer.doctor.device import Device; print(Device(versions={}).user)"
    )
    variables = {k: v for k, v in os.environ.items() if k not in ("LOGNAME", "USER", "USERNAME")}
    variables.pop("LNAME", None)
    command = [sys.executable, "-c", f"import edge_fer.doctor.device;{program}"]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)
    assert done.stdout.strip() == "54321", done.stderr
