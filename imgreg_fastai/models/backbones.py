"""timm's backbones: their names, the sizes they work at, and where the files of their weights are."""
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ..utils import console
from ..utils.errors import ImgregError, close_matches, first_few

MANY = 60  # more backbones than this are listed without being built
# What timm's models and checkpoint filters raise when something does not suit them.
REFUSALS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)


# ---- names and sizes


def check_backbone(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> None:
    """Raise ImgregError unless `arch` is a timm backbone that makes [1, F] of a picture of `size` (height, width)."""
    pretrained_cfg(arch)
    why = _problem(arch, size, arch_args)
    if not why:
        return
    sizes = [size, *_sizes(arch, size)]
    works = next((s for s in sizes[1:] if not _problem(arch, s, arch_args)), None)
    if works:
        raise ImgregError(f"a size that {arch} works at", f"{_text(size)} ({why})", f"--size {_text(works)}")
    if arch_args and any(not _problem(arch, s, None) for s in sizes):
        given = first_few(f"{k}={v}" for k, v in arch_args.items())
        raise ImgregError(f"--arch-arg that {arch} takes", f"{given} ({why})")
    raise ImgregError("a backbone that turns a picture into one row of numbers", f"'{arch}' ({why})", "another --arch")


def stats(arch: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) of the red, green and blue in [0, 1] that the backbone's weights were trained with."""
    cfg = pretrained_cfg(arch)
    return tuple(float(v) for v in cfg.mean), tuple(float(v) for v in cfg.std)


def pretrained_cfg(arch: str) -> Any:
    """timm's PretrainedCfg of a name, with or without .tag; raises ImgregError with the nearest names."""
    import timm
    from timm.models import get_pretrained_cfg

    base, dot, _ = arch.partition(".")
    if not timm.is_model(base):
        raise ImgregError("the name of a timm backbone", f"'{arch}'",
                          close_matches(base, timm.list_models()) or "imgreg backbones PART-OF-A-NAME")
    if dot and arch not in (tagged := timm.list_pretrained(f"{base}.*")):
        raise ImgregError(f"weights that timm has for {base}", f"'{arch}'", close_matches(arch, [base, *tagged]))
    return get_pretrained_cfg(arch)


def _problem(arch: str, size: tuple[int, int], arch_args: dict | None) -> str:
    """Why the backbone does not work at this size, '' if it does: one picture through it, without memory for it."""
    try:
        return _trial(arch, size, arch_args, "meta")
    except REFUSALS as e:
        if not isinstance(e, NotImplementedError) and "meta" not in str(e):
            return error_reason(e)
    try:  # not the backbone's fault perhaps, but that of torch's meta device
        return _trial(arch, size, arch_args, "cpu")
    except REFUSALS as e:
        return error_reason(e)


def _trial(arch: str, size: tuple[int, int], arch_args: dict | None, device: str) -> str:
    """What is wrong with the output for one picture; raises what timm raises."""
    import torch

    from . import network

    with torch.device(device), torch.no_grad():
        body = network.body(arch, size, arch_args).eval()
        y = body(torch.zeros(1, 3, *size))
    if not isinstance(y, torch.Tensor):
        return f"its output is a {type(y).__name__}"
    wanted = (1, network.n_features(body))
    return "" if tuple(y.shape) == wanted else f"its output is {list(y.shape)}, not {list(wanted)}"


def _sizes(arch: str, size: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Sizes that may work, those nearest to `size` first, the backbone's own last."""
    for step in (16, 14, 32, 64):
        height, width = (-(-n // step) * step for n in size)
        yield height, width
        yield (max(height, width),) * 2
    yield tuple(pretrained_cfg(arch).input_size[1:])


def _text(size: tuple[int, int]) -> str:
    """A size as --size takes it."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def error_reason(e: BaseException) -> str:
    """The first line of an error, or its name where it says nothing."""
    if isinstance(e, OSError) and e.strerror:
        return e.strerror  # its text would name a path of this machine, and travel into model files
    lines = str(e).strip().splitlines()
    return lines[0][:200] if lines else type(e).__name__


# ---- the files of their weights


def cached(cfg: Any) -> str | None:
    """The path of the weights in the local cache of the hub, if they are there; asks nobody."""
    from huggingface_hub import try_to_load_from_cache

    if not cfg.hf_hub_id:
        return None
    repo, revision = _repository(cfg)
    found = (try_to_load_from_cache(repo, name, revision=revision) for name in _files(cfg))
    return next((path for path in found if isinstance(path, str)), None)  # else None, or a mark that it has none


def download(cfg: Any, timeout: float) -> str:
    """The path of the weights, downloaded from the hub, if it answers within `timeout` seconds.

    Raises TimeoutError, FileNotFoundError, or whatever huggingface_hub raises.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    repo, revision = _repository(cfg)

    def ask() -> str:  # which of the names the hub has, by a HEAD request each
        for name in _files(cfg):
            try:
                get_hf_file_metadata(hf_hub_url(repo, name, revision=revision), timeout=timeout)
                return name
            except EntryNotFoundError:
                continue
        raise FileNotFoundError(f"it has no {' or '.join(_files(cfg))}")

    return hf_hub_download(repo, _within(timeout, ask), revision=revision, etag_timeout=timeout)


def _repository(cfg: Any) -> tuple[str, str | None]:
    """The weights' repository on the hub and the revision in it, None for its main one."""
    repo, _, revision = cfg.hf_hub_id.partition("@")
    return repo, revision or None


def _files(cfg: Any) -> list[str]:
    """The file names timm looks for in a repository, in its order."""
    name = cfg.hf_hub_filename or "pytorch_model.bin"
    safe = {"pytorch_model.bin": "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
    return [safe.get(name, str(Path(name).with_suffix(".safetensors"))), name]


def _within(seconds: float, work: Callable[[], Any]) -> Any:
    """What `work()` gives or raises; TimeoutError after `seconds`, whatever it is waiting for.

    A socket's own timeout covers neither the look-up of a name nor a host with several addresses.
    """
    answer = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except Exception as e:  # noqa: BLE001  raised again below, in the thread that asked
            answer.set_exception(e)

    threading.Thread(target=run, daemon=True).start()
    if not wait([answer], seconds).done:
        raise TimeoutError(f"no answer within {seconds:g} s")
    return answer.result()


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
        console.say(f"{len(names)} match: parameters{' and what works' if size else ''} are shown for up to {MANY}")
        rows = [_row(name, size, build=False) for name in names]
    else:
        rows = [_row(name, size, True) for name in console.progress_bar(names, len(names), "backbones")]
    columns = ["name", "params", "input", "weights", "cached", *(["works"] if size else [])]
    return pd.DataFrame(rows, columns=columns, dtype=object)  # or None would become NaN


def _row(name: str, size: tuple[int, int] | None, build: bool) -> dict:
    """One backbone of the table."""
    cfg = pretrained_cfg(name)
    row = {
        "name": name,
        "params": _millions(name) if build else None,
        "input": _text(cfg.input_size[1:]),
        "weights": cfg.tag if cfg.has_weights else None,
        "cached": cached(cfg) is not None,
    }
    if size:
        row["works"] = not _problem(name, size, None) if build else None
    return row


def _millions(arch: str) -> float:
    """The body's parameters in millions, counted without memory for them."""
    import torch

    from . import network

    with torch.device("meta"):
        body = network.body(arch, tuple(pretrained_cfg(arch).input_size[1:]))
    return round(sum(p.numel() for p in body.parameters()) / 1e6, 2)
