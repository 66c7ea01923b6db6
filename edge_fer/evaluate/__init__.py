"""Accuracy and what goes with it."""
