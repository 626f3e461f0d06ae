"""A run or a model file -> numbers: the one inference path. No fastai, and nothing is unpickled.

A model file is a safetensors file whose metadata holds, under "imgreg", the JSON of everything else: the completed
Task, the backbone, the normalisation, where the weights came from. Tensors called "calibration." are no weights, but
what its intervals come from. A run's model.safetensors is one too.
"""
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import tasks
from ..data.images import PictureError, find_images, fit_images, warn_broken
from ..tasks import Task
from ..utils.console import progress_bar
from ..utils.errors import ImgregError, first_few
from ..utils.files import atomic_file
from . import conformal
from .conformal import Calibration
from .tta import average_moves, moves_for

FORMAT = 2  # 2: with a calibration
MODEL = "model.safetensors"
CALIBRATION = "calibration."


class NetworkOutput(NamedTuple):
    """What the network made of n pictures that opened, and {place: PictureError} of the others.

    `outputs` [n, n_out], `views` [n, 4]; `features` [n, F], only if asked; `difficulty` [n, m] and `unlike` [n], only
    of a calibrated model: see Calibration.judge; `moved` [n, k, n_out], only with tta: the outputs after each of the k
    tta.moves_for, of which the first leaves a picture as it is.
    """

    outputs: np.ndarray
    views: np.ndarray
    broken: dict
    features: np.ndarray | None = None
    difficulty: np.ndarray | None = None
    unlike: np.ndarray | None = None
    moved: np.ndarray | None = None


@dataclass
class Predictor:
    """A trained network with all it takes to use it. `network`: pictures [n, 3, h, w] -> [n, task.n_out]."""

    task: Task = field(repr=False)
    network: object = field(repr=False)
    about: dict = field(repr=False)  # the JSON of the model file
    device: str = "cpu"
    calibration: Calibration | None = field(default=None, repr=False)

    def predict(self, pictures, boxes=None, bs: int = 64, quiet: bool = False, listed: bool = False,
                coverage: float | None = None, tta: bool = False) -> pd.DataFrame:
        """Predict for a picture or many: paths, folders, globs, bytes, arrays [h, w, 3] or Pillow pictures.

        `boxes`: [n, 4] or [4] in pixels (centre x, centre y, width, height), for a task that was trained on boxes.
        `listed`: they are a list of files by exactly these names, whatever stands in them, and the index of the result
        tells the place of each in it. `tta`: the average answer for a picture and its moved copies, see
        tta.moves_for; its radii were calibrated for one answer, and imgreg evaluate --tta tells whether they hold.
        Returns `image` (as given; its number where it is no path) and a column for each value, in units; of a
        calibrated model also what `intervals` gives, for that `coverage` or the one it was trained for. Pictures that
        cannot be opened are named in a warning and left out; raises PictureError if none can.
        """
        sources = pictures if listed else list_pictures(pictures)
        coverage = self.coverage(coverage)  # known before the work, not after it
        seen = self.see(sources, self.boxed(boxes, len(sources)), bs, quiet, tta=tta)
        broken = seen.broken
        if len(broken) == len(sources):
            raise next(iter(broken.values())) if len(broken) == 1 else PictureError(
                "pictures that can be opened", f"none among {len(broken)}: {first_few(e.actual for e in broken.values())}")
        opened = [i for i in range(len(sources)) if i not in broken]
        names = [str(sources[i]) if isinstance(sources[i], (str, os.PathLike)) else i for i in opened]
        found = {"image": names, **self.answers(seen), **self.intervals(seen, coverage)}
        return pd.DataFrame(found, index=opened if listed else None)

    def boxed(self, boxes, n: int) -> np.ndarray | None:
        """The boxes [n, 4] if the task has them; raises ImgregError if they do not fit to `n` pictures."""
        if not self.task.box:
            return None
        found = np.atleast_2d(np.asarray([] if boxes is None else boxes, float))
        if found.shape != (n, 4):
            expected = f"a box for each of {n} pictures: this model was trained on {', '.join(self.task.box)}"
            raise ImgregError(expected, "none" if boxes is None else f"an array {found.shape}",
                              "a table with these columns and image in place of the pictures, or boxes= in Python")
        return found

    def answers(self, seen: NetworkOutput) -> dict[str, np.ndarray]:
        """What was seen as {column: values in units [n]}; of moved pictures the average answer."""
        decoded = (self.task.decode(seen.outputs, seen.views) if seen.moved is None
                   else average_moves(self.task, seen.moved, seen.views))
        return {c: decoded[t.name][:, i] for t in self.task.targets for i, c in enumerate(t.columns)}

    def coverage(self, asked: float | None = None) -> float | None:
        """The part of all pictures that the intervals hold for: `asked`, or what the model was trained for.

        None without a calibration; raises ImgregError where one is asked of such a model, or too large a one.
        """
        if self.calibration is None and asked is not None:
            raise ImgregError("--coverage with a model that has intervals", "one that was not calibrated",
                              "imgreg train with --calibrate SHARE")
        if self.calibration is None:
            return None
        chosen = self.about["calibration"]["coverage"] if asked is None else asked
        self.calibration.factors(chosen)
        return chosen

    def intervals(self, seen: NetworkOutput, coverage: float | None = None) -> dict[str, np.ndarray]:
        """{`<name>_within`: half-widths or radii in units, [n]}, and `unlike` [n]: far from all that was trained on.

        Nothing without a calibration, which is of one answer, that for the picture as it is.
        """
        if self.calibration is None:
            return {}
        chosen = self.about["calibration"]["coverage"] if coverage is None else coverage
        radii = seen.difficulty * self.calibration.factors(chosen)
        names = [name for t in self.task.targets for name in t.interval_columns]
        return {**dict(zip(names, radii.T, strict=True)), "unlike": seen.unlike}

    def see(self, sources: list, boxes: np.ndarray | None = None, bs: int = 64, quiet: bool = False,
            features: bool = False, tta: bool = False) -> NetworkOutput:
        """Send the pictures that open through the network; the others are named in a warning, unless none opens."""
        moves = moves_for(self.task) if tta else []
        opened = fit_images(sources, self.task, boxes)
        if not quiet:
            opened = progress_bar(opened, len(sources), f"predicting {len(sources)} pictures")
        broken, made, numbered = {}, [], enumerate(opened)
        while batch := list(islice(numbered, bs)):
            broken.update((i, p) for i, p in batch if isinstance(p, PictureError))
            if pictures := [p for _, p in batch if not isinstance(p, PictureError)]:
                made.append(self._made(pictures, features, moves))
        if len(broken) < len(sources):
            warn_broken(list(broken.values()), len(sources))
        if not made:
            return self._nothing(broken)
        outputs, views, *more = (None if of[0] is None else np.concatenate(of) for of in zip(*made, strict=True))
        return NetworkOutput(outputs, views, broken, *more)

    def _made(self, pictures: list, keep: bool, moves: list) -> tuple:
        """The fields of Seen but for `broken`, of a batch of fitted pictures."""
        pixels = np.stack([p.pixels for p in pictures])
        outputs, features = self.forward(pixels)
        others = [self.forward(move.there(pixels))[0] for move in moves[1:]]
        views, judged = np.stack([p.view for p in pictures]), (None, None)
        if self.calibration:
            judged = self.calibration.judge(features, outputs, self.task.uncertainty_features(outputs), self.task.error_scales(views))
        moved = np.stack([outputs, *others], axis=1) if others else None
        return outputs, views, features if keep else None, *judged, moved

    def _nothing(self, broken: dict) -> NetworkOutput:
        """What is seen where no picture opens."""
        of = self.calibration
        judged = (np.empty((0, of.scores.shape[1])), np.empty(0, bool)) if of else (None, None)
        return NetworkOutput(np.empty((0, self.task.n_out), np.float32), np.empty((0, 4)), broken, None, *judged)

    def forward(self, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fitted pictures, uint8 [n, h, w, 3] -> outputs [n, n_out] and the features [n, F] before them, float32."""
        import torch

        x = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        mean, std = (torch.tensor(self.about[k], device=x.device).view(1, 3, 1, 1) for k in ("mean", "std"))
        body, head = self.network
        with torch.inference_mode():
            features = body(((x - mean) / std).contiguous(memory_format=torch.channels_last))
            return head(features).cpu().numpy(), features.float().cpu().numpy()


def list_pictures(pictures) -> list:
    """One picture or many, as a list in which every path is a file."""
    single = isinstance(pictures, (str, bytes, os.PathLike, np.ndarray)) or not isinstance(pictures, Iterable)
    listed: list = []
    for p in [pictures] if single or hasattr(pictures, "getexif") else pictures:
        listed += find_images([p]) if isinstance(p, (str, os.PathLike)) else [p]
    if not listed:
        raise ImgregError("pictures", "none")
    return listed


def model_metadata(task: Task, arch: str, arch_args: dict, stats: tuple, weights: dict) -> dict:
    """What a model file says of itself beside its weights; see Predictor.about."""
    from .. import __version__

    return {"format": FORMAT, "imgreg": __version__, "task": task.to_dict(), "arch": arch, "arch_args": arch_args,
            "mean": list(stats[0]), "std": list(stats[1]), "weights": weights}


def save_model(path: str | Path, network, about: dict, calibration: Calibration | None = None) -> Path:
    """Write a model file, whole or not at all; raises ImgregError if the place cannot be written."""
    import torch
    from safetensors.torch import save as to_bytes

    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    if calibration is not None:
        state |= {f"{CALIBRATION}{k}": torch.from_numpy(v) for k, v in calibration.state().items()}
    with atomic_file(path) as file:
        file.write_bytes(to_bytes(state, metadata={"imgreg": json.dumps(about)}))
    return Path(path)


def load_model(path: str | Path, device: str = "cpu") -> Predictor:
    """Open a run, or a model file of ours, for predicting.

    Raises ImgregError if it is neither; a pickle is not opened, since opening one runs whatever it says.
    """
    path = Path(path)
    file = path / MODEL if path.is_dir() else path
    if not file.is_file():
        if path.is_dir():
            raise ImgregError("a run with a trained model", f"no {MODEL} in '{path}'", "imgreg train")
        raise ImgregError("a run or a model file", f"no '{path}'")
    about, state = _read(file)
    task, net, calibration = _rebuild(file, about, state, device)
    return Predictor(task, net, about, device, calibration)


def _read(file: Path) -> tuple[dict, dict]:
    from safetensors import SafetensorError, safe_open

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


def _rebuild(file: Path, about: dict, state: dict, device: str):
    import torch

    from ..models.network import n_features, network

    try:
        own = {k.removeprefix(CALIBRATION): state.pop(k).numpy() for k in list(state) if k.startswith(CALIBRATION)}
        task = tasks.task_from_dict(about["task"])
        net = network(about["arch"], task.size, task.n_out, about["arch_args"], task.has_points)
        net.load_state_dict(state)
        mean, std = np.array([[float(v) for v in about[k]] for k in ("mean", "std")]).reshape(2, 3)
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise ValueError(f"mean {mean} and std {std}")
        about.update(mean=mean.tolist(), std=std.tolist())
        calibration = None
        if own:
            m = sum(len(t.interval_columns) for t in task.targets)
            calibration = conformal.calibration_from_arrays(own, n_features(net[0]), task.n_out + task.n_uncertainty_features, m)
            about["calibration"].update(coverage=float(about["calibration"]["coverage"]))
            calibration.factors(about["calibration"]["coverage"])
    except Exception as e:
        raise ImgregError("a model file of imgreg", f"'{file}', whose parts do not agree: {e}"[:300]) from e
    return task, net.eval().to(device, memory_format=torch.channels_last), calibration
