"""Learning rates: pure functions of where a stage is."""

import math

from edge_fer.train.config import Stage


def learning_rate(stage: Stage, step: int, steps_per_epoch: int, cuts: int = 0) -> float:
    """Returns the learning rate of a step.

    Args:
        stage: Its schedule.
        step: Counted from the stage's start.
        steps_per_epoch: Steps in an epoch.
        cuts: How often a plateau was met so far.
    """
    warmup = stage.warmup_epochs * steps_per_epoch
    if step < warmup:
        return stage.learning_rate * (step + 1) / warmup
    epochs = step / steps_per_epoch
    if stage.schedule == "cosine":
        done = (step - warmup) / max(1, stage.epochs * steps_per_epoch - warmup)
        return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
    if stage.schedule == "plateau":
        return stage.learning_rate * stage.decay**cuts
    if stage.schedule == "step":
        return stage.learning_rate * stage.decay ** int(epochs / stage.decay_epochs)
    if stage.schedule == "inverse_time":
        return stage.learning_rate / (1 + stage.decay * epochs / stage.decay_epochs)
    return stage.learning_rate
