"""Expression vocabularies. Order is the order of a model's outputs."""

FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
