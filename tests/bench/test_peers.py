"""The comparison with peers: protocol, rounds and document, with workers that only pretend."""

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks" / "peers"
MODULES = (
    "accuracy", "catalogue", "client", "compare", "contest", "environments", "pictures", "rounds",
    "starts", "tables",
)  # fmt: skip
SLOW_MS = 12.0
WORKER = """
import sys, time
sys.path.insert(0, {workers!r})
from serve import serve

class Fake:
    labels, pipeline = ["anger", "happiness"], "none"

    def __init__(self):
        print("chatter that is no answer")

    def classify(self, face):
        time.sleep(float(sys.argv[1]) / 1e3)
        return self.labels[face[0, 0] % 2]

    def read(self, frame):
        time.sleep(float(sys.argv[1]) / 1e3)
        return ["anger"] * int(frame[0, 0, 0])

serve(Fake)
"""


@pytest.fixture
def peers(monkeypatch):
    """The script's modules, as if it ran."""
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    loaded = {name: __import__(name) for name in MODULES}
    yield types.SimpleNamespace(**loaded)
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture
def worker(tmp_path):
    """Gives the command of a worker that takes so many milliseconds."""
    file = tmp_path / "worker.py"
    file.write_text(WORKER.format(workers=str(FOLDER / "workers")))
    return lambda ms: [sys.executable, str(file), str(ms)]


@pytest.fixture
def faces(peers, tmp_path):
    """Six faces whose first pixels are 0 to 5."""
    images_NHW = np.zeros((6, 48, 48), np.uint8) + np.arange(6, dtype=np.uint8)[:, None, None]
    return peers.pictures.write_pictures(tmp_path / "faces", images_NHW)


@pytest.fixture
def frames(peers, tmp_path):
    """Three frames of which the fake finds 0, 1 and 2 faces."""
    images = [np.full((480, 640, 3), count, np.uint8) for count in range(3)]
    return peers.pictures.write_pictures(tmp_path / "frames", images)


def test_a_worker_answers_and_its_chatter_does_not_disturb(peers, worker, faces, frames):
    with peers.client.Client("fake", worker(0)) as client:
        assert client.ask("describe") == {"labels": ["anger", "happiness"], "pipeline": "none"}
        said = client.ask("classify", file=str(faces.file), indices=[1, 2, 5])
        found = client.ask("pipeline", file=str(frames.file), indices=[2, 0])
        memory = client.ask("rss")
    assert said["labels"] == ["happiness", "anger", "happiness"]
    assert len(said["wall_ms"]) == 3 and said["cpu_ms"] >= 0
    assert found["labels"] == [["anger", "anger"], []]
    assert set(memory) == {"rss_mb", "peak_rss_mb"}


def test_a_failing_worker_is_one_clear_line(peers, worker, faces):
    with peers.client.Client("fake", worker(0)) as client:
        with pytest.raises(peers.environments.PeerError, match=r"^fake: KeyError: 'dance'$"):
            client.ask("dance")
        assert client.ask("describe")["pipeline"] == "none"
    with (
        peers.client.Client("gone", [sys.executable, "-c", ""]) as client,
        pytest.raises(peers.environments.PeerError, match="gone: its worker ended"),
    ):
        client.ask("describe")
    with (
        peers.client.Client("late", worker(5000), limit_s=0.5) as client,
        pytest.raises(peers.environments.PeerError, match=r"late: .* took over"),
    ):
        client.ask("classify", file=str(faces.file), indices=[0])


def test_rounds_compare_contenders_and_leave_out_who_fails(peers, worker, faces):
    part = peers.rounds.Part(op="classify", pictures=faces, count=4, warmup=1)
    reference, skipped = peers.catalogue.REFERENCE, []
    with (
        peers.client.Client(reference, worker(SLOW_MS / 4)) as quick,
        peers.client.Client("slow", worker(SLOW_MS)) as slow,
        peers.client.Client("broken", [sys.executable, "-c", ""]) as broken,
    ):
        clients = {"broken": broken, "slow": slow, reference: quick}
        blocks = peers.rounds.measure(part, clients, 3, skipped)
    rows = peers.rounds.rows_of(part, blocks)
    assert [row["name"] for row in rows] == [reference, "slow"]
    assert [row["n"] for row in rows] == [12, 12]
    assert rows[0]["ratio"] == 1.0
    assert rows[1]["p50_ms"] >= SLOW_MS
    assert rows[1]["ratio"] > 1.5 and rows[1]["verdict"] == "slower"
    assert len(skipped) == 1 and skipped[0].startswith("classify: broken: ")


def test_everyone_gets_the_same_pictures_and_faces_are_counted(peers, worker, frames):
    part = peers.rounds.Part(op="pipeline", pictures=frames, count=3, warmup=1)
    with peers.client.Client("one", worker(0)) as one, peers.client.Client("two", worker(0)) as two:
        blocks = peers.rounds.measure(part, {"one": one, "two": two}, 2, [])
    assert [block.labels for block in blocks["one"]] == [block.labels for block in blocks["two"]]
    row = peers.rounds.rows_of(part, blocks)[0]
    assert row["faces_per_frame"] == 1.0 and row["with_face"] == pytest.approx(2 / 3)
    assert row["ratio"] is None


def test_cold_starts_are_of_fresh_processes(peers, worker, frames):
    rows = peers.starts.cold_starts({"slow": worker(200), "quick": worker(0)}, frames, 2, [])
    assert [len(row["every_first_label_ms"]) for row in rows] == [2, 2]
    assert next(row for row in rows if row["name"] == "slow")["first_label_ms"] > 200


def test_labels_in_a_peers_words_become_ours(peers, worker, faces):
    labelled = types.SimpleNamespace(
        faces=types.SimpleNamespace(
            label_names=("angry", "happy"), labels_N=np.array([0, 1, 0, 0, 0, 1]), source="fake:all"
        ),
        leaked_N=np.array([True, False, False, False, False, True]),
    )
    with peers.client.Client("fake", worker(0)) as client:
        document = peers.accuracy.measure_accuracy({"fake": client}, faces, labelled, [])
    row = document["rows"][0]
    assert row["accuracy"] == 5 / 6 and row["n"] == 6
    assert row["accuracy_without_leaks"] == 3 / 4
    assert row["recall"] == {"angry": 3 / 4, "happy": 1.0}
    assert peers.accuracy.figures(["dizzy"] * 6, labelled)["of_no_class"] == 6


def test_a_whole_run_writes_the_document(peers, worker, tmp_path, monkeypatch, capsys):
    _fer2013(tmp_path / "fer2013.npz")
    monkeypatch.setattr(peers.contest, "prepare", _prepare(peers.environments.PeerError))
    monkeypatch.setattr(peers.contest, "worker_command", lambda *_: worker(1))
    photo = _photo(tmp_path / "photo.png")
    out = tmp_path / "out.json"
    given = ["--faces", f"fer2013:{tmp_path / 'fer2013.npz'}", "--envs", str(tmp_path / "envs")]
    more = ["--photo", str(photo), "--rounds", "2", "--starts", "1", "--peers", "fer", "human"]
    assert peers.compare.main([*given, *more, "--out", str(out)]) == 0
    document = json.loads(out.read_text())
    assert document["schema"] == "edge-fer/peers/1"
    assert "human: not today" in document["skipped"]
    assert "command" in document and document["machine"]["load_before"] is not None
    names = {row["name"] for row in document["classifier"]}
    assert names == {"edge-fer, LiteRT", "edge-fer, ONNX Runtime", "fer"}
    assert document["peers"]["fer"]["labels"] == {"anger": "angry", "happiness": "happy"}
    assert {row["name"] for row in document["starts"]} == names
    assert document["accuracy"]["n"] == 4
    assert "| edge-fer, LiteRT |" in capsys.readouterr().out
    again = [*given, "--accuracy", str(out), "--accuracy-only", "--peers", "fer"]
    assert peers.compare.main([*again, "--out", str(tmp_path / "again.json")]) == 0
    assert json.loads((tmp_path / "again.json").read_text())["accuracy"] == document["accuracy"]


def test_bad_input_is_one_line_and_exit_code_2(peers, tmp_path, capsys):
    missing = ["--faces", f"fer2013:{tmp_path / 'none.npz'}", "--out", str(tmp_path / "out.json")]
    assert peers.compare.main(missing) == 2
    assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "other.json").write_text("{}")
    assert peers.compare.main([*missing, "--accuracy", str(tmp_path / "other.json")]) == 2
    assert "not a document of schema" in capsys.readouterr().err


def test_without_yunet_its_row_is_left_out(peers):
    wanted = peers.catalogue.contenders(["fer"])
    without, with_it = (
        {one.name: one.arguments for one in peers.contest.with_detector(wanted, file)}
        for file in (None, Path("/yunet.onnx"))
    )
    assert with_it.pop("edge-fer, LiteRT, YuNet") == ("litert", "yunet:/yunet.onnx", "1")
    assert with_it == without


def test_every_peer_has_its_worker_and_an_exact_list(peers):
    for peer in peers.catalogue.PEERS.values():
        assert (FOLDER / "workers" / peer.worker).is_file()
        lists = FOLDER / "environments" / peer.name
        if peer.kind == "node":
            lock = json.loads((lists / "package-lock.json").read_text())
            assert lock["packages"][f"node_modules/{peer.package}"]["version"] == peer.version
            continue
        lines = (lists / "requirements.txt").read_text().splitlines()
        assert all("==" in line for line in lines)
        exact = f"{peer.package}=={peer.version}"
        assert peer.name == "edge-fer" or exact in [line.replace("_", "-") for line in lines]


def test_an_installation_is_taken_up_again_and_not_repeated(peers, tmp_path, monkeypatch):
    peer, ran = peers.catalogue.PEERS["human"], []
    monkeypatch.setattr(peers.environments, "_run", lambda command, _: ran.append(command))
    peers.environments.prepare(peer, tmp_path, lambda _: None)
    count = len(ran)
    peers.environments.prepare(peer, tmp_path, lambda _: None)
    assert count == len(ran) == 2
    monkeypatch.undo()
    with pytest.raises(peers.environments.PeerError, match=r"^human: false failed: no message$"):
        peers.environments._run(["false"], tmp_path / "human")


def _prepare(error):
    def prepare(peer, envs, announce):
        if peer.name == "human":
            raise error("human: not today")
        (envs / peer.name).mkdir(parents=True, exist_ok=True)

    return prepare


def _fer2013(path):
    rng = np.random.default_rng(0)
    np.savez(
        path,
        images=rng.integers(0, 255, (8, 48, 48)).astype(np.uint8),
        labels=np.array([0, 3] * 4, np.uint8),
        usage=np.array([0, 0, 0, 0, 2, 2, 2, 2], np.uint8),
    )


def _photo(path):
    import cv2

    cv2.imwrite(str(path), np.ones((30, 60, 3), np.uint8))
    return path
