"""``edge-fer run --serve``: a web page with the live view, and the same for other programs.

``server`` is what the camera loop holds, ``app`` the addresses, ``access`` who may use them,
``frames`` the way of a result from the loop's thread to the server's, ``page`` what browsers get.
"""

from edge_fer.runtime.serve.server import PageServer, open_server

__all__ = ["PageServer", "open_server"]
