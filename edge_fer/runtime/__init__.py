"""The device side: everything that runs without a training framework."""
