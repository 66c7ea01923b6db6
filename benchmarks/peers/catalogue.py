"""Who is compared: the peers, as released, and edge-fer in several settings."""

from collections.abc import Sequence
from dataclasses import dataclass

CLASSIFIER, PIPELINE = "classify", "pipeline"
BOTH = (CLASSIFIER, PIPELINE)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """What is installed in an environment of its own, from the lists in ``environments/NAME``.

    Attributes:
        name: Of the environment.
        kind: ``python`` (requirements.txt) or ``node`` (package.json and package-lock.json).
        package: As its registry calls it.
        version: Of the package; the lists have it and all it needs exactly.
        licence: Of the package, which contains its weights.
        worker: File in ``workers/``.
        note: What a reader should know.
    """

    name: str
    kind: str
    package: str
    version: str
    licence: str
    worker: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A peer in one setting, which gets a process of its own.

    Attributes:
        name: As tables have it.
        peer: Key of ``PEERS``.
        arguments: Of its worker; ``{yunet}`` becomes the detector that YuNet's file makes.
        parts: What is measured of it.
    """

    name: str
    peer: str
    arguments: tuple[str, ...] = ()
    parts: tuple[str, ...] = BOTH


EDGE_FER = "edge-fer"
PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            name=EDGE_FER,
            kind="python",
            package="edge-fer",
            version="this checkout",
            licence="Apache-2.0",
            worker="edge_fer_worker.py",
            note="both engines are installed; the base install has LiteRT only",
        ),
        Peer(
            name="fer",
            kind="python",
            package="fer",
            version="25.10.3",
            licence="MIT",
            worker="fer_worker.py",
            note="with OpenCV 4 and the CPU's PyTorch; pip alone also brings CUDA packages",
        ),
        Peer(
            name="facex",
            kind="python",
            package="facex",
            version="1.1.0",
            licence="MIT",
            worker="facex_worker.py",
            note="with OpenCV 4, which has the Haar detector it needs",
        ),
        Peer(
            name="facial-emotion-recognition",
            kind="python",
            package="facial-emotion-recognition",
            version="0.3.4",
            licence="MIT",
            worker="facial_emotion_recognition_worker.py",
            note="made to start without CUDA by the worker; as released it does not",
        ),
        Peer(
            name="human",
            kind="node",
            package="@vladmandic/human",
            version="3.3.6",
            licence="MIT",
            worker="human_worker.cjs",
            note="face and emotion only; it reuses boxes for up to 2.5 s unless told not to: told",
        ),
        Peer(
            name="face-api",
            kind="node",
            package="@vladmandic/face-api",
            version="1.7.15",
            licence="MIT",
            worker="face_api_worker.cjs",
            note="tiny face detector with its defaults",
        ),
    )
}

#: Detects in every frame, as the peers do; ratios are to this one.
REFERENCE = "edge-fer, LiteRT"
NEEDS_YUNET = "{yunet}"


def contenders(names: Sequence[str] = ()) -> list[Contender]:
    """Returns edge-fer's settings and the peers that are named, all of them if none is."""
    wanted = set(names or PEERS) | {EDGE_FER}
    return [contender for contender in CONTENDERS if contender.peer in wanted]


CONTENDERS = (
    Contender(name=REFERENCE, peer=EDGE_FER, arguments=("litert", "edge-fer", "1")),
    Contender(
        name="edge-fer, ONNX Runtime", peer=EDGE_FER, arguments=("onnxruntime", "edge-fer", "1")
    ),
    Contender(
        name="edge-fer, LiteRT, as shipped: detects every 0.3 s",
        peer=EDGE_FER,
        arguments=("litert", "edge-fer", "0"),
        parts=(PIPELINE,),
    ),
    Contender(
        name="edge-fer, LiteRT, YuNet",
        peer=EDGE_FER,
        arguments=("litert", NEEDS_YUNET, "1"),
        parts=(PIPELINE,),
    ),
    Contender(
        name="edge-fer, LiteRT, Haar",
        peer=EDGE_FER,
        arguments=("litert", "haar", "1"),
        parts=(PIPELINE,),
    ),
    *(Contender(name=name, peer=name) for name in PEERS if name != EDGE_FER),
)
