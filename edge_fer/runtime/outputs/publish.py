"""Results to other programs as they come: ``--publish URL`` chooses by the URL's scheme."""

import os
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.address import Address, parse_address
from edge_fer.runtime.outputs.mqtt import open_mqtt
from edge_fer.runtime.outputs.ros import open_ros
from edge_fer.runtime.result import Result


class Publisher(Protocol):
    """A sink that never waits for who listens, and tells how it fares."""

    def write(self, result: Result) -> None:
        """Takes one result; what cannot go out now is dropped and counted."""

    def close(self) -> None:
        """Says goodbye, within seconds whatever the other side does."""

    def status(self) -> dict[str, Any]:
        """Returns ``url`` (without password), ``connected``, ``published``, ``dropped``, more."""


PUBLISHERS: dict[str, Callable[[Address, Mapping[str, str]], Publisher]] = {
    "mqtt": open_mqtt,
    "mqtts": open_mqtt,
    "ros2": open_ros,
}


def open_publisher(url: str, environment: Mapping[str, str] = os.environ) -> Publisher:
    """Opens what a URL names.

    Args:
        url: ``mqtt://[USER[:PASSWORD]@]HOST[:PORT]/PREFIX``, the same with ``mqtts`` for TLS, or
            ``ros2:///TOPIC``. Options: see ``open_mqtt`` and ``open_ros``.
        environment: Where a password may be that should not be on a command line.

    Raises:
        OutputError: Unknown scheme, or an address or option that cannot be right. Nobody listening
            is no error: it is tried again and again.
        MissingExtraError: A package is not installed.
    """
    address = parse_address(url)
    if address.scheme not in PUBLISHERS:
        known = ", ".join(f"{scheme}://" for scheme in PUBLISHERS)
        raise OutputError(f"{address.scheme or 'no scheme'}: cannot publish there; known: {known}")
    return PUBLISHERS[address.scheme](address, environment)
