"""facial-emotion-recognition: MTCNN and a PyTorch network.

As released it does not start on a machine without CUDA: it loads its weights to the device they
were saved from. Here they are loaded to the CPU.
"""

import functools

import numpy as np
from serve import serve


class FacialEmotionRecognition:
    """The package's ``EmotionRecognition`` on the CPU."""

    pipeline = "MTCNN (facenet-pytorch), 48x48 network (PyTorch), draws boxes into the frame"

    def __init__(self) -> None:
        import cv2
        import torch

        cv2.setNumThreads(1)
        torch.set_num_threads(1)
        self._operators = _define_missing_operators()
        torch.load = functools.partial(torch.load, map_location="cpu", weights_only=True)
        from facial_emotion_recognition import EmotionRecognition

        self._recognition = EmotionRecognition(device="cpu")
        self.labels = list(self._recognition.emotions.values())
        self.classify, self._said = self._recognition._predict, []
        self._recognition._predict = self._remember

    def _remember(self, face: np.ndarray) -> str:
        self._said.append(self.classify(face))
        return self._said[-1]

    def read(self, frame: np.ndarray) -> list[str]:
        """Every face's label, caught on its way into the picture."""
        self._said = []
        self._recognition.recognise_emotion(frame)
        return self._said


def _define_missing_operators() -> object:
    """Gives torchvision its non-maximum suppression where the compiled one cannot be loaded.

    Wheels on PyPI are compiled for CUDA and do not load beside a PyTorch that has none.
    """
    import torch

    try:
        import torchvision  # noqa: F401
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.impl("nms", _suppress, "CPU")
        from torchvision import extension

        extension._has_ops = lambda: True
        return library
    return None


def _suppress(boxes: "torch.Tensor", scores: "torch.Tensor", most: float) -> "torch.Tensor":  # noqa: F821
    """Indices of the boxes that no stronger one overlaps by more than ``most``, strongest first."""
    import torch

    x1, y1, x2, y2 = boxes.numpy().T
    area = (x2 - x1) * (y2 - y1)
    left, kept = (-scores.numpy()).argsort(kind="stable"), []
    while left.size:
        first, left = left[0], left[1:]
        kept.append(int(first))
        w = np.minimum(x2[first], x2[left]) - np.maximum(x1[first], x1[left])
        h = np.minimum(y2[first], y2[left]) - np.maximum(y1[first], y1[left])
        shared = w.clip(0) * h.clip(0)
        left = left[shared <= most * (area[first] + area[left] - shared)]
    return torch.tensor(kept, dtype=torch.int64)


if __name__ == "__main__":
    serve(FacialEmotionRecognition)
