"""Reads faces with every INT8 file of the shipped bundle: ``FACES.npy LOGITS.npz``."""

import sys

import numpy as np

from edge_fer.bundle import Bundle
from edge_fer.resources import find_resource
from edge_fer.runtime.classifier import Classifier
from edge_fer.runtime.engines import DEFAULT_ENGINES, ENGINE_FORMATS


def read_faces(faces_NHW: np.ndarray) -> dict[str, np.ndarray]:
    """Returns logits ``[N, K]`` by engine."""
    bundle = Bundle.load(find_resource("bundle", "small"))
    files = {one.format: one for one in bundle.manifest.files if one.precision == "int8"}
    logits = {}
    for engine in DEFAULT_ENGINES:
        classifier = Classifier(bundle, files[ENGINE_FORMATS[engine]], engine)
        fit = classifier.preprocessing.fit
        logits[engine] = np.stack([classifier.logits(fit(face)) for face in faces_NHW])
    return logits


if __name__ == "__main__":
    np.savez(sys.argv[2], **read_faces(np.load(sys.argv[1])))
