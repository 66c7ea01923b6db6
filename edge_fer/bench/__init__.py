"""Latency, size, memory and cost."""
