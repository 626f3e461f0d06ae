"""The report of a run: one page that shows where a model is good, where it fails, and what to do next."""
import json
from dataclasses import replace
from pathlib import Path

from .. import runs
from ..config import TrainConfig
from ..data import checks
from ..plots.curves import curves
from ..tasks import Task, default_augmentations
from ..utils.console import warn
from ..utils.errors import first_few
from ..utils.format import format_amount, format_values, trailing_unit
from . import html, inputs, intervals, sections, verdict
from .images import chart, saved_chart
from .inputs import WORDS, ReportInputs
from .verdict import Weakness

FILE, POOR = "report.html", "report-without-pictures.html"
MOST = 6  # targets that have pictures
# of a Task, which the page names where they are not the defaults
TASK_SETTINGS = ("size", "fit", "box", "margin", "group", "augment", "name_pattern", "labelling", "value_range")
COLUMNS = 12  # in a table
SCORES = {"mean": "mean", "ci": "95 % interval of the mean", "median": "median", "p90": "90 of 100 within",
          "p95": "95 of 100 within", "max": "largest", "rmse": "RMSE", "bias": "bias", "r2": "R²"}
LEVELS = {"stop": "would stop a training", "leave out": "left out", "note": "worth knowing"}


def write(run: runs.Run, model=None, device: str = "cpu") -> Path:
    """Write RUN/report.html anew; `model`: its Predictor, if that is open already.

    Where all pictures are gone it is RUN/report-without-pictures.html, which takes no better page's place.
    Raises ImgregError for a run that has not come to its end, and for a place that cannot be written.
    """
    e = inputs.read_inputs(run, model, device)
    lost, root = int((~e.rows["present"]).sum()), run.about["data"]["root"]
    if lost:
        warn(f"{lost:,} of {len(e.rows):,} pictures are not in '{root}' any more: the page "
             + ("lacks them" if e.here else f"has none, and does not replace {FILE}"))
    return runs.write_file(run.path / (FILE if e.here else POOR), html.render("report.html", gather(e)))


def gather(e: ReportInputs) -> dict:
    """All that the page says, as plain data: `title`, `lead`, `contents` and `sections`, see html.section."""
    which = [t for t in e.task.targets if e.scores[e.part][t.name]["n"]][:MOST]
    more = len(e.task.targets) - len(which)
    note = f"Without pictures here: {more} of {len(e.task.targets)} targets." if more else ""
    parts = [
        html.section("verdict", "Verdict", _verdict(e)),
        html.section("scores", "Scores beside guessing", [_scores(e, t) for t in e.task.targets]),
        html.section("training", "How the training went", [_training(e)]),
        html.section("answers", "Predicted and true", _with(note, sections.predictions_section(e, which))),
        html.section("errors", "Where it errs", _with(note, sections.errors(e, which))),
        html.section("examples", "Worst and typical pictures", _with(note, sections.examples(e, which))),
        html.section("intervals", "Intervals", intervals.section(e, which)),
        html.section("looked", "What the network looked at", _with(LOOKED, sections.occlusion_section(e, which))),
        html.section("data", "The data's own faults", [_data(e)]),
        html.section("settings", "Settings, and how to repeat this", _settings(e)),
    ]
    return {"title": f"{e.run.path.resolve().name}: {', '.join(t.name for t in e.task.targets[:MOST])}",
            "lead": _lead(e), "contents": [{"id": s["id"], "title": s["title"]} for s in parts],
            "sections": parts}


LOOKED = ("A grey patch is slid over each picture. The redder a place, the further the answer moves when the patch "
          "hides it. Red on the thing itself is good; red on the background tells that the network found a short cut.")


def _with(note: str, parts: list[dict]) -> list[dict]:
    """The parts, after a sentence that holds for all of them."""
    return [html.part(notes=[note]), *parts] if note else parts


def _lead(e: ReportInputs) -> str:
    split, (height, width) = e.run.about["data"]["split"], e.task.size
    apart = ", ".join(f"{n:,} for {WORDS.get(name, name)}" for name, n in split.items() if name != "train")
    return (f"{e.run.config.arch} on pictures of {width} × {height} pixels, trained on {split.get('train', 0):,} "
            f"pictures; kept apart: {apart}.")


# ---- the verdict and the scores


def _verdict(e: ReportInputs) -> list[dict]:
    """A sentence for each target, and what to do about what is weak."""
    parts, judged = [], e.scores[e.judged]
    warned = [[*verdict.of_scores(t, judged[t.name]), *_small(e, t)] for t in e.task.targets]
    shared = [w for w in warned[0] if len(warned) > 1 and all(w in own for own in warned)]  # told once
    for t, own in zip(e.task.targets, warned, strict=True):
        bad = not judged[t.name]["n"] or any(w.kind in ("guessing", "small") for w in own)
        parts.append(html.part(sections.target_heading(e, t), bad=bad, warnings=_told(w for w in own if w not in shared),
                                verdict=verdict.sentence(judged[t.name], WORDS.get(e.judged, e.judged))))
    if whole := shared + _training_warned(e):
        parts.append(html.part("The run as a whole" if len(warned) > 1 else "", warnings=_told(whole)))
    fine = not any(part["warnings"] for part in parts)
    told = ["Nothing stands out. See what its worst pictures have in common before it is relied on."] if fine else []
    if e.judged == "valid":
        told.append("These pictures also chose the epoch that was kept, which flatters it a little; "
                    "imgreg train with --test 0.1 keeps others that are scored once.")
    return [*parts, html.part(notes=told)]


def _told(warned) -> list[dict]:
    return [w._asdict() for w in warned]


def _training_warned(e: ReportInputs) -> list[Weakness]:
    return [] if e.history is None else verdict.of_training(e.history, e.run.about.get("stopped") or "")


def _small(e: ReportInputs, t) -> list[Weakness]:
    """What a small model does better, if any was measured."""
    own = e.scores["valid"][t.name].get("mean") if "valid" in e.scores else None
    found = {name: of[t.name]["mean"] for name, of in e.baselines.items() if "mean" in of.get(t.name, {})}
    if own is None or not found or min(found.values()) >= own:
        return []
    best = min(found, key=found.get)
    return [Weakness("small", f"A small model does better: {best} is off by {format_amount(found[best], t.unit)}, this one by "
                   f"{format_amount(own, t.unit)}.", "Take that, or train for longer, or from other weights.")]


def _scores(e: ReportInputs, t) -> dict:
    """The scores of each part, of guessing and of small models, in a table; and of each column."""
    rows = []
    for name, scores in e.scores.items():
        numbers, word = scores[t.name], WORDS.get(name, name)
        rows.append((f"this model, {word} part ({numbers['n']:,} pictures)", numbers))
        if "baseline" in numbers:
            rows.append((f"guessing, {word} part", {"mean": numbers["baseline"]}))
    rows += [(f"{name}, validation part", of[t.name]) for name, of in e.baselines.items() if t.name in of]
    tables = [_table(t, f"Errors of {t.name}", "answers of", rows)]
    columns = e.scores[e.judged][t.name].get("columns", {})
    if 0 < len(columns) <= COLUMNS:
        tables.append(_table(t, f"Each column of {t.name}, {WORDS.get(e.judged, e.judged)} part", "column",
                             list(columns.items()), {"baseline": "guessing"}))
    return html.part(sections.target_heading(e, t), tables=tables, notes=[
        "The smaller the better. Guessing answers the mean of the training labels, whatever the picture."])


def _table(t, caption: str, head: str, rows: list[tuple[str, dict]], more: dict | None = None) -> dict:
    """A table of what there is of SCORES, and `more`; the bias of several columns together has no sign."""
    heads = {key: word for key, word in {**SCORES, **(more or {})}.items() if any(key in of for _, of in rows)}
    signed = len(t.columns) == 1 or bool(more)
    cells = [html.row(name, [_cell(key, of, t.unit, signed) for key in heads]) for name, of in rows]
    return html.table(caption, [head, *heads.values()], cells)


def _cell(key: str, of: dict, unit: str, signed: bool) -> str:
    if key not in of:
        return "–"
    if key == "ci":
        return " to ".join(format_values(of[key], unit)) + trailing_unit(unit)
    return f"{of[key]:.3f}" if key == "r2" else format_amount(of[key], unit, sign="+" if key == "bias" and signed else "")


# ---- the training, the data


def _training(e: ReportInputs) -> dict:
    if e.history is not None:
        return html.part(charts=[chart(curves(e.history, {t.name: t.unit for t in e.task.targets}))])
    plot = saved_chart(e.run.path / "plots" / "curves.png", "Losses and validation errors over the epochs.")
    return html.part(charts=[plot] if plot else [], notes=[] if plot else ["No history of the training was kept."])


def _data(e: ReportInputs) -> dict:
    """What a check finds in the labels that the run kept, its pictures unopened."""
    if not e.here:
        return html.part(notes=[f"{sections.MOVED}, so that the labels were not checked against them."])
    task = replace(e.task, image="", group="", name_pattern="")  # as the run wrote its labels
    health = checks.check(e.run.path / "labels.csv", task, e.run.about["data"]["root"], fast=True)
    rows = [html.row(f.text, [LEVELS[f.level], f"{len(f.rows):,}" if f.rows else "–", _named(f), f.hint or "–"])
            for f in health.issues]
    heads = ["what", "how grave", "rows", "such as", "what to do"]
    table = [html.table("Found in labels.csv of the run", heads, rows, words=True)] if rows else []
    return html.part(notes=[f"{health.summary}."], tables=table)


def _named(finding) -> str:
    return first_few(finding.names or (f"row {row}" for row in finding.rows), 3) or "–"


# ---- settings


def _settings(e: ReportInputs) -> list[dict]:
    about, began = e.run.about, e.run.about.get("weights") or {}
    weights = " ".join(filter(None, (began.get("kind"), began.get("tag"), began.get("source"))))
    weights += f" ({began['note']})" if began.get("note") else ""
    facts = {"targets": ", ".join(f"{t.name} ({t.kind})" for t in e.task.targets), "weights": weights or "none",
             "weights, SHA-256": began.get("sha256") or "none", "seed": str(e.run.config.seed),
             "device": str(about.get("device", "not noted")), "precision": str(about.get("precision", "not noted")),
             "epochs done": str(about.get("epochs_done", "not noted")), "stopped early": about.get("stopped") or "no",
             "table": str(about["data"]["table"]), "data, SHA-256": about["data"].get("sha256", "not noted")}
    return [
        html.part("The command", code=about.get("command") or "not noted"),
        html.part("What it was made from", tables=[_words(
            "Targets, weights, seed, device and data", ["what", "here"], facts.items())]),
        html.part("Settings that are not the defaults", tables=[_words(
            "Beside the defaults", ["setting", "here", "default"], _changed_settings(e.run))]),
        html.part("Versions", tables=[_words("Packages", ["package", "version"], about.get("versions", {}).items())]),
    ]


def _words(caption: str, heads: list[str], rows) -> dict:
    return html.table(caption, heads, [html.row(name, list(cells)) for name, *cells in rows], words=True)


def _changed_settings(run: runs.Run) -> list[tuple[str, str, str]]:
    """(setting, its value, the default) of all that differ from the defaults of TrainConfig and Task."""
    default_task = Task("none", run.task.targets, augment=default_augmentations(run.task.targets, run.task.fit)).to_dict()
    values = {**run.task.to_dict(), **run.config.to_dict()}
    defaults = {name: default_task[name] for name in TASK_SETTINGS} | TrainConfig().to_dict()
    rows = [(name, _as_words(values[name]), _as_words(default)) for name, default in defaults.items()]
    return [row for row in rows if row[1] != row[2]]


def _as_words(value) -> str:
    """A setting in words."""
    if value is None or value in ("", (), [], {}):
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
