"""What leaves the house: the model file (bundle), and fastai's own exported learner."""
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from ..inference.model_file import MODEL, load_model
from ..runs import Run
from ..utils.console import say
from ..utils.errors import ImgregError
from ..utils.files import atomic_file

FORMATS = {"learner": "export.pkl", "bundle": "model.imgreg"}  # format -> the file's name in the run folder


def export(run: Run, format: str | None = None, out: str | Path | None = None) -> Path:
    """Write the run's best weights as a file that needs nothing else; returns its path.

    Without a `format` the ending of `out` decides, and learner where there is no `out`.

    `bundle`: safetensors and JSON, opened by imgreg_fastai.load; `learner`: for fastai's load_learner, a pickle. A file
    named by `out` is never written over; raises ImgregError for that, an unknown format or a place not to be written.
    """
    by_ending = {Path(name).suffix: known for known, name in FORMATS.items()}.get(Path(out or "").suffix)
    format = format or by_ending or "learner"
    if format not in FORMATS:
        raise ImgregError(f"--format {' or '.join(FORMATS)}", f"'{format}'")
    if by_ending not in (None, format):  # a pickle named like a bundle would deceive whoever trusts the name
        raise ImgregError(f"--out ending in {Path(FORMATS[format]).suffix} for --format {format}", f"'{out}'")
    path = Path(out) if out else run.path / FORMATS[format]
    if out and path.exists():
        raise ImgregError("a new file to write", f"'{path}' in place", "another --out")
    if not path.parent.is_dir():
        raise ImgregError("a folder to write into", f"no '{path.parent}'", f"mkdir -p {path.parent}")
    if path.exists():
        say(f"replacing {path}")
    with atomic_file(path) as file:
        if format == "bundle":
            load_model(run.path)  # what is handed on opens
            shutil.copyfile(run.path / MODEL, file)
        else:
            learner(run).export(file.resolve())
    return path


def learner(run: Run):
    """A fastai Learner with the run's best weights and empty DataLoaders: its `predict(path)` gives units.

    It is rebuilt over a table of one blank picture, because fastai's pipelines learn their types from an item.
    """
    import numpy as np
    import torch
    from PIL import Image

    from ..training import datablock, loop
    from ..training.learner import build_learner

    predictor = load_model(run.path)
    task, cfg = predictor.task, run.config
    with tempfile.TemporaryDirectory() as folder:
        blank = Path(folder) / "blank.png"
        Image.fromarray(np.full((*task.size, 3), 255, np.uint8)).save(blank)
        height, width = task.size
        box = zip(task.box, (width / 2, height / 2, width, height), strict=False)  # all of it, where there is one
        row = {"path": str(blank), **dict.fromkeys(task.columns, 0.0), **dict(box)}
        stats = predictor.about["mean"], predictor.about["std"]
        dls = datablock.build_datablock(task, stats, []).dataloaders(
            pd.DataFrame([row]), bs=1, dl_type=datablock.PictureDL, num_workers=0, device=torch.device("cpu"))
        learn = build_learner(dls, task, cfg, predictor.network[0])
        learn.model.load_state_dict(predictor.network.state_dict())
        learn.dls = dls.new_empty()
    loop.quiet(learn)  # fastai's bars would go to stdout, and fail when several threads predict
    learn.path = Path()
    return learn
