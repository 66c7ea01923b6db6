"""Torch to float TFLite."""

import tempfile
from pathlib import Path

import torch
from torch import nn

from edge_fer.export.quiet import quiet
from edge_fer.export.tflite_file import shorten_names


def export_tflite(
    network: nn.Module, input_nchw: tuple[int, ...], *, gives_map: bool = False
) -> bytes:
    """Converts a network in evaluation mode.

    Args:
        network: Takes float32 ``[1, C, H, W]``, gives logits ``[1, K]``, or a map ``[1, K, h, w]``.
        input_nchw: Its input shape, batch 1.
        gives_map: Whether it gives a map.

    Returns:
        A ``.tflite`` file with input float32 ``[1, H, W, C]`` and output ``[1, K]`` or
        ``[1, h, w, K]``.
    """
    with quiet():
        import litert_torch

        channel_last = litert_torch.to_channel_last_io(
            network, args=[0], outputs=[0] if gives_map else None
        ).eval()
        n, c, h, w = input_nchw
        model = litert_torch.convert(channel_last, (torch.zeros(n, h, w, c),))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            model.export(str(path))
            return shorten_names(path.read_bytes())
