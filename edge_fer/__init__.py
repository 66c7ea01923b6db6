"""edge-fer: facial-expression recognition, from training to the camera loop of a small device."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_fer.runtime.recognizer import Recognizer
    from edge_fer.runtime.settings import Settings

__all__ = ["Recognizer", "Settings"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Imports the public names when they are asked for, so that ``import edge_fer`` stays light."""
    import importlib

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"edge_fer.runtime.{name.lower()}"), name)
