"""edge-fer: facial-expression recognition, from training to the camera loop of a small device."""

__version__ = "0.1.0"
