import numpy as np
import pytest

from edge_fer.bench.stages import WARMUP_FRAMES, StageRequest, bench_stages, time_frames
from edge_fer.errors import SourceError
from edge_fer.runtime.frame import Frame
from edge_fer.runtime.result import STAGES, Result


class Clip:
    def __init__(self, frames):
        self.frames = frames

    def __enter__(self):
        return iter(range(self.frames))

    def __exit__(self, *_):
        pass


class Recognizer:
    """Reads a frame in 10 ms of a clock of its own."""

    now_s = 0.0

    def stream(self, source):
        for number in source:
            self.now_s += 0.01
            latency_ms = dict.fromkeys(STAGES, 10 / 6) | {"total": 10.0}
            frame = Frame(number, 0.0, np.zeros((480, 640), np.uint8), 10 / 6)
            yield Result(frame=frame, faces=(), latency_ms=latency_ms)


def test_a_short_clip_starts_again_until_there_are_enough_frames():
    recognizer = Recognizer()
    opened = []

    def open_again():
        opened.append(1)
        return Clip(5)

    timed = time_frames(recognizer, open_again, 12, lambda: recognizer.now_s)
    assert len(timed) == 12
    assert len(opened) == -(-(12 + WARMUP_FRAMES) // 5)
    assert [frame.frame_ms for frame in timed] == pytest.approx([10.0] * 12)
    assert sum(frame.result.frame.image.nbytes for frame in timed) == 0


def test_a_source_without_frames_is_an_error():
    with pytest.raises(SourceError, match="no frames"):
        time_frames(Recognizer(), lambda: Clip(0), 3)


@pytest.mark.device
def test_the_stages_explain_the_frame_within_five_percent(astronaut, shipped_bundle):
    request = StageRequest(source=str(astronaut), bundle=str(shipped_bundle), frames=8)
    document = bench_stages(request)
    assert [stage["stage"] for stage in document["stages"]] == list(STAGES[:-1])
    assert (document["frames"], document["with_face"]) == (8, 8)
    assert document["explained"] == pytest.approx(1, abs=0.05)
    assert sum(stage["share"] for stage in document["stages"]) == pytest.approx(
        document["explained"]
    )
    assert np.isfinite(document["fps"])
