"""What a training run is made of."""

from dataclasses import asdict, dataclass, field
from typing import Any

from edge_fer.data.augment import Augmentation
from edge_fer.errors import EdgeFerError

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run: SGD with Nesterov momentum, linear warm-up, cosine decay, averaged weights.

    Attributes:
        model: Name in the zoo.
        options: The model's own arguments, e.g. ``{"attention": "none"}``.
        data: Data specification, ``name:path``.
        imagenet: Start from ImageNet weights: a file's path, ``package``, or ``None``.
        epochs: Passes over the training split.
        batch_size: Images per step.
        learning_rate: Peak, reached at the end of the warm-up.
        warmup_epochs: Epochs of linear warm-up.
        momentum: Of SGD.
        weight_decay: L2, on convolution and dense weights only.
        label_smoothing: Mass moved from the label to all classes.
        ema_decay: Of the exponential moving average of weights, which is what is evaluated and
            saved.
        seed: Of initialisation, order and augmentation.
        precision: ``auto`` is bfloat16 autocast where the hardware has it, else float32.
        augmentation: Ranges of the random changes.
    """

    model: str
    data: str
    options: dict[str, Any] = field(default_factory=dict)
    imagenet: str | None = None
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 0.1
    warmup_epochs: int = 3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "auto"
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise EdgeFerError(f"{name} must be above 0, not {getattr(self, name)}")
        if self.precision not in PRECISIONS:
            raise EdgeFerError(
                f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        return asdict(self)
