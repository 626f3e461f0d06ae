"""timm's names, and where a body's weights come from: hub, cache, file, a model of ours, or nowhere."""
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from . import messages
from .errors import ImgregError, nearest, some

SAFE = (".safetensors", ".imgreg")
PICKLED = (".pth", ".pt", ".bin", ".pth.tar")
AS_FOUND = 0.1  # up to so many tensors (a renamed last norm) may start anew, with a warning
MANY = 60  # more backbones than this are listed without being built
BARRED = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
# What timm's models and checkpoint filters raise when something does not suit them.
REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)
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


# ---- names and sizes


def check(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> None:
    """Raise ImgregError unless `arch` is a timm backbone that makes [1, F] of a picture of `size` (height, width)."""
    _known(arch)
    barred = [name for name in arch_args or {} if name in BARRED]
    if barred:
        raise ImgregError("--arch-arg about the architecture", some(barred), "--weights for where weights come from")
    why = _problem(arch, size, arch_args)
    if not why:
        return
    sizes = [size, *_sizes(arch, size)]
    works = next((s for s in sizes[1:] if not _problem(arch, s, arch_args)), None)
    if works:
        raise ImgregError(f"a size that {arch} works at", f"{_text(size)} ({why})", f"--size {_text(works)}")
    if arch_args and any(not _problem(arch, s, None) for s in sizes):
        given = some(f"{k}={v}" for k, v in arch_args.items())
        raise ImgregError(f"--arch-arg that {arch} takes", f"{given} ({why})")
    raise ImgregError("a backbone that turns a picture into one row of numbers", f"'{arch}' ({why})", "another --arch")


def stats(arch: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of the red, green and blue in [0, 1] that the backbone's weights were trained with."""
    cfg = _known(arch)
    return tuple(float(v) for v in cfg.mean), tuple(float(v) for v in cfg.std)


def _known(arch: str) -> Any:
    """timm's PretrainedCfg of a name, with or without .tag; raises ImgregError with the nearest names."""
    import timm
    from timm.models import get_pretrained_cfg

    base, dot, _ = arch.partition(".")
    if not timm.is_model(base):
        raise ImgregError("the name of a timm backbone", f"'{arch}'", nearest(base, timm.list_models()))
    if dot and arch not in (tagged := timm.list_pretrained(f"{base}.*")):
        raise ImgregError(f"weights that timm has for {base}", f"'{arch}'", nearest(arch, [base, *tagged]))
    return get_pretrained_cfg(arch)


def _problem(arch: str, size: tuple[int, int], arch_args: dict | None) -> str:
    """Why the backbone does not work at this size, '' if it does: one picture through it, without memory for it."""
    try:
        return _trial(arch, size, arch_args, "meta")
    except REFUSALS as e:
        if not isinstance(e, NotImplementedError) and "meta" not in str(e):
            return _reason(e)
    try:  # not the backbone's fault perhaps, but that of torch's meta device
        return _trial(arch, size, arch_args, "cpu")
    except REFUSALS as e:
        return _reason(e)


def _trial(arch: str, size: tuple[int, int], arch_args: dict | None, device: str) -> str:
    """What is wrong with the output for one picture; raises what timm raises."""
    import torch

    from . import network

    with torch.device(device), torch.no_grad():
        body = network.body(arch, size, arch_args).eval()
        y = body(torch.zeros(1, 3, *size))
    if not isinstance(y, torch.Tensor):
        return f"its output is a {type(y).__name__}"
    wanted = (1, network.features(body))
    return "" if tuple(y.shape) == wanted else f"its output is {list(y.shape)}, not {list(wanted)}"


def _sizes(arch: str, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Sizes that may work, those nearest to `size` first, the backbone's own last."""
    for step in (16, 14, 32, 64):
        height, width = (-(-n // step) * step for n in size)
        yield height, width
        yield (max(height, width),) * 2
    yield tuple(_known(arch).input_size[1:])


def _text(size: tuple[int, int]) -> str:
    """A size as --size takes it."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _reason(e: BaseException) -> str:
    """The first line of an error, or its name where it says nothing."""
    lines = str(e).strip().splitlines()
    return lines[0][:200] if lines else type(e).__name__


# ---- finding weights


def find(arch: str, spec: str, timeout: float = 3.0) -> Weights:
    """The weights that `spec` asks for: auto, hub, none, or the path of a file, run or model.

    auto takes the local cache, else the hub if it answers within `timeout` seconds, else none, and says so in one
    warning. Raises ImgregError where hub or a path cannot be had. A download shows huggingface_hub's progress bar.
    """
    if spec == "none":
        return Weights("none", note="--weights none")
    if spec not in ("auto", "hub"):
        return _from_path(Path(spec).expanduser())
    cfg = _known(arch)
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
    from huggingface_hub import constants, hf_hub_download

    if not cfg.hf_hub_id:
        why = f"its weights are not on the hub but at {cfg.url}" if cfg.url else "timm has no weights for it"
        return "", "", why
    cached = _cached(cfg)
    try:
        if cached:
            _keys(cached)
            return "cache", cached, ""
        repo, _, revision = cfg.hf_hub_id.partition("@")
        name = _within(timeout, lambda: _on_hub(repo, revision or None, _names(cfg), timeout))
        path = hf_hub_download(repo, name, revision=revision or None, etag_timeout=timeout)
        _keys(path)
        return "hub", path, ""
    except Exception as e:  # noqa: BLE001  huggingface_hub, its HTTP client and its download engine share no base class
        where = "usable in the cache" if cached else f"from {constants.ENDPOINT}"
        return "", "", f"no {cfg.hf_hub_id} {where} ({_reason(e)})"


def _names(cfg: Any) -> list[str]:
    """The file names timm looks for in a repository, in its order."""
    name = cfg.hf_hub_filename or "pytorch_model.bin"
    safe = {"pytorch_model.bin": "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
    return [safe.get(name, str(Path(name).with_suffix(".safetensors"))), name]


def _cached(cfg: Any) -> str | None:
    """The path of the weights in the local cache of the hub, if they are there; asks nobody."""
    from huggingface_hub import try_to_load_from_cache

    if not cfg.hf_hub_id:
        return None
    repo, _, revision = cfg.hf_hub_id.partition("@")
    found = (try_to_load_from_cache(repo, name, revision=revision or None) for name in _names(cfg))
    return next((path for path in found if isinstance(path, str)), None)  # else None, or a mark that it has none


def _on_hub(repo: str, revision: str | None, names: list[str], timeout: float) -> str:
    """The first of `names` that the hub has, by a HEAD request each; raises what huggingface_hub raises."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    for name in names:
        try:
            get_hf_file_metadata(hf_hub_url(repo, name, revision=revision), timeout=timeout)
            return name
        except EntryNotFoundError:
            continue
    raise FileNotFoundError(f"it has no {' or '.join(names)}")


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work()` gives or raises; TimeoutError after `seconds`, whatever it is waiting for.

    A socket's own timeout covers neither the look-up of a name nor a host with several addresses.
    """
    answers: list[tuple[Any, Exception | None]] = []

    def run() -> None:
        try:
            answers.append((work(), None))
        except Exception as e:  # noqa: BLE001  raised again below, in the thread that asked
            answers.append((None, e))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise TimeoutError(f"no answer within {seconds:g} s")
    value, error = answers[0]
    if error:
        raise error
    return value


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
    if not path.endswith(SAFE):
        return list(_tensors(path))
    from safetensors import SafetensorError, safe_open

    name = Path(path).name
    try:
        with safe_open(path, framework="pt") as f:
            keys, metadata = list(f.keys()), f.metadata() or {}
    except (SafetensorError, OSError) as e:
        raise ImgregError("a safetensors file", f"'{name}' ({_reason(e)})") from e
    if path.endswith(".imgreg") and "imgreg" not in metadata:
        raise ImgregError("a bundle that imgreg export wrote", f"'{name}', which only has its name")
    if not keys:
        raise ImgregError("a file with weights", f"'{name}', which holds none")
    return keys


def _tensors(path: str) -> dict:
    """{name: tensor} of a weights file; raises ImgregError for a pickle that is more than a state dict."""
    from pickle import UnpicklingError

    import torch

    if path.endswith(SAFE):
        from safetensors.torch import load_file

        return load_file(path)
    from timm.models import load_state_dict

    name, wanted = Path(path).name, "a state dict of tensors (nothing else in a pickle is loaded)"
    try:
        state = load_state_dict(path, weights_only=True)
    except (*REFUSALS, OSError, EOFError, UnpicklingError) as e:
        raise ImgregError(wanted, f"'{name}' ({_reason(e)})") from e
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

    timm's own loading comes first, since it renames tensors and resizes position embeddings. Where they do not fit,
    weights of `auto` give way to none, with a warning; others raise ImgregError. timm loads whatever matches and logs
    the rest, so the count is ours.
    """
    from . import network

    if not weights.pretrained:
        return network.body(arch, size, arch_args), weights
    ways = (_plainly, _through_timm) if weights.kind == "model" else (_through_timm, _plainly)
    tries = []
    for way in ways:
        tries.append(way(arch, size, arch_args, weights))
        if tries[-1][0] is not None and not tries[-1][1]:
            return tries[-1][0], weights
    body, misfits, total = min(tries, key=lambda t: (t[0] is None, len(t[1])))
    found = f"{len(misfits)} of {total} tensors of {arch} not in {weights.source}, the first is '{misfits[0]}'"
    if body is not None and len(misfits) <= AS_FOUND * total:
        messages.warn(f"{found}; they start from scratch")
        return body, replace(weights, note=found)
    if weights.auto:
        return network.body(arch, size, arch_args), _scratch(arch, found)
    raise ImgregError(f"weights that fit {arch}", found, "--weights none, or the weights' own --arch and --arch-arg")


def _plainly(arch: str, size: tuple[int, int], arch_args: dict | None, weights: Weights) -> tuple[Any, list[str], int]:
    """(body or None, its tensors that the file lacks or has in another shape, the number of its tensors), by name."""
    from . import network

    body, state = network.body(arch, size, arch_args), _state(weights)
    misfits, total = _misfits(body, state)
    try:
        body.load_state_dict(state, strict=False)
    except RuntimeError:  # another shape, which the misfits name
        return None, misfits, total
    return body, misfits, total


def _through_timm(
    arch: str, size: tuple[int, int], arch_args: dict | None, weights: Weights
) -> tuple[Any, list[str], int]:
    """The same by timm's loading, which first fits the names and position embeddings of its own releases."""
    from . import network

    source = {"state_dict": _state(weights)} if weights.kind == "model" else {"file": weights.path}
    with _watched() as seen:
        try:
            body = network.body(
                arch, size, arch_args, pretrained=True, pretrained_cfg_overlay={**source, "custom_load": False}
            )
        except REFUSALS as e:
            return None, *(seen[0] if seen else ([_reason(e)], 1))
    for key in source:  # or a whole state dict, or a path of this machine, would travel in every pickle
        body.pretrained_cfg.pop(key, None)
    return body, *seen[0]


def _state(weights: Weights) -> dict:
    """{name in the body: tensor} of the weights' file; in a net of ours the body is item 0."""
    state = _tensors(weights.path)
    if weights.kind != "model":
        return state
    return {key[2:]: value for key, value in state.items() if key.startswith("0.")}


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


# ---- the list


def table(pattern: str = "", size: tuple[int, int] | None = None) -> Any:
    """The backbones whose name matches a glob, or has `pattern` in it, as a DataFrame.

    Columns: name, params (millions, without classifier), input (the backbone's own size), weights (timm's tag or
    None), cached (bool), and with `size` works (bool). Of more than MANY matches params and works stay None.
    """
    import pandas as pd
    import timm

    glob = pattern if any(c in pattern for c in "*?[") else f"*{pattern}*"
    names = [name for name in timm.list_models() if fnmatch(name, glob)]
    if len(names) > MANY:
        rows = [_row(name, size, build=False) for name in names]
    else:
        rows = [_row(name, size, True) for name in messages.track(names, total=len(names), doing="backbones")]
    columns = ["name", "params", "input", "weights", "cached", *(["works"] if size else [])]
    return pd.DataFrame(rows, columns=columns, dtype=object)  # or None would become NaN


def _row(name: str, size: tuple[int, int] | None, build: bool) -> dict:
    """One backbone of the table."""
    cfg = _known(name)
    row = {
        "name": name,
        "params": _millions(name) if build else None,
        "input": _text(cfg.input_size[1:]),
        "weights": cfg.tag if cfg.has_weights else None,
        "cached": _cached(cfg) is not None,
    }
    if size:
        row["works"] = not _problem(name, size, None) if build else None
    return row


def _millions(arch: str) -> float:
    """The body's parameters in millions, counted without memory for them."""
    import torch

    from . import network

    with torch.device("meta"):
        body = network.body(arch, tuple(_known(arch).input_size[1:]))
    return round(sum(p.numel() for p in body.parameters()) / 1e6, 2)
