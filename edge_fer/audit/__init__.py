"""Is it really INT8, and what runs where? Any ``.tflite`` or ``.onnx``; needs no torch."""
