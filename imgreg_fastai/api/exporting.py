"""Files of a run that are of use without it: the model file (bundle), and fastai's exported Learner."""
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from ..runs import Run
from ..tasks.augmentations import COLOURS
from ..utils.files import atomic_file
from ..utils.messages import ImgregError, say
from .prediction import open_run

FILE_NAMES = {"learner": "export.pkl", "bundle": "model.imgreg"}  # of each format, in the run folder


def export(run: Run | str | Path, format: str | None = None, out: str | Path | None = None) -> Path:
    """Write the best weights of a run as a file that needs nothing else.

    Args:
        run: The run, or its folder.
        format: "bundle" (model.imgreg: safetensors and JSON, for `load`) or "learner" (export.pkl: a pickle, for
            fastai's load_learner, whose `predict` answers in units and whose `get_preds` in [-1, 1]). None: the format
            that the ending of `out` stands for, else learner.
        out: A new file to write; None: a file in the run folder, which is replaced.

    Returns:
        The path of the file.

    Raises:
        ImgregError: The format is unknown, `out` exists, or its ending or its folder does not do.
    """
    from ..inference.model_file import MODEL, load_model

    run = open_run(run)
    format_of_ending = {Path(name).suffix: known_format for known_format, name in FILE_NAMES.items()}
    expected_format = format_of_ending.get(Path(out or "").suffix)
    if out and not format and not expected_format:
        raise ImgregError(f"--out ending in {' or '.join(format_of_ending)}, or --format", f"'{out}'")
    format = format or expected_format or "learner"
    if format not in FILE_NAMES:
        raise ImgregError(f"--format {' or '.join(FILE_NAMES)}", f"'{format}'")
    if expected_format not in (None, format):  # a pickle named like a bundle would deceive whoever trusts the name
        raise ImgregError(f"--out ending in {Path(FILE_NAMES[format]).suffix} for --format {format}", f"'{out}'")
    path = Path(out or run.path / FILE_NAMES[format])
    if out and path.exists():
        raise ImgregError("a new file to write", f"'{path}' in place", "another --out")
    if not path.parent.is_dir():
        raise ImgregError("a folder to write into", f"no '{path.parent}'", f"mkdir -p {path.parent}")
    if path.exists():
        say(f"replacing {path}")
    with atomic_file(path) as file:
        if format == "bundle":
            load_model(run.path)  # a model that does not open is not passed on
            shutil.copyfile(run.path / MODEL, file)
        else:
            _export_learner(run).export(file.resolve())
    return path


def _export_learner(run: Run):
    """The run's fastai Learner with its best weights.

    Its `predict` takes what `predict` of this package takes as one image, and answers in units; points are in pixels
    of the network's view. Its `get_preds` answers as the network does, in [-1, 1] for all targets side by side;
    `with_decoded=True` adds the same in units (points stay in [-1, 1] of the view):

        dl = learn.dls.test_dl(["a.png", "b.png"])
        outputs, _, units = learn.get_preds(dl=dl, with_decoded=True)

    It is built over a table of one blank image, since fastai's pipelines learn their types from an item. The
    DataLoaders are emptied afterwards.
    """
    import torch
    from PIL import Image

    from ..inference.model_file import load_model, output_forms
    from ..training import datablock, loop
    from ..training.learner import build_learner

    predictor = load_model(run.path)
    task, (height, width) = predictor.task, predictor.task.size
    block = datablock.build_datablock(task, (predictor.about["mean"], predictor.about["std"]), [],
                                      datablock.label_dtypes(task, "cpu"))
    with tempfile.TemporaryDirectory() as folder:
        blank = Path(folder) / "blank.png"
        Image.new("RGB", (width, height), "white").save(blank)
        box = dict(zip(task.box, (width / 2, height / 2, width, height), strict=False))  # all of the image
        row = {"path": str(blank), **dict.fromkeys(task.columns, 0.0), **box}
        dls = block.dataloaders(pd.DataFrame([row]), bs=1, dl_type=datablock.PictureDL, num_workers=0,
                                device=torch.device("cpu"))
        learn = build_learner(dls, task, run.config, predictor.network[0], output_forms(predictor.about))
        learn.model.load_state_dict(predictor.network.state_dict())
        learn.dls = dls.new_empty()
    loop.quiet(learn)  # fastai's bars would go to stdout, and fail when several threads predict
    learn.path = Path()
    if not set(task.augment) <= set(COLOURS):
        learn.tta = _refuse_tta
    return learn


def _refuse_tta(*_: Any, **__: Any) -> None:
    """Raise ImgregError in place of fastai's `tta`, which would average what it predicts for moved images."""
    raise ImgregError("learn.tta where images are not moved", "predictions for flipped or turned images, which fastai "
                      "does not turn back", "imgreg_fastai.predict(run, images, tta=True)")
