"""Where a body's weights come from: the hub, its local cache, a file, a model of ours, or nowhere."""
import hashlib
import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from . import backbones, messages, tasks
from .errors import ImgregError, some
from .tasks import Task

SAFE = (".safetensors", ".imgreg")
PICKLED = (".pth", ".pt", ".bin", ".pth.tar")
BY_WISH = "the task's recipe or --weights said none"
AS_FOUND = 0.1  # up to so many tensors (a renamed last norm) may start anew, with a warning
# (body or None, its tensors that the file lacks or has in another shape, the number of its tensors)
Loaded = tuple[Any, list[str], int]
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Weights:
    """Where a body's weights come from, as run.json records it.

    `kind`: hub (downloaded now), cache (downloaded before), file, model (a run or bundle of ours) or none; `tag`:
    timm's name of the weights; `source`: repository or base name; `sha256`: of the weights file; `note`: why there are
    none, or what of them did not fit. `path` and `auto` (somebody asked for auto) only serve to load them.
    """

    kind: str
    tag: str | None = None
    source: str | None = None
    sha256: str | None = None
    note: str = ""
    path: str | None = field(default=None, repr=False, compare=False)
    auto: bool = field(default=False, repr=False, compare=False)

    @property
    def pretrained(self) -> bool:
        """Whether there are any."""
        return self.kind != "none"

    def to_dict(self) -> dict:
        """The weights as JSON can hold them, without any path of this machine."""
        return {name: getattr(self, name) for name in ("kind", "tag", "source", "sha256", "note")}


# ---- finding weights


def find(arch: str, spec: str, timeout: float = 3.0) -> Weights:
    """The weights that `spec` asks for: auto, hub, none, or the path of a file, run or model.

    auto takes the local cache, else the hub if it answers within `timeout` seconds, else none, with a warning. Raises
    ImgregError where hub or a path cannot be had. A download shows huggingface_hub's progress bar.
    """
    if spec == "none":
        messages.say(f"training {arch} from scratch: {BY_WISH}")
        return Weights("none", note=BY_WISH)
    if spec not in ("auto", "hub"):
        return _from_path(Path(spec).expanduser())
    cfg = backbones.known(arch)
    kind, path, why = _from_hub(cfg, timeout)
    if kind:
        return Weights(kind, cfg.tag, cfg.hf_hub_id, _sha256(path), path=path, auto=spec == "auto")
    if spec == "hub":
        raise ImgregError(f"the weights of {arch} on the hub", why, "--weights FILE, or --weights none")
    return _scratch(arch, why)


def _scratch(arch: str, why: str) -> Weights:
    """No weights, said in one line."""
    messages.warn(f"{arch} trains from scratch: {why}; say --weights FILE to give weights, --weights none if meant so")
    return Weights("none", note=why)


def _from_hub(cfg: Any, timeout: float) -> tuple[str, str, str]:
    """(cache or hub, path of the file, '') or ('', '', why not)."""
    from huggingface_hub import constants

    if not cfg.hf_hub_id:
        why = f"its weights are not on the hub but at {cfg.url}" if cfg.url else "timm has no weights for it"
        return "", "", why
    cached = backbones.cached(cfg)
    try:
        path = cached or backbones.download(cfg, timeout)
        _keys(path)  # or a broken one would show only later
        return "cache" if cached else "hub", path, ""
    except Exception as e:  # noqa: BLE001  huggingface_hub, its HTTP client and its download engine share no base class
        where = "usable in the cache" if cached else f"from {constants.ENDPOINT}"
        return "", "", f"no {cfg.hf_hub_id} {where} ({backbones.reason(e)})"


def _from_path(path: Path) -> Weights:
    """The weights in a file, a run folder or a bundle; raises ImgregError if it is none of these."""
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        there = f"'{path}', a folder without model.safetensors" if path.is_dir() else f"'{path}', which is not there"
        raise ImgregError("--weights auto, hub, none or a weights file, run or model", there)
    if not file.name.endswith((*SAFE, *PICKLED)):
        raise ImgregError(f"a weights file: {', '.join((*SAFE, *PICKLED))}", f"'{path}'")
    ours = any(key.startswith("0.") for key in _keys(str(file)))  # our nets are a Sequential, timm's names no numbers
    source = path.resolve().name
    return Weights("model" if ours else "file", None, source, _sha256(str(file)), path=str(file))


def _keys(path: str) -> list[str]:
    """The names of a file's tensors; raises ImgregError if it is no weights file."""
    from safetensors import SafetensorError, safe_open

    if not path.endswith(SAFE):
        return list(_tensors(path))
    name = Path(path).name
    try:
        with safe_open(path, framework="pt") as f:
            keys, metadata = list(f.keys()), f.metadata() or {}
    except (SafetensorError, OSError) as e:
        raise ImgregError("a safetensors file", f"'{name}' ({backbones.reason(e)})") from e
    if path.endswith(".imgreg") and "imgreg" not in metadata:
        raise ImgregError("a bundle that imgreg export wrote", f"'{name}', which only has its name")
    if not keys:
        raise ImgregError("a file with weights", f"'{name}', which holds none")
    return keys


def _tensors(path: str) -> dict:
    """{name: tensor} of a weights file; raises ImgregError for a pickle that is more than a state dict."""
    from pickle import UnpicklingError

    import torch
    from safetensors.torch import load_file
    from timm.models import load_state_dict

    if path.endswith(SAFE):
        return load_file(path)
    name, wanted = Path(path).name, "a state dict of tensors (nothing else in a pickle is loaded)"
    try:
        state = load_state_dict(path, weights_only=True)
    except (*backbones.REFUSALS, OSError, EOFError, UnpicklingError) as e:
        raise ImgregError(wanted, f"'{name}' ({backbones.reason(e)})") from e
    if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ImgregError(wanted, f"'{name}' with {some(state) or 'nothing'}")
    return state


def _sha256(path: str) -> str:
    """The file's hash, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


# ---- loading them


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
        messages.warn(f"{found}; they start from scratch")
        return body, replace(weights, note=found)
    if weights.auto:
        return make(), _scratch(arch, found)
    raise ImgregError(f"weights that fit {arch}", found, "--weights none, or the weights' own --arch and --arch-arg")


def load_head(model: Any, weights: Weights, task: Task) -> bool:
    """Load what lies above the body of a model of ours too, if it was made for the same targets; whether it was."""
    from safetensors import safe_open

    with safe_open(weights.path, framework="pt") as f:
        try:
            made_for = tasks.from_dict(json.loads((f.metadata() or {})["imgreg"])["task"])
        except (ImgregError, ValueError, KeyError, TypeError):
            return False
        if [(t.kind, t.columns) for t in made_for.targets] != [(t.kind, t.columns) for t in task.targets]:
            return False
        own = {k: v.shape for k, v in model.state_dict().items() if k.startswith(("1.", "0.places."))}
        found = {k: f.get_tensor(k) for k in f.keys() if k in own}  # noqa: SIM118
        if {k: v.shape for k, v in found.items()} != own:
            return False
        model.load_state_dict(found, strict=False)
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
    state = _tensors(weights.path)
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
