"""Silences what libraries print from C++, below Python's own streams."""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

KEPT_BYTES = 4000


@contextmanager
def native_output_captured(*, show_on_error: bool) -> Iterator[None]:
    """Sends the process's standard output and error to a file while the body runs.

    Args:
        show_on_error: Print the end of what was caught to standard error if the body raises.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        try:
            yield
        except Exception:
            if show_on_error:
                log.seek(0)
                os.write(saved[1], log.read()[-KEPT_BYTES:])
            raise
        finally:
            for target, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)
