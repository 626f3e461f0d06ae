"""The report of a run: one page that shows where a model is good, where it fails, and what to do next."""
from dataclasses import replace
from pathlib import Path

from .. import runs
from ..config import TrainConfig
from ..data import checks
from ..evaluation.comparison import run_settings, setting_text
from ..plots.training_charts import curves
from ..tasks import Task, default_augmentations
from ..utils.console import warn
from ..utils.errors import first_few
from ..utils.format import format_amount, format_values, trailing_unit
from . import html, verdict
from .images import chart, saved_chart
from .inputs import ReportInputs, part_name, read_inputs
from .intervals import interval_parts
from .sections import NO_PICTURES, error_parts, example_parts, occlusion_parts, prediction_parts
from .verdict import Weakness

FILE, FILE_WITHOUT_PICTURES = "report.html", "report-without-pictures.html"
MAX_TARGETS = 6  # that have pictures and charts
MAX_COLUMNS = 12  # in a table of scores
SCORES = {"mean": "mean", "ci": "95 % interval of the mean", "median": "median", "p90": "90 of 100 within",
          "p95": "95 of 100 within", "max": "largest", "rmse": "RMSE", "bias": "bias", "r2": "R²"}


def write(run: runs.Run, model=None, device: str = "cpu") -> Path:
    """Write RUN/report.html.

    Args:
        run: a scored run.
        model: its Predictor, if it is already open.
        device: where to open it otherwise.

    Returns:
        The path of the page; without any pictures, RUN/report-without-pictures.html, so that no better page is lost.

    Raises:
        ImgregError: the run is not trained to its end, or the file cannot be written.
    """
    inputs = read_inputs(run, model, device)
    name, missing = FILE if inputs.has_pictures else FILE_WITHOUT_PICTURES, (~inputs.rows["present"]).sum()
    if missing:
        warn(f"{missing:,} of {len(inputs.rows):,} pictures are not in '{run.about['data']['root']}' any more, and "
             f"{name} does not show them")
    return runs.write_file(run.path / name, html.render(page_data(inputs)))


def page_data(inputs: ReportInputs) -> dict:
    """All that the page says, as plain data, see html.render."""
    task = inputs.task
    targets = [target for target in task.targets if inputs.scores[inputs.part][target.name]["n"]][:MAX_TARGETS]
    missing = len(task.targets) - len(targets)
    note = [html.note(f"Without pictures here: {missing} of {len(task.targets)} targets.")] if missing else []
    sections = [
        html.section("verdict", "Verdict", _verdict_parts(inputs)),
        html.section("scores", "Scores beside guessing", [_scores_part(inputs, target) for target in task.targets]),
        html.section("training", "How the training went", [_training_part(inputs)]),
        html.section("predictions", "Predicted and true", note + prediction_parts(inputs, targets)),
        html.section("errors", "Where it errs", note + error_parts(inputs, targets)),
        html.section("examples", "Worst and typical pictures", note + example_parts(inputs, targets)),
        html.section("intervals", "Intervals", interval_parts(inputs, targets)),
        html.section("occlusion", "What the network looked at", occlusion_parts(inputs, targets)),
        html.section("data", "Faults of the data", [_data_part(inputs)]),
        html.section("settings", "Settings, and how to repeat this", _settings_parts(inputs)),
    ]
    names = ", ".join(target.name for target in task.targets[:MAX_TARGETS])
    return {"title": f"{inputs.run.path.resolve().name}: {names}", "lead": _lead(inputs), "sections": sections}


def _lead(inputs: ReportInputs) -> str:
    split, (height, width) = inputs.run.about["data"]["split"], inputs.task.size
    others = ", ".join(f"{n:,} for {part_name(part)}" for part, n in split.items() if part != "train")
    return (f"{inputs.run.config.arch} on pictures of {width} × {height} pixels, trained on {split.get('train', 0):,} "
            f"pictures; not trained on: {others}.")


# ---- the verdict and the scores


def _verdict_parts(inputs: ReportInputs) -> list[dict]:
    """A sentence for each target, and what to do about its weaknesses; those of all targets once."""
    scores, targets, parts = inputs.scores[inputs.verdict_part], inputs.task.targets, []
    by_target = {t.name: verdict.weaknesses(t, scores[t.name]) + _small_model_weakness(inputs, t) for t in targets}
    common = []
    if len(targets) > 1:
        common = [w for w in by_target[targets[0].name] if all(w in weaknesses for weaknesses in by_target.values())]
    for target in targets:
        weaknesses = by_target[target.name]
        bad = not scores[target.name]["n"] or any(w.kind in ("guessing", "small") for w in weaknesses)
        warnings = [w._asdict() for w in weaknesses if w not in common]
        text = verdict.sentence(scores[target.name], part_name(inputs.verdict_part))
        parts.append(html.part(inputs.heading(target), verdict=text, bad=bad, warnings=warnings))
    if inputs.history is not None:
        common += verdict.training_weaknesses(inputs.history, inputs.run.about.get("stopped") or "")
    if common:
        title = "The run as a whole" if len(targets) > 1 else ""
        parts.append(html.part(title, warnings=[w._asdict() for w in common]))
    verdict_note, selection_note = "", ""
    if not any(part["warnings"] for part in parts):
        verdict_note = "Nothing stands out. See what its worst pictures have in common before it is relied on."
    if inputs.verdict_part == "valid":
        selection_note = ("These pictures also chose the epoch that was kept, so that their error is a little "
                          "too small; imgreg train with --test 0.1 keeps others that are scored once.")
    return [*parts, html.note(verdict_note, selection_note)]


def _small_model_weakness(inputs: ReportInputs, target) -> list[Weakness]:
    """A small model that does better, if any was measured."""
    mean = inputs.scores.get("valid", {}).get(target.name, {}).get("mean")
    small = {name: scores[target.name]["mean"] for name, scores in inputs.baselines.items()
             if "mean" in scores.get(target.name, {})}
    if mean is None or not small or min(small.values()) >= mean:
        return []
    best = min(small, key=small.get)
    return [Weakness("small", f"A small model does better: {best} is off by {format_amount(small[best], target.unit)}, "
                     f"this one by {format_amount(mean, target.unit)}.",
                     "Take that, or train for longer, or from other weights.")]


def _scores_part(inputs: ReportInputs, target) -> dict:
    """Tables of the scores of each part, of guessing and of small models, and of each column."""
    rows = []
    for part, scores in inputs.scores.items():
        numbers, name = scores[target.name], part_name(part)
        rows.append((f"this model, {name} part ({numbers['n']:,} pictures)", numbers))
        if "baseline" in numbers:
            rows.append((f"guessing, {name} part", {"mean": numbers["baseline"]}))
    rows += [(f"{name}, validation part", scores[target.name]) for name, scores in inputs.baselines.items()
             if target.name in scores]
    tables = [_score_table(f"Errors of {target.name}", "predictions of", rows, target.unit, SCORES,
                           signed=len(target.columns) == 1)]
    columns = inputs.scores[inputs.verdict_part][target.name].get("columns", {})
    if 0 < len(columns) <= MAX_COLUMNS:
        tables.append(_score_table(f"Each column of {target.name}, {part_name(inputs.verdict_part)} part", "column",
                                   list(columns.items()), target.unit, SCORES | {"baseline": "guessing"}, signed=True))
    return html.part(inputs.heading(target), tables=tables, notes=[
        "The smaller the better. Guessing predicts the mean of the training labels, whatever the picture."])


def _score_table(caption: str, head: str, rows: list[tuple[str, dict]], unit: str, names: dict, signed: bool) -> dict:
    """A table of those scores in `names` that any row has; `signed`: whether the bias has a sign."""
    heads = {key: name for key, name in names.items() if any(key in numbers for _, numbers in rows)}
    cells = [(name, *(_cell(key, numbers, unit, signed) for key in heads)) for name, numbers in rows]
    return html.table(caption, [head, *heads.values()], cells)


def _cell(key: str, numbers: dict, unit: str, signed: bool) -> str:
    if key not in numbers:
        return ""
    if key == "ci":
        return " to ".join(format_values(numbers[key], unit)) + trailing_unit(unit)
    if key == "r2":
        return f"{numbers[key]:.3f}"
    return format_amount(numbers[key], unit, sign="+" if key == "bias" and signed else "")


# ---- the training, the data


def _training_part(inputs: ReportInputs) -> dict:
    if inputs.history is not None:
        return html.part(charts=[chart(curves(inputs.history, inputs.task.targets))])
    plots = saved_chart(inputs.run.path / "plots" / "curves.png", "Losses and validation errors over the epochs.")
    return html.part(charts=plots) if plots else html.note("No history of the training was saved.")


def _data_part(inputs: ReportInputs) -> dict:
    """The issues of the labels that were saved with the run; the pictures are not opened."""
    if not inputs.has_pictures:
        return html.note(f"{NO_PICTURES}, so that the labels were not checked against them.")
    task = replace(inputs.task, image="", group="", name_pattern="")  # as the run wrote its labels
    result = checks.check(inputs.run.path / "labels.csv", task, inputs.run.about["data"]["root"], fast=True)
    rows = []
    for issue in result.issues:
        examples = first_few(issue.names or (f"row {row}" for row in issue.rows), 3)
        count = f"{len(issue.rows):,}" if issue.rows else ""
        rows.append((issue.text, checks.LEVEL_TITLES[issue.level], count, examples, issue.hint))
    heads = ["issue", "severity", "rows", "such as", "what to do"]
    table = html.table("Issues of labels.csv of the run", heads, rows, words=True)
    return html.part(notes=[f"{result.summary}."], tables=[table])


def _settings_parts(inputs: ReportInputs) -> list[dict]:
    """The command, the settings that differ from the defaults, and what else the run depends on."""
    run = inputs.run
    task = Task("none", run.task.targets, augment=default_augmentations(run.task.targets, run.task.fit))
    defaults, settings = {**task.to_dict(), **TrainConfig().to_dict()}, run_settings(run)
    differences = [(name, setting_text(value), setting_text(defaults[name])) for name, value in settings.items()
               if name in defaults and name != "targets" and value != defaults[name]]
    dependencies = [("targets", "; ".join(target.describe() for target in run.task.targets))]
    dependencies += [(name, setting_text(value)) for name, value in settings.items() if name not in defaults]
    return [
        html.part("The command", code=run.about.get("command") or "not noted"),
        html.part("Settings that are not the defaults", tables=[
            html.table("Beside the defaults", ["setting", "here", "default"], differences, words=True)]),
        html.part("What the run depends on", tables=[
            html.table("Targets, weights, data, device and versions", ["what", "here"], dependencies, words=True)]),
    ]
