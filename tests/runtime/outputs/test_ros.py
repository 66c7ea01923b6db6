"""With a stand-in for ``rclpy`` that keeps what it is given; ROS 2 itself is not here."""

import json
import sys
import threading
from types import ModuleType, SimpleNamespace

import pytest

from edge_fer.errors import OutputError
from edge_fer.runtime.outputs.publish import open_publisher
from tests.runtime.results import result


class FakeContext:
    alive = False


class FakeNode:
    def __init__(self, name, namespace, context):
        assert context.alive
        self.full_name = f"{namespace.rstrip('/')}/{name}"
        self.parameters, self.sent, self.destroyed = {}, {}, False

    def declare_parameter(self, name, value):
        self.parameters[name] = value

    def get_parameter(self, name):
        return SimpleNamespace(value=self.parameters[name])

    def create_publisher(self, kind, topic, depth):
        sent = self.sent.setdefault(topic, [])
        return SimpleNamespace(publish=lambda message: sent.append((kind, message.data)))

    def destroy_node(self):
        self.destroyed = True


class FakeExecutor:
    def __init__(self, context):
        self._ended = threading.Event()

    def add_node(self, node):
        self.node = node

    def spin(self):
        self._ended.wait()

    def shutdown(self, timeout_sec):
        self._ended.set()


class FakeString:
    data = ""


@pytest.fixture
def ros(monkeypatch):
    """The modules, and what was made of them."""
    made = SimpleNamespace(nodes=[], contexts=[])

    def init(args, context):
        assert args == []
        context.alive = True
        made.contexts.append(context)

    def create_node(name, *, namespace, context):
        made.nodes.append(FakeNode(name, namespace, context))
        return made.nodes[-1]

    def shutdown(context):
        context.alive = False

    modules = {
        "rclpy": {"init": init, "create_node": create_node, "shutdown": shutdown},
        "rclpy.context": {"Context": FakeContext},
        "rclpy.executors": {"SingleThreadedExecutor": FakeExecutor},
        "std_msgs": {},
        "std_msgs.msg": {"String": FakeString},
    }
    for name, content in modules.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, module)
    return made


def test_the_json_line_is_published_as_a_string(ros):
    publisher = open_publisher("ros2:///faces?namespace=/robot1&rate=0")
    publisher.write(result(0))
    publisher.write(result(1))
    (node,) = ros.nodes
    assert node.full_name == "/robot1/edge_fer"
    assert [kind for kind, _ in node.sent["faces"]] == [FakeString] * 2
    assert [json.loads(text)["frame"] for _, text in node.sent["faces"]] == [0, 1]
    assert publisher.status() == {
        "url": "ros2:///robot1/faces",
        "connected": True,
        "published": 2,
        "dropped": 0,
    }


def test_closing_leaves_nothing_running(ros):
    before = threading.active_count()
    publisher = open_publisher("ros2:///faces")
    assert threading.active_count() == before + 1
    publisher.close()
    assert threading.active_count() == before
    assert ros.nodes[0].destroyed
    assert not ros.contexts[0].alive


def test_the_rate_is_a_parameter_that_can_be_set_while_it_runs(ros):
    publisher = open_publisher("ros2:///faces?rate=0.001")
    (node,) = ros.nodes
    assert node.parameters == {"edge_fer.rate": 0.001}
    for _ in range(5):
        publisher.write(result())
    assert len(node.sent["faces"]) == 1
    node.parameters["edge_fer.rate"] = 0.0
    for _ in range(5):
        publisher.write(result())
    assert len(node.sent["faces"]) == 6
    publisher.close()


def test_without_a_topic_there_is_a_default(ros):
    open_publisher("ros2://").close()
    assert list(ros.nodes[0].sent) == ["faces"]


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("ros2:///1face", "no ROS 2 name"),
        ("ros2:///a//b", "no ROS 2 name"),
        ("ros2:///a-b", "no ROS 2 name"),
        ("ros2:///gesicht/ä", "no ROS 2 name"),
        ("ros2:///a?namespace=x-y", "no ROS 2 name"),
        ("ros2://faces", "three slashes"),
        ("ros2:///a?qos=1", "known: namespace, rate"),
    ],
)
def test_names_that_ros_does_not_take_are_refused(url, what):
    with pytest.raises(OutputError, match=what):
        open_publisher(url)


@pytest.mark.parametrize("missing", ["rclpy", "std_msgs.msg"])
def test_without_ros_one_line_says_what_to_do(ros, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(OutputError, match=r"setup\.bash") as caught:
        open_publisher("ros2:///faces")
    assert "\n" not in str(caught.value)
