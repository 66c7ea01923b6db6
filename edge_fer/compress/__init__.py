"""Calibration, quantization and audit."""
