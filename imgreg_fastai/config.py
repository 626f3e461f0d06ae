"""The settings of one training run."""
import math
from dataclasses import asdict, dataclass, field

from .utils.errors import ImgregError

LOSSES = ("auto", "mse", "l1", "huber")
PRECISIONS = ("auto", "fp32", "bf16", "fp16")
CACHES = ("auto", "on", "off")


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; a Task's recipe overrides these defaults, the user overrides both."""

    arch: str = "resnet18"  # a timm backbone, by name
    arch_args: dict = field(default_factory=dict)  # keywords for timm.create_model
    weights: str = "auto"  # auto, hub, none, a weights file, or a run or model of ours
    epochs: int = 10  # times through the training part
    freeze_epochs: int = 0  # epochs before those in which only the head learns; for pretrained weights only
    lr: float | None = 2e-3  # the one-cycle peak; None looks for it first
    body_lr: float = 0.2  # a pretrained body's rate as a part of the head's: a fifth kept what ImageNet taught
    loss: str = "auto"  # auto is l1: mse's gradient fades as the error gets small
    wd: float = 0.01  # weight decay, of all weights
    bs: int | None = 32  # pictures a batch; None: up to 64, fewer on small data, so that an epoch has 20 batches
    workers: int | None = None  # processes that decode pictures; None: 0 when the decoded pictures are kept in memory
    precision: str = "auto"  # of the body while training; auto measures what is faster here
    cache: str = "auto"  # keep decoded pictures in memory; auto: when they fit
    patience: int | None = None  # stop after so many epochs without a better validation loss
    stop_at: tuple[str, float] | None = None  # (target, error): stop when the validation error is as small
    valid: float = 0.2  # the part kept for validation where the table has no split column
    test: float = 0.0  # the part kept for one scoring at the end, where the table has no split column
    calibrate: float | None = None  # the part of the training part kept for intervals; None: where there are enough
    coverage: float = 0.9  # the part of all pictures that the intervals are to hold for
    hold_out: tuple[str, ...] = ()  # groups, or folders of pictures, to validate on instead
    folds: int | None = None  # train so many times, each time with other groups held out
    fold: int | None = None  # which of them this run is, from 1
    balance: bool = False  # count rare labels of plain numbers more
    strict: bool = False  # stop at any fault of the labels and pictures
    seed: int = 0  # of the split, the first weights and the order; the same numbers again need the same precision too
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps

    def __post_init__(self):
        for name, known in (("loss", LOSSES), ("precision", PRECISIONS), ("cache", CACHES)):
            if getattr(self, name) not in known:
                raise ImgregError(f"--{name} {', '.join(known)}", f"'{getattr(self, name)}'")
        for name in ("lr", "body_lr", "wd", "valid", "test", "calibrate", "coverage"):
            if not isinstance(getattr(self, name), (int, float, type(None))):
                raise ImgregError(f"a number for {name}", repr(getattr(self, name)))
        for name in ("lr", "body_lr"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ImgregError(f"--{_dashed(name)} above 0", str(value))
        if not 0 < self.valid < 1 or not 0 <= self.test < 1 or self.valid + self.test >= 1:
            raise ImgregError("--valid above 0 and --test of at least 0, less than 1 together",
                              f"{self.valid} and {self.test}")
        if not 0 <= (self.calibrate or 0) < 1:
            raise ImgregError("--calibrate of at least 0 and less than 1", str(self.calibrate))
        if self.coverage is None or not 0 < self.coverage < 1:
            raise ImgregError("--coverage between 0 and 1", str(self.coverage))
        if self.test and self.folds:
            raise ImgregError("--test or --folds: each fold's held-out part is its test", "both")
        if not 0 <= self.wd < math.inf:
            raise ImgregError("--wd of at least 0", str(self.wd))
        least = {"seed": 0, "epochs": 1, "freeze_epochs": 0, "bs": 2, "patience": 1, "workers": 0, "folds": 2,
                 "fold": 1}
        if isinstance(self.hold_out, str):
            raise ImgregError("hold_out: a tuple of names", repr(self.hold_out))
        if self.fold and not self.fold <= (self.folds or 0):
            raise ImgregError("a fold out of the folds", f"fold {self.fold} of {self.folds}")
        if self.hold_out and self.folds:
            raise ImgregError("--hold-out or --folds, not both", f"{', '.join(self.hold_out)} and {self.folds}")
        for name, lowest in least.items():
            value = getattr(self, name)
            if not isinstance(value, (int, type(None))):
                raise ImgregError(f"a whole number for {name}", repr(value))
            if value is not None and value < lowest:
                raise ImgregError(f"--{_dashed(name)} of at least {lowest}", str(value))

    def to_dict(self) -> dict:
        """The settings as JSON can hold them."""
        return asdict(self)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def fewest_to_calibrate(coverage: float) -> int:
    """How many pictures, or groups of them, the promise of a coverage takes: fewer have no such `quantile`."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def config_from_dict(fields_: dict) -> TrainConfig:
    """The settings that `to_dict` wrote."""
    lists = {"stop_at": tuple(fields_["stop_at"]) if fields_.get("stop_at") else None,
             "hold_out": tuple(fields_.get("hold_out", ()))}
    return TrainConfig(**{**fields_, **lists})
