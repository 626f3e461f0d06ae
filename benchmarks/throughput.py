"""Training speed: our loop beside the book's plain fastai and beside the bare training step; and the way to 1 degree.

    python -m benchmarks --only throughput,time_to_1,help

All see the same angle pictures, PNG files on disk; only the training part of an epoch is timed, never its validation.
"""
import copy
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from fastai.callback.core import Callback
from fastai.data.block import DataBlock, RegressionBlock
from fastai.data.transforms import Normalize, RandomSplitter, get_image_files
from fastai.vision.augment import aug_transforms
from fastai.vision.core import imagenet_stats
from fastai.vision.data import ImageBlock
from fastai.vision.learner import vision_learner

from imgreg_fastai.api import functions
from imgreg_fastai.datasets import angle
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.training import loop, precision

VALID = 0.1  # the part left to validation by all; ANGLE's own
WORKERS = 2  # processes that open pictures for plain fastai
ARCH = "resnet18"
HELP = ("-c", "from imgreg_fastai.cli import main; main()", "--help")  # what the `imgreg` script does


def now() -> float:
    """Seconds, after the GPU, if there is one, has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock(Callback):
    """Pictures a second over the training part of an epoch, from asking for its first batch to its last step."""

    def before_train(self):
        self.start = now()

    def after_train(self):
        self.rate = len(self.dl) * self.dl.bs / (now() - self.start)


class Ours:
    """`imgreg train angle` with `options`; a call trains an epoch and returns pictures a second."""

    def __init__(self, data, **options):
        options = {"data": data, "weights": "none", "epochs": 1, "valid": VALID, **options}  # none: nothing to download
        self.cfg = functions.prepare("angle", **options).config
        self.learn = functions.learner("angle", **options)
        self.precision = precision.choose_precision(self.learn, self.cfg.precision)
        self.clock = Clock()
        self.learn.add_cb(self.clock)

    def __call__(self):
        loop.fit(self.learn, self.cfg, loop.TrainingWatch(), False, self.precision)
        return self.clock.rate


def degrees(path):
    """The label in a picture's name, as a reader of the book would take it."""
    return float(path.stem[-5:]) / 100


def plain(data, bs):
    """fastai as the book has it; returns what trains an epoch. Normalize is what it adds for pretrained weights."""
    block = DataBlock(
        blocks=(ImageBlock, RegressionBlock), get_items=get_image_files, get_y=degrees,
        splitter=RandomSplitter(VALID, seed=0), batch_tfms=[*aug_transforms(), Normalize.from_stats(*imagenet_stats)],
    )
    dls, clock = block.dataloaders(data, bs=bs, num_workers=WORKERS), Clock()
    learn = vision_learner(dls, ARCH, pretrained=False, y_range=(0, 180), cbs=clock)

    def epoch():
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1)
        return clock.rate

    return epoch


def bare(learn, bf16):
    """The training step of `learn`'s network on one ready batch, as often as an epoch has batches."""
    pictures, *labels = learn.dls.train.one_batch()
    x = pictures.as_subclass(torch.Tensor).contiguous(memory_format=torch.channels_last)
    body, head = model = copy.deepcopy(learn.model).train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

    def epoch():
        start = now()
        for _ in range(len(learn.dls.train)):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=bf16):
                features = body(x)
            learn.loss_func(head(features.float()), *labels).backward()
            opt.step()
            opt.zero_grad()
        return len(learn.dls.train) * len(x) / (now() - start)

    return epoch


def race(runners: dict, rounds: int) -> dict:
    """Pictures a second of each runner, {name: [rounds]}, in turn so that a change of the machine meets them all.

    The first round warms up and is left out; of two bare steps it keeps the faster.
    """
    first = {name: run() for name, run in runners.items()}
    slower = min((name for name in runners if name.startswith("bare")), key=first.get)
    runners = {name: run for name, run in runners.items() if name != slower}
    turns = [{name: run() for name, run in runners.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in runners}


def rows(ours, rates: dict) -> list[dict]:
    """A row for each runner beside ours."""
    made = []
    for name in [n for n in rates if n != "ours"]:
        ratios = [a / b for a, b in zip(rates["ours"], rates[name], strict=True)]
        made.append({
            "backbone": backbone(ours.cfg), "bs": ours.cfg.bs, "pictures/s": statistics.median(rates["ours"]),
            "precision": ours.precision, "beside": name, "its pictures/s": statistics.median(rates[name]),
            "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios),
            "target": 0.9 if name.startswith("bare") else 2.5,
        })
    return made


def backbone(cfg) -> str:
    """The backbone as a line names it."""
    return f"{cfg.arch} ({', '.join(f'{k} {v}' for k, v in cfg.arch_args.items())})" if cfg.arch_args else cfg.arch


def measure(rounds: int = 5, n: int = 1200, bs: int = 64) -> list[dict]:
    """Our training beside plain fastai's and the bare step's: resnet18, then the backbone of ANGLE's recipe."""
    made = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "angle"
        angle.draw(data, n)
        for options in ({"arch": ARCH, "bs": bs}, {"bs": min(bs, dict(ANGLE.recipe)["bs"])}):
            ours = Ours(data, **options)
            runners = {"plain fastai, fp32": plain(data, bs)} if "arch" in options else {}
            runners["ours"] = ours
            runners |= {f"bare step, {name}": bare(ours.learn, name == "bf16") for name in ("bf16", "fp32")}
            made += rows(ours, race(runners, rounds))
    return made


def time_to(goal: float = 1.0, rounds: int = 3, n: int = 10_000, **options) -> list[dict]:
    """Seconds until `functions.train("angle")`, as it comes, has a validation error of `goal` degrees; a row a seed."""
    return [_time_to(goal, seed, n, options) for seed in range(rounds)]


def _time_to(goal: float, seed: int, n: int, options: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        angle.draw(Path(folder) / "data", n, seed=seed)
        drawn = time.time()
        run = functions.train("angle", data=Path(folder) / "data", out=folder, stop_at=("angle", goal), seed=seed, **options)
        epochs = (run.path / "history.csv").stat()  # written at the end of each epoch, the last the one that reached it
        cfg, split = run.config, run.about["data"]["split"]
        seen = run.about["epochs_done"] * (split["train"] // cfg.bs) * cfg.bs
        return {
            "backbone": backbone(cfg), "goal": goal, "reached": "reached" in run.about["stopped"], "seed": seed,
            "seconds": epochs.st_mtime - drawn, "with drawing": epochs.st_mtime - start,
            "with scores and plots": time.time() - start, "pictures seen": seen, "epochs": run.about["epochs_done"],
        }


def starting(rounds: int = 5) -> list[dict]:
    """Median seconds of `imgreg --help` and of Python doing nothing, in turn."""
    calls = {"imgreg --help": HELP, "python -c pass": ("-c", "pass")}
    turns = [{name: _seconds([sys.executable, *args]) for name, args in calls.items()} for _ in range(rounds + 1)][1:]
    return [{"command": name, "seconds": statistics.median(t[name] for t in turns),
             "lowest": min(t[name] for t in turns), "highest": max(t[name] for t in turns)} for name in calls]


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start
