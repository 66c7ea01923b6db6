"""From torch to float ONNX and TFLite."""
