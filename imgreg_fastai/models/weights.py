"""The weights that a training starts from: finding them, and loading them into a backbone and its head."""
from dataclasses import dataclass, field, replace
from pathlib import Path

from huggingface_hub import constants
from huggingface_hub.errors import OfflineModeIsEnabled
from safetensors.torch import load_file
from timm.models import PretrainedCfg
from torch import nn

from ..tasks import Task, task_from_dict
from ..utils import messages
from ..utils.files import file_hash
from ..utils.messages import ImgregError
from . import backbones
from .backbones import short_reason
from .recognition import recognise_backbone
from .weights_files import (
    about_model,
    candidate_states,
    find_misfits,
    lacks_few,
    read_shapes,
    read_tensors,
    weights_file,
)

DECODING_FIELDS = ("low", "high", "scale", "period", "sequence")  # of a target: what its outputs stand for


@dataclass(frozen=True)
class Weights:
    """Where the weights of a backbone come from, as run.json records it.

    Attributes:
        origin: hub (downloaded now), cache (downloaded before), file, model (a run or bundle of imgreg), or none.
        tag: timm's name of the weights.
        source: Repository or file name.
        sha256: Hash of the weights file.
        note: Why there are none, or which tensors of the backbone they lack.
        licence: Of the weights of the hub, as timm names it; None where it is not known.
        path: Path of the weights file; not recorded.
        auto: Whether the training may start without weights where these do not fit; not recorded.
    """

    origin: str
    tag: str | None = None
    source: str | None = None
    sha256: str | None = None
    note: str = ""
    licence: str | None = None
    path: str = field(default="", repr=False, compare=False)
    auto: bool = field(default=False, repr=False, compare=False)

    @property
    def pretrained(self) -> bool:
        """Whether there are any."""
        return self.origin != "none"

    def to_dict(self) -> dict:
        """The weights as JSON can hold them, without any path of this machine; the origin is called kind there."""
        return {"kind": self.origin, "tag": self.tag, "source": self.source, "sha256": self.sha256, "note": self.note,
                "licence": self.licence}


# ---- finding


def find_weights(arch: str, spec: str, timeout: float = 3.0) -> Weights:
    """Find the weights of a backbone; a download shows a progress bar.

    Args:
        arch: Name of a timm model, with or without .tag.
        spec: auto, hub, none, or the path of a weights file, a run or a model file. auto takes the local cache, else
            the hub, else none with a warning.
        timeout: Seconds within which the hub must answer.

    Returns:
        The weights, not yet loaded.

    Raises:
        ImgregError: The weights of `hub` or of a path are not available.
    """
    if spec == "none":
        return Weights("none", note="random, as asked for")
    if spec not in ("auto", "hub"):
        return _from_path(spec)
    cfg = backbones.pretrained_cfg(arch)
    try:
        return replace(_from_hub(arch, cfg, timeout), auto=spec == "auto")
    except ImgregError as e:
        if spec == "hub":
            raise
        return _no_weights(arch, e.actual or "")


def _no_weights(arch: str, reason: str) -> Weights:
    """No weights, with a warning."""
    hint = "--weights FILE gives weights, --weights none says that none are meant"
    messages.warn(f"training from scratch, as there are no weights for {arch}: {reason}; {hint}")
    return Weights("none", note=reason)


def _from_hub(arch: str, cfg: PretrainedCfg, timeout: float) -> Weights:
    """The weights in the cache or on the hub; raises ImgregError if they are not there or the file is broken."""
    expected, hint = f"the weights of {arch} on the hub", "--weights FILE, or --weights none"
    if not cfg.hf_hub_id:
        reason = f"its weights are not on the hub but at {cfg.url}" if cfg.url else "timm has no weights for it"
        raise ImgregError(expected, reason, hint)
    path = backbones.cached_path(cfg)
    origin, place = ("cache", "usable in the cache") if path else ("hub", f"from {constants.ENDPOINT}")
    try:
        path = path or backbones.download(cfg, timeout)
        read_shapes(path)
    except OfflineModeIsEnabled as e:
        raise ImgregError(expected, f"{cfg.hf_hub_id} is not in the cache, and HF_HUB_OFFLINE=1 forbids its download",
                          f"unset HF_HUB_OFFLINE, {hint}") from e
    except Exception as e:  # huggingface_hub, its HTTP client and its download engine share no base class
        reason = getattr(e, "actual", None) or short_reason(e)
        raise ImgregError(expected, f"no {cfg.hf_hub_id} {place} ({reason})", hint) from e
    return Weights(origin, cfg.tag, cfg.hf_hub_id, file_hash(path), licence=cfg.license, path=path)


def _from_path(spec: str) -> Weights:
    """The weights in a file, a run folder or a bundle; raises ImgregError if it is none of these."""
    file = str(weights_file(spec))
    # imgreg's networks are a Sequential, whose tensors begin with a number; the names of timm's do not.
    origin = "model" if any(name.startswith("0.") for name in read_shapes(file)) else "file"
    return Weights(origin, None, Path(spec).expanduser().resolve().name, file_hash(file), path=file)


# ---- loading


def load_body(body: nn.Module, arch: str, weights: Weights) -> Weights:
    """Load weights into a backbone, as they are or after one of timm's filters: whichever fits more of its tensors.

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
    state = read_tensors(weights.path)
    if weights.origin == "model":  # the body is item 0, or within it; its tensors have the names that timm gives today
        prefix = "0.timm_body." if any(name.startswith("0.timm_body.") for name in state) else "0."
        state = {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}
    state = min(candidate_states(body, arch, state, filtered_first=weights.origin != "model"),
                key=lambda candidate: len(find_misfits(body, candidate)))
    misfits, total = find_misfits(body, state), len(body.state_dict())
    if misfits:
        note = f"{len(misfits)} of {total} tensors of {arch} have no match in {weights.source}, first '{misfits[0]}'"
        if not lacks_few(body, state):
            if weights.auto:
                return _no_weights(arch, note)
            own = recognise_backbone(weights.path)
            hint = f"--arch {own.arch}, the weights' own" if own and own.arch != arch else (
                "--weights none, or the weights' own --arch and --arch-arg")
            raise ImgregError(f"weights that fit {arch}", note, hint)
        messages.warn(f"{note}; they start from scratch")
        weights = replace(weights, note=note)
    body.load_state_dict(state, strict=False)
    return weights


def trained_task(path: str) -> Task | None:
    """The task that a model of ours was trained for; None if its file does not tell one."""
    try:
        return task_from_dict(about_model(path)["task"])
    except (ImgregError, KeyError, TypeError, ValueError, AttributeError):  # whatever a hostile file holds
        return None


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
    old_task = trained_task(weights.path)
    if old_task is None:
        return False
    targets = old_task.targets
    if [(t.kind, t.columns) for t in targets] != [(t.kind, t.columns) for t in task.targets]:
        return False
    for old, new in zip(targets, task.targets, strict=True):
        before, now = old.to_dict(), new.to_dict()
        differing = [name for name in DECODING_FIELDS if before.get(name) != now.get(name)]
        if differing:
            was, is_now = (", ".join(f"{name} {fields[name]}" for name in differing) for fields in (before, now))
            messages.say(f"the head of {new.name} was made for {was}; here it is to learn {is_now}")
            return False
    body = "0.timm_body." if any(name.startswith("0.timm_body.") for name in model.state_dict()) else "0."
    state = {name: v for name, v in load_file(weights.path).items()
             if name.startswith(("0.", "1.")) and not name.startswith(body)}
    shapes = {name: v.shape for name, v in model.state_dict().items() if not name.startswith(body)}
    if {name: v.shape for name, v in state.items()} != shapes:
        return False
    model.load_state_dict(state, strict=False)
    return True
