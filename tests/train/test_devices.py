"""What a process is told before it trains."""

import platform
import resource
import subprocess
import sys

import pytest

PAGES_OF_A_TENSOR = 4 * (1 << 24) // resource.getpagesize()
FAULTS = """
import resource
import torch
from edge_fer.train.devices import open_accelerator

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

open_accelerator("float32")
for _ in range(3):
    torch.ones(1 << 24)
before = faults()
for _ in range(10):
    torch.ones(1 << 24)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's malloc only")
def test_memory_that_a_step_freed_is_kept_for_the_next():
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True)
    new_tensors = int(done.stdout) / PAGES_OF_A_TENSOR
    assert new_tensors < 5
