"""Where a run computes, and what is left when it has too little memory there."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import nn

from edge_fer.errors import EdgeFerError
from edge_fer.train.config import Stage

#: Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


class Learning(Protocol):
    """A run, as far as its messages need it."""

    folder: Path

    @property
    def stage(self) -> Stage:
        """The stage that it is in."""


def use_threads(threads: int) -> None:
    """Caps torch's CPU threads; 0 leaves its own choice."""
    if threads:
        torch.set_num_threads(threads)


def open_accelerator(precision: str) -> Accelerator:
    """Returns an accelerator of a precision, whatever an earlier run in this process had."""
    keep_freed_memory()
    AcceleratorState._reset_state(reset_partial_state=False)
    wanted = {"float32": "no", "bfloat16": "bf16"}.get(precision)
    return Accelerator(
        cpu=not torch.cuda.is_available(),
        mixed_precision=wanted or ("bf16" if _has_bfloat16() else "no"),
    )


def keep_freed_memory() -> None:
    """Makes glibc keep what one step frees for the next; elsewhere it does nothing.

    Else every large tensor is fetched from the kernel and given back, page by page.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    libc.mallopt(_M_MMAP_MAX, 0)
    libc.mallopt(_M_TRIM_THRESHOLD, _NEVER)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Moves a network to a device, with channels last in memory: what fast convolutions want."""
    moved: nn.Module = network.to(device=device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved


def _has_bfloat16() -> bool:
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())


@contextmanager
def memory_errors(run: Learning) -> Iterator[None]:
    """Turns "out of memory" into what to do about it."""
    try:
        yield
    except RuntimeError as error:
        starved = isinstance(error, torch.OutOfMemoryError) or "not enough memory" in str(error)
        if not starved:
            raise
        raise EdgeFerError(
            f"out of memory: give --batch-size {max(1, run.stage.batch_size // 2)} or less; what "
            f"{run.folder} holds is from before"
        ) from error
