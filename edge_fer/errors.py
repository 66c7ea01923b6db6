"""Everything edge-fer raises on purpose.

EdgeFerError (ValueError)   a user can act on it; the command line prints it and exits 2
├── DataError               dataset, label or image that cannot be used
├── ModelError              checkpoint, artifact or model name that cannot be used
│   └── BundleError         bundle whose manifest or files do not verify
├── SourceError             camera, video or photo that cannot be opened
├── OutputError             a file that cannot or must not be written
└── MissingExtraError       an optional dependency that is not installed
"""


class EdgeFerError(ValueError):
    """Base of all errors that carry a message for the user."""


class DataError(EdgeFerError):
    """A dataset, label or image that cannot be used."""


class ModelError(EdgeFerError):
    """A checkpoint, artifact or model name that cannot be used."""


class BundleError(ModelError):
    """A bundle whose manifest or files do not verify."""


class SourceError(EdgeFerError):
    """A camera, video or photo that cannot be opened."""


class OutputError(EdgeFerError):
    """A file that cannot or must not be written."""


class MissingExtraError(EdgeFerError):
    """An optional dependency that is not installed.

    Args:
        what: The capability that needs it, as a user would name it.
        extra: The extra of the ``edge-fer`` distribution that brings it.
    """

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs more packages: pip install 'edge-fer[{extra}]'")
