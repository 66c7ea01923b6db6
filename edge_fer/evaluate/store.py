"""Writes what was fitted into the checkpoint or bundle that it was fitted to."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge_fer.bundle import MANIFEST, Bundle
from edge_fer.errors import ModelError, OutputError
from edge_fer.files import write_atomic

#: Figures of a manifest that hold at one temperature only.
_STALE = ("ece", "max_probability_error")


def store_temperature(model: Path, temperature: float, fitted: Mapping[str, Any]) -> None:
    """Rewrites a model with a temperature; nothing else of it changes, and no label it gives.

    In a bundle, what the manifest says of its files' calibration held at the old temperature and is
    left out.

    Args:
        model: ``*.safetensors`` or the folder of a bundle.
        temperature: What divides the logits from now on.
        fitted: How it was found, kept beside it.

    Raises:
        EdgeFerError: The model cannot be read or written, or is a bundle in a ``.tar``.
    """
    if model.suffix == ".safetensors":
        _store_in_checkpoint(model, temperature, fitted)
    else:
        require_writable(model)
        _store_in_bundle(model, temperature, fitted)


def store_class_scaling(
    model: Path, scales_K: np.ndarray, offsets_K: np.ndarray, fitted: Mapping[str, Any]
) -> None:
    """Folds scales and offsets of the logits into a checkpoint's last layer.

    They replace its temperature, which is forgotten.

    Args:
        model: ``*.safetensors``.
        scales_K: float ``[K]``, in the order of the outputs.
        offsets_K: float ``[K]``.
        fitted: How they were found, kept beside them.

    Raises:
        ModelError: The logits are not what a single layer with offsets makes.
    """
    import torch

    from edge_fer.train.checkpoint import load_checkpoint, output_tensors, save_checkpoint

    checkpoint = load_checkpoint(model)
    network = checkpoint.network
    x_NCHW = torch.rand(4, *checkpoint.metadata["input_nchw"][1:], generator=torch.Generator())
    scales, offsets = (torch.from_numpy(one).float() for one in (scales_K, offsets_K))
    weights = network.state_dict()
    with torch.no_grad():
        wanted_NK = network(x_NCHW) * scales + offsets
        for name in output_tensors(checkpoint):
            row = (-1, *[1] * (weights[name].ndim - 1))
            weights[name].mul_(scales.view(row)).add_(offsets.view(row) if len(row) == 1 else 0)
        found_NK = network(x_NCHW)
    if not torch.allclose(found_NK, wanted_NK, rtol=1e-3, atol=1e-3):
        raise ModelError(f"{model}: its last layer has no weight and offset of each class alone")
    dropped = {"temperature", "temperature_fitted"}
    kept = {key: value for key, value in checkpoint.metadata.items() if key not in dropped}
    save_checkpoint(model, weights, kept | {"classes_fitted": dict(fitted)})


def require_writable(model: Path) -> None:
    """Raises ``OutputError`` for what is never rewritten: a ``.tar``, a bundle that ships."""
    if not model.exists():
        raise OutputError(f"{model}: no such checkpoint or bundle; what ships is not rewritten")
    if model.suffix != ".safetensors" and model.is_file():
        raise OutputError(f"{model}: nothing fitted is written into a .tar; unpack it first")


def _store_in_checkpoint(path: Path, temperature: float, fitted: Mapping[str, Any]) -> None:
    from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint(path)
    added = {"temperature": temperature, "temperature_fitted": dict(fitted)}
    save_checkpoint(path, checkpoint.network.state_dict(), checkpoint.metadata | added)


def _store_in_bundle(folder: Path, temperature: float, fitted: Mapping[str, Any]) -> None:
    manifest = Bundle.load(folder).manifest
    renewed = replace(
        manifest,
        temperature=temperature,
        files=tuple(replace(f, accuracy=_still_true(f.accuracy)) for f in manifest.files),
        provenance={**manifest.provenance, "temperature_fitted": dict(fitted)},
    )
    content = renewed.to_json()
    write_atomic(folder / MANIFEST, lambda file: file.write_bytes(content))


def _still_true(accuracy: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if accuracy is None:
        return None
    return {key: value for key, value in accuracy.items() if key not in _STALE}
