"""Checks of engines, OpenCV, the bundle and the service."""

import sys
from pathlib import Path

from edge_fer.bundle import Bundle
from edge_fer.doctor.device import Device, Finding
from edge_fer.errors import BundleError
from edge_fer.provision import PREFIX
from edge_fer.resources import find_resource

SHIPPED_BUNDLE = "small"
SERVICE = "edge-fer.service"
MANY_RESTARTS = 3
_PACKAGES = {
    "litert": "ai-edge-litert",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "tflite-runtime": "tflite-runtime",
}
_INSTALL = {"litert": "ai-edge-litert", "onnxruntime": "'edge-fer[onnx]'"}


def engines(device: Device) -> Finding:
    """Whether the installed engines load a model, each tried in a process of its own."""
    installed = {e: device.versions[p] for e, p in _PACKAGES.items() if p in device.versions}
    broken = [engine for engine in installed if not _loads(device, engine)]
    texts = [
        f"{engine} {version}{' does not load' if engine in broken else ''}"
        for engine, version in installed.items()
    ]
    if len(broken) == len(installed):
        advice = "pip install --force-reinstall ai-edge-litert numpy, then edge-fer doctor"
        return Finding("engines", "fail", ", ".join(texts) or "none installed", advice)
    if broken:
        again = " ".join(_INSTALL.get(engine, engine) for engine in broken)
        return Finding(
            "engines", "warn", ", ".join(texts), f"pip install --force-reinstall {again}"
        )
    return Finding("engines", "ok", ", ".join(texts))


def opencv(device: Device) -> Finding:
    """Whether OpenCV loads."""
    said = device.run([sys.executable, "-c", "import cv2; print(cv2.__version__)"])
    if said is None:
        advice = "pip install --force-reinstall 'opencv-python-headless>=4.10'"
        return Finding("opencv", "fail", "does not load", advice)
    return Finding("opencv", "ok", said.strip())


def bundle(device: Device) -> Finding:
    """Whether the deployed bundle, else the shipped one, is what it was when it was made."""
    path = _bundle_path(device)
    try:
        manifest = Bundle.load(path).manifest
    except BundleError as error:
        advice = "deploy again: edge-fer deploy USER@HOST --bundle BUNDLE"
        return Finding("bundle", "fail", str(error), advice)
    files = ", ".join(one.file for one in manifest.files)
    return Finding("bundle", "ok", f"{manifest.name} at {path}: verified ({files})")


def service(device: Device) -> Finding:
    """Whether the service runs, and stays up."""
    said = device.run(
        ["systemctl", "show", SERVICE, "--property=LoadState,ActiveState,SubState,NRestarts"]
    )
    state = dict(line.split("=", 1) for line in (said or "").splitlines() if "=" in line)
    active, restarts = state.get("ActiveState", ""), int(state.get("NRestarts") or 0)
    journal = "journalctl -u edge-fer -n 50 --no-pager"
    if not state or state.get("LoadState") == "not-found":
        found = "not installed" if state else "no systemd here"
        return Finding("service", "unknown", found)
    found = f"{active} ({state.get('SubState', '')}), {restarts} restarts"
    if active == "failed":
        return Finding("service", "fail", found, journal)
    if restarts > MANY_RESTARTS:
        return Finding("service", "warn", found, journal)
    if active in ("active", "activating", "reloading"):
        return Finding("service", "ok", found)
    return Finding("service", "warn", found, "sudo systemctl enable --now edge-fer")


def _loads(device: Device, engine: str) -> bool:
    """A processor without an instruction ends the process that tries, not this one."""
    path = str(find_resource("bundle", SHIPPED_BUNDLE))
    said = device.run([sys.executable, "-m", "edge_fer.doctor.try_engine", engine, path])
    return (said or "").strip() == "loads"


def _bundle_path(device: Device) -> Path:
    deployed = device.root / PREFIX.lstrip("/") / "current/bundle"
    return deployed if deployed.exists() else find_resource("bundle", SHIPPED_BUNDLE)
