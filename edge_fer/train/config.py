"""What a training run is made of: a model, data, and one stage of training after the other."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from edge_fer.data.augment import Augmentation
from edge_fer.errors import EdgeFerError

CHOICES: Mapping[str, tuple[str, ...]] = {
    "target": ("labels", "landmarks"),
    "optimizer": ("sgd", "adam"),
    "schedule": ("cosine", "plateau", "step", "inverse_time", "constant"),
    "monitor": ("accuracy", "loss"),
    "class_balance": ("none", "weights", "balanced_softmax"),
}
PRECISIONS = ("auto", "float32", "bfloat16")
_ABOVE_ZERO = ("epochs", "batch_size", "learning_rate", "decay_epochs", "distill_temperature")
_FRACTIONS = ("label_smoothing", "votes", "distill", "mix", "ema_decay", "momentum")
_NOT_BELOW_ZERO = ("weight_decay", "clip_norm", "warmup_epochs", "patience", "mixup", "cutmix")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of a run. Its defaults are a good start for a small network from scratch.

    Attributes:
        name: What it is called in metrics and in overrides.
        target: What is learnt: ``labels``, or ``landmarks`` (ensembles of parts only).
        trained: ``all``, ``head`` (the backbone is frozen, its batch norms too), or ``from:LAYER``
            (the head, and the backbone from that layer on; all its batch norms stay frozen).
        epochs: Passes over the training split, at most.
        batch_size: Images per step, over all processes.
        optimizer: ``sgd`` (Nesterov if there is momentum) or ``adam``.
        learning_rate: Peak, reached at the end of the warm-up.
        warmup_epochs: Epochs of linear warm-up.
        momentum: Of SGD.
        weight_decay: L2 on convolution and dense weights, as a gradient: the loss has half of it
            times the squared weights.
        schedule: ``cosine`` to zero; ``plateau``, times ``decay`` after ``decay_epochs`` epochs
            without a better monitor; ``step``, times ``decay`` every ``decay_epochs``;
            ``inverse_time``, over ``1 + decay * epochs / decay_epochs``; or ``constant``.
        decay: See ``schedule``.
        decay_epochs: See ``schedule``.
        monitor: What of the validation split plateaus and patience look at.
        patience: Epochs without a better monitor after which the stage ends; 0: never.
        clip_norm: Largest global norm of the gradient; 0: no limit.
        label_smoothing: Mass moved from the label to all classes.
        votes: Mass moved from the label to the annotators' votes, where the data have them.
        class_balance: ``weights`` of inverse frequency (mean 1 over faces), or
            ``balanced_softmax`` (logits plus the log prior in training; Ren et al. 2020).
        mix: Probability that a batch is mixed.
        mixup: Alpha of mixup's beta distribution (Zhang et al. 2018); 0: none.
        cutmix: The same of CutMix (Yun et al. 2019); where both are set, each has half.
        ema_decay: Of the exponential moving average of weights, which is what is evaluated and
            saved; 0 keeps the last weights.
        distill: Share of the teachers' answers in the loss (Hinton et al. 2015).
        distill_temperature: Of both softmaxes there.
        distill_once: The teachers answer once to each face, clear and not augmented, and to its
            mirror image, instead of to every batch, most of the work of a small student.
        fake_quant: Compute as INT8 would, so that the weights learn to bear it.
        augmentation: Ranges of the random changes.
    """

    name: str = "train"
    target: str = "labels"
    trained: str = "all"
    epochs: int = 100
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    warmup_epochs: int = 3
    momentum: float = 0.9
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    decay: float = 0.1
    decay_epochs: float = 10
    monitor: str = "accuracy"
    patience: int = 0
    clip_norm: float = 0.0
    label_smoothing: float = 0.1
    votes: float = 0.0
    class_balance: str = "none"
    mix: float = 0.0
    mixup: float = 0.2
    cutmix: float = 1.0
    ema_decay: float = 0.999
    distill: float = 0.0
    distill_temperature: float = 2.0
    distill_once: bool = False
    fake_quant: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise EdgeFerError(
                    f"{name} {getattr(self, name)!r} is not one of {', '.join(known)}"
                )
        self._check_numbers()
        if self.fake_quant and self.target == "landmarks":
            raise EdgeFerError("fake_quant is for stages that learn labels")
        if self.distill_once and self.mix > 0:
            raise EdgeFerError("distill_once is for faces that are not mixed: set mix=0")
        if self.trained not in ("all", "head") and not self.trained.startswith("from:"):
            raise EdgeFerError(f"trained {self.trained!r} is not all, head or from:LAYER")

    def _check_numbers(self) -> None:
        for name in _ABOVE_ZERO:
            if not getattr(self, name) > 0:
                raise EdgeFerError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in _FRACTIONS:
            if not 0 <= getattr(self, name) <= 1:
                raise EdgeFerError(f"{name} must be within 0..1, not {getattr(self, name)}")
        for name in _NOT_BELOW_ZERO:
            if not getattr(self, name) >= 0:
                raise EdgeFerError(f"{name} must not be below 0, but is {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """One training run.

    Attributes:
        model: Name in the zoo.
        data: Data specification, ``name:path``.
        stages: Done in order; each starts from the best weights of the one before.
        recipe: Name of the recipe that they come from.
        options: The model's own arguments, e.g. ``{"attention": "none"}``.
        pretrained: Start from weights of others: a file's path, ``package``, or ``None``.
        init: Checkpoint to start from: its weights, and its widths if it is pruned; empty: none.
        input_px: Side of the network's input; 0: the model's own.
        teachers: Checkpoints whose mean answer is distilled.
        protocol: File of ``edge-fer data split``; empty: the dataset's own splits.
        fold: Its fold; empty: its only one.
        faces: Train on so many faces, drawn by lot with every class in its share; 0: on all.
        landmarks: Cache of landmarks, for a stage with that target.
        seed: Of initialisation, order and augmentation.
        precision: ``auto`` is bfloat16 autocast where the hardware has it, else float32.
    """

    model: str
    data: str
    stages: tuple[Stage, ...] = (Stage(),)
    recipe: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    pretrained: str | None = None
    init: str = ""
    input_px: int = 0
    teachers: tuple[str, ...] = ()
    protocol: str = ""
    fold: str = ""
    faces: int = 0
    landmarks: str = ""
    seed: int = 0
    precision: str = "auto"

    def __post_init__(self) -> None:
        if not self.stages:
            raise EdgeFerError("a training run needs at least one stage")
        names = [stage.name for stage in self.stages]
        if len(set(names)) < len(names):
            raise EdgeFerError(f"two stages have one name: {', '.join(names)}")
        if self.stages[-1].target != "labels":
            raise EdgeFerError("the last stage has to learn labels")
        if self.precision not in PRECISIONS:
            raise EdgeFerError(
                f"precision {self.precision!r} is not one of {', '.join(PRECISIONS)}"
            )
        if any(stage.distill for stage in self.stages) and not self.teachers:
            raise EdgeFerError("a recipe that distills needs teachers: give --teacher CHECKPOINT")
        if self.faces < 0 or self.input_px < 0 or self.seed < 0:
            raise EdgeFerError("faces, input_px and seed must not be below 0")

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, for JSON."""
        return asdict(self)
