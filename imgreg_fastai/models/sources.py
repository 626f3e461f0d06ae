"""Where a body's weights come from: the hub, its local cache, a file, a model of ours, or nowhere."""
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..utils import console
from ..utils.errors import ImgregError, first_few
from . import backbones

SAFE = (".safetensors", ".imgreg")
PICKLED = (".pth", ".pt", ".bin", ".pth.tar")
BY_WISH = "none were asked for"


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


def find_weights(arch: str, spec: str, timeout: float = 3.0) -> Weights:
    """The weights that `spec` asks for: auto, hub, none, or the path of a file, run or model.

    auto takes the local cache, else the hub if it answers within `timeout` seconds, else none, with a warning. Raises
    ImgregError where hub or a path cannot be had. A download shows huggingface_hub's progress bar.
    """
    if spec == "none":
        return Weights("none", note=BY_WISH)
    if spec not in ("auto", "hub"):
        return _from_path(Path(spec).expanduser())
    cfg = backbones.pretrained_cfg(arch)
    kind, path, why = _from_hub(cfg, timeout)
    if kind:
        return Weights(kind, cfg.tag, cfg.hf_hub_id, _sha256(path), path=path, auto=spec == "auto")
    if spec == "hub":
        raise ImgregError(f"the weights of {arch} on the hub", why, "--weights FILE, or --weights none")
    return no_weights(arch, why)


def no_weights(arch: str, why: str) -> Weights:
    """No weights, said in one line."""
    console.warn(f"{arch} trains from scratch: {why}; say --weights FILE to give weights, --weights none if meant so")
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
        return "", "", f"no {cfg.hf_hub_id} {where} ({backbones.error_reason(e)})"


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
        return list(tensors(path))
    name = Path(path).name
    try:
        with safe_open(path, framework="pt") as f:
            keys, metadata = list(f.keys()), f.metadata() or {}
    except (SafetensorError, OSError) as e:
        raise ImgregError("a safetensors file", f"'{name}' ({backbones.error_reason(e)})") from e
    if path.endswith(".imgreg") and "imgreg" not in metadata:
        raise ImgregError("a bundle that imgreg export wrote", f"'{name}', which only has its name")
    if not keys:
        raise ImgregError("a file with weights", f"'{name}', which holds none")
    return keys


def tensors(path: str) -> dict:
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
        raise ImgregError(wanted, f"'{name}' ({backbones.error_reason(e)})") from e
    if not state or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ImgregError(wanted, f"'{name}' with {first_few(state) or 'nothing'}")
    return state


def _sha256(path: str) -> str:
    """The file's hash, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
