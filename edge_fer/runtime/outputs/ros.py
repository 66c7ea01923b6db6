"""ROS 2: the JSON line of a frame as ``std_msgs/String``, from a node ``edge_fer``.

``rclpy`` comes with ROS 2, not from a package index, and is imported only here.
"""

import logging
import re
import threading
from collections.abc import Mapping
from typing import Any

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.address import Address, rate_option, require_options
from edge_fer.runtime.outputs.lines import json_line
from edge_fer.runtime.outputs.pace import Pace
from edge_fer.runtime.result import Result

NODE = "edge_fer"
RATE_PARAMETER = "edge_fer.rate"
DEFAULT_TOPIC = "faces"
HISTORY_DEPTH = 10
STOP_WAIT_S = 1.0
_NAME = re.compile(r"[A-Za-z_]\w*(/[A-Za-z_]\w*)*", re.ASCII)

_log = logging.getLogger("edge_fer.ros")


def open_ros(address: Address, environment: Mapping[str, str]) -> "RosPublisher":
    """Makes a node and its topic.

    Args:
        address: ``ros2:///TOPIC``. Options: ``namespace`` of the node, under which the topic is
            too, and ``rate`` (frames per second).
        environment: Not used.

    Raises:
        OutputError: A name that ROS 2 does not take, or no ``rclpy`` in this Python.
    """
    del environment
    require_options(address, {"namespace", "rate"})
    topic = address.path or DEFAULT_TOPIC
    namespace = address.options.get("namespace", "").strip("/")
    if address.host:
        raise OutputError(f"{address}: write ros2:///{topic}, with three slashes")
    for name in filter(None, (topic, namespace)):
        if not _NAME.fullmatch(name):
            raise OutputError(
                f"{address}: {name!r} is no ROS 2 name (letters, digits, _ and / between)"
            )
    return RosPublisher(f"/{namespace}", topic, rate_option(address))


class RosPublisher:
    """A sink that publishes on a topic.

    Its context is its own, so that it neither takes signals nor disturbs a program's other nodes.
    The node's parameter ``edge_fer.rate`` can be read and set while it runs.

    Args:
        namespace: Of the node, with a slash at the start.
        topic: Within the namespace.
        rate_hz: Frames per second; 0 for all.
    """

    def __init__(self, namespace: str, topic: str, rate_hz: float) -> None:
        self._rclpy, self._message = _import_ros()
        self._rate_hz, self._pace, self._published = rate_hz, Pace(rate_hz), 0
        self._url = f"ros2://{namespace.rstrip('/')}/{topic}"
        self._context = self._rclpy.context.Context()
        self._rclpy.init(args=[], context=self._context)
        self._node = self._rclpy.create_node(NODE, namespace=namespace, context=self._context)
        self._node.declare_parameter(RATE_PARAMETER, rate_hz)
        self._topic = self._node.create_publisher(self._message, topic, HISTORY_DEPTH)
        self._executor = self._rclpy.executors.SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._spinning = threading.Thread(target=self._executor.spin, daemon=True)
        self._spinning.start()
        _log.info("%s: publishing", self._url)

    def write(self, result: Result) -> None:
        """Publishes the frame if it is due."""
        self._follow_parameter()
        if self._pace.due():
            message = self._message()
            message.data = json_line(result)
            self._topic.publish(message)
            self._published += 1

    def close(self) -> None:
        """Takes the node out of the graph."""
        self._executor.shutdown(timeout_sec=STOP_WAIT_S)
        self._spinning.join(STOP_WAIT_S)
        self._node.destroy_node()
        self._rclpy.shutdown(context=self._context)

    def status(self) -> dict[str, Any]:
        """Returns plain values; ROS 2 has no broker to lose, and drops nothing here."""
        return {
            "url": self._url,
            "connected": True,
            "published": self._published,
            "dropped": 0,
        }

    def _follow_parameter(self) -> None:
        rate_hz = max(0.0, self._node.get_parameter(RATE_PARAMETER).value)
        if rate_hz != self._rate_hz:
            self._rate_hz, self._pace = rate_hz, Pace(rate_hz)


def _import_ros() -> tuple[Any, Any]:
    """Returns the module ``rclpy`` and the message type."""
    try:
        import rclpy
        import rclpy.context
        import rclpy.executors
        from std_msgs.msg import String
    except ImportError as error:
        raise OutputError(
            f"ros2: {error.name or 'rclpy'} is not in this Python; source ROS's setup.bash and use "
            f"its Python version (an environment made with --system-site-packages)"
        ) from error
    return rclpy, String
