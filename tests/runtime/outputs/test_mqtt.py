import json
import logging
import os
import signal
import subprocess
import sys
import time

import pytest

from edge_fer.errors import MissingExtraError, OutputError
from edge_fer.runtime.outputs import mqtt
from edge_fer.runtime.outputs.lines import json_line
from edge_fer.runtime.outputs.publish import open_publisher
from edge_fer.runtime.result import UNSURE
from tests.runtime.broker import Broker, Listener, eventually, free_port
from tests.runtime.results import result


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@pytest.fixture
def publisher(broker):
    publisher = open_publisher(f"mqtt://127.0.0.1:{broker.port}/robot/1?rate=0")
    yield publisher
    publisher.close()


def test_frames_state_and_label_arrive(broker):
    with Listener(broker.port) as listener:
        publisher = open_publisher(f"mqtt://127.0.0.1:{broker.port}/robot/1?rate=0")
        eventually(lambda: publisher.status()["connected"])
        made = [result(0), result(1, faces=0), result(2, answer="sad")]
        for one in made:
            publisher.write(one)
        publisher.close()
        eventually(lambda: len(listener.messages) >= 7)
        assert listener.texts("robot/1/faces") == [json_line(one) for one in made]
        assert json.loads(listener.texts("robot/1/faces")[0])["faces"][0]["label"] == "happy"
        assert listener.texts("robot/1/state") == ["online", "offline"]
        assert listener.texts("robot/1/label") == ["happy", "sad"]
        assert {m.qos for m in listener.messages if m.topic == "robot/1/faces"} == {0}
        assert {m.qos for m in listener.messages if m.topic != "robot/1/faces"} == {1}
        assert publisher.status()["published"] == 3


def test_who_comes_later_finds_state_and_label_but_no_old_frame(broker, publisher):
    with Listener(broker.port) as early:
        publisher.write(result(answer="sad"))
        early.wait_for("robot/1/label", "sad")
    with Listener(broker.port) as late:
        late.wait_for("robot/1/state", "online")
        late.wait_for("robot/1/label", "sad")
        assert all(message.retain for message in late.messages)
        assert late.texts("robot/1/faces") == []


def test_a_label_is_published_when_it_changes_and_never_while_unsure(broker, publisher):
    with Listener(broker.port) as listener:
        for answer in ("sad", "sad", UNSURE, "sad", "happy"):
            publisher.write(result(answer=answer))
            publisher.write(result(faces=0))
            if answer != UNSURE:
                listener.wait_for("robot/1/label", answer)
        assert listener.texts("robot/1/label") == ["sad", "happy"]


def test_a_label_that_changed_while_the_last_was_on_its_way_is_out_at_the_end(broker):
    with Listener(broker.port) as listener:
        publisher = open_publisher(f"mqtt://127.0.0.1:{broker.port}/a")
        for index in range(20):
            publisher.write(result(answer="sad" if index % 2 else "angry"))
        publisher.close()
        listener.wait_for("a/state", "offline")
        assert listener.texts("a/label")[-1] == "sad"


def test_frames_go_out_at_the_rate_that_was_asked_for(broker):
    publisher = open_publisher(f"mqtt://127.0.0.1:{broker.port}/a?rate=5")
    started_s = time.monotonic()
    while time.monotonic() - started_s < 1.0:
        publisher.write(result())
    elapsed_s = time.monotonic() - started_s
    publisher.close()
    assert 4 <= publisher.status()["published"] + publisher.status()["dropped"] <= elapsed_s * 5 + 2


PUBLISH_FOREVER = """
import sys
from edge_fer.runtime.outputs.publish import open_publisher
from tests.runtime.results import result

publisher = open_publisher(sys.argv[1])
publisher.write(result())
print("published", flush=True)
sys.stdin.read()
"""


def test_the_broker_says_offline_when_the_process_is_killed(broker):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PUBLISH_FOREVER, f"mqtt://127.0.0.1:{broker.port}/a"]
    pipe = subprocess.PIPE
    with (
        Listener(broker.port) as listener,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment) as process,
    ):
        assert process.stdout.readline() == b"published\n"
        listener.wait_for("a/state", "online")
        process.send_signal(signal.SIGKILL)
        listener.wait_for("a/state", "offline")
    with Listener(broker.port) as late:
        late.wait_for("a/state", "offline")


def test_a_broker_that_was_killed_and_comes_back_is_published_to_again(
    broker, publisher, monkeypatch, caplog
):
    caplog.set_level(logging.INFO, "edge_fer.mqtt")
    publisher.write(result(answer="sad"))
    broker.kill()
    eventually(lambda: not publisher.status()["connected"])
    before_s = time.process_time()
    slowest_s = 0.0
    for index in range(200):
        started_s = time.thread_time()
        publisher.write(result(index, answer="sad"))
        slowest_s = max(slowest_s, time.thread_time() - started_s)
    assert publisher.status()["dropped"] >= 200
    assert slowest_s < 0.1
    assert time.process_time() - before_s < 5
    broker.start()
    eventually(lambda: publisher.status()["connected"])
    with Listener(broker.port) as listener:
        publisher.write(result(1, faces=0))
        eventually(lambda: listener.texts("robot/1/faces"))
        assert json.loads(listener.texts("robot/1/faces")[-1])["frame"] == 1
        listener.wait_for("robot/1/state", "online")
        listener.wait_for("robot/1/label", "sad")
    assert publisher.status()["connects"] == 2
    told = [record.levelname for record in caplog.records]
    assert told.count("WARNING") <= 2
    assert "connection lost" in caplog.text


def test_a_broker_that_is_absent_at_the_start_is_no_error(tmp_path, caplog, monkeypatch):
    broker = Broker(tmp_path)
    broker.kill()
    publisher = open_publisher(f"mqtt://127.0.0.1:{broker.port}/a?rate=0")
    assert "Connection refused" in caplog.text
    publisher.write(result())
    assert publisher.status() == {
        "url": f"mqtt://127.0.0.1:{broker.port}/a",
        "connected": False,
        "trouble": "cannot reach the broker: [Errno 111] Connection refused",
        "published": 0,
        "dropped": 1,
        "connects": 0,
    }
    broker.start()
    eventually(lambda: publisher.status()["connected"])
    with Listener(broker.port) as listener:
        publisher.write(result(5))
        listener.wait_for("a/label", "happy")
        publisher.close()
        listener.wait_for("a/state", "offline")
    broker.kill()


def test_trouble_that_lasts_is_told_once(monkeypatch, caplog):
    attempts = []
    fail = mqtt.MqttPublisher._on_connect_fail
    monkeypatch.setattr(
        mqtt.MqttPublisher,
        "_on_connect_fail",
        lambda self, *arguments: (fail(self, *arguments), attempts.append(0)),
    )
    publisher = open_publisher(f"mqtt://127.0.0.1:{free_port()}/a")
    eventually(lambda: len(attempts) >= 2)
    publisher.close()
    assert [record.levelname for record in caplog.records].count("WARNING") == 1


def test_closing_does_not_wait_for_a_broker_that_never_was():
    publisher = open_publisher(f"mqtt://127.0.0.1:{free_port()}/a")
    started_s = time.monotonic()
    publisher.close()
    assert time.monotonic() - started_s < mqtt.STOP_WAIT_S + 1


def test_a_broker_that_hangs_costs_frames_but_no_time(broker):
    publisher = open_publisher(f"mqtt://127.0.0.1:{broker.port}/a?rate=0")
    broker.process.send_signal(signal.SIGSTOP)
    try:
        huge = result(faces=3000)
        written = 0
        while publisher.status()["dropped"] < 5:
            publisher.write(huge)
            written += 1
            assert written < 1000
        assert len(publisher._faces) == mqtt.MAX_ON_THE_WAY
        started_s = time.monotonic()
        publisher.close()
        took_s = time.monotonic() - started_s
    finally:
        broker.process.send_signal(signal.SIGCONT)
    assert took_s < mqtt.GOODBYE_WAIT_S + mqtt.STOP_WAIT_S + 1


def password_lines(tmp_path):
    file = tmp_path / "passwords"
    file.write_text("robot:hunter2 @/\n")
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True, capture_output=True)
    return ("allow_anonymous false", f"password_file {file}")


@pytest.mark.parametrize("where", ["url", "environment"])
def test_a_user_with_a_password_may_publish(tmp_path, where):
    broker = Broker(tmp_path, password_lines(tmp_path))
    host = f"127.0.0.1:{broker.port}/a"
    if where == "url":
        publisher = open_publisher(f"mqtt://robot:hunter2%20%40%2F@{host}", {})
    else:
        publisher = open_publisher(f"mqtt://robot@{host}", {"EDGE_FER_MQTT_PASSWORD": "hunter2 @/"})
    assert publisher.status()["connected"]
    publisher.close()
    broker.kill()


def test_a_wrong_password_is_told_once_and_never_shown(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    broker = Broker(tmp_path, password_lines(tmp_path))
    publisher = open_publisher(f"mqtt://robot:wrong-secret@127.0.0.1:{broker.port}/a", {})
    assert "refuses: Not authorized" in publisher.status()["trouble"]
    publisher.write(result())
    publisher.close()
    broker.kill()
    assert caplog.text.count("refuses") == 1
    assert "wrong-secret" not in caplog.text + str(publisher.status())


# paho leaves the socket of a handshake that failed to the garbage collector.
untidy = pytest.mark.filterwarnings("ignore:unclosed <ssl.SSLSocket:ResourceWarning")


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate authority of our own, and what it signed for the broker and for a client."""
    folder = tmp_path_factory.mktemp("certificates")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        subject = ("-subj", f"/CN={name}", "-days", "2")
        openssl(
            folder, "req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem", *subject
        )
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1")
    for name in ("broker", "robot"):
        request = ("-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(folder, "req", *key, *request)
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
        files = ("-in", f"{name}.csr", "-out", f"{name}.pem", "-extfile", "names")
        openssl(folder, "x509", "-req", *files, *signing)
    openssl(folder, "ec", "-in", "robot.key", "-out", "locked.key", "-aes128", "-passout", "pass:x")
    return folder


def tls_lines(certificates, *more):
    return (
        "allow_anonymous true",
        f"cafile {certificates / 'ca.pem'}",
        f"certfile {certificates / 'broker.pem'}",
        f"keyfile {certificates / 'broker.key'}",
        *more,
    )


def test_tls_with_a_certificate_authority_of_ones_own(tmp_path, certificates):
    broker = Broker(tmp_path, tls_lines(certificates))
    ca = certificates / "ca.pem"
    with Listener(broker.port, tls=ca) as listener:
        publisher = open_publisher(f"mqtts://127.0.0.1:{broker.port}/a?ca={ca}")
        eventually(lambda: publisher.status()["connected"])
        publisher.write(result(3))
        listener.wait_for("a/label", "happy")
        eventually(lambda: listener.texts("a/faces"))
        publisher.close()
        listener.wait_for("a/state", "offline")
    broker.kill()


@untidy
@pytest.mark.parametrize("ca", ["", "?ca={}/other-ca.pem"], ids=["the system's", "another"])
def test_a_broker_whose_certificate_is_not_trusted_gets_nothing(tmp_path, certificates, ca):
    broker = Broker(tmp_path, tls_lines(certificates))
    publisher = open_publisher(f"mqtts://127.0.0.1:{broker.port}/a{ca.format(certificates)}")
    assert "certificate verify failed" in publisher.status()["trouble"]
    publisher.close()
    broker.kill()


@untidy
def test_a_broker_under_another_name_gets_nothing(tmp_path, certificates):
    broker = Broker(tmp_path, tls_lines(certificates))
    ca = certificates / "ca.pem"
    publisher = open_publisher(f"mqtts://localhost:{broker.port}/a?ca={ca}")
    assert "certificate is not valid for 'localhost'" in publisher.status()["trouble"]
    publisher.close()
    broker.kill()


def test_a_broker_that_wants_a_client_certificate_gets_it(tmp_path, certificates):
    broker = Broker(tmp_path, tls_lines(certificates, "require_certificate true"))
    url = f"mqtts://127.0.0.1:{broker.port}/a?ca={certificates}/ca.pem"
    refused = open_publisher(url)
    assert refused.status()["trouble"] == "the broker closes the connection"
    refused.close()
    publisher = open_publisher(f"{url}&cert={certificates}/robot.pem&key={certificates}/robot.key")
    assert publisher.status()["connected"]
    publisher.close()
    broker.kill()


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("ca=none.pem", "none.pem"),
        ("cert={0}/robot.pem&key=none.key", "none.key"),
        ("cert={0}/robot.pem&key={0}/broker.key", "broker.key"),
        ("cert={0}/robot.pem&key={0}/locked.key", "locked.key"),
        ("ca={0}/robot.key", "robot.key"),
    ],
)
def test_certificates_that_cannot_be_used_are_an_error_at_the_start(certificates, query, what):
    with pytest.raises(OutputError, match=what):
        open_publisher(f"mqtts://127.0.0.1/a?{query.format(certificates)}")


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("mqtt://", "mqtt://HOST"),
        ("mqtt:///topic", "mqtt://HOST"),
        ("mqtt://a..b/topic", "mqtt://HOST"),
        ("mqtt://host:0/topic", "mqtt://HOST"),
        ("mqtt://host:x/topic", "not an address"),
        ("mqtt://host/a/%23", "topic"),
        ("mqtt://host/a/+/b", "topic"),
        ("mqtt://host/" + "a" * 1001, "topic"),
        ("mqtt://host/a?qos=2", "unknown option 'qos'; known: ca, cert, key, rate"),
        ("mqtt://host/a?ca=x.pem", "mqtts://"),
        ("mqtt://host/a?rate=-1", "rate"),
        ("http://host/a", "known: mqtt://, mqtts://, ros2://"),
        ("host/a", "known: mqtt://"),
    ],
)
def test_an_address_that_cannot_be_right_is_refused(url, what):
    with pytest.raises(OutputError, match=what):
        open_publisher(url)


def test_without_paho_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(MissingExtraError, match=r"edge-fer\[mqtt\]"):
        open_publisher("mqtt://host/a")
