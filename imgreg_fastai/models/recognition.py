"""The backbone of a weights file: the timm model whose tensors have the file's names and shapes."""
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import timm
import torch
from timm.models import get_pretrained_cfg, model_entrypoint
from torch import nn
from torch.overrides import TorchFunctionMode

from ..utils.messages import ImgregError, ProgressBar, first_few
from . import backbones
from .weights_files import (
    State,
    about_model,
    candidate_states,
    find_misfits,
    lacks_few,
    read_shapes,
    unwrapped_states,
    weights_file,
)

MIN_RESEMBLANCE = 0.5  # of a file's tensors, the part whose names a model must have for its relatives to be tried
WELL_KNOWN = (
    "resnet18", "resnet34", "resnet50", "resnet101", "mobilenetv2_100", "mobilenetv3_large_100",
    "mobilenetv3_small_100", "efficientnet_b0", "convnext_tiny", "convnext_small", "convnext_base",
    "vit_base_patch16_224", "vit_small_patch16_224", "vit_small_patch14_dinov2", "vit_base_patch14_dinov2",
    "vit_small_patch16_dinov3", "vit_base_patch16_dinov3", "swin_tiny_patch4_window7_224", "densenet121")
PATH_PARTS = 4  # the last parts of a path whose names may name the backbone: the hub's cache has a folder for a commit


class Backbone(NamedTuple):
    """A timm backbone.

    Args:
        arch: Its name.
        arch_args: Keywords for timm.create_model; None where the file does not tell them.
    """

    arch: str
    arch_args: dict[str, Any] | None = None


def recognise_backbone(spec: str | Path) -> Backbone | None:
    """Find the backbone whose weights a file holds; the file's tensors are not read, only their names and shapes.

    A model of ours names its backbone. For other files, timm's models are built without memory and compared: first
    those that the file's name, a config.json beside it or its metadata name, then those whose tensors have names like
    the file's. Among models with the same tensors it is the one named, else the one with the shortest name of those
    that timm has weights for. What has no tensors, such as pad_type or the kind of pooling, cannot be recognised.

    Args:
        spec: A weights file, a run folder or a model file.

    Returns:
        The backbone; None if no model of timm has these tensors.

    Raises:
        ImgregError: It is no weights file.
    """
    file = weights_file(spec)
    own = about_model(str(file))
    if isinstance(own.get("arch"), str) and timm.is_model(own["arch"].partition(".")[0]):
        arch_args = own.get("arch_args")
        return Backbone(own["arch"], arch_args if isinstance(arch_args, dict) else {})
    closest = _closest_model(file.resolve(), file.stat().st_mtime_ns)
    return Backbone(closest.arch) if closest and closest.fits else None


def refusal(spec: str | Path) -> ImgregError:
    """The error for a file whose backbone `recognise_backbone` does not know."""
    file = weights_file(spec)
    closest = _closest_model(file.resolve(), file.stat().st_mtime_ns)
    nearest = ""
    if closest and closest.resemblance >= MIN_RESEMBLANCE:
        other = f"{closest.n_misfits} of its {closest.n_tensors} tensors have no match" if closest.n_misfits else (
            f"{closest.n_layers} tensors more")
        nearest = f"; the nearest is {closest.arch}: {other}"
    names = first_few(read_shapes(str(file)), 3)
    return ImgregError("weights of a timm backbone", f"'{file.name}' with {names}{nearest}",
                       "--arch NAME if you know it, see imgreg backbones")


# ---- one model


class Comparison(NamedTuple):
    """How the tensors of a file compare with those of one timm model.

    Args:
        arch: The model.
        fits: Whether the file holds weights of the model, and no more layers of the kind.
        n_misfits: Tensors of the model that the file lacks or has in another shape.
        n_layers: Tensors of the file that belong to layers which the model lacks.
        n_resized: Tensors of the model whose shape is not in the file before timm resizes them.
        n_others: Further tensors of the file, such as those of a decoder; those of a classifier do not count.
        resized_tokens: Whether those, if any, are position embeddings: the file is for images of another size.
        n_tensors: Tensors of the model.
        resemblance: Share of the file's tensors whose names differ from the model's in numbers at most.
    """

    arch: str
    fits: bool
    n_misfits: int
    n_layers: int
    n_resized: int
    n_others: int
    resized_tokens: bool
    n_tensors: int
    resemblance: float

    @property
    def distance(self) -> tuple[bool, int, int]:
        """What the closest model has least of; all 0 for the same tensors."""
        return not self.fits, self.n_misfits + self.n_layers + self.n_others, self.n_resized

    @property
    def exact(self) -> bool:
        """Whether the tensors are the same."""
        return not any(self.distance)

    @property
    def same_but_for_size(self) -> bool:
        """Whether the tensors are the same, but for position embeddings of another number."""
        return not any(self.distance[:2]) and self.resized_tokens


class SkipInit(TorchFunctionMode):
    """Fill no new tensors with numbers: on the meta device that takes most of the time of building a model."""

    FILLING = frozenset((
        *(function for name, function in vars(nn.init).items() if name.endswith("_") and not name.startswith("_")),
        *(getattr(torch.Tensor, f"{name}_") for name in (
            "uniform", "normal", "fill", "zero", "erfinv", "mul", "add", "clamp", "copy"))))

    def __torch_function__(self, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Call a function of torch unless it fills its first argument."""
        return args[0] if func in self.FILLING and args else func(*args, **(kwargs or {}))


def _compare(arch: str, state: State) -> Comparison | None:
    """Compare a file's tensors with those of a model; None if that cannot be built so."""
    try:
        with torch.device("meta"), SkipInit():
            body = timm.create_model(arch, num_classes=0)
    except backbones.TIMM_ERRORS:
        return None
    cfg = get_pretrained_cfg(arch)
    heads = _as_tuple(cfg.classifier if cfg else None)
    compared = [_compare_form(arch, body, form, state, heads) for form in candidate_states(body, arch, state)]
    return min(compared, key=lambda comparison: (comparison.n_misfits, -comparison.resemblance, comparison.distance))


def _compare_form(arch: str, body: nn.Module, form: State, state: State, heads: tuple[str, ...]) -> Comparison:
    """Compare a model with one form of a file's tensors."""
    own = body.state_dict()
    shapes = Counter(tuple(tensor.shape) for tensor in state.values() if tensor.is_floating_point())
    own_shapes = Counter(tuple(tensor.shape) for tensor in own.values() if tensor.is_floating_point())
    resized = own_shapes - shapes
    resized_tokens = all(len(shape) == 3 and shape[0] == 1 for shape in resized)
    parts = {_first_part(name) for name in own} - {_first_part(head) for head in heads}
    rest = [name for name, tensor in form.items() if name not in own and tensor.is_floating_point()]
    layers = [name for name in rest if _first_part(name) in parts]
    others = [name for name in rest if name not in layers and not name.startswith(tuple(f"{head}." for head in heads))]
    patterns = {_pattern(name) for name in own}
    alike = sum(_pattern(name) in patterns for name in form) / max(1, len(form))
    return Comparison(arch, lacks_few(body, form) and not layers, len(find_misfits(body, form)), len(layers),
                      resized.total(), len(others), resized_tokens, len(own), alike)


def _pattern(name: str) -> str:
    """A tensor's name without its numbers."""
    return re.sub(r"\d+", "#", name)


def _first_part(name: str) -> str:
    """The first part of a tensor's name without its numbers: "layer#"."""
    return _pattern(name.partition(".")[0])


def _as_tuple(names: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """One name or several, or none, as timm's configurations have them."""
    return (names,) if isinstance(names, str) else tuple(names or ())


# ---- the search


@lru_cache(maxsize=32)
def _closest_model(file: Path, changed: int) -> Comparison | None:
    """The timm model with the tensors that are most like a file's; `changed` is when the file was."""
    state = read_shapes(str(file))
    closest = None
    with ProgressBar(f"recognising the backbone of {file.name}") as bar:
        for n, comparison in enumerate(_comparisons(file, state)):
            bar.update(n, None, comparison.arch)
            if closest is None or comparison.distance < closest.distance:
                closest = comparison
            if closest.same_but_for_size:
                break
        if closest is not None and closest.same_but_for_size and not closest.exact:
            stem = closest.arch.rpartition("_")[0]  # of vit_base_patch16_224 and vit_base_patch16_384
            others = sorted((arch for arch in timm.list_models() if arch.startswith(f"{stem}_")), key=_plainness)
            closest = min([closest, *_compared(others, state)], key=lambda comparison: comparison.distance)
    return closest


def _comparisons(file: Path, state: State) -> Iterator[Comparison]:
    """Compare with timm's models, the likely ones first: the caller stops at the first that is exact."""
    yield from _compared(_named_models(file), state)
    names = {name for unwrapped in unwrapped_states(state) for name in unwrapped}
    models = sorted(timm.list_models(), key=_plainness)
    likely = [arch for arch in models if _has_first_layer(arch, names)]
    yield from _compared((arch for arch in WELL_KNOWN if arch in likely), state)
    yield from _search(likely or models, state)


def _search(models: list[str], state: State) -> Iterator[Comparison]:
    """Compare with one model of each group of relatives, then with the groups whose names resemble the file's."""
    resembling = []
    for first, *others in _relatives(models):
        for comparison in _compared([first], state):
            yield comparison
            if comparison.resemblance >= MIN_RESEMBLANCE:
                resembling.append((comparison.resemblance, others))
    for _, others in sorted(resembling, key=lambda pair: -pair[0]):
        yield from _compared(others, state)


def _relatives(models: list[str]) -> list[list[str]]:
    """Group models whose tensors have about the same names: those of one module whose names begin alike."""
    groups: dict[tuple[str, str], list[str]] = {}
    for arch in models:
        module, stem = model_entrypoint(arch).__module__, re.split(r"[\d_]", arch)[0]
        key = next((key for key in groups if key[0] == module and stem.startswith(key[1])), (module, stem))
        groups.setdefault(key, []).append(arch)
    return list(groups.values())


def _compared(models: Iterable[str], state: State) -> Iterator[Comparison]:
    """The comparisons with those models that can be built."""
    for arch in models:
        comparison = _compare(arch, state)
        if comparison is not None:
            yield comparison


def _plainness(arch: str) -> tuple[bool, int, str]:
    """Sorts models: those that timm has weights for first, short names before long ones."""
    cfg = get_pretrained_cfg(arch)
    return not (cfg and cfg.has_weights), len(arch), arch


def _has_first_layer(arch: str, names: set[str]) -> bool:
    """Whether a file with tensors of these names has the first layer of a model."""
    cfg = get_pretrained_cfg(arch)
    layers = _as_tuple(cfg.first_conv if cfg else None)
    return bool(layers) and all(f"{layer}.weight" in names for layer in layers)


def _named_models(file: Path) -> list[str]:
    """The models that a file's metadata, a config.json beside it or its path name, the longest name first."""
    texts = ["/".join(file.parts[-PATH_PARTS:])]
    with suppress(OSError, ValueError, TypeError, KeyError):
        texts.append(str(json.loads(file.with_name("config.json").read_text())["architecture"]))
    words = set(re.split(r"[^a-z0-9_]+", " ".join(texts).lower().replace("-", "_")))
    found = [arch for arch in timm.list_models() if any(f"_{arch}_" in f"_{word}_" for word in words)]
    return sorted(found, key=lambda arch: (-len(arch), arch))
