"""Finds what people write and read: recipes, targets, templates, published tables, bundles.

The wheel carries these folders inside the package; a checkout has them beside it. Every name may
also be a path.
"""

from pathlib import Path

from edge_fer.errors import EdgeFerError

_PACKAGE = Path(__file__).parent
_ROOTS = (_PACKAGE, _PACKAGE.parent)

FOLDERS = {
    "recipe": ("quantize/recipes", "{name}.toml"),
    "calibration": ("quantize/calibration", "{name}.txt"),
    "training": ("train/recipes", "{name}.toml"),
    "target": ("targets", "{name}/profile.toml"),
    "template": ("targets/common", "{name}.template"),
    "bundle": ("bundles", "{name}"),
    "sweep": ("benchmarks/sweeps", "{name}.toml"),
    "suite": ("benchmarks/suites", "{name}.toml"),
    "published": ("benchmarks/published", "{name}.toml"),
}


def find_resource(kind: str, name: str) -> Path:
    """Returns the file or folder that a name or a path stands for.

    Args:
        kind: Key of ``FOLDERS``.
        name: A shipped name, e.g. ``static_wi8_ai8``, or a path.

    Raises:
        EdgeFerError: Neither a shipped name nor an existing path.
    """
    folder, pattern = FOLDERS[kind]
    if "/" not in name and "." not in name:
        for root in _ROOTS:
            candidate = root / folder / pattern.format(name=name)
            if candidate.exists():
                return candidate
    path = Path(name).expanduser()
    if path.exists():
        return path
    known = ", ".join(resource_names(kind)) or "none"
    raise EdgeFerError(f"{name}: no such file or folder, nor a shipped {kind} ({known})")


def resource_names(kind: str) -> list[str]:
    """Returns the names of everything shipped of one kind, sorted."""
    folder, pattern = FOLDERS[kind]
    names: set[str] = set()
    for root in _ROOTS:
        for path in (root / folder).glob(pattern.format(name="*")):
            relative = path.relative_to(root / folder)
            names.add(relative.parts[0] if len(relative.parts) > 1 else path.stem)
    return sorted(names)
