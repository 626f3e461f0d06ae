"""Several trainings, one after another: the folds of a cross-validation, and the parts of a learning curve."""
import shutil
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from .. import runs
from ..data.kept_parts import natural_order
from ..utils.files import new_folder
from ..utils.messages import say
from .automatic import apply_recipe
from .fitting import train
from .plan import TrainingPlan
from .preparation import assign_split
from .run_stages import fixed_threads, plan_fields


class PlannedRun(NamedTuple):
    """One of several trainings.

    Attributes:
        title: What to say before it.
        plan: Its plan, with its rows split.
        fields: Others of its run.json.
    """

    title: str
    plan: TrainingPlan
    fields: dict[str, object] = {}  # noqa: RUF012  a NamedTuple's default is never changed


def train_several(trainings: Iterable[PlannedRun], out: str | Path, name: str) -> tuple[Path, list[runs.Run]]:
    """Train one plan after another, until one is interrupted.

    All run folders are made before the first training: whatever ends it, `imgreg resume` knows what is missing.

    Args:
        trainings: The trainings.
        out: The folder that the folder <name>-NNN of the runs is made in.
        name: What that folder is called.

    Returns:
        That folder, and the runs that were begun; the last one may be interrupted.
    """
    folder = new_folder(Path(out), name, always=True)
    trained_runs: list[runs.Run] = []
    try:
        planned = [(title, plan, runs.start_run(folder, plan.task, plan.config, plan.rows, plan.table, plan.images,
                                                plan.earlier, title=title, state="planned",
                                                undecided=sorted(plan.undecided), threads=fixed_threads(plan.config),
                                                **plan_fields(plan), **fields))
                   for title, plan, fields in trainings]
        for title, plan, planned_run in planned:
            run = runs.claim_run(planned_run.path)
            if run.state == "planned":  # or another process has resumed it
                say(title)
                run = train(with_first_epochs(plan, trained_runs), folder, run)
            run.unlock()
            trained_runs.append(run)
            if run.state == "interrupted":
                break
    finally:
        if all(runs.load_run(file.parent).state == "planned" for file in folder.glob("*/run.json")):
            shutil.rmtree(folder)  # not even the first one began
    return folder, trained_runs


def has_begun(run: runs.Run) -> bool:
    """Whether a run has chosen its precision, which it does just before it measures its epochs."""
    return "precision" in run.about


def with_first_epochs(plan: TrainingPlan, others: Iterable[runs.Run]) -> TrainingPlan:
    """Return the plan of one of several runs with the epochs that the first of them has measured.

    Args:
        plan: Its plan.
        others: The runs; those that have not begun do not count.
    """
    if "epochs" not in plan.undecided:
        return plan
    begun = [run for run in others if has_begun(run)]
    if not begun:
        return plan
    epochs = begun[0].config.epochs
    return replace(plan, config=replace(plan.config, epochs=epochs), undecided=plan.undecided - {"epochs"},
                   recipe={**plan.recipe, "epochs": epochs})


def cross_validate(plan: TrainingPlan, n_folds: int, out: str | Path) -> runs.Folds:
    """Train once for each fold, the runs side by side in a folder OUT/<task>-NNN.

    Args:
        plan: With its rows read, but not split.
        n_folds: The `folds` of its settings.
        out: The folder that the folder of the runs is made in.

    Returns:
        The runs, and the mean and spread of their scores.
    """
    if plan.config.time and plan.started:
        budget = (plan.config.time - (time.perf_counter() - plan.started)) / n_folds
        plan = replace(plan, config=replace(plan.config, time=max(1.0, budget)), started=None)
    # raises before a folder is made, and says once that the table's own split is not used
    complete = apply_recipe(assign_split(plan))
    plan = replace(complete, task=replace(plan.task, size=complete.task.size),
                   rows=plan.rows.drop(columns="split", errors="ignore"))
    names = [f" ({name})" for name in natural_order(plan.rows["fold"])] if "fold" in plan.rows else [""] * n_folds
    trainings = (PlannedRun(f"fold {fold} of {n_folds}{name}",
                            assign_split(replace(plan, config=replace(plan.config, fold=fold))))
                 for fold, name in enumerate(names, 1))
    return runs.collect_folds(*train_several(trainings, out, plan.task.name))
