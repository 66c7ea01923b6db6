"""Training: loop, state and checkpoints."""
