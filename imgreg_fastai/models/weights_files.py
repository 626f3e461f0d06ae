"""Weights files: reading them without running code in them, and fitting their tensors to a timm backbone."""
import json
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from inspect import signature
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from timm.models import load_state_dict, model_entrypoint
from torch import nn

from ..utils import messages
from ..utils.messages import ImgregError, first_few
from .backbones import TIMM_ERRORS, short_reason

SAFE = (".safetensors", ".imgreg")
PICKLED = (".pth", ".pt", ".bin", ".pth.tar")
MAX_MISSING = 0.1  # part of a body's tensors (a renamed last norm) that may be missing from a file, with a warning
MAX_WRAPPERS = 3  # parts of names such as "model." and "backbone." around the names of a backbone's tensors
State = dict[str, torch.Tensor]


# ---- reading


def file_path(spec: str | Path) -> Path:
    """The path of the file that holds the weights of a path, whether it is there or not."""
    path = Path(spec).expanduser()
    return path / "model.safetensors" if path.is_dir() else path


def weights_file(spec: str | Path) -> Path:
    """The file that holds the weights of a path: a weights file, a run folder's model or a bundle.

    Raises:
        ImgregError: There is none, or its name is not that of a weights file.
    """
    path, file = Path(spec).expanduser(), file_path(spec)
    if not file.is_file():
        state = "a folder without model.safetensors" if path.is_dir() else "which is not there"
        raise ImgregError("--weights auto, hub, none or a weights file, run or model", f"'{path}', {state}")
    if not file.name.endswith((*SAFE, *PICKLED)):
        raise ImgregError(f"a weights file: {', '.join((*SAFE, *PICKLED))}", f"'{path}'")
    return file


def read_shapes(path: str) -> State:
    """The tensors of a weights file on torch's meta device: names, shapes and whether they are integers, but no data.

    Raises:
        ImgregError: It is no weights file, or a pickle that is more than a state dict.
    """
    if not path.endswith(SAFE):
        return read_tensors(path, "meta")
    name, state = Path(path).name, {}
    try:
        with safe_open(path, framework="pt") as f:
            metadata = f.metadata() or {}
            for key in f.keys():  # noqa: SIM118  it is no dict
                part = f.get_slice(key)
                dtype = torch.float32 if part.get_dtype().startswith(("F", "BF")) else torch.int64
                state[key] = torch.empty(part.get_shape(), dtype=dtype, device="meta")
    except SafetensorError as e:
        raise _unreadable(Path(path), "a safetensors file", e) from e
    except OSError as e:
        raise ImgregError("a safetensors file", f"'{name}' ({short_reason(e)})") from e
    if path.endswith(".imgreg") and "imgreg" not in metadata:
        raise ImgregError("a bundle that imgreg export wrote", f"'{name}', which only has its name")
    if not state:
        raise ImgregError("a file with weights", f"'{name}', which holds none")
    return state


def read_tensors(path: str, device: str = "cpu") -> State:
    """The tensors of a weights file by name; raises ImgregError for a pickle that is more than a state dict."""
    if path.endswith(SAFE):
        return load_file(path, device)
    name, expected = Path(path).name, "weights: a state dict of tensors, and nothing else"
    try:
        state = load_state_dict(path, device=device, weights_only=True)
    except (*TIMM_ERRORS, EOFError, UnpicklingError) as e:
        raise _unreadable(Path(path), expected, e) from e
    except OSError as e:
        raise ImgregError(expected, f"'{name}' ({short_reason(e)})") from e
    if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ImgregError(expected, f"'{name}' with {first_few(state) or 'nothing'}")
    return state


def _unreadable(path: Path, expected: str, error: Exception) -> ImgregError:
    """The error for a file that cannot be read as weights: what it is instead, where torch speaks of its functions."""
    with open(path, "rb") as file:
        start = file.read(256)
    members = _zip_members(path)
    is_saved = any(name.endswith("/data.pkl") for name in members)  # by torch
    is_pickle = isinstance(error, UnpicklingError) and "truncated" not in str(error)
    has_known_start = start.startswith((b"PK", b"\x80")) or start[8:9] == b"{"  # a zip, a pickle, or safetensors
    if not start:
        what = "which is empty"
    elif start.isascii() and start.decode().replace("\n", "").replace("\r", "").replace("\t", "").isprintable():
        what = "which is text, whatever its name"
    elif is_saved or (has_known_start and is_pickle):
        return ImgregError(expected, f"'{path.name}', which holds Python objects beside them",
                           "torch.save(model.state_dict(), FILE), where the model can be loaded")
    elif members or not has_known_start:
        what = "which holds something else, whatever its name"
    else:
        what = "which is damaged, or not all of it"
    return ImgregError(expected, f"'{path.name}', {what}", "getting the file once more, or --weights auto")


def _zip_members(path: Path) -> list[str]:
    """The names in a zip; [] of another file, and of a zip that is damaged."""
    with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError), zipfile.ZipFile(path) as file:
        return file.namelist()
    return []


def about_model(path: str) -> dict:
    """The JSON of a model of ours; {} for another file."""
    with suppress(SafetensorError, OSError, ValueError, KeyError, TypeError), safe_open(path, "pt") as file:
        return dict(json.loads(file.metadata()["imgreg"]))
    return {}


# ---- fitting


def candidate_states(body: nn.Module, arch: str, state: State, filtered_first: bool = True) -> Iterator[State]:
    """`state` in all forms in which it may fit a timm backbone: with and without wrappers, and filtered by timm.

    Args:
        body: The backbone, without classifier.
        arch: Name of its timm model.
        state: The tensors of a weights file by name; they may be on the meta device.
        filtered_first: Whether the filtered forms come before the others.

    Yields:
        Tensors by name.
    """
    for unwrapped in unwrapped_states(state):
        filtered = _filtered_states(body, arch, unwrapped)
        yield from (*filtered, unwrapped) if filtered_first else (unwrapped, *filtered)


def unwrapped_states(state: State) -> Iterator[State]:
    """`state`, and the tensors under the first part of most names: "model." and "backbone." of people's own classes."""
    for _ in range(1 + MAX_WRAPPERS):
        yield state
        (wrapper, n), *_ = Counter(name.partition(".")[0] for name in state).most_common(1)
        inner = {name.partition(".")[2]: tensor for name, tensor in state.items() if name.startswith(f"{wrapper}.")}
        if n < len(state) / 2 or len(inner) < n:
            return
        state = inner


def _filtered_states(body: nn.Module, arch: str, state: State) -> Iterator[State]:
    """`state` after each checkpoint filter of the timm module that has `arch`.

    A filter renames the tensors of a published file, and resizes position embeddings to the body's size. timm does not
    say which filter a model has, so every function with "filter" in its name is tried. Missed are those of deit3,
    crossvit and flexivit, which take an argument more or are made inside a function.
    """
    module = sys.modules[model_entrypoint(arch.partition(".")[0]).__module__]
    for name, function in list(vars(module).items()):
        if "filter" in name and callable(function):
            args = [dict(state), body] if len(signature(function).parameters) > 1 else [dict(state)]
            try:
                yield function(*args)
            except TIMM_ERRORS as e:
                messages.log.debug("timm's %s fails: %s", name, e)


def find_misfits(body: nn.Module, state: State) -> list[str]:
    """The names of the body's tensors that `state` lacks or has in another shape.

    Integers (counters and index tables) belong to the architecture and may be missing.
    """
    names = []
    for name, tensor in body.state_dict().items():
        fits = state[name].shape == tensor.shape if name in state else not tensor.is_floating_point()
        if not fits:
            names.append(name)
    return names


def lacks_few(body: nn.Module, state: State) -> bool:
    """Whether `state` fits a body but for a few tensors that it lacks; it has none of another shape."""
    names = find_misfits(body, state)
    return len(names) <= MAX_MISSING * len(body.state_dict()) and not any(name in state for name in names)
