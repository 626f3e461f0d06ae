"""Features of images on disk: what a frozen backbone has computed once is not computed again.

A file holds the features of a few images by one backbone, under the content of the images, so that the folds of a
cross-validation and repeated commands on a table share them. It is a safetensors file, which runs no code when it is
opened. Whatever is wrong with the folder or with a file, the features are computed.
"""
import json
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ..data.images import PictureError
from ..data.known_images import content_hashes
from ..inference.predictor import NetworkOutput, Predictor
from ..models.timm_body import n_features
from ..tasks import Array
from ..utils.files import atomic_file
from ..utils.messages import ImgregError, ProgressBar, log, muted

MAX_BYTES = 2 * 2**30  # of all files; those that were not used for longest are removed
LARGEST = float(np.finfo(np.float16).max)  # features are kept in half precision, which takes half of the space
CHUNK = 100  # images in a file: work that is cut short has saved those before
Row = tuple[Array, Array]  # the features [F] and the view [4] of an image


def cache_folder() -> Path:
    """The folder for features: in IMGREG_CACHE, or in imgreg of XDG_CACHE_HOME or ~/.cache."""
    folder, shared = os.environ.get("IMGREG_CACHE"), os.environ.get("XDG_CACHE_HOME")
    return (Path(folder) if folder else Path(shared or "~/.cache") / "imgreg").expanduser() / "features"


def frozen_features(model: Predictor, rows: pd.DataFrame,
                    seconds: float | None = None) -> tuple[pd.DataFrame, NetworkOutput]:
    """Send the images of a labels frame through the body of a network, unless their features are in the cache.

    Args:
        model: The network; its head is not used.
        rows: Labels with `path`, and the columns of the box if the task has one.
        seconds: The most time for images that are not in the cache, a chunk of them more or less; None: all it takes.

    Returns:
        The rows whose image can be opened, and was reached, with a new index; and their features [n, F] and views
        [n, 4], with the images that are broken by their position in `rows`. The outputs are empty.
    """
    rows = rows.reset_index(drop=True)
    folder, keys = cache_folder() / _network_key(model), _image_keys(model, rows)
    known = _read_features(folder, set(keys), n_features(model.network[0]))
    missing = [i for i, key in enumerate(keys) if key not in known]
    broken: dict[int, PictureError] = {}
    began = time.perf_counter()
    with ProgressBar("computing features") as bar:
        for start in range(0, len(missing), CHUNK):
            if seconds is not None and time.perf_counter() - began > seconds:
                break
            bar.update(start, len(missing), f"{start}/{len(missing)} images")
            positions = missing[start : start + CHUNK]
            broken |= _compute(model, rows, positions, keys, known, folder)
    if missing:
        _remove_oldest(cache_folder())
    kept = [i for i, key in enumerate(keys) if key in known]
    features = np.array([known[keys[i]][0] for i in kept], np.float32)
    views = np.array([known[keys[i]][1] for i in kept]).reshape(len(kept), 4)
    output = NetworkOutput(np.empty((len(kept), 0)), views, broken, features)
    return rows.iloc[kept].reset_index(drop=True), output


def _compute(model: Predictor, rows: pd.DataFrame, positions: list[int], keys: Sequence[str], known: dict[str, Row],
             folder: Path) -> dict[int, PictureError]:
    """Add the features of the images at some positions to those that are known; returns those that are broken."""
    chunk = rows.iloc[positions]
    with muted():  # who asks for the features names what is broken
        output = model.predict_outputs(list(chunk["path"]), model.task.boxes(chunk), quiet=True, features=True)
    opened = [i for number, i in enumerate(positions) if number not in output.broken]
    if opened:
        features = np.nan_to_num(output.features).clip(-LARGEST, LARGEST).astype(np.float16)
        known.update((keys[i], (x, view)) for i, x, view in zip(opened, features, output.views, strict=True))
        _write_features(folder, {keys[i]: known[keys[i]] for i in opened})
    return {positions[number]: error for number, error in output.broken.items()}


# ---- what features depend on


def _network_key(model: Predictor) -> str:
    """Hash the body of a network with its weights, and all that decides what it sees of an image."""
    from .. import __version__

    task, body = model.task, model.network[0]
    view = {name: getattr(task, name) for name in ("size", "fit", "box", "margin", "value_range", "max_pixels")}
    about = {name: model.about[name] for name in ("arch", "arch_args", "mean", "std")}
    versions = {"imgreg": __version__, "timm": timm.__version__, "device": torch.device(model.device).type}
    digest = blake2b(json.dumps([view, about, versions, getattr(body, "grid", 1)], default=str).encode(),
                     digest_size=16)
    for name, tensor in body.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _image_keys(model: Predictor, rows: pd.DataFrame) -> list[str]:
    """The content of each image, and its box; a number for a file that cannot be read, which has no features."""
    keys = [str(key) or f"row {i}" for i, key in enumerate(content_hashes(rows["path"]))]
    boxes = model.task.boxes(rows)
    return keys if boxes is None else [f"{key} {box.tolist()}" for key, box in zip(keys, boxes, strict=True)]


# ---- files


def _read_features(folder: Path, wanted: set[str], width: int) -> dict[str, Row]:
    """Read what the files of a folder hold of the images that are wanted; a file that is damaged is removed."""
    known: dict[str, Row] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, framework="numpy") as f:
                keys = json.loads(f.metadata()["keys"])
                here = [i for i, key in enumerate(keys) if key in wanted]
                if here:
                    features, views = f.get_tensor("features"), f.get_tensor("views")
                    if features.shape != (len(keys), width) or views.shape != (len(keys), 4):
                        raise ValueError("parts that do not agree")
                    if not (np.isfinite(features).all() and np.isfinite(views).all()):
                        raise ValueError("features that are no numbers")
                    known.update((keys[i], (features[i], views[i])) for i in here)
                    with suppress(OSError):  # of another user
                        os.utime(file)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as e:
            log.debug("the features in %s are computed again: %s", file, e)
            with suppress(OSError):
                file.unlink()
    return known


def _write_features(folder: Path, rows: dict[str, Row]) -> None:
    """Write the features of images into a new file; without, where that is not possible."""
    keys = list(rows)
    arrays = {"features": np.array([rows[key][0] for key in keys]), "views": np.array([rows[key][1] for key in keys])}
    name = blake2b("\n".join(keys).encode(), digest_size=16).hexdigest()
    try:
        with atomic_file(folder / f"{name}.safetensors") as file:
            file.write_bytes(save(arrays, metadata={"keys": json.dumps(keys)}))
    except ImgregError as e:
        log.debug("no features are kept: %s", e)


def _remove_oldest(folder: Path) -> None:
    """Remove the files that were not used for longest, until all of them are no larger than MAX_BYTES."""
    with suppress(OSError):
        files = sorted((file.stat().st_mtime, file.stat().st_size, file) for file in folder.glob("*/*.safetensors"))
        total = sum(size for _, size, _ in files)
        for _, size, file in files:
            if total <= MAX_BYTES:
                break
            file.unlink()
            total -= size
