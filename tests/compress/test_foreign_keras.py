"""Keras models through ``edge-fer quantize``; needs the extra ``keras``."""

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge_fer.bundle import Bundle
from edge_fer.compress.description import read_description
from edge_fer.errors import MissingExtraError, ModelError
from edge_fer.runtime.classifier import Classifier
from tests.compress.patterned import DESCRIPTION, LABELS, patterned, write_folder

INSTALLED = importlib.util.find_spec("tensorflow") is not None
needs_keras = pytest.mark.skipif(not INSTALLED, reason="TensorFlow is not installed (extra keras)")
IMAGES = 200
#: MobileNetV1, alpha 0.25, 48x48, in a process of its own: TensorFlow warns on import. The second
#: half trains with fixed batch norms, as they are when the model is used.
TRAIN = """
import sys
import numpy as np
import keras
from tests.compress.patterned import LABELS, patterned

keras.utils.set_random_seed(0)
out = sys.argv[1]
images, labels = patterned(384, seed=0)
x = (images / 255.0).astype("float32")[..., None]
model = keras.applications.MobileNet(
    weights=None, alpha=0.25, input_shape=(48, 48, 1), classes=len(LABELS), dropout=1e-3
)
norms = [one for one in model.layers if isinstance(one, keras.layers.BatchNormalization)]
loss = "sparse_categorical_crossentropy"
for one in norms:
    one.momentum = 0.8
model.compile(keras.optimizers.Adam(3e-3), loss)
model.fit(x, labels, epochs=6, batch_size=32, verbose=0)
for one in norms:
    one.momentum = 0.0
model(x, training=True)
for one in norms:
    one.trainable = False
model.compile(keras.optimizers.Adam(1e-3), loss)
model.fit(x, labels, epochs=14, batch_size=32, verbose=0)
model.save(out + "/mine.keras")
model.save(out + "/mine.h5")
tests, _ = patterned(200, seed=1)
scores = np.asarray(model((tests / 255.0).astype("float32")[..., None], training=False))
np.save(out + "/scores.npy", scores)
"""


def run(arguments, folder):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with ``mine.keras``, ``mine.h5``, ``mine.toml``, ``scores.npy`` and ``faces``."""
    folder = tmp_path_factory.mktemp("keras")
    done = run(["-c", TRAIN, folder], folder)
    assert done.returncode == 0, done.stderr
    text = DESCRIPTION.format(layout="NHWC", output="probabilities")
    (folder / "mine.toml").write_text(text)
    write_folder(folder / "faces", *patterned(200, seed=2))
    return folder


@needs_keras
@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_mobilenet_of_keras_gives_the_same_labels(trained, suffix):
    out = trained / f"bundle{suffix[1:]}"
    arguments = ["-m", "edge_fer.cli", "quantize", f"mine{suffix}", "--describe", "mine.toml"]
    arguments += ["--calibration", "folder:faces", "--out", out, "--json", "--quiet"]
    done = run(arguments, trained)
    assert done.returncode == 0, done.stderr
    rows = {row["precision"]: row for row in json.loads(done.stdout)["rows"]}
    assert rows["fp32"]["max_probability_error"] < 1e-4
    bundle = Bundle.load(out)
    assert [file.file for file in bundle.manifest.files] == [
        "model.fp32.tflite",
        "model.int8.tflite",
    ]
    expected = np.load(trained / "scores.npy").argmax(1).tolist()
    assert set(expected) == set(range(len(LABELS)))
    images, _ = patterned(IMAGES, seed=1)
    for file in bundle.manifest.files:
        classifier = Classifier(bundle, file, "litert")
        found = [int(classifier.logits(image).argmax()) for image in images]
        assert found == expected, file.file


def archive(path, layer):
    """A ``.keras`` file with one layer."""
    config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}}
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("config.json", json.dumps(config))
        out.writestr("metadata.json", json.dumps({"keras_version": "3.15.1"}))


@pytest.fixture
def description(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(DESCRIPTION.format(layout="NHWC", output="probabilities"))
    return read_description(file)


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ({"module": "keras.layers", "class_name": "Lambda", "config": {}}, "Lambda"),
        ({"module": "builtins", "class_name": "function", "config": "eval"}, "function"),
        ({"module": "os", "class_name": "system", "config": {}}, "os"),
        ({"module": "mine", "class_name": "Layer", "registered_name": "mine>Layer"}, "Layer"),
        (
            {
                "module": "keras.layers",
                "class_name": "Dense",
                "config": {"activation": {"class_name": "__lambda__", "config": {}}},
            },
            "__lambda__",
        ),
    ],
    ids=["lambda layer", "function", "module", "custom", "lambda"],
)
def test_what_is_code_is_refused_before_keras_reads_it(tmp_path, layer, said):
    from edge_fer.compress.foreign_keras import _load

    path = tmp_path / "mine.keras"
    archive(path, layer)
    with pytest.raises(ModelError, match=said):
        _load(path)


@needs_keras
@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_no_model_is_one_line(tmp_path, suffix, content):
    from edge_fer.compress.foreign_keras import _load

    path = tmp_path / f"mine{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="mine"):
        _load(path)
    with pytest.raises(ModelError, match="no such file"):
        _load(tmp_path / f"none{suffix}")


@pytest.mark.skipif(INSTALLED, reason="TensorFlow is installed")
def test_without_tensorflow_the_extra_is_named(tmp_path, description):
    from edge_fer.compress.foreign_keras import open_keras

    with pytest.raises(MissingExtraError, match=r"edge-fer\[keras\]"):
        open_keras(tmp_path / "mine.keras", description)
