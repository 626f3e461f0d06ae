"""The state of a training on disk: all that it needs to go on as if it had never stopped.

A checkpoint is a safetensors file of the weights, the optimizer's state and the best weights so far. Its metadata holds
the Progress as JSON and a SHA-256 over everything. No random state is needed: see random_numbers.py.
"""
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import torch
from fastai.learner import Learner
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..utils.files import atomic_file, flush
from ..utils.messages import ImgregError, warn
from .progress import Progress, progress_from_dict

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"  # in a run folder
FORMAT = 1
WEIGHTS, OPTIMIZER, BEST = "weights.", "optimizer.", "best."  # prefixes of the names of tensors
MAX_SHARE = 0.01  # of the time may go into writing
Tensors = dict[str, torch.Tensor]
Moment = Literal["step", "epoch", "end"]  # of a training


@dataclass
class Checkpoint:
    """The state of a training.

    Attributes:
        progress: How far it is.
        weights: Of the network.
        optimizer: State of AdamW by number of the parameter and name: "3.exp_avg".
        best: The best weights so far, stored once if they are those of the network; {} before the first epoch ends.
    """

    progress: Progress
    weights: Tensors
    optimizer: Tensors
    best: Tensors

    def tensors(self) -> Tensors:
        """All tensors by prefixed name; the best weights are left out where they are those of the network."""
        parts = [(WEIGHTS, self.weights), (OPTIMIZER, self.optimizer), (BEST, self.best)]
        if self.newest_is_best():
            parts.pop()
        return {prefix + name: tensor.detach().cpu().contiguous()
                for prefix, part in parts for name, tensor in part.items()}

    def newest_is_best(self) -> bool:
        """Tell whether the weights are the best ones so far."""
        progress = self.progress
        return progress.best_epoch == progress.epoch > 0 and progress.step_in_epoch == 0


# ---- a Learner


def take_checkpoint(learn: Learner, progress: Progress, best: Tensors) -> Checkpoint:
    """The state of a Learner between two training steps; its tensors are those of the Learner, not copies."""
    state = learn.opt.state_dict()["state"]
    optimizer = {f"{i}.{name}": value for i, values in state.items() for name, value in values.items()}
    return Checkpoint(progress, learn.model.state_dict(), optimizer, best)


def is_frozen(learn: Learner) -> bool:
    """Tell whether only the head of a Learner learns."""
    return learn.opt.frozen_idx > 0


def restore(learn: Learner, checkpoint: Checkpoint) -> None:
    """Give a Learner the weights and the optimizer's state of a checkpoint.

    Raises:
        ImgregError: The network is another one.
    """
    try:
        learn.model.load_state_dict(checkpoint.weights)
    except RuntimeError as e:
        reason = str(e).splitlines()[-1].strip()
        raise ImgregError("a checkpoint of this network", reason, "imgreg train, which begins a new run") from e
    learn.create_opt()
    step = checkpoint.progress.step
    if any(cycle.frozen and cycle.first < step <= cycle.end for cycle in checkpoint.progress.cycles):
        learn.opt.freeze_to(-1)  # the optimizer's own, which unlike the Learner's forgets nothing
    state: dict[int, Tensors] = {}
    for key, tensor in checkpoint.optimizer.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = tensor
    learn.opt.load_state_dict({**learn.opt.state_dict(), "state": state})
    for parameter, values in learn.opt.opt.state.items():
        for name, tensor in values.items():
            if tensor.shape == parameter.shape:
                # Fused AdamW goes through memory: its averages must lie there as the weights do, channels last.
                values[name] = torch.empty_like(parameter).copy_(tensor)


# ---- files


class CheckpointWriter:
    """Writes checkpoints into a run folder: the newest, and the one before.

    Args:
        folder: The run folder.
        minutes: How often to write within an epoch.

    Attributes:
        seconds: Seconds spent on writing.
    """

    def __init__(self, folder: Path, minutes: float):
        self.folder, self.interval = folder, 60 * minutes
        self.start = self.newest = time.perf_counter()
        self.seconds = 0.0

    def is_due(self, moment: Moment) -> bool:
        """Whether to write now: at the end of an epoch not if that would take more than MAX_SHARE of the time."""
        now = time.perf_counter()
        if moment == "epoch":
            return self.seconds <= MAX_SHARE * (now - self.start)
        return moment == "end" or now - self.newest >= self.interval

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Add the duration of the block to the time spent on writing."""
        start = time.perf_counter()
        yield
        self.newest = time.perf_counter()
        self.seconds += self.newest - start

    def write(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, see write_checkpoint."""
        write_checkpoint(self.folder, checkpoint)


def write_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Write last.ckpt of a run folder; the one before becomes previous.ckpt once the new one is on the disk."""
    last = folder / LAST
    tensors, text = checkpoint.tensors(), json.dumps({"format": FORMAT, **checkpoint.progress.to_dict()})
    metadata = {"progress": text, "sha256": _digest(tensors, text)}
    with atomic_file(last) as file:
        _save(tensors, file, metadata)
        flush(file)
        if last.exists():
            os.replace(last, folder / PREVIOUS)
    flush(folder)


def _save(tensors: Tensors, file: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file; raises OSError where safetensors' own error only mentions its number."""
    file.touch()
    mode = file.stat().st_mode
    try:
        save_file(tensors, file, metadata)  # by way of a file .tmpXXXXXX that only its owner may read
        file.chmod(mode)
    except SafetensorError as e:
        number = re.search(r"os error (\d+)", str(e))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from e


def _digest(tensors: Tensors, text: str) -> str:
    """The SHA-256 of tensors and of a text."""
    digest = sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def read_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the newest checkpoint of a run folder that is intact.

    Args:
        folder: The run folder. Where last.ckpt is damaged or missing, a warning says so and previous.ckpt takes its
            place.

    Returns:
        The checkpoint; None if there is none yet.

    Raises:
        ImgregError: There are some, but all are damaged, or a newer version wrote them.
    """
    reasons = []
    for name in (LAST, PREVIOUS):
        file = folder / name
        if not file.exists():
            reasons += [f"{name}: missing"] if (folder / PREVIOUS).exists() else []
            continue
        try:
            checkpoint = _read(file)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as e:
            reasons.append(f"{name}: {e}")
            continue
        if reasons:
            warn(f"{reasons[0]}; going on from the checkpoint before it, {name}, "
                 f"after step {checkpoint.progress.step}")
            os.replace(file, folder / LAST)  # or the next checkpoint would replace it by the damaged one
        return checkpoint
    if reasons:
        raise ImgregError(f"a checkpoint to go on from in '{folder}'", "; ".join(reasons),
                          f"imgreg evaluate {folder}, or imgreg train anew")
    return None


def _read(file: Path) -> Checkpoint:
    """Read a checkpoint; raises errors of several kinds if it is damaged, or was not written by imgreg."""
    with open(file, "rb") as f:
        is_zip = f.read(2) == b"PK"
    if is_zip:
        raise ValueError("an older version of imgreg wrote it")
    with safe_open(file, framework="pt") as opened:
        metadata = opened.metadata() or {}
        tensors = {name: opened.get_tensor(name).clone()  # or they would be the file itself, mapped into memory
                   for name in opened.keys()}  # noqa: SIM118  no mapping
    text = metadata["progress"]
    if _digest(tensors, text) != metadata["sha256"]:
        raise ValueError("its checksum does not match: it was changed or cut short")
    fields = json.loads(text)
    format = fields.pop("format")
    if format > FORMAT:
        raise ImgregError(f"a checkpoint of format {FORMAT} or older", f"format {format} in '{file}'",
                          "pip install -U imgreg-fastai")
    parts: dict[str, Tensors] = {WEIGHTS: {}, OPTIMIZER: {}, BEST: {}}
    for name, tensor in tensors.items():
        part, dot, rest = name.partition(".")
        parts[part + dot][rest] = tensor
    checkpoint = Checkpoint(progress_from_dict(fields), *parts.values())
    if checkpoint.newest_is_best():
        checkpoint.best = checkpoint.weights
    return checkpoint
