"""Model files: a network with all it takes to use it, in a format that runs no code when it is opened.

A model file is a safetensors file. Its metadata holds under "imgreg" the JSON of everything but tensors: the completed
Task, the backbone, the normalisation, where the weights came from. Tensors whose names begin with "calibration." belong
to the Calibration. The model.safetensors of a run is such a file.
"""
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from ..models.features import frozen_network
from ..models.mean_positions import needs_positions
from ..models.network import HeadKind, network
from ..models.output_head import N_OUTPUTS
from ..models.timm_body import n_features
from ..tasks import Task, task_from_dict
from ..utils.files import atomic_file
from ..utils.messages import ImgregError, first_few
from .conformal import Calibration, calibration_from_arrays
from .predictor import Predictor

# 2: with a calibration; 3: with the sample of a calibration by groups; 4: histograms, or frozen features; 5: histograms
# on a circle; 6: the kind of the head, of which "maps" is new
FORMAT = 6
MODEL = "model.safetensors"  # of a run
CALIBRATION = "calibration."


def model_metadata(task: Task, arch: str, arch_args: dict, stats: tuple, weights: dict,
                   levels: dict | None = None, forms: Sequence[str] = (), head: HeadKind = "pooled",
                   frozen_grid: int | None = None) -> dict:
    """Collect what a model file holds beside tensors, see Predictor.about.

    Args:
        task: The completed task.
        arch: Timm's name of the backbone.
        arch_args: Further arguments for timm.create_model.
        stats: Mean and standard deviation that pixels are normalised by, three numbers each.
        weights: Where the weights came from, as JSON.
        levels: What the images of the training hold, see summarise_levels; None if that is not known.
        forms: What the outputs are, see output_head.build; (): all are sigmoids.
        head: What the head gets beside the pooled features, see network.network.
        frozen_grid: Of the FrozenFeatures that are the body; None: it is that of a trained network.
    """
    from .. import __version__

    optional = {"levels": levels or None, "forms": list(forms) or None, "frozen_grid": frozen_grid}
    return {"format": FORMAT, "imgreg": __version__, "task": task.to_dict(), "arch": arch, "arch_args": arch_args,
            "mean": list(stats[0]), "std": list(stats[1]), "weights": weights,
            "head": head, **{name: value for name, value in optional.items() if value is not None}}


def save_model(path: str | Path, network: nn.Module | dict[str, torch.Tensor], about: dict,
               calibration: Calibration | None = None) -> Path:
    """Write a model file; returns its path.

    Args:
        path: Of the file, which is replaced if it exists.
        network: The body and the head, or their tensors by name.
        about: As model_metadata returns it.
        calibration: Of the model, if it is calibrated.

    Raises:
        ImgregError: If the file cannot be written.
    """
    tensors = network.state_dict() if isinstance(network, nn.Module) else network
    state = {k: v.detach().cpu().contiguous() for k, v in tensors.items()}
    if calibration is not None:
        state |= {f"{CALIBRATION}{k}": torch.from_numpy(v) for k, v in calibration.state().items()}
    with atomic_file(path) as file:
        file.write_bytes(to_bytes(state, metadata={"imgreg": json.dumps(about)}))
    return Path(path)


def has_weights(path: Path, tensors: dict[str, torch.Tensor]) -> bool:
    """Tell whether a model file holds these tensors of a network; False if it cannot be read."""
    try:
        with safe_open(path, framework="pt") as f:
            return all(torch.equal(f.get_tensor(name), tensor.cpu()) for name, tensor in tensors.items())
    except (SafetensorError, OSError):
        return False


def load_model(path: str | Path, device: str = "cpu") -> Predictor:
    """Open a run folder or a model file for predicting.

    Raises:
        ImgregError: If it is neither, a newer version's, or a pickle, which runs code when it is opened.
    """
    path = Path(path)
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        folder = path if path.is_dir() else path.parent
        near = first_few(f"'{found.parent}'" for found in sorted(folder.glob(f"*/{MODEL}")))  # of folds, or beside it
        if path.is_dir():
            raise ImgregError("a run with a trained model", f"no {MODEL} in '{path}'", near or "imgreg train")
        raise ImgregError("a run or a model file", f"no '{path}'", near or None)
    about, state = _read(file)
    try:
        return _rebuild(about, state, device)
    except Exception as e:
        reason = f"'{file}', whose parts do not agree: {e}"
        raise ImgregError("a model file of imgreg", reason[:300]) from e


def _read(file: Path) -> tuple[dict, dict]:
    """Read the metadata and the tensors of a model file."""
    try:
        with open(file, "rb") as f:
            start = f.read(8)
    except OSError as e:
        raise ImgregError("a model file that can be read", f"'{file}': {e.strerror}") from e
    if file.suffix == ".pkl" or start[:2] in (b"\x80\x02", b"\x80\x04", b"PK"):
        raise ImgregError("a model file without pickle", f"the pickle '{file}'",
                          "fastai's load_learner if you trust it, or imgreg export RUN --format bundle")
    try:
        with safe_open(file, framework="pt") as f:
            about = json.loads((f.metadata() or {})["imgreg"])
            if about["format"] > FORMAT:
                raise ImgregError(f"a model file of format {FORMAT} or older", f"format {about['format']} in '{file}'",
                                  "pip install -U imgreg-fastai")
            return about, {k: f.get_tensor(k) for k in f.keys()}  # noqa: SIM118  no mapping
    except (SafetensorError, KeyError, TypeError, ValueError) as e:
        raise ImgregError("a model file of imgreg", f"'{file}', which is none ({type(e).__name__})") from e


def output_forms(about: dict) -> list[str]:
    """What the outputs of a model are, see output_head.build; [] where all are sigmoids."""
    # format 4 said of each output whether it is a histogram on a line
    return about.get("forms") or ["line" if is_line else "sigmoid" for is_line in about.get("histograms", ())]


def older_network(task: Task, forms: Sequence[str]) -> dict:
    """What files before format 6 do not tell of a network, as arguments of `model_metadata`."""
    return {"head": "positions" if needs_positions(task.has_points, forms) else "pooled", "forms": list(forms)}


def _rebuild(about: dict, state: dict, device: str) -> Predictor:
    """Build the model from metadata and tensors; raises errors of any kind if these do not agree."""
    arrays = {k.removeprefix(CALIBRATION): state.pop(k).numpy() for k in list(state) if k.startswith(CALIBRATION)}
    task = task_from_dict(about["task"])
    forms = output_forms(about)
    _check_forms(forms, task)
    if "frozen_grid" in about:
        net = frozen_network(about["arch"], task.size, task.n_out, about["arch_args"], about["frozen_grid"])
    else:
        net = network(about["arch"], task.size, task.n_out, about["arch_args"],
                      about.get("head") or older_network(task, forms)["head"], forms)
    net.load_state_dict(state)
    stats = np.array([[float(v) for v in about[name]] for name in ("mean", "std")]).reshape(2, 3)
    if not (np.isfinite(stats).all() and (stats[1] > 0).all()):
        raise ValueError(f"mean {stats[0]} and std {stats[1]}")
    about.update(mean=stats[0].tolist(), std=stats[1].tolist())
    _check_levels(about.get("levels"))
    model = Predictor(task, net.eval().to(memory_format=torch.channels_last).to(device), about, device)
    if arrays:
        m = len(task.interval_columns)
        n_outputs = task.n_out + task.n_uncertainty_features + getattr(net[0], "n_points", 0)
        model.calibration = calibration_from_arrays(arrays, n_features(net[0]), n_outputs, m, len(task.columns))
        _check_calibration(about["calibration"])
        model.resolve_coverage()  # raises if its scores do not suffice
    return model


def _check_forms(forms: Sequence[str], task: Task) -> None:
    """Raise an error if what a model file says of its outputs is nothing that a task's outputs can be."""
    of_outputs = [form for form in forms for _ in range(N_OUTPUTS[form])]
    if forms and len(of_outputs) != task.n_out:
        raise ValueError(f"{forms} for {task.n_out} outputs")
    are_points = [target.histogram == "map" for target in task.targets for _ in range(target.n_out)]
    if "position" in forms and [form == "position" for form in of_outputs] != are_points:
        raise ValueError(f"{forms} for targets of the kinds {', '.join(t.kind for t in task.targets)}")


def _check_calibration(about: dict) -> None:
    """Raise an error if what a model file says of its calibration is not what calibrate.calibrate writes."""
    about["coverage"] = float(about["coverage"])
    parts, left_out = about.get("parts", []), about.get("left_out", {})
    if not isinstance(about["units"], int) or not isinstance(parts, list) or not isinstance(left_out, dict):
        raise ValueError(f"calibration {about}")
    if not all(isinstance(share, (int, float)) for share in left_out.values()):
        raise ValueError(f"calibration {about}")


def _check_levels(levels: object) -> None:
    """Raise ValueError if what a model file says of the levels of its training is not what summarise_levels returns."""
    if levels is None:
        return
    if not isinstance(levels, dict) or not isinstance(levels.get("deep"), (int, float)):
        raise ValueError(f"levels {levels}")
    ends = [np.array(levels[name], float) for name in ("low", "high", "shown") if name in levels]
    if len(ends) not in (0, 3) or not all(pair.shape == (2,) and np.isfinite(pair).all() for pair in ends):
        raise ValueError(f"levels {levels}")
