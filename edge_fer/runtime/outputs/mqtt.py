"""MQTT: faces, state and label of a robot's camera as topics of a broker.

Under the prefix of the URL, all text UTF-8:

* ``faces``: the JSON line of a frame, QoS 0: a late frame is worth nothing.
* ``state``: ``online`` or ``offline``, retained, QoS 1; the broker itself says ``offline`` (last
  will) if the connection dies.
* ``label``: the last steady label of the largest face, retained, QoS 1, when it changes.

The network runs in paho's thread. Up to ``MAX_ON_THE_WAY`` frames are handed to it; while it has so
many, frames are dropped and counted, so that what goes out next is the newest and nothing piles up.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edge_fer.errors import MissingExtraError, OutputError
from edge_fer.runtime.outputs.address import Address, rate_option, require_options
from edge_fer.runtime.outputs.lines import json_line
from edge_fer.runtime.outputs.pace import Pace
from edge_fer.runtime.result import UNSURE, Result

if TYPE_CHECKING:
    import ssl

    from paho.mqtt.client import Client, MQTTMessageInfo

PASSWORD_VARIABLE = "EDGE_FER_MQTT_PASSWORD"
DEFAULT_PREFIX = "edge-fer"
DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}
KEEPALIVE_S = 15
MAX_ON_THE_WAY = 8
RECONNECT_S = (1, 30)
#: How long to wait at the start for the broker, so that photos and short clips reach it.
CONNECT_WAIT_S = 1.0
#: How long to wait at the end: for messages on their way, and for the network thread.
GOODBYE_WAIT_S = 2.0
STOP_WAIT_S = 2.0
NOT_REACHED = "not reached yet"

_log = logging.getLogger("edge_fer.mqtt")


def open_mqtt(address: Address, environment: Mapping[str, str]) -> "MqttPublisher":
    """Starts to connect to a broker, and waits up to ``CONNECT_WAIT_S`` for it.

    Args:
        address: ``mqtt`` or ``mqtts``; the path is the prefix of the topics. Options: ``rate``
            (frames per second), and for ``mqtts`` ``ca`` (file of trusted certificates; the
            system's without), ``cert`` and ``key`` (files of the client's own certificate).
        environment: ``EDGE_FER_MQTT_PASSWORD`` in it stands in for a password in the address.

    Raises:
        OutputError: The address, an option or a certificate cannot be used.
        MissingExtraError: paho-mqtt is not installed.
    """
    require_options(address, {"rate", "ca", "cert", "key"})
    _require_host(address)
    _require_topic(address)
    tls = _tls_context(address)
    client = _new_client(address, environment)
    if tls is not None:
        client.tls_set_context(tls)
    return MqttPublisher(client, address, Pace(rate_option(address)))


class MqttPublisher:
    """A sink that publishes to a broker, and goes on without one.

    Args:
        client: Configured, not connected.
        address: Of the broker; its path is the prefix.
        pace: Which frames to publish.
    """

    def __init__(self, client: "Client", address: Address, pace: Pace) -> None:
        self._client, self._address, self._pace = client, address, pace
        self._prefix = address.path or DEFAULT_PREFIX
        self._settled = threading.Event()
        self._closing = False
        self._connects = self._connects_seen = 0
        self._trouble: str | None = NOT_REACHED
        self._faces: deque[MQTTMessageInfo] = deque()
        self._label_info: MQTTMessageInfo | None = None
        self._label = self._label_sent = ""
        self._published = self._dropped = 0
        self._start()

    def write(self, result: Result) -> None:
        """Publishes the frame if it is due, and the label if it is another one."""
        self._note_reconnect()
        self._label = _steady_label(result) or self._label
        if self._label != self._label_sent:
            self._publish_label()
        if self._pace.due():
            self._publish_faces(result)

    def close(self) -> None:
        """Waits a little for what is on its way, says ``offline`` and disconnects."""
        self._closing = True
        if self._trouble is None:
            self._say_goodbye(time.monotonic() + GOODBYE_WAIT_S)
        self._client.disconnect()
        stopping = threading.Thread(target=self._client.loop_stop, daemon=True)
        stopping.start()
        stopping.join(STOP_WAIT_S)
        _log.info("%s: %d frames published, %d dropped", self, self._published, self._dropped)

    def status(self) -> dict[str, Any]:
        """Returns plain values; ``trouble`` says why it is not connected."""
        return {
            "url": str(self),
            "connected": self._trouble is None,
            "trouble": self._trouble,
            "published": self._published,
            "dropped": self._dropped,
            "connects": self._connects,
        }

    def __str__(self) -> str:
        return str(self._address)

    def _start(self) -> None:
        client, address = self._client, self._address
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.reconnect_delay_set(*RECONNECT_S)
        client.will_set(f"{self._prefix}/state", "offline", qos=1, retain=True)
        port = address.port or DEFAULT_PORTS[address.scheme]
        client.connect_async(address.host, port, KEEPALIVE_S)
        client.loop_start()
        if not self._settled.wait(CONNECT_WAIT_S):
            _log.warning("%s: no answer from the broker yet; going on without", self)

    def _say_goodbye(self, until_s: float) -> None:
        self._note_reconnect()
        for info in self._faces:
            _wait(info, until_s)
        _wait(self._label_info, until_s)
        if self._label != self._label_sent:
            self._publish_label()
        _wait(self._publish("state", "offline", qos=1, retain=True), until_s)

    def _publish_faces(self, result: Result) -> None:
        while self._faces and not _on_its_way(self._faces[0]):
            self._faces.popleft()
        if self._trouble is not None or len(self._faces) == MAX_ON_THE_WAY:
            self._dropped += 1
            return
        self._faces.append(self._publish("faces", json_line(result), qos=0, retain=False))
        self._published += 1

    def _publish_label(self) -> None:
        if self._trouble is None and not _on_its_way(self._label_info):
            self._label_info = self._publish("label", self._label, qos=1, retain=True)
            self._label_sent = self._label

    def _publish(self, topic: str, text: str, *, qos: int, retain: bool) -> "MQTTMessageInfo":
        return self._client.publish(f"{self._prefix}/{topic}", text.encode(), qos, retain)

    def _note_reconnect(self) -> None:
        """A broker that comes back may have forgotten: what was said is said again."""
        if self._connects_seen != self._connects:
            self._connects_seen = self._connects
            self._faces.clear()
            self._label_info, self._label_sent = None, ""

    # What follows runs in paho's thread. It only sets plain values: the loop reads them.

    def _on_connect(self, client: "Client", _user: Any, _flags: Any, code: Any, _more: Any) -> None:
        if code.is_failure:
            self._say_trouble(f"the broker refuses: {code}")
        elif self._closing:
            client.disconnect()
        else:
            client.drop_out_messages()
            self._publish("state", "online", qos=1, retain=True)
            self._connects += 1
            self._trouble = None
            _log.info("%s: connected", self)
        self._settled.set()

    def _on_connect_fail(self, _client: "Client", _user: Any) -> None:
        self._say_trouble(f"cannot reach the broker: {sys.exc_info()[1]}")
        self._settled.set()

    def _on_disconnect(
        self, _client: "Client", _user: Any, _flags: Any, _code: Any, _more: Any
    ) -> None:
        if self._trouble is None:
            self._say_trouble("connection lost")
        elif self._trouble == NOT_REACHED:
            self._say_trouble("the broker closes the connection")
        self._settled.set()

    def _say_trouble(self, trouble: str) -> None:
        """Warns once for each kind of trouble, until it is over."""
        if trouble != self._trouble and not self._closing:
            _log.warning("%s: %s; going on, and trying again", self, trouble)
        self._trouble = trouble


def _steady_label(result: Result) -> str:
    """The largest face's; empty without a face, or if it is unsure."""
    if not result.faces or result.faces[0].label == UNSURE:
        return ""
    return result.faces[0].label


def _on_its_way(info: "MQTTMessageInfo | None") -> bool:
    """Whether a message was neither delivered nor lost."""
    try:
        return info is not None and not info.is_published()
    except (RuntimeError, ValueError):
        return False


def _wait(info: "MQTTMessageInfo | None", until_s: float) -> None:
    """Waits until a message is delivered or lost, or ``time.monotonic()`` is ``until_s``."""
    if info is not None:
        with contextlib.suppress(RuntimeError, ValueError):
            info.wait_for_publish(max(0.0, until_s - time.monotonic()))


def _new_client(address: Address, environment: Mapping[str, str]) -> "Client":
    try:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion
    except ModuleNotFoundError:
        raise MissingExtraError("Publishing to mqtt://", "mqtt") from None
    client = Client(CallbackAPIVersion.VERSION2, client_id=f"edge-fer-{os.urandom(4).hex()}")
    if address.user is not None:
        password = address.password or environment.get(PASSWORD_VARIABLE)
        client.username_pw_set(address.user, password)
    return client


def _tls_context(address: Address) -> "ssl.SSLContext | None":
    ca, cert, key = (address.options.get(name) for name in ("ca", "cert", "key"))
    if address.scheme != "mqtts":
        if ca or cert or key:
            raise OutputError(f"{address}: ca, cert and key need mqtts://")
        return None
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca)
        if cert:
            context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        files = ", ".join(filter(None, (ca, cert, key)))
        raise OutputError(f"{files}: not usable as certificates or key: {error}") from error
    return context


def _require_host(address: Address) -> None:
    try:
        known = bool(address.host) and bool(address.host.encode("idna"))
    except UnicodeError:
        known = False
    if not known or address.port == 0:
        raise OutputError(f"{address}: give the broker as mqtt://HOST[:PORT]/PREFIX")


def _require_topic(address: Address) -> None:
    prefix = address.path
    if any(sign in prefix for sign in "+#\0") or len(prefix.encode(errors="replace")) > 1000:
        raise OutputError(f"{address}: a topic's prefix has no +, # or NUL, and is not that long")
