"""Expression vocabularies. Order is the order of a model's outputs.

``EXPRESSIONS`` is the canonical vocabulary: its first seven names, in their order, are FER2013's.
Readers translate the codes of their dataset into these names with the maps below.
"""

FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
EXPRESSIONS = (*FER2013_LABELS, "contempt")

SIX = FER2013_LABELS[:6]
SEVEN = FER2013_LABELS
EIGHT = EXPRESSIONS

MICRO_3 = ("negative", "positive", "surprise")
MICRO_4 = (*MICRO_3, "others")

FERPLUS_COLUMNS = (
    "neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt", "unknown", "nf",
)  # fmt: skip
RAF_DB_CODES = {
    1: "surprise", 2: "fear", 3: "disgust", 4: "happy", 5: "sad", 6: "angry", 7: "neutral",
}  # fmt: skip
CK_PLUS_CODES = {
    0: "neutral", 1: "angry", 2: "contempt", 3: "disgust", 4: "fear", 5: "happy", 6: "sad",
    7: "surprise",
}  # fmt: skip
AFFECTNET_CODES = {
    0: "neutral", 1: "happy", 2: "sad", 3: "surprise", 4: "fear", 5: "disgust", 6: "angry",
    7: "contempt",
}  # fmt: skip
JAFFE_CODES = {
    "AN": "angry", "DI": "disgust", "FE": "fear", "HA": "happy", "NE": "neutral", "SA": "sad",
    "SU": "surprise",
}  # fmt: skip

CASME_LABELS = (
    "happy", "sad", "disgust", "surprise", "contempt", "fear", "repression", "tense",
)  # fmt: skip
CASME2_LABELS = ("happy", "disgust", "repression", "surprise", "sad", "fear", "others")
SAMM_LABELS = ("angry", "contempt", "disgust", "fear", "happy", "sad", "surprise", "others")

_SPELLINGS = {
    "angry": ("anger",),
    "disgust": ("disgusted",),
    "fear": ("fearful", "afraid", "scared"),
    "happy": ("happiness", "joy", "amusement"),
    "sad": ("sadness",),
    "surprise": ("surprised", "suprise"),
    "neutral": ("neutrality",),
    "contempt": ("contemptuous",),
    "others": ("other",),
    "repression": ("repressed",),
    "tense": ("tension",),
}
_CANONICAL = {name: name for name in (*_SPELLINGS, *MICRO_4)} | {
    spelling: name for name, spellings in _SPELLINGS.items() for spelling in spellings
}
_MICRO_CLASSES = {
    "happy": "positive",
    "angry": "negative", "contempt": "negative", "disgust": "negative", "fear": "negative",
    "repression": "negative", "sad": "negative",
    "surprise": "surprise",
    "tense": "others",
}  # fmt: skip


def canonical_label(name: str) -> str | None:
    """Returns edge-fer's name of a class, e.g. ``happy`` for ``Happiness``, or None."""
    return _CANONICAL.get(name.strip().lower())


def micro_label(name: str) -> str | None:
    """Returns negative, positive, surprise or others for an emotion, None for any other class.

    Repression counts as negative, as in the MEGC2019 composite; tension, which is in none of that
    challenge's datasets, counts as others.
    """
    canonical = canonical_label(name)
    if canonical in MICRO_4:
        return canonical
    return _MICRO_CLASSES.get(canonical or name)
