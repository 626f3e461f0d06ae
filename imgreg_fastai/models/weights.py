"""Loading weights: a body with those of a file in it, and a head where it was made for the same targets."""
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from .. import tasks
from ..tasks import Task
from ..utils import console
from ..utils.errors import ImgregError
from . import backbones
from .sources import Weights, find_weights, no_weights, tensors

__all__ = ["Weights", "build_body", "find_weights", "load_head"]

AS_FOUND = 0.1  # up to so many tensors (a renamed last norm) may start anew, with a warning
DECODED_BY = ("low", "high", "scale", "period", "sequence")  # what a head's outputs mean, beside kind and columns
# (body or None, its tensors that the file lacks or has in another shape, the number of its tensors)
Loaded = tuple[Any, list[str], int]
_one_at_a_time = threading.Lock()


def build_body(arch: str, size: tuple[int, int], arch_args: dict | None, weights: Weights) -> tuple[Any, Weights]:
    """The body with these weights in it, and the weights as they turned out.

    Where they do not fit, weights of `auto` give way to none, with a warning; others raise ImgregError. timm loads
    whatever matches and logs the rest, so the count is ours.
    """
    from . import network

    make = partial(network.body, arch, size, arch_args)
    if not weights.pretrained:
        return make(), weights
    body, misfits, total = _loaded(make, weights)
    if body is not None and not misfits:
        return body, weights
    found = f"{len(misfits)} of {total} tensors of {arch} have no match in {weights.source}, first '{misfits[0]}'"
    if body is not None and len(misfits) <= AS_FOUND * total:
        console.warn(f"{found}; they start from scratch")
        return body, replace(weights, note=found)
    if weights.auto:
        return make(), no_weights(arch, found)
    raise ImgregError(f"weights that fit {arch}", found, "--weights none, or the weights' own --arch and --arch-arg")


def load_head(model: Any, weights: Weights, task: Task) -> bool:
    """Load what lies above the body of a model of ours too, if it was made for the same targets; whether it was.

    Where its outputs only stand for other numbers, that is said.
    """
    from safetensors import safe_open

    with safe_open(weights.path, framework="pt") as f:
        try:
            made_for = tasks.task_from_dict(json.loads((f.metadata() or {})["imgreg"])["task"])
        except (ImgregError, ValueError, KeyError, TypeError):
            return False
        if not _same(made_for, task):
            return False
        own = {k: v.shape for k, v in model.state_dict().items() if k.startswith(("1.", "0.places."))}
        found = {k: f.get_tensor(k) for k in f.keys() if k in own}  # noqa: SIM118
        if {k: v.shape for k, v in found.items()} != own:
            return False
        model.load_state_dict(found, strict=False)
    return True


def _same(made_for: Task, task: Task) -> bool:
    """Whether the outputs of both tasks mean the same."""
    if [(t.kind, t.columns) for t in made_for.targets] != [(t.kind, t.columns) for t in task.targets]:
        return False
    for old, new in zip(made_for.targets, task.targets, strict=True):
        there, here = old.to_dict(), new.to_dict()
        if other := [k for k in DECODED_BY if there.get(k) != here.get(k)]:
            told = (", ".join(f"{k} {of[k]}" for k in other) for of in (there, here))
            console.say("the head of {} was made for {}; here it is to learn {}".format(new.name, *told))
            return False
    return True


def _loaded(make: Callable[..., Any], weights: Weights) -> Loaded:
    """The body by the first way that fits all of it, else by the way that fits most.

    timm's own loading comes first, since it renames tensors and resizes position embeddings, but for a model of ours.
    """
    tries = []
    for way in (_plainly, _through_timm) if weights.kind == "model" else (_through_timm, _plainly):
        body, misfits, total = way(make, weights)
        if body is not None and not misfits:
            return body, misfits, total
        if misfits:
            tries.append((body, misfits, total))
    return min(tries, key=lambda t: (t[0] is None, len(t[1])))


def _plainly(make: Callable[..., Any], weights: Weights) -> Loaded:
    """The body with the file's tensors loaded by name."""
    body, state = make(), _state(weights)
    misfits, total = _misfits(body, state)
    try:
        body.load_state_dict(state, strict=False)
    except RuntimeError:  # another shape, which the misfits name
        return None, misfits, total
    return body, misfits, total


def _through_timm(make: Callable[..., Any], weights: Weights) -> Loaded:
    """The same by timm's loading, which first fits the names and position embeddings of its own releases."""
    source = {"state_dict": _state(weights)} if weights.kind == "model" else {"file": weights.path}
    with _watched() as seen:
        try:
            body = make(pretrained=True, pretrained_cfg_overlay={**source, "custom_load": False})
        except backbones.REFUSALS:
            return None, *(seen[0] if seen else ([], 0))  # a filter of timm's failed
    for key in source:  # or a whole state dict, or a path of this machine, would travel in every pickle
        body.pretrained_cfg.pop(key, None)
    return body, *seen[0]


def _state(weights: Weights) -> dict:
    """{name in timm's body: tensor} of the weights' file; in a net of ours the body is item 0, or within it."""
    state = tensors(weights.path)
    if weights.kind != "model":
        return state
    start = "0.timm_body." if any(k.startswith("0.timm_body.") for k in state) else "0."
    return {k.removeprefix(start): v for k, v in state.items() if k.startswith(start)}


def _misfits(body: Any, state: dict) -> tuple[list[str], int]:
    """The body's numbers that `state` lacks or has in another shape, and how many tensors the body has.

    Counters and index tables (integers) are the architecture's own and may be lacking.
    """
    own = body.state_dict()
    names = [k for k, v in own.items() if k in state or v.is_floating_point()]
    return [k for k in names if k not in state or state[k].shape != own[k].shape], len(own)


@contextmanager
def _watched() -> Iterator[list[tuple[list[str], int]]]:
    """While it lasts, a list gets the misfits of each state dict loaded: timm keeps its filtered one to itself.

    timm's own lines about them, one name after the other, are not let through.
    """
    from torch import nn

    log, original, seen = logging.getLogger("timm.models._builder"), nn.Module.load_state_dict, []

    def watching(module, state_dict, *args, **kwargs):
        seen.append(_misfits(module, state_dict))
        return original(module, state_dict, *args, **kwargs)

    with _one_at_a_time:
        was_disabled = log.disabled
        nn.Module.load_state_dict, log.disabled = watching, True
        try:
            yield seen
        finally:
            nn.Module.load_state_dict, log.disabled = original, was_disabled
