"""The report of a run: one page that shows where a model is good, where it fails, and what to do next."""
from dataclasses import replace
from pathlib import Path

from .. import doctor, runs
from ..errors import some
from ..messages import warn
from ..plots.curves import curves
from ..plots.sheets import amount, in_a_row, unit_word
from . import evidence, gallery, pages, radii, reruns, verdicts
from .evidence import WORDS, Evidence
from .exhibits import chart, kept
from .verdicts import Warned

FILE, POOR = "report.html", "report-without-pictures.html"
MOST = 6  # targets that have pictures
COLUMNS = 12  # in a table
SCORES = {"mean": "mean", "ci": "95 % interval of the mean", "median": "median", "p90": "90 of 100 within",
          "p95": "95 of 100 within", "max": "largest", "rmse": "RMSE", "bias": "bias", "r2": "R²"}
LEVELS = {"stop": "would stop a training", "leave out": "left out", "note": "worth knowing"}


def write(run: runs.Run, model=None, device: str = "cpu") -> Path:
    """Write RUN/report.html anew; `model`: its Predictor, if that is open already.

    Where all pictures are gone it is RUN/report-without-pictures.html, which takes no better page's place.
    Raises ImgregError for a run that has not come to its end, and for a place that cannot be written.
    """
    e = evidence.read(run, model, device)
    lost, root = int((~e.rows["present"]).sum()), run.about["data"]["root"]
    if lost:
        warn(f"{lost:,} of {len(e.rows):,} pictures are not in '{root}' any more: the page "
             + ("lacks them" if e.here else f"has none, and does not replace {FILE}"))
    return runs.write(run.path / (FILE if e.here else POOR), pages.render("report.html", gather(e)))


def gather(e: Evidence) -> dict:
    """All that the page says, as plain data: `title`, `lead`, `contents` and `sections`, see pages.section."""
    which = [t for t in e.task.targets if e.scores[e.part][t.name]["n"]][:MOST]
    more = len(e.task.targets) - len(which)
    note = f"Without pictures here: {more} of {len(e.task.targets)} targets." if more else ""
    sections = [
        pages.section("verdict", "Verdict", _verdict(e)),
        pages.section("scores", "Scores beside guessing", [_scores(e, t) for t in e.task.targets]),
        pages.section("training", "How the training went", [_training(e)]),
        pages.section("answers", "Predicted and true", _with(note, gallery.answers(e, which))),
        pages.section("errors", "Where it errs", _with(note, gallery.errors(e, which))),
        pages.section("examples", "Worst and typical pictures", _with(note, gallery.examples(e, which))),
        pages.section("intervals", "Intervals", radii.section(e, which)),
        pages.section("looked", "What the network looked at", _with(LOOKED, gallery.looked(e, which))),
        pages.section("data", "The data's own faults", [_data(e)]),
        pages.section("settings", "Settings, and how to repeat this", _settings(e)),
    ]
    return {"title": f"{e.run.path.resolve().name}: {', '.join(t.name for t in e.task.targets[:MOST])}",
            "lead": _lead(e), "contents": [{"id": s["id"], "title": s["title"]} for s in sections],
            "sections": sections}


LOOKED = ("A grey patch is slid over each picture. The redder a place, the further the answer moves when the patch "
          "hides it. Red on the thing itself is good; red on the background tells that the network found a short cut.")


def _with(note: str, parts: list[dict]) -> list[dict]:
    """The parts, after a sentence that holds for all of them."""
    return [pages.part(notes=[note]), *parts] if note else parts


def _lead(e: Evidence) -> str:
    split, (height, width) = e.run.about["data"]["split"], e.task.size
    apart = ", ".join(f"{n:,} for {WORDS.get(name, name)}" for name, n in split.items() if name != "train")
    return (f"{e.run.config.arch} on pictures of {width} × {height} pixels, trained on {split.get('train', 0):,} "
            f"pictures; kept apart: {apart}.")


# ---- the verdict and the scores


def _verdict(e: Evidence) -> list[dict]:
    """A sentence for each target, and what to do about what is weak."""
    parts, judged = [], e.scores[e.judged]
    warned = [[*verdicts.of_scores(t, judged[t.name]), *_small(e, t)] for t in e.task.targets]
    shared = [w for w in warned[0] if len(warned) > 1 and all(w in own for own in warned)]  # told once
    for t, own in zip(e.task.targets, warned, strict=True):
        bad = not judged[t.name]["n"] or any(w.kind in ("guessing", "small") for w in own)
        parts.append(pages.part(gallery.named(e, t), bad=bad, warnings=_told(w for w in own if w not in shared),
                                verdict=verdicts.sentence(judged[t.name], WORDS.get(e.judged, e.judged))))
    if whole := shared + _training_warned(e):
        parts.append(pages.part("The run as a whole" if len(warned) > 1 else "", warnings=_told(whole)))
    fine = not any(part["warnings"] for part in parts)
    told = ["Nothing stands out. See what its worst pictures have in common before it is relied on."] if fine else []
    if e.judged == "valid":
        told.append("These pictures also chose the epoch that was kept, which flatters it a little; "
                    "imgreg train with --test 0.1 keeps others that are scored once.")
    return [*parts, pages.part(notes=told)]


def _told(warned) -> list[dict]:
    return [w._asdict() for w in warned]


def _training_warned(e: Evidence) -> list[Warned]:
    return [] if e.history is None else verdicts.of_training(e.history, e.run.about.get("stopped") or "")


def _small(e: Evidence, t) -> list[Warned]:
    """What a small model does better, if any was measured."""
    own = e.scores["valid"][t.name].get("mean") if "valid" in e.scores else None
    found = {name: of[t.name]["mean"] for name, of in e.baselines.items() if "mean" in of.get(t.name, {})}
    if own is None or not found or min(found.values()) >= own:
        return []
    best = min(found, key=found.get)
    return [Warned("small", f"A small model does better: {best} is off by {amount(found[best], t.unit)}, this one by "
                   f"{amount(own, t.unit)}.", "Take that, or train for longer, or from other weights.")]


def _scores(e: Evidence, t) -> dict:
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
    return pages.part(gallery.named(e, t), tables=tables, notes=[
        "The smaller the better. Guessing answers the mean of the training labels, whatever the picture."])


def _table(t, caption: str, head: str, rows: list[tuple[str, dict]], more: dict | None = None) -> dict:
    """A table of what there is of SCORES, and `more`; the bias of several columns together has no sign."""
    heads = {key: word for key, word in {**SCORES, **(more or {})}.items() if any(key in of for _, of in rows)}
    signed = len(t.columns) == 1 or bool(more)
    cells = [pages.row(name, [_cell(key, of, t.unit, signed) for key in heads]) for name, of in rows]
    return pages.table(caption, [head, *heads.values()], cells)


def _cell(key: str, of: dict, unit: str, signed: bool) -> str:
    if key not in of:
        return "–"
    if key == "ci":
        return " to ".join(in_a_row(of[key], unit)) + unit_word(unit)
    return f"{of[key]:.3f}" if key == "r2" else amount(of[key], unit, sign="+" if key == "bias" and signed else "")


# ---- the training, the data


def _training(e: Evidence) -> dict:
    if e.history is not None:
        return pages.part(charts=[chart(curves(e.history, {t.name: t.unit for t in e.task.targets}))])
    plot = kept(e.run.path / "plots" / "curves.png", "Losses and validation errors over the epochs.")
    return pages.part(charts=[plot] if plot else [], notes=[] if plot else ["No history of the training was kept."])


def _data(e: Evidence) -> dict:
    """What a check finds in the labels that the run kept, its pictures unopened."""
    if not e.here:
        return pages.part(notes=[f"{gallery.MOVED}, so that the labels were not checked against them."])
    task = replace(e.task, image="", group="group", name_pattern="")  # as the run wrote its labels
    health = doctor.check(e.run.path / "labels.csv", task, e.run.about["data"]["root"], fast=True)
    rows = [pages.row(f.text, [LEVELS[f.level], f"{len(f.rows):,}" if f.rows else "–", _named(f), f.then or "–"])
            for f in health.findings]
    heads = ["what", "how grave", "rows", "such as", "what to do"]
    table = [pages.table("Found in labels.csv of the run", heads, rows, words=True)] if rows else []
    return pages.part(notes=[f"{health.summary}."], tables=table)


def _named(finding) -> str:
    return some(finding.names or (f"row {row}" for row in finding.rows), 3) or "–"


# ---- settings


def _settings(e: Evidence) -> list[dict]:
    about, began = e.run.about, e.run.about.get("weights") or {}
    weights = " ".join(filter(None, (began.get("kind"), began.get("tag"), began.get("source"))))
    weights += f" ({began['note']})" if began.get("note") else ""
    facts = {"targets": ", ".join(f"{t.name} ({t.kind})" for t in e.task.targets), "weights": weights or "none",
             "weights, SHA-256": began.get("sha256") or "none", "seed": str(e.run.config.seed),
             "device": str(about.get("device", "not noted")), "precision": str(about.get("precision", "not noted")),
             "epochs done": str(about.get("epochs_done", "not noted")), "stopped early": about.get("stopped") or "no",
             "table": str(about["data"]["table"]), "data, SHA-256": about["data"].get("sha256", "not noted")}
    unsaid = reruns.unsaid(e.run)
    left = [f"No option tells {', '.join(unsaid)}: these were set in Python, or belong to one fold."] if unsaid else []
    return [
        pages.part("The command", code=reruns.command(e.run), notes=left),
        pages.part("What it was made from", tables=[_words(
            "Targets, weights, seed, device and data", ["what", "here"], facts.items())]),
        pages.part("Settings that are not the defaults", tables=[_words(
            "Beside the defaults", ["setting", "here", "default"], reruns.settings(e.run))]),
        pages.part("Versions", tables=[_words("Packages", ["package", "version"], about.get("versions", {}).items())]),
    ]


def _words(caption: str, heads: list[str], rows) -> dict:
    return pages.table(caption, heads, [pages.row(name, list(cells)) for name, *cells in rows], words=True)
