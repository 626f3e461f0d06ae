"""What --quick does in place of a training by epochs: it fits a ridge to the frozen features of the backbone."""
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pandas as pd
from torch import nn

from .. import runs
from ..data.images import warn_broken
from ..data.splits import check_split_sizes
from ..evaluation import frozen_ridge
from ..evaluation.feature_cache import frozen_features
from ..inference import model_file
from ..models import weights
from ..models.devices import select_device
from ..training.transforms import OpenedPictures, open_pictures
from ..utils.messages import warn
from . import automatic, floor, run_stages
from .plan import TrainingPlan


def begin(plan: TrainingPlan, out: str | Path, planned: runs.Run | None,
          threads: int | None) -> tuple[runs.Run, Callable[[], runs.Run]]:
    """Make the run of a quick fit.

    Args:
        plan: With its rows split.
        out: The folder that the run folder is made in.
        planned: A run folder of this plan in which nothing is fitted yet; None: a new one is made.
        threads: For run.json.

    Returns:
        The run, and a function that fits and scores it, and returns it.
    """
    task, config, device = plan.task, plan.config, select_device(plan.config.device)
    body, source = run_stages.build_body(plan, plan.source or weights.find_weights(config.arch, config.weights))
    opened = _open_images(plan)
    automatic.say_recipe(plan)
    run = run_stages.begin_run(plan, out, planned, weights=source.to_dict(), threads=threads, device=device,
                               levels=opened.levels, precision="fp32")
    n_images, (height, width) = opened.frame["split"].value_counts(), task.size
    purpose = f"fitting a {frozen_ridge.name_of(run.about['weights'])} of {config.arch} at {height}x{width} pixels to"
    run_stages.say_start(plan, run, purpose, n_images["train"], n_images["valid"])
    if n_images["train"] < floor.MIN_IMAGES:
        warn(f"{n_images['train']} images are few to fit a ridge to, which takes {floor.MIN_IMAGES} or more")
    return run, partial(_fit_to_end, run, plan, body, opened.frame)


def _open_images(plan: TrainingPlan) -> OpenedPictures:
    """Read the headers of the images that are fitted to and validated on, as a training does."""
    rows = plan.rows[plan.rows["split"].isin(("train", "valid"))].reset_index(drop=True)
    opened = open_pictures(rows, plan.task, keep=False, strict=plan.config.strict)
    n_train = int((opened.frame["split"] == "train").sum())
    check_split_sizes(n_train, len(opened.frame) - n_train)
    return opened


def _fit_to_end(run: runs.Run, plan: TrainingPlan, body: nn.Module, frame: pd.DataFrame) -> runs.Run:
    """Fit the ridge of a run to the images of a labels frame, and score it."""
    config = plan.config
    with run_stages.noting_failure(run):
        rows = frozen_ridge.sample_rows(frame, config.seed)
        model = frozen_ridge.build_model(plan.task, config, body, run.about, len(rows), run.about["device"])
        rows, output = frozen_features(model, rows)
        broken = list(output.broken.values())
        if broken and config.strict:
            raise broken[0]
        warn_broken(broken, len(rows) + len(broken))
        ridge = frozen_ridge.fit(model, rows, output)
        floor.say_scores(ridge, plan, run.about["weights"])
        model_file.save_model(run.path / model_file.MODEL, ridge.model.network, ridge.model.about)
        name = frozen_ridge.name_of(run.about["weights"])
        run.note(state="scoring", epochs_done=0, ridge={"name": name, "images": ridge.n_images})
    run_stages.finish(run, plan.rows)
    return run
