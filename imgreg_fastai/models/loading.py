"""Loading weights into a backbone, and into a head that was trained for the same targets."""
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from inspect import signature

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from timm.models import model_entrypoint
from torch import nn

from .. import tasks
from ..tasks import Task
from ..utils import console
from ..utils.errors import ImgregError
from .backbones import TIMM_ERRORS
from .weights import Weights, no_weights, read_tensors

MAX_MISSING = 0.1  # part of a body's tensors (a renamed last norm) that may be missing from a file, with a warning
DECODING_FIELDS = ("low", "high", "scale", "period", "sequence")  # of a target: what its outputs stand for


def load_body(body: nn.Module, arch: str, weights: Weights) -> Weights:
    """Load weights into a backbone.

    Args:
        body: What `backbones.build` returned.
        arch: Name of its timm model.
        weights: What `find_weights` returned.

    Returns:
        The weights that the body has: with a note if a few tensors are missing from the file, and none if weights of
        `auto` do not fit.

    Raises:
        ImgregError: The weights do not fit.
    """
    if not weights.pretrained:
        return weights
    state = _fitting_state(body, arch, weights)
    misfits, total = _misfits(body, state), len(body.state_dict())
    if misfits:
        note = f"{len(misfits)} of {total} tensors of {arch} have no match in {weights.source}, first '{misfits[0]}'"
        if len(misfits) > MAX_MISSING * total or any(name in state for name in misfits):  # these have another shape
            if weights.auto:
                return no_weights(arch, note)
            hint = "--weights none, or the weights' own --arch and --arch-arg"
            raise ImgregError(f"weights that fit {arch}", note, hint)
        console.warn(f"{note}; they start from scratch")
        weights = replace(weights, note=note)
    body.load_state_dict(state, strict=False)
    return weights


def _fitting_state(body: nn.Module, arch: str, weights: Weights) -> dict[str, torch.Tensor]:
    """The tensors of the weights' file, as they are or after one of timm's filters: whichever fits more of the body."""
    state = read_tensors(weights.path)
    if weights.origin != "model":
        states = [*_filtered_states(body, arch, state), state]
    else:  # the body of imgreg's networks is item 0, or within it; its names are timm's of today
        prefix = "0.timm_body." if any(name.startswith("0.timm_body.") for name in state) else "0."
        state = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
        states = [state, *_filtered_states(body, arch, state)]
    return min(states, key=lambda candidate: len(_misfits(body, candidate)))


def _filtered_states(body: nn.Module, arch: str, state: dict[str, torch.Tensor]) -> Iterator[dict[str, torch.Tensor]]:
    """`state` after each checkpoint filter of the timm module that has `arch`.

    They rename tensors of published files, and resize position embeddings to the body's size.
    """
    module = sys.modules[model_entrypoint(arch.partition(".")[0]).__module__]
    for name, function in list(vars(module).items()):
        if "filter" in name and callable(function):
            args = [dict(state), body] if len(signature(function).parameters) > 1 else [dict(state)]
            try:
                yield function(*args)
            except TIMM_ERRORS as e:
                console.log.debug("timm's %s fails: %s", name, e)


def _misfits(body: nn.Module, state: dict[str, torch.Tensor]) -> list[str]:
    """The names of the body's tensors that `state` lacks or has in another shape.

    Integers (counters and index tables) belong to the architecture and may be missing.
    """
    return [name for name, tensor in body.state_dict().items()
            if (state[name].shape != tensor.shape if name in state else tensor.is_floating_point())]


def load_head(model: nn.Module, weights: Weights, task: Task) -> bool:
    """Load the head, and what else lies above the body, if the model of the weights has the same targets.

    Where only the units of its outputs differ, a message says so.

    Args:
        model: Network to load into.
        weights: Weights whose origin is model.
        task: Task of the network.

    Returns:
        Whether the head was loaded.
    """
    try:
        with safe_open(weights.path, framework="pt") as f:
            weights_task = tasks.task_from_dict(json.loads(f.metadata()["imgreg"])["task"])
    except (ImgregError, SafetensorError, ValueError, KeyError, TypeError):
        return False
    if not _have_same_outputs(weights_task, task):
        return False
    names = ("1.", "0.places.")
    state = {name: v for name, v in load_file(weights.path).items() if name.startswith(names)}
    shapes = {name: v.shape for name, v in model.state_dict().items() if name.startswith(names)}
    if {name: v.shape for name, v in state.items()} != shapes:
        return False
    model.load_state_dict(state, strict=False)
    return True


def _have_same_outputs(weights_task: Task, task: Task) -> bool:
    """Whether the outputs of both tasks mean the same."""
    if [(t.kind, t.columns) for t in weights_task.targets] != [(t.kind, t.columns) for t in task.targets]:
        return False
    for old, new in zip(weights_task.targets, task.targets, strict=True):
        before, now = old.to_dict(), new.to_dict()
        differing = [name for name in DECODING_FIELDS if before.get(name) != now.get(name)]
        if differing:
            before, now = (", ".join(f"{name} {fields[name]}" for name in differing) for fields in (before, now))
            console.say(f"the head of {new.name} was made for {before}; here it is to learn {now}")
            return False
    return True
