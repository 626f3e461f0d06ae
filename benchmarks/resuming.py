"""A training that is killed at random moments and resumed ends as one that was not: the same weights and history.

    python -m benchmarks --only resuming

Each training is a process of its own that ends by SIGKILL. The processes are forks of one that has imported imgreg,
since imports take longer than the training.
"""
import json
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file

from imgreg_fastai.datasets import angle
from imgreg_fastai.training.checkpoint import LAST, PREVIOUS, read_checkpoint

EPOCHS = 4
TRAIN = ["train", "angle", "--arch", "test_resnet", "--weights", "none", "--size", "32", "--bs", "8", "--workers", "0",
         "--lr", "0.01", "--calibrate", "0.2", "--epochs", str(EPOCHS), "--device", "cpu", "--deterministic",
         "--save-minutes", "0.0005"]  # a checkpoint at every second step or so
SECONDS = 120  # after which a process hangs


class Moment(NamedTuple):
    """When to kill a training.

    Attributes:
        name: What it does then.
        is_reached: Tells it by the run folder.
        wait: Seconds from then to the kill.
    """

    name: str
    is_reached: Callable[[Path], bool]
    wait: float


def measure(n: int = 20, seed: int = 0) -> list[dict]:
    """Kill and resume `n` trainings; returns a row for each, and the number of those that ended as the whole one."""
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw(folder)
        whole = train_whole(folder)
        rows = [kill_and_resume(folder, draw_moment(rng, i), rng, whole) for i in range(n)]
    n_same = sum(not row["differs in"] for row in rows)
    return [*rows, {"killed while": "all", "differs in": f"{n_same} of {n} the same"}]


def draw(folder: Path) -> None:
    """Draw the images of the trainings."""
    angle.draw(folder / "data", n=80, size=32, seed=1, jobs=1)


def train_whole(folder: Path) -> Path:
    """Train without an interruption; returns the run folder."""
    code, output = ended(start([*TRAIN, "--data", str(folder / "data"), "--out", str(folder / "whole")],
                               folder / "whole.log"), folder / "whole.log")
    if code:
        raise RuntimeError(output)
    return folder / "whole" / "angle-001"


def kill_and_resume(folder: Path, moment: Moment, rng: np.random.Generator, whole: Path) -> dict:
    """Kill a training, resume it, half of the times kill that too, until it is trained; compare it with the whole one.
    """
    out, log = Path(tempfile.mkdtemp(dir=folder)), folder / "output.log"
    run = out / "angle-001"
    process = start([*TRAIN, "--data", str(folder / "data"), "--out", str(out)], log)
    kill(process, run, moment)
    row: dict = {"killed while": moment.name, "found": describe(run)}
    if rng.random() < 0.5:
        wait = rng.uniform(0, 2.5)
        kill(start(["resume", str(run)], log), run, Moment("resuming", lambda _: True, wait))
        row["killed again"] = f"after {wait:.1f} s: {describe(run)}"
    code, output = ended(start(["resume", str(run)], log), log)
    return row | {"differs in": ", ".join(differences(whole, run)) if code == 0 else output.splitlines()[-1]}


# ---- moments


def draw_moment(rng: np.random.Generator, i: int) -> Moment:
    """Draw the moment of the kill `i`: each of five kinds in turn, in an epoch and after seconds that are random."""
    n_epochs = int(rng.integers(0, EPOCHS))
    moments = [
        Moment("an epoch runs", lambda run: count_epochs(run) >= n_epochs and (run / LAST).exists(),
               rng.uniform(0, 0.25)),
        Moment("a checkpoint is written", lambda run: count_epochs(run) >= n_epochs and is_writing(run),
               rng.uniform(0, 0.004)),
        Moment("checkpoints are renamed", lambda run: (count_epochs(run) >= n_epochs and (run / PREVIOUS).exists()
                                                       and not (run / LAST).exists()), 0.0),
        Moment("there is no checkpoint yet", lambda run: (run / "run.json").exists(), rng.uniform(0, 0.2)),
        Moment("it is scored and reported", lambda run: read_state(run) == "scoring", rng.uniform(0, 1.2)),
    ]
    return moments[i % len(moments)]


def count_epochs(run: Path) -> int:
    """The number of epochs in the history of a run."""
    try:
        return len((run / "history.csv").read_bytes().splitlines()) - 1
    except FileNotFoundError:
        return 0


def is_writing(run: Path) -> bool:
    """Whether a checkpoint is being written: safetensors writes .tmpXXXXXX, which becomes .last.ckpt.PID."""
    try:
        return any(name.startswith((".tmp", f".{LAST}")) for name in os.listdir(run))
    except FileNotFoundError:
        return False


def read_state(run: Path) -> str:
    """The state in a run.json."""
    file = run / "run.json"
    return json.loads(file.read_text(encoding="utf-8"))["state"] if file.exists() else ""


def describe(run: Path) -> str:
    """Describe what a kill has left."""
    saved = read_checkpoint(run)
    if saved is None:
        texts = ["no checkpoint"]
    elif saved.progress.cycle is None:
        texts = [f"all {saved.progress.epoch} epochs", read_state(run)]
    else:
        texts = [f"epoch {saved.progress.epoch + 1}, step {saved.progress.step_in_epoch}"]
        texts += [] if (run / LAST).exists() else [f"no {LAST}"]
    return ", ".join(texts + ["a temporary file"] * any(run.rglob(".*")))


# ---- processes


def start(arguments: list[str], log: Path, prepare: Callable[[], None] | None = None) -> BaseProcess:
    """Start `imgreg` in a process of its own.

    Args:
        arguments: Of the command line.
        log: The file that it writes its output to, which is replaced.
        prepare: What the process does before; a function of a module.

    Returns:
        The process, running.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["imgreg_fastai.cli", "imgreg_fastai.api.resumption"])
    process = context.Process(target=_run_command, args=(arguments, log, prepare))
    process.start()
    return process


def _run_command(arguments: list[str], log: Path, prepare: Callable[[], None] | None) -> None:
    """Run `imgreg` in this process, with its output in a file."""
    from imgreg_fastai import cli

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout, sys.stderr = open(1, "w", buffering=1), open(2, "w", buffering=1)  # noqa: SIM115  until it ends
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a script that was started with `&` ignores it
    if prepare:
        prepare()
    cli.main(arguments)


def wait_until(process: BaseProcess, is_reached: Callable[[], bool]) -> None:
    """Wait until something is so, or a process has ended."""
    end = time.monotonic() + SECONDS
    while not is_reached() and process.is_alive() and time.monotonic() < end:
        time.sleep(0.0002)


def kill(process: BaseProcess, run: Path, moment: Moment) -> None:
    """Kill a process that writes a run at a moment, unless it has ended before."""
    wait_until(process, lambda: moment.is_reached(run))
    time.sleep(moment.wait)
    process.kill()
    process.join()


def ended(process: BaseProcess, log: Path) -> tuple[int | None, str]:
    """Wait for the end of a process; returns its exit code and what it wrote."""
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    return process.exitcode, log.read_text(encoding="utf-8")


# ---- comparison


def differences(run: Path, other: Path) -> list[str]:
    """Name what two trained runs differ in: the state of their trainings, their models, histories and scores.

    Tensors and numbers must be the very same. Only the seconds of the history do not count.
    """
    one, two = (read_checkpoint(folder) for folder in (run, other))
    if one is None or two is None:
        return ["last.ckpt"]
    histories = [pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (run, other)]
    progress = [(p.step, p.step_in_epoch, p.best_epoch, p.best_loss, p.cycles, p.mean_loss)
                for p in (one.progress, two.progress)]
    scores = [(folder / name).read_text(encoding="utf-8") for name in ("scores.json", "predictions.csv")
              for folder in (run, other)]
    models = [load_file(folder / "model.safetensors") for folder in (run, other)]
    same = {"history": histories[0].equals(histories[1]), "progress": progress[0] == progress[1],
            "weights": _equal(one.weights, two.weights), "optimizer": _equal(one.optimizer, two.optimizer),
            "best weights": _equal(one.best, two.best), "model": _equal(*models),
            "scores": scores[0] == scores[1], "predictions": scores[2] == scores[3],
            "temporary files": not any(other.rglob(".*"))}
    return [name for name, is_same in same.items() if not is_same]


def _equal(tensors: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == others.keys() and all(torch.equal(tensors[name], others[name]) for name in tensors)
