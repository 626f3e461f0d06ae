"""Training speed of our loop, of the book's plain fastai and of the bare training step; and the time to 1 degree.

    python -m benchmarks --only throughput,time_to_1,help

All read the same angle images, PNG files on disk. Only the training part of an epoch is timed, not its validation.
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

VALID = 0.1  # the share of the validation part, ANGLE's own
WORKERS = 2  # processes that open images for plain fastai
ARCH = "resnet18"
HELP = ("-c", "from imgreg_fastai.cli import main; main()", "--help")  # as the script `imgreg`


def now() -> float:
    """Return seconds, after the work of the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


class Clock(Callback):
    """Measures images a second over the training part of an epoch: from asking for its first batch to its last step."""

    def before_train(self):
        self.start = now()

    def after_train(self):
        self.rate = len(self.dl) * self.dl.bs / (now() - self.start)


class Ours:
    """`imgreg train angle` with options; a call trains an epoch and returns images a second."""

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
    """Return the label in an image's name, as in the book."""
    return float(path.stem[-5:]) / 100


def plain_fastai(data, bs):
    """Return a function that trains an epoch as in the book. The book's Normalize is for pretrained weights."""
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


def bare_step(learn, bf16):
    """Return a function that repeats the training step on one ready batch, as often as an epoch has batches."""
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
    """Run all in turns, so that a change of the machine's speed affects all.

    Args:
        runners (dict): {name: function that trains an epoch and returns images a second}. Of the two bare steps, the
            slower is left out after the first turn.
        rounds (int): the number of turns after a first one to warm up.

    Returns:
        dict: {name: images a second, [rounds]}.
    """
    first = {name: run() for name, run in runners.items()}
    slower = min((name for name in runners if name.startswith("bare")), key=first.get)
    runners = {name: run for name, run in runners.items() if name != slower}
    turns = [{name: run() for name, run in runners.items()} for _ in range(rounds)]
    return {name: [turn[name] for turn in turns] for name in runners}


def rows(ours, rates: dict) -> list[dict]:
    """Return a row for each runner that is compared to ours."""
    compared = []
    for name in [n for n in rates if n != "ours"]:
        ratios = [a / b for a, b in zip(rates["ours"], rates[name], strict=True)]
        compared.append({
            "backbone": backbone(ours.cfg.arch, ours.cfg.arch_args), "bs": ours.cfg.bs,
            "pictures/s": statistics.median(rates["ours"]),
            "precision": ours.precision, "beside": name, "its pictures/s": statistics.median(rates[name]),
            "ratio": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios),
            "target": 0.9 if name.startswith("bare") else 2.5,
        })
    return compared


def backbone(arch: str, arch_args: dict) -> str:
    """Return the name of a backbone with its arguments."""
    args = ", ".join(f"{k} {v}" for k, v in arch_args.items())
    return f"{arch} ({args})" if args else arch


def measure(rounds: int = 5, n: int = 1200, bs: int = 64) -> list[dict]:
    """Compare our training to plain fastai and the bare step: for resnet18, then for the backbone of ANGLE's recipe.

    Args:
        rounds (int): the number of turns that medians are taken of.
        n (int): the number of images.
        bs (int): the batch size.

    Returns:
        list of dict: a row a comparison.
    """
    compared = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "angle"
        angle.draw(data, n)
        for options in ({"arch": ARCH, "bs": bs}, {"bs": min(bs, dict(ANGLE.recipe)["bs"])}):
            ours = Ours(data, **options)
            runners = {"plain fastai, fp32": plain_fastai(data, bs)} if "arch" in options else {}
            runners["ours"] = ours
            runners |= {f"bare step, {name}": bare_step(ours.learn, name == "bf16") for name in ("bf16", "fp32")}
            compared += rows(ours, race(runners, rounds))
    return compared


def time_to(goal: float = 1.0, rounds: int = 3, n: int = 10_000, **options) -> list[dict]:
    """Measure the time until `train("angle")` with its defaults has a validation error of `goal` degrees.

    Args:
        goal (float): the error in degrees.
        rounds (int): the number of trainings, each with its own seed.
        n (int): the number of images.
        options: of the training.

    Returns:
        list of dict: a row a seed.
    """
    return [_time_to(goal, seed, n, options) for seed in range(rounds)]


def _time_to(goal: float, seed: int, n: int, options: dict) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        start = time.time()
        angle.draw(Path(folder) / "data", n, seed=seed)
        drawn = time.time()
        run = functions.train("angle", data=Path(folder) / "data", out=folder, stop_at=("angle", goal), seed=seed,
                              **options)
        reached = (run.path / "history.csv").stat().st_mtime  # written after each epoch; the last one reached the goal
        cfg, split = run.config, run.about["data"]["split"]
        images = run.about["epochs_done"] * (split["train"] // cfg.bs) * cfg.bs
        return {
            "backbone": backbone(cfg.arch, cfg.arch_args), "goal": goal,
            "reached": "reached" in run.about["stopped"], "seed": seed,
            "seconds": reached - drawn, "with drawing": reached - start,
            "with scores and plots": time.time() - start, "images seen": images, "epochs": run.about["epochs_done"],
        }


def starting(rounds: int = 5) -> list[dict]:
    """Measure the seconds of `imgreg --help` and of Python without a program, in turns."""
    calls = {"imgreg --help": HELP, "python -c pass": ("-c", "pass")}
    turns = [{name: _seconds([sys.executable, *args]) for name, args in calls.items()} for _ in range(rounds + 1)][1:]
    return [{"command": name, "seconds": statistics.median(t[name] for t in turns),
             "lowest": min(t[name] for t in turns), "highest": max(t[name] for t in turns)} for name in calls]


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start
