"""timm's backbones: their names, the sizes they work at, and where the files of their weights are."""
import threading
from concurrent.futures import Future, wait
from pathlib import Path

import huggingface_hub
import pandas as pd
import timm
import torch
from huggingface_hub.errors import EntryNotFoundError
from timm.models import PretrainedCfg, get_pretrained_cfg
from torch import nn

from ..utils import messages
from ..utils.messages import ImgregError, close_matches, error_reason, first_few
from . import timm_body

MAX_BUILT = 60  # a longer list of backbones is shown without building them
# What timm's models and checkpoint filters raise for arguments, images or tensors that do not suit them.
TIMM_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ArithmeticError)


# ---- names and sizes


def build(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> nn.Module:
    """Build a backbone with random weights, and send one blank image through it.

    Args:
        arch: Name of a timm model, with or without .tag.
        size: Height and width of the images in pixels.
        arch_args: Further keywords for `timm.create_model`.

    Returns:
        The timm model without its classifier: [B, 3, *size] -> [B, F].

    Raises:
        ImgregError: The name is unknown, or the output for one image is not [1, F]. The message names a size that
            works, where there is one.
    """
    pretrained_cfg(arch)  # raises for an unknown name
    try:
        body = timm_body.build(arch, size, arch_args)
        problem = _output_problem(body, size)
    except TIMM_ERRORS as e:
        problem = short_reason(e)
    if problem:
        raise _refusal(arch, size, arch_args, problem)
    return body


def works(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> bool:
    """Whether a backbone turns an image of `size` (height, width) into one row of numbers.

    It is built on torch's meta device, which takes no memory, and on the CPU only if that device lacks an operation.
    """
    for device in ("meta", "cpu"):
        try:
            with torch.device(device):
                return not _output_problem(timm_body.build(arch, size, arch_args), size)
        except TIMM_ERRORS as e:
            if not isinstance(e, NotImplementedError) and "meta" not in str(e):
                return False
    return False


def stats(arch: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The (mean, std) of red, green and blue in [0, 1] that the backbone's weights were trained with."""
    cfg = pretrained_cfg(arch)
    return tuple(map(float, cfg.mean)), tuple(map(float, cfg.std))


def normalisation_note(arch: str) -> str:
    """Which of timm's weights of a backbone the images are normalised for, '' where all are normalised alike.

    Args:
        arch: Name of a timm model.

    Returns:
        The end of a sentence: "; images are normalised as for its weights in1k (mean 0.5, std 0.5), --arch ...".
    """
    tagged = timm.list_pretrained(f"{arch}.*")
    own = stats(arch)
    others = [name for name in tagged if stats(name) != own]
    if not others:
        return ""
    mean, std = (", ".join(f"{value:g}" for value in dict.fromkeys(values)) for values in own)
    return (f"; images are normalised as for timm's {arch}.{pretrained_cfg(arch).tag}: mean {mean}, std {std}; "
            f"--arch {others[0]} normalises as for that")


def pretrained_cfg(arch: str) -> PretrainedCfg:
    """timm's description of a backbone's weights.

    Args:
        arch: Name of a timm model, with or without .tag.

    Raises:
        ImgregError: timm has no such model or tag; the message names the nearest ones.
    """
    base, dot, _ = arch.partition(".")
    if not timm.is_model(base):
        raise ImgregError("the name of a timm backbone", f"'{arch}'",
                          close_matches(base, timm.list_models()) or "imgreg backbones PART-OF-A-NAME")
    tagged = timm.list_pretrained(f"{base}.*") if dot else [arch]
    if arch not in tagged:
        raise ImgregError(f"weights that timm has for {base}", f"'{arch}'", close_matches(arch, [base, *tagged]))
    return get_pretrained_cfg(arch) or PretrainedCfg()


def short_reason(e: BaseException) -> str:
    """The first line of why something failed, without a path of this machine: it is saved in model files."""
    return error_reason(e).strip().split("\n")[0][:200]


def _output_problem(body: nn.Module, size: tuple[int, int]) -> str:
    """What is wrong with the body's output for one blank image, '' if nothing is; the body is left in eval mode."""
    with torch.no_grad():
        output = body.eval()(torch.zeros(1, 3, *size))
    if not isinstance(output, torch.Tensor):
        return f"its output is a {type(output).__name__}"
    expected = [1, timm_body.n_features(body)]
    return "" if list(output.shape) == expected else f"its output is {list(output.shape)}, not {expected}"


def _refusal(arch: str, size: tuple[int, int], arch_args: dict | None, problem: str) -> ImgregError:
    """The error for a backbone that does not work, with what to change: the size, --arch-arg, or the backbone."""
    sizes = [size]
    for stride in (16, 14, 32, 64):
        height, width = (-(-n // stride) * stride for n in size)
        sizes += [(height, width), (max(height, width),) * 2]
    sizes.append(pretrained_cfg(arch).input_size[1:])
    for other in sizes[1:]:
        if other != size and works(arch, other, arch_args):
            return ImgregError(f"a size that {arch} works at", f"{_text(size)} ({problem})", f"--size {_text(other)}")
    if arch_args and any(works(arch, other) for other in sizes):
        arguments = first_few(f"{k}={v}" for k, v in arch_args.items())
        return ImgregError(f"--arch-arg that {arch} takes", f"{arguments} ({problem})")
    expected = "a backbone that turns an image into one row of numbers"
    return ImgregError(expected, f"'{arch}' ({problem})", "another --arch")


def _text(size: tuple[int, int]) -> str:
    """A size in the form that --size takes."""
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


# ---- files of weights


def cached_path(cfg: PretrainedCfg) -> str | None:
    """The path of the weights in the local cache of the hub, None if they are not there; opens no connection."""
    if not cfg.hf_hub_id:
        return None
    repo, revision = _repository(cfg)
    paths = [huggingface_hub.try_to_load_from_cache(repo, name, revision=revision) for name in _file_names(cfg)]
    return next((path for path in paths if isinstance(path, str)), None)  # others mark that there is no such file


def download(cfg: PretrainedCfg, timeout: float) -> str:
    """Download the weights from the hub.

    Args:
        cfg: timm's description of them.
        timeout: Seconds within which the hub must answer; the download itself may take longer.

    Returns:
        The path of the file in the local cache.

    Raises:
        TimeoutError: The hub does not answer.
        FileNotFoundError: The repository has none of the file names that timm looks for.
    """
    repo, revision = _repository(cfg)
    names, found_name = _file_names(cfg), Future[str]()

    def find_name() -> None:
        for name in names:
            try:
                url = huggingface_hub.hf_hub_url(repo, name, revision=revision)
                huggingface_hub.get_hf_file_metadata(url, timeout=timeout)  # a HEAD request
            except EntryNotFoundError:
                continue
            except Exception as e:  # noqa: BLE001  raised again below, in the calling thread
                found_name.set_exception(e)
            else:
                found_name.set_result(name)
            return
        found_name.set_exception(FileNotFoundError(f"it has no {' or '.join(names)}"))

    # In a thread, because a socket's timeout covers neither the look-up of a name nor a host with several addresses.
    threading.Thread(target=find_name, daemon=True).start()
    if not wait([found_name], timeout).done:
        raise TimeoutError(f"no answer within {timeout:g} s")
    try:
        return huggingface_hub.hf_hub_download(repo, found_name.result(), revision=revision, etag_timeout=timeout)
    except KeyboardInterrupt:  # huggingface_hub 2.4 deletes what has come
        messages.say(f"the weights of {repo} are not complete: the same command downloads them again")
        raise


def _repository(cfg: PretrainedCfg) -> tuple[str, str | None]:
    """The weights' repository on the hub and its revision, None for the main one."""
    repo, _, revision = (cfg.hf_hub_id or "").partition("@")
    return repo, revision or None


def _file_names(cfg: PretrainedCfg) -> list[str]:
    """The file names that timm looks for in a repository, in its order."""
    name = cfg.hf_hub_filename or "pytorch_model.bin"
    safe = {"pytorch_model.bin": "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
    return [safe.get(name, str(Path(name).with_suffix(".safetensors"))), name]


# ---- the list


def table(pattern: str = "", size: tuple[int, int] | None = None) -> pd.DataFrame:
    """List backbones.

    Args:
        pattern: A glob, or a part of the name.
        size: Height and width of images in pixels, to tell which backbones work on them.

    Returns:
        A row for each backbone. Columns: name, params (millions, without classifier), input (default size), weights
        (timm's tag or None), cached (bool), and with `size` works (bool). In a list of more than MAX_BUILT backbones
        params and works are None.
    """
    names = timm.list_models(pattern if any(c in pattern for c in "*?[") else f"*{pattern}*")
    few = len(names) <= MAX_BUILT
    if not few:
        left_out = "params and works" if size else "params"
        messages.say(f"{len(names)} backbones match; {left_out} are shown for lists of up to {MAX_BUILT}")
    rows = []
    for name in messages.progress_bar(names, len(names), "backbones"):
        cfg, params = pretrained_cfg(name), None
        if few:
            with torch.device("meta"):  # which takes no memory
                body = timm_body.build(name, cfg.input_size[1:])
            params = round(sum(p.numel() for p in body.parameters()) / 1e6, 2)
        rows.append({"name": name, "params": params, "input": _text(cfg.input_size[1:]),
                     "weights": cfg.tag if cfg.has_weights else None, "cached": cached_path(cfg) is not None,
                     "works": works(name, size) if few and size else None})
    columns = ["name", "params", "input", "weights", "cached", *(["works"] if size else [])]
    return pd.DataFrame(rows, columns=columns, dtype=object)  # another dtype would turn None into NaN
