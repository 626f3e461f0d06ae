"""A run or a model file -> numbers: the one inference path. No fastai, and nothing is unpickled.

A model file is a safetensors file whose metadata holds, under "imgreg", the JSON of everything else: the completed
Task, the backbone, the normalisation, where the weights came from. A run's model.safetensors is one too.
"""
import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from . import tasks
from .errors import ImgregError, some
from .files import whole
from .images import PictureError, find, fitted, tell_broken
from .messages import track
from .tasks import Task

FORMAT = 1
MODEL = "model.safetensors"


@dataclass
class Predictor:
    """A trained network with all it takes to use it. `network`: pictures [n, 3, h, w] -> [n, task.n_out]."""

    task: Task = field(repr=False)
    network: object = field(repr=False)
    about: dict = field(repr=False)  # the JSON of the model file
    device: str = "cpu"

    def predict(self, pictures, boxes=None, bs: int = 64, quiet: bool = False, listed: bool = False) -> pd.DataFrame:
        """Predict for a picture or many: paths, folders, globs, bytes, arrays [h, w, 3] or Pillow pictures.

        `boxes`: [n, 4] or [4] in pixels (centre x, centre y, width, height), for a task that was trained on boxes.
        `listed`: they are a list of files by exactly these names, whatever stands in them, and the index of the result
        tells the place of each in it.
        Returns `image` (as given; its number where it is no path) and a column for each value, in units. Pictures that
        cannot be opened are named in a warning and left out; raises PictureError if none can.
        """
        sources = pictures if listed else _listed(pictures)
        outputs, views, broken = self.outputs(sources, self._boxed(boxes, len(sources)), bs, quiet)
        if len(broken) == len(sources):
            raise next(iter(broken.values())) if len(broken) == 1 else PictureError(
                "pictures that can be opened", f"none among {len(broken)}: {some(e.found for e in broken.values())}")
        opened = [i for i in range(len(sources)) if i not in broken]
        names = [str(sources[i]) if isinstance(sources[i], (str, os.PathLike)) else i for i in opened]
        return pd.DataFrame({"image": names, **self.columns(outputs, views)}, index=opened if listed else None)

    def _boxed(self, boxes, n: int) -> np.ndarray | None:
        """The boxes [n, 4] if the task has them; raises ImgregError if they do not fit to `n` pictures."""
        if not self.task.box:
            return None
        found = np.atleast_2d(np.asarray([] if boxes is None else boxes, float))
        if found.shape != (n, 4):
            expected = f"a box for each of {n} pictures: this model was trained on {', '.join(self.task.box)}"
            raise ImgregError(expected, "none" if boxes is None else f"an array {found.shape}",
                              "a table with these columns and image in place of the pictures, or boxes= in Python")
        return found

    def columns(self, outputs: np.ndarray, views: np.ndarray) -> dict[str, np.ndarray]:
        """The network's outputs [n, n_out] for pictures seen by `views` [n, 4] as {column: values in units [n]}."""
        decoded = self.task.decode(outputs, views)
        return {c: decoded[t.name][:, i] for t in self.task.targets for i, c in enumerate(t.columns)}

    def outputs(self, sources: list, boxes: np.ndarray | None = None, bs: int = 64, quiet: bool = False):
        """Send the pictures that open through the network: (outputs [n, n_out], views [n, 4], {place: PictureError}).

        The others are named in a warning, unless none opens.
        """
        opened = fitted(sources, self.task, boxes)
        if not quiet:
            opened = track(opened, len(sources), f"predicting {len(sources)} pictures")
        broken, outputs, views = {}, [np.empty((0, self.task.n_out), np.float32)], [np.empty((0, 4))]
        numbered = enumerate(opened)
        while batch := list(islice(numbered, bs)):
            broken.update((i, p) for i, p in batch if isinstance(p, PictureError))
            pictures = [p for _, p in batch if not isinstance(p, PictureError)]
            if pictures:
                outputs.append(self.forward(np.stack([p.pixels for p in pictures])))
                views.append(np.stack([p.view for p in pictures]))
        if len(broken) < len(sources):
            tell_broken(list(broken.values()), len(sources))
        return np.concatenate(outputs), np.concatenate(views), broken

    def forward(self, pictures: np.ndarray) -> np.ndarray:
        """Fitted pictures, uint8 [n, h, w, 3] -> outputs [n, n_out] in float32."""
        import torch

        x = torch.from_numpy(pictures).to(self.device).permute(0, 3, 1, 2).float().div_(255)
        mean, std = (torch.tensor(self.about[k], device=x.device).view(1, 3, 1, 1) for k in ("mean", "std"))
        with torch.inference_mode():
            return self.network(((x - mean) / std).contiguous(memory_format=torch.channels_last)).cpu().numpy()


def _listed(pictures) -> list:
    """One picture or many, as a list in which every path is a file."""
    single = isinstance(pictures, (str, bytes, os.PathLike, np.ndarray)) or not isinstance(pictures, Iterable)
    listed: list = []
    for p in [pictures] if single or hasattr(pictures, "getexif") else pictures:
        listed += find([p]) if isinstance(p, (str, os.PathLike)) else [p]
    if not listed:
        raise ImgregError("pictures", "none")
    return listed


def describe(task: Task, arch: str, arch_args: dict, stats: tuple, weights: dict) -> dict:
    """What a model file says of itself beside its weights; see Predictor.about."""
    from . import __version__

    return {"format": FORMAT, "imgreg": __version__, "task": task.to_dict(), "arch": arch, "arch_args": arch_args,
            "mean": list(stats[0]), "std": list(stats[1]), "weights": weights}


def save(path: str | Path, network, about: dict) -> Path:
    """Write a model file, whole or not at all; raises ImgregError if the place cannot be written."""
    from safetensors.torch import save as to_bytes

    state = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    with whole(path) as file:
        file.write_bytes(to_bytes(state, metadata={"imgreg": json.dumps(about)}))
    return Path(path)


def load(path: str | Path, device: str = "cpu") -> Predictor:
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
    return Predictor(*_rebuild(file, about, state, device), about, device)


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

    from .network import network

    try:
        task = tasks.from_dict(about["task"])
        net = network(about["arch"], task.size, task.n_out, about["arch_args"], task.places)
        net.load_state_dict(state)
        mean, std = np.array([[float(v) for v in about[k]] for k in ("mean", "std")]).reshape(2, 3)
        if not (np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()):
            raise ValueError(f"mean {mean} and std {std}")
        about.update(mean=mean.tolist(), std=std.tolist())
    except Exception as e:
        raise ImgregError("a model file of imgreg", f"'{file}', whose parts do not agree: {e}"[:300]) from e
    return task, net.eval().to(device, memory_format=torch.channels_last)
