"""Silences the converters, and shows what they said when they fail."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from edge_fer.quiet import native_output_captured

CONVERTER_ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}


@contextmanager
def quiet() -> Iterator[None]:
    """Runs the body without the converters' logs, warnings and progress bars."""
    for name, value in CONVERTER_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), native_output_captured(show_on_error=True):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)
