"""The settings of one training run, their limits, and what each option is called in the terminal."""
import math
import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from .utils.messages import ImgregError

Loss = Literal["auto", "histogram", "mse", "l1", "huber"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Cache = Literal["auto", "on", "off"]
CHOICES = {"loss": get_args(Loss), "precision": get_args(Precision), "cache": get_args(Cache)}
# The smallest value of each setting: MINIMUM of those that are whole numbers, LOWEST of those that need not be.
MINIMUM = {"seed": 0, "epochs": 1, "freeze_epochs": 0, "bs": 2, "accumulate": 1, "patience": 1, "workers": 0,
           "folds": 2, "fold": 1}
ABOVE_0 = math.ulp(0.0)  # the smallest number above 0
LOWEST = {"time": ABOVE_0, "lr": ABOVE_0, "body_lr": ABOVE_0, "wd": 0, "save_minutes": 0,
          "fixed_norm": 0, "valid": ABOVE_0, "coverage": ABOVE_0, "test": 0, "calibrate": 0}
SHARES = ("fixed_norm", "valid", "coverage", "test", "calibrate")  # settings below 1
OPTIONAL = ("time", "lr", "bs", "workers", "patience", "stop_at", "calibrate", "folds", "fold")  # may be None
FLAGS = ("quick", "balance", "strict", "deterministic")
# From so many groups on, intervals that are guaranteed for new groups are hardly too wide: 92 to 93 % where 90 % are
# asked, see docs/intervals.md. Fewer are better calibrated in another way, and by the validation part, too.
MANY_GROUPS = 30
FEW_GROUPS = 9  # fewer are named, and are not kept from training: they tell little of new groups
# What the automatic recipe may decide for a table: the size of the images, and fields of TrainConfig.
BY_RECIPE = ("size", "arch", "epochs", "lr", "body_lr", "bs")
OPTION_NAMES = {"targets": "--target", "units": "--unit", "target_weights": "--target-weight",
                "value_range": "--range", "list_cols": "--list-col", "arch_args": "--arch-arg", "minimum": "--min",
                "maximum": "--max"}  # where the option differs from the keyword


def option_name(keyword: str) -> str:
    """The command-line option of a keyword argument: `--hold-out` for `hold_out`, `--target` for `targets`."""
    return OPTION_NAMES.get(keyword, "--" + keyword.replace("_", "-"))


def is_set(name: str, value: object) -> bool:
    """Whether a setting has a value: None is one of those to which TrainConfig gives it a meaning."""
    return value is not None or name in OPTIONAL


def names_set(**settings: object) -> frozenset[str]:
    """Return the names of the settings that have a value."""
    return frozenset(name for name, value in settings.items() if is_set(name, value))


def parse_size(text: str) -> tuple[int, int]:
    """Read `128` or `240x320` as (height, width); raises ValueError for anything else."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and int(p) >= 16 for p in parts):
        raise ValueError
    return int(parts[0]), int(parts[-1])


def parse_time(text: str) -> float:
    """Read `90s`, `30m` or `1h30m`, and `90`, as seconds; raises ValueError for anything else."""
    if re.fullmatch(r"[\d.]+", text.strip()):
        return float(text)
    match = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?", text.strip().lower())
    if match is None or not any(match.groups()):
        raise ValueError
    hours, minutes, seconds = (float(number or 0) for number in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def time_option(seconds: float) -> str:
    """The text that `parse_time` reads as so many seconds: "1h30m"."""
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = [f"{number:g}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (rest, "s")) if number]
    return "".join(parts) or "0s"


def check_setting(name: str, value: Any) -> None:
    """Raise ImgregError if the value of one field of TrainConfig is out of its limits."""
    if name in CHOICES and value not in CHOICES[name]:
        raise ImgregError(f"{option_name(name)} {', '.join(CHOICES[name])}", f"'{value}'")
    if name in FLAGS and not isinstance(value, bool):
        raise ImgregError(f"{name}=True or {name}=False", repr(value))
    if name == "stop_at" and value and not (isinstance(value[1], (int, float)) and value[1] > 0):
        raise ImgregError("--stop-at TARGET=VALUE with a value above 0", str(value[1]))
    if name not in (*MINIMUM, *LOWEST) or (value is None and name in OPTIONAL):
        return
    if name == "folds" and isinstance(value, str) and value:  # a column
        return
    kinds, kind = (int, "a whole number") if name in MINIMUM else ((int, float), "a number")
    if not isinstance(value, kinds) or isinstance(value, bool):
        raise ImgregError(f"{kind} for {option_name(name)}", repr(value))
    minimum = MINIMUM.get(name, LOWEST.get(name, 0))
    if not minimum <= value < (1 if name in SHARES else math.inf):
        limits = "above 0" if minimum == ABOVE_0 else f"of at least {minimum}"
        limits += " and below 1" if name in SHARES else ""
        share = f"{option_name(name)} {value / 100:g}" if name in SHARES and 1 < value < 100 else None
        raise ImgregError(f"{option_name(name)} {limits}", f"{value:g}", share)


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained; a task's recipe overrides these defaults, the user overrides both.

    Raises:
        ImgregError: A value is out of its limits, or two settings exclude each other.
    """

    arch: str = "resnet18"  # a timm backbone, by name
    arch_args: dict[str, Any] = field(default_factory=dict)  # keywords for timm.create_model
    weights: str = "auto"  # auto, hub, none, a weights file, or a run or model of ours
    epochs: int = 10  # passes over the training images
    time: float | None = None  # seconds from the beginning to the report, in place of epochs
    freeze_epochs: int = 0  # epochs before those in which only the head learns; for pretrained weights only
    lr: float | None = 2e-3  # the peak of the one-cycle schedule; None searches for it first
    body_lr: float = 0.2  # learning rate of a pretrained body relative to the head's: a fifth kept what ImageNet taught
    # auto: histogram for a task with plain numbers or angles, else l1, as mse's gradient fades where the error gets
    # small. Where it is not decided, as in older runs, l1. With histogram, other kinds of target are learnt by l1.
    loss: Loss = "auto"
    wd: float = 0.01  # weight decay, of all weights
    fixed_norm: float = 0.0  # last part of the training in which batch normalisation keeps its averages
    bs: int | None = 32  # images per batch; None: up to 64, fewer on small data, so that an epoch has 20 batches
    workers: int | None = None  # processes that decode images; None: 0 when the decoded images are kept in memory
    accumulate: int = 1  # batches whose gradients make one step, so that `bs` is what fits into memory at once
    precision: Precision = "auto"  # of the body while training; auto measures what is faster here
    cache: Cache = "auto"  # keep decoded images in memory; auto: when they fit
    patience: int | None = None  # stop after this many epochs without a lower validation loss
    stop_at: tuple[str, float] | None = None  # (target, error): stop when the validation error is this small
    valid: float = 0.2  # share of the images to validate on where the table has no split column
    test: float = 0.0  # share of the images to score once at the end, where the table has no split column
    calibrate: float | None = None  # share of the training part kept for intervals; None: where there are enough
    coverage: float = 0.9  # share of all images that the intervals are to hold for
    hold_out: tuple[str, ...] = ()  # groups, or folders of images, to validate on instead
    folds: int | str | None = None  # train so many times, with other groups held out each; or the column of the folds
    fold: int | None = None  # which of the folds this run is, from 1
    quick: bool = False  # fit a ridge to the frozen features of the backbone, and train nothing
    balance: bool = False  # count rare labels of plain numbers more
    deterministic: bool = False  # the same weights from the same command: precision and threads are not left to timing
    save_minutes: float = 10.0  # how often the state of the training is saved within an epoch
    strict: bool = False  # stop at any issue of the labels and images
    seed: int = 0  # of the split, the first weights and the order; the same numbers again need the same precision too
    device: str = "auto"  # auto, cpu, cuda, cuda:1, mps

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            check_setting(name, value)
        if isinstance(self.hold_out, str):
            raise ImgregError("hold_out: a tuple of names", repr(self.hold_out))
        if self.valid + self.test >= 1:
            raise ImgregError("--valid and --test of less than 1 together", f"{self.valid} and {self.test}")
        if self.test and self.folds:
            raise ImgregError("--test or --folds: each fold's held-out part is its test", "both")
        if self.hold_out and self.folds:
            raise ImgregError("--hold-out or --folds, not both", f"{', '.join(self.hold_out)} and {self.folds}")
        if self.fold and not (isinstance(self.folds, int) and self.fold <= self.folds):
            raise ImgregError("a fold out of the folds", f"fold {self.fold} of {self.folds}")

    @property
    def n_trainings(self) -> int:
        """How many trainings share the time that the user sets: all folds, or one."""
        return int(self.folds or 1) if self.fold else 1

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can hold them."""
        return asdict(self)


def fewest_to_calibrate(coverage: float) -> int:
    """Return how many images, or groups of them, a calibration for `coverage` takes: fewer have no such quantile."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def config_from_dict(settings: dict[str, Any]) -> TrainConfig:
    """Return the settings that `TrainConfig.to_dict` wrote."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return TrainConfig(**values)
