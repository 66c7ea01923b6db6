import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from edge_fer.audit.request import audit
from edge_fer.bench.subjects import read_subjects
from edge_fer.bundle import Bundle
from edge_fer.compress.detector import MIN_SCORE, agreement, calibration_pictures
from edge_fer.compress.gates import Limits
from edge_fer.compress.page import write_report
from edge_fer.compress.quantize import Request, quantize
from edge_fer.compress.recipe import read_recipe
from edge_fer.errors import DataError, EdgeFerError
from edge_fer.models.face_detector import FaceDetector
from edge_fer.preprocess import Preprocessing
from edge_fer.resources import find_resource
from edge_fer.runtime.engines import LiteRtEngine
from edge_fer.runtime.faces.decode import CHANNELS, STEP, Faces
from edge_fer.show_quantize import quantization_tables
from edge_fer.train.checkpoint import load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained detector for pictures of 64 x 96 pixels."""
    torch.manual_seed(0)
    network = FaceDetector().eval()
    metadata = {
        "task": "detect",
        "model": "face-detector",
        "options": {},
        "labels": ["face"],
        "input_nchw": [1, 1, 64, 96],
        "preprocessing": Preprocessing(height_px=64, width_px=96).to_dict(),
        "data": "detect",
        "split": {"train": "train"},
        "metrics": {},
        "command": "edge-fer train face-detector",
        "versions": {"torch": "0"},
    }
    path = tmp_path_factory.mktemp("detector") / "best.safetensors"
    save_checkpoint(path, network.state_dict(), metadata)
    return path


@pytest.fixture(scope="module")
def photos(astronaut, tmp_path_factory):
    import cv2

    folder = tmp_path_factory.mktemp("photos")
    photo = cv2.imread(str(astronaut))
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), photo[100 * number :, 50 * number :])
    return folder


@pytest.fixture(scope="module")
def request_(checkpoint, photos, tmp_path_factory):
    return Request(
        checkpoint=checkpoint,
        recipe=read_recipe(find_resource("recipe", "static_wi8_ai8")),
        calibration=f"photos:{photos}",
        out=tmp_path_factory.mktemp("bundles") / "detector",
        command="edge-fer quantize",
    )


@pytest.fixture(scope="module")
def document(request_):
    return quantize(request_, lambda _: None)


def test_the_document_is_for_machines_and_has_a_row_per_file(document):
    assert json.loads(json.dumps(document)) == document
    assert document["schema"] == "edge-fer/quantize-detector/1"
    files = [(row["file"], row["precision"]) for row in document["rows"]]
    assert files == [("model.fp32.tflite", "fp32"), ("model.int8.tflite", "int8")]
    assert document["calibration"] == {"data": "photos", "images": 4}
    assert document["rows"][0]["found"] in {None, 1.0}
    assert document["rows"][1]["size_mb"] <= 0.15


def test_the_bundle_says_that_it_finds_faces(document, request_):
    manifest = Bundle.load(request_.out).manifest
    assert (manifest.task, manifest.labels, manifest.min_score) == ("detect", ("face",), MIN_SCORE)
    file = next(one for one in manifest.files if one.precision == "int8")
    assert (file.input.dtype, file.input.scale, file.input.zero_point) == ("int8", 1 / 128, 0)
    assert (file.output.dtype, file.output.scale, file.output.zero_point) == ("int8", STEP, 0)
    assert file.output.shape == (1, 8, 12, CHANNELS)
    assert file.macs > 1e6


def test_audit_finds_integers_alone(document, request_):
    files = audit([request_.out])["files"]
    assert [file["macs"]["integer_share"] for file in files] == [0.0, 1.0]
    assert all(verdict["severity"] != "error" for file in files for verdict in file["verdicts"])


def test_bench_reads_it(document, request_):
    assert [one.precision for one in read_subjects(request_.out)] == ["fp32", "int8"]


@pytest.mark.parametrize("shape", [(64, 96), (128, 160), (160, 96)])
def test_int8_says_what_torch_says_at_any_size(document, request_, checkpoint, shape):
    engine = LiteRtEngine((request_.out / "model.int8.tflite").read_bytes(), "m", 1)
    engine.resize((1, *shape, 1))
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    raw_HWC = engine((pixels ^ 128).view(np.int8)[np.newaxis, ..., np.newaxis])[0] * STEP
    x = torch.from_numpy((pixels.astype(np.float32) - 128) / 128)
    with torch.no_grad():
        expected = load_checkpoint(checkpoint).network(x[None, None])[0].permute(1, 2, 0).numpy()
    assert raw_HWC.shape == expected.shape
    assert np.abs(raw_HWC - expected).max() < 0.25


def test_people_see_a_table(document, capsys):
    quantization_tables(document)
    shown = capsys.readouterr().out
    assert "model.int8.tflite" in shown
    assert "in 4 pictures" in shown


def test_a_report_is_for_classifiers(document, tmp_path):
    with pytest.raises(EdgeFerError, match="read expressions"):
        write_report(tmp_path / "page.html", document)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluation": "fer2013:x"}, "detector has none"),
        ({"limits": Limits(drop_pt=1.0)}, "detector has none"),
        ({"calibration": "fer2013:x"}, "detect:PATH or photos:PATH"),
        ({"calibration": "detect:"}, "detect:PATH or photos:PATH"),
        ({"calibration": "distilled"}, "detect:PATH or photos:PATH"),
        ({"recipe": read_recipe(find_resource("recipe", "dynamic_wi8"))}, "static_wi8_ai8"),
    ],
    ids=["evaluation", "limits", "faces", "no-path", "distilled", "recipe"],
)
def test_what_a_detector_cannot_have_is_refused_in_one_line(request_, changes, message):
    with pytest.raises(EdgeFerError, match=message) as caught:
        quantize(replace(request_, **changes), lambda _: None)
    assert "\n" not in str(caught.value)


def test_calibration_pictures_are_whole_and_hold_black_and_white(photos):
    preprocessing = Preprocessing(height_px=64, width_px=96)
    pictures_NHW = calibration_pictures(f"photos:{photos}", preprocessing, images=3, seed=0)
    assert pictures_NHW.shape == (3, 64, 96)
    assert pictures_NHW[0, 0, :2].tolist() == [0, 255]
    again_NHW = calibration_pictures(f"photos:{photos}", preprocessing, images=3, seed=0)
    np.testing.assert_array_equal(pictures_NHW, again_NHW)


def test_calibration_takes_scenes(tmp_path):
    with pytest.raises(DataError, match=r"facemask853\.zip"):
        calibration_pictures(f"detect:{tmp_path}", Preprocessing(), images=3, seed=0)


def faces(*rows):
    boxes_N4 = np.array([row[:4] for row in rows], float).reshape(-1, 4)
    scores_N = np.array([row[4] for row in rows], float)
    return Faces(boxes_N4, np.zeros((len(rows), 5, 2)), scores_N)


def test_agreement_counts_what_was_found_too():
    reference = [faces((0, 0, 10, 10, 0.9), (50, 0, 10, 10, 0.8)), faces()]
    found = [faces((0, 0, 10, 10, 0.6), (80, 0, 10, 10, 0.7)), faces((0, 0, 5, 5, 0.5))]
    assert agreement(reference, found) == pytest.approx(
        {"n": 2, "faces": 2, "found": 0.5, "extra": 1.0, "overlap": 1.0, "score_error": 0.3}
    )


def test_agreement_without_faces_has_no_shares():
    figures = agreement([faces()], [faces((0, 0, 5, 5, 0.5))])
    assert (figures["faces"], figures["found"], figures["extra"]) == (0, None, 1.0)
