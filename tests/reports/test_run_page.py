"""The report: what it says is what the run found; it is whole without the images, and no name in it can do harm."""
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from jinja2 import UndefinedError

from imgreg_fastai import runs
from imgreg_fastai.api import functions
from imgreg_fastai.reports import html, inputs, run_page
from imgreg_fastai.utils.format import format_amount
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY, plots_left_out, said

SECTIONS = ["verdict", "scores", "training", "predictions", "errors", "examples", "intervals", "occlusion", "data",
            "settings"]
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>&{{ 7*7 }}\'.png'


class Page(HTMLParser):
    """What a page holds: its tags with their attributes, its heads, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.inside = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if "style" not in self.inside:
            self.text.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def several(spotted, tmp_path_factory):
    """A run of a point, a number and a rotation on the spotted images, in groups."""
    table = spotted["path"].iloc[0].rpartition("/")[0] + "/labels.csv"
    with plots_left_out():
        return functions.train(table, out=tmp_path_factory.mktemp("several"),
                               targets=["red=rx,ry:point", "n", "head=yaw,pitch,roll:rotation"], **TINY)


@pytest.fixture(scope="module")
def told(run):
    """What the report of the plain run says."""
    return gathered(run)


@pytest.fixture(scope="module")
def opened():
    """The images that the report of the run of several targets reads."""
    return []


@pytest.fixture(scope="module")
def told_of_several(several, opened):
    open_picture = run_page.open_picture
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_page, "open_picture", lambda path, **options: opened.append(path)
                      or open_picture(path, **options))
        return gathered(several)


@pytest.fixture
def copied(run, tmp_path):
    return runs.load_run(shutil.copytree(run.path, tmp_path / "angle-001"))


def gathered(run):
    """The text of the page."""
    return html.render("run.html", run_page.page_data(inputs.read_inputs(run)))


def sections(text):
    """The sections of a page by their ids; the page is XML but for its doctype and its tags without an end."""
    text = re.sub(r"<((?:img|meta) [^>]*)>", r"<\1/>", text.removeprefix("<!doctype html>"))
    return {section.get("aria-labelledby"): section for section in ElementTree.fromstring(text).iter("section")}


def words(element):
    return " ".join("".join(element.itertext()).split())


def parts(text, name):
    """The parts of a section: what stands before the first heading of a target, if anything, and below each one."""
    children = list(sections(text)[name])[1:]
    found, heading = [empty_part("")], ""
    for i, element in enumerate(children):
        part, kind = found[-1], element.get("class")
        if element.tag in ("h3", "h4"):
            heading, (following, *_) = words(element), [c for c in children[i + 1 :] if c.get("class") != "note"]
            if following.get("class") != "tiles":
                assert element.tag == "h3"
                found.append(empty_part(heading))
        elif kind == "verdict" or kind == "verdict bad":
            part["verdict"], part["bad"] = words(element), kind == "verdict bad"
        elif kind == "warnings":
            part["warnings"] += [{"text": words(li[0]), "hint": li[0].tail.strip()} for li in element]
        elif kind == "tiles":
            part["groups"].append({"title": heading, "tiles": [tile(figure) for figure in element.iter("figure")]})
        elif kind == "charts":
            part["charts"] += [img.attrib for img in element.iter("img")]
        elif kind == "box":
            part["tables"].append(table(element))
        elif element.tag == "p" and kind is None:
            part["notes"].append(words(element))
        else:
            assert kind == "note" or element.tag == "pre"
    return found if found[0] != empty_part("") else found[1:]


def empty_part(title):
    return {"title": title, "verdict": "", "bad": False, "warnings": [], "notes": [], "tables": [], "charts": [],
            "groups": []}


def table(box):
    rows = [{"name": words(tr[0]), "cells": [words(td) for td in tr[1:]], "bad": tr.get("class") == "bad"}
            for tr in box.find("table/tbody")]
    return {"columns": [words(th) for th in box.find("table/thead/tr")], "rows": rows}


def tile(figure):
    caption = figure.find("figcaption")
    return {"caption": caption.text.strip(), "name": words(caption.find("span"))}


def page(run):
    return (functions.report(run.path, "cpu")).read_text(encoding="utf-8")


# what it says


def test_its_sections_stand_in_order_and_nothing_in_it_is_undefined(told, told_of_several):
    for text in (told, told_of_several):
        assert list(sections(text)) == SECTIONS
        assert not re.search(r"\b(nan|NaN|None|inf|undefined)\b", re.sub('src="[^"]*"', "", text))


def test_the_verdict_and_the_scores_are_those_of_the_run(run, told):
    data, scores = told, run.scores["valid"]["angle"]
    verdict = parts(data, "verdict")[0]["verdict"]
    assert verdict.startswith(f"Off by {scores['mean']:.0f}° on average on 12 images it was not trained on")
    assert "imgreg train with --test 0.1" in parts(data, "verdict")[-1]["notes"][-1]
    (table,) = parts(data, "scores")[0]["tables"]
    own, guess, ridge = table["rows"]
    assert own["name"] == "this model, validation part (12 images)" and guess["name"] == "guessing, validation part"
    assert own["cells"][table["columns"].index("largest") - 1] == f"{scores['max']:.0f}°"
    assert guess["cells"][0] == f"{scores['baseline']:.0f}°" and guess["cells"][1] == "–"
    assert ridge["name"] == "ridge on frozen random features, validation part"
    assert ridge["cells"][0] == format_amount(scores["ridge"], "°")


def test_small_models_stand_beside_it_and_are_told_where_they_do_better(copied):
    copied.write("baselines.json", {"ridge": {"angle": {"unit": "°", "mean": 0.5, "median": 0.4, "rmse": 0.7}}})
    data = gathered(copied)
    row = parts(data, "scores")[0]["tables"][0]["rows"][-1]
    assert row["name"] == "ridge, validation part" and row["cells"][0] == "0.50°"
    warned = parts(data, "verdict")[0]
    assert warned["bad"] and any("ridge is off by 0.50°" in w["text"] for w in warned["warnings"])
    (copied.path / "baselines.json").write_text("{")
    with pytest.raises(ImgregError, match=r"baselines.json"):
        gathered(copied)


def test_the_worst_pictures_are_the_worst_and_the_typical_ones_lie_at_the_median(run, told):
    frame = pd.read_csv(run.path / "predictions.csv")
    worst, typical = (group["tiles"] for group in parts(told, "examples")[0]["groups"])
    order = frame.sort_values("angle_error", ascending=False)
    assert [tile["name"] for tile in worst] == list(order["image"][:4])  # a third of 12
    assert {tile["name"] for tile in typical} == set(order["image"][4:8])
    first = order.iloc[0]
    assert worst[0]["caption"].startswith(f"true {first['angle_true']:.1f}°, predicted {first['angle']:.1f}°")


def test_each_target_has_a_part_of_its_own_and_groups_are_told_apart(several, told_of_several):
    data = told_of_several
    for name in ("scores", "predictions", "examples"):
        assert [part["title"] for part in parts(data, name) if part["title"]] == ["red", "n", "head"]
    charts = [chart["alt"] for part in parts(data, "errors") for chart in part["charts"]]
    assert sum("Bar: mean; ring: median" in alt for alt in charts) == 3
    tables = [table for part in parts(data, "errors") for table in part["tables"]]
    sizes = {row["name"].removesuffix(": far worse") for row in tables[0]["rows"]}
    assert len(tables) == 3 and len(sizes) == 2 and sizes < {"60 × 40", "40 × 60", "50 × 50", "90 × 30"}
    assert sum(int(row["cells"][0]) for row in tables[0]["rows"]) == several.scores["valid"]["red"]["n"]
    assert len(parts(data, "occlusion")[1]["groups"][0]["tiles"]) == 2


def test_a_picture_that_several_targets_show_is_read_once(told_of_several, opened):
    assert [part["title"] for part in parts(told_of_several, "examples")] == ["red", "n", "head"]
    assert len(opened) == len(set(opened)) == 8


def test_what_is_weak_in_all_targets_is_told_once_and_a_bias_of_several_columns_has_no_sign(told_of_several):
    *own, whole = parts(told_of_several, "verdict")
    few = "Only 8 images were scored"
    assert whole["title"] == "The run as a whole" and sum(w["text"].startswith(few) for w in whole["warnings"]) == 1
    assert not [w for part in own for w in part["warnings"] if w["text"].startswith(few)]
    bias = {part["title"]: part["tables"][0]["rows"][0]["cells"][part["tables"][0]["columns"].index("bias") - 1]
            for part in parts(told_of_several, "scores")}
    assert bias["n"][0] in "+−" and bias["red"][0].isdigit() and bias["head"][0].isdigit()


def test_a_target_without_labels_and_a_single_picture_are_told_as_such(several, tmp_path):
    run = runs.load_run(shutil.copytree(several.path, tmp_path / "several"))
    frame = pd.read_csv(run.path / "predictions.csv")[:1]
    frame.assign(n_true=np.nan, n_error=np.nan).to_csv(run.path / "predictions.csv", index=False)
    valid = {name: {**of, "n": 1} for name, of in run.scores["valid"].items()}
    run.write("scores.json", {"valid": {**valid, "n": {"unit": "", "n": 0}}})
    data = page(run)
    assert parts(data, "verdict")[1]["verdict"] == "No image of the validation part has a label: nothing can be said."
    assert [part["title"] for part in parts(data, "examples")] == ["", "red", "head"]
    assert parts(data, "examples")[0]["notes"] == ["Without images here: 1 of 3 targets."]
    assert [group["title"] for group in parts(data, "examples")[1]["groups"]] == ["The worst"]


def test_sizes_of_many_kinds_are_told_in_quarters():
    from imgreg_fastai.reports import sections

    rng = np.random.default_rng(0)
    names = sections.size_names(pd.DataFrame(rng.integers(100, 1000, (200, 2)), columns=["width", "height"]))
    assert names.nunique() == 4 and (names.value_counts() == 50).all() and names.str.endswith("in all").all()
    assert [float(name.split()[0].replace(",", "")) for name in names.cat.categories] == sorted(
        float(name.split()[0].replace(",", "")) for name in names.cat.categories)
    assert list(sections.size_names(pd.DataFrame({"width": [10.0] * 3, "height": [20.0] * 3}))) == ["10 × 20"] * 3


def test_intervals_are_told_where_there_are_any(copied, told):
    assert "gives no intervals" in parts(told, "intervals")[0]["notes"][0]
    frame = pd.read_csv(copied.path / "predictions.csv")
    frame["angle_within"], frame["ood"] = np.linspace(1, 60, len(frame)), [True] * 2 + [False] * (len(frame) - 2)
    frame.to_csv(copied.path / "predictions.csv", index=False)
    scores = copied.scores
    scores["valid"]["angle"]["coverage"] = {
        "asked": 0.9, "reached": 0.5, "low": 0.4, "high": 0.6, "width": 30.0,
        "groups": {"ann": {"n": 5, "reached": 0.2}, "bob": {"n": 7, "reached": 0.8}}}
    copied.write("scores.json", scores)
    data = gathered(copied)
    (own,) = parts(data, "intervals")
    assert "also chose the epoch and showed which images are hard" in own["notes"][0]
    assert own["notes"][1].startswith("2 of 12 images are out of distribution")
    assert own["tables"][0]["rows"][0]["cells"] == ["90 %", "50 %", "40 % to 60 %", "30°"]
    assert own["tables"][1]["rows"][0] == {"name": "ann", "cells": ["5", "20 %"], "bad": False}
    assert "lie within their interval" in own["charts"][0]["alt"]
    assert any("too narrow" in w["text"] for w in parts(data, "verdict")[0]["warnings"])
    assert " ± " in parts(data, "examples")[0]["groups"][0]["tiles"][0]["caption"]


def test_joint_intervals_stand_beside_single_ones_and_groups_left_out_in_place_of_a_caution(copied):
    frame = pd.read_csv(copied.path / "predictions.csv").assign(angle_within=30.0, ood=False)
    frame.to_csv(copied.path / "predictions.csv", index=False)
    scores = copied.scores
    single = {"asked": 0.9, "reached": 0.85, "width": 30.0}
    joint = {"asked": 0.9, "reached": 0.95, "low": 0.9, "high": 0.98, "width": 41.0}
    scores["valid"]["angle"]["coverage"] = {**single, "calibrates": True, "left_out": 0.883, "joint": joint}
    scores["test"] = {"angle": {**scores["valid"]["angle"], "coverage": single}}
    copied.write("scores.json", scores)
    (own,) = parts(gathered(copied), "intervals")
    assert "coverage of groups left out" in own["notes"][0] and "too good" not in " ".join(own["notes"])
    assert "imgreg predict --joint" in own["notes"][1]
    rows = {row["name"]: row["cells"] for row in own["tables"][0]["rows"]}
    assert rows["validation part"] == ["90 %", "85 %", "–", "30°", "95 %", "90 % to 98 %", "41°", "88.3 %"]
    assert rows["test part"] == ["90 %", "85 %", "–", "30°", "–", "–", "–", "–"]
    del scores["valid"]["angle"]["coverage"]["left_out"]
    copied.write("scores.json", scores)
    (own,) = parts(gathered(copied), "intervals")
    assert "also calibrated these intervals" in own["notes"][0] and "left out" not in own["notes"][0]
    assert len(own["tables"][0]["rows"][0]["cells"]) == 7


def test_with_a_test_part_it_is_the_verdict_and_the_valid_part_is_looked_into(copied):
    frame = pd.read_csv(copied.path / "predictions.csv")
    frame["split"] = ["test"] * 4 + ["valid"] * (len(frame) - 4)
    frame.to_csv(copied.path / "predictions.csv", index=False)
    scores = copied.scores
    copied.write("scores.json", {**scores, "test": {"angle": {**scores["valid"]["angle"], "n": 4, "mean": 1.234}}})
    data = gathered(runs.load_run(copied.path))
    assert parts(data, "verdict")[0]["verdict"].startswith("Off by 1.2° on average on 4 images")
    shown = {t["name"] for group in parts(data, "examples")[0]["groups"] for t in group["tiles"]}
    assert len(shown) == 6 and shown < set(frame["image"][4:])
    assert "chose the epoch" not in words(sections(data)["intervals"])
    assert not parts(data, "verdict")[-1]["notes"] or "--test" not in parts(data, "verdict")[-1]["notes"][-1]


def test_issues_of_the_data_are_told(copied):
    labels = pd.read_csv(copied.path / "labels.csv")
    pd.concat([labels, labels[:1]]).to_csv(copied.path / "labels.csv", index=False)
    (part,) = parts(gathered(copied), "data")
    assert any("row 2" in row["cells"][2] for row in part["tables"][0]["rows"])


def test_the_verdict_points_to_issues_of_the_data_only_where_there_are_any(copied):
    scores = copied.scores
    scores["valid"]["angle"]["baseline"] = scores["valid"]["angle"]["mean"]
    copied.write("scores.json", scores)

    def hint(data=None):
        warnings = parts(data or gathered(copied), "verdict")[0]["warnings"]
        return next(w["hint"] for w in warnings if "better than" in w["text"])

    data = gathered(copied)
    assert parts(data, "data")[0]["tables"] == []
    assert hint(data) == "Train for more epochs, or with more images."
    labels = pd.read_csv(copied.path / "labels.csv")
    pd.concat([labels, labels[:1]]).to_csv(copied.path / "labels.csv", index=False)
    assert hint() == "Look at the issues of the data below; then train for more epochs, or with more images."
    copied.note(data={**copied.about["data"], "root": str(copied.path / "nowhere")})  # and are not checked
    assert hint() == "Train for more epochs, or with more images."


# the images are gone, or the run is not whole


def test_a_run_whose_pictures_moved_has_its_report_from_what_it_kept(copied):
    copied.note(data={**copied.about["data"], "root": str(copied.path / "nowhere")})
    data = gathered(copied)
    (example,) = parts(data, "examples")
    assert "not where they were" in example["notes"][0] and example["charts"][0]["alt"].startswith("The worst images")
    assert "not where they were" in parts(data, "occlusion")[0]["notes"][1]
    assert len(parts(data, "predictions")[0]["charts"]) == 2 and "not checked" in parts(data, "data")[0]["notes"][0]
    shutil.rmtree(copied.path / "plots")
    (copied.path / "history.csv").unlink()
    data = gathered(copied)
    assert "no plot of them was kept" in parts(data, "examples")[0]["notes"][0]
    assert parts(data, "training")[0]["notes"] == ["No history of the training was saved."]
    assert "<h2" in page(copied)


def test_without_pictures_a_page_takes_no_better_ones_place(copied, capsys, caplog):
    (copied.path / "report.html").write_text("with images")
    copied.note(data={**copied.about["data"], "root": str(copied.path / "nowhere")})
    poor = copied.path / "report-without-pictures.html"
    assert said(capsys, "report", copied.path, "--device", "cpu") == f"written: {poor}\n"
    (warned,) = caplog.messages
    assert warned.startswith("12 of 12 images are not in")
    assert warned.endswith("report-without-pictures.html does not show them")
    assert (copied.path / "report.html").read_text() == "with images" and "<h2" in poor.read_text(encoding="utf-8")


def test_a_few_lost_pictures_cost_their_tiles_alone(copied, tmp_path, drawn, caplog):
    shutil.copytree(drawn, tmp_path / "some")
    name = pd.read_csv(copied.path / "predictions.csv")["image"][0]
    (tmp_path / "some" / name).unlink()
    copied.note(data={**copied.about["data"], "root": str(tmp_path / "some")})
    written = functions.report(copied.path, "cpu")
    data = written.read_text(encoding="utf-8")
    assert sum(len(group["tiles"]) for group in parts(data, "examples")[0]["groups"]) == 8
    assert written.name == "report.html"
    assert "1 of 12 images are not in" in caplog.text


def test_without_the_model_file_only_what_needs_it_is_missing(copied):
    (copied.path / "model.safetensors").unlink()
    data = gathered(copied)
    assert "model file is not in the run" in parts(data, "occlusion")[0]["notes"][1]
    assert len(parts(data, "examples")[0]["groups"]) == 2


@pytest.mark.parametrize(("harm", "told"), [
    (lambda run: run.note(state="interrupted"), "whose state is: interrupted"),
    (lambda run: (run.path / "scores.json").unlink(), "without scores"),
    (lambda run: (run.path / "predictions.csv").unlink(), "predictions.csv"),
    (lambda run: (run.path / "predictions.csv").write_text("image,split\na,valid\n"), "no column angle"),
])
def test_a_run_that_is_not_whole_is_one_line(copied, harm, told):
    (copied.path / "report.html").unlink()  # that of the training
    harm(copied)
    with pytest.raises(ImgregError, match=told) as e:
        functions.report(copied.path, "cpu")
    assert "\n" not in str(e.value) and not (copied.path / "report.html").exists()


# the page


def test_the_command_writes_the_page_and_writes_it_anew(copied, capsys):
    (copied.path / "report.html").write_text("old")
    assert said(capsys, "report", copied.path, "--device", "cpu") == f"written: {copied.path / 'report.html'}\n"
    assert (copied.path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_page_is_one_file_that_all_can_read(told_of_several):
    text = told_of_several
    found = Page(text)
    assert len(text) < 8e6 and found.all("html")[0]["lang"] == "en-GB"
    assert not [tag for tag, _ in found.tags if tag in ("script", "link", "iframe", "object")]
    assert all(img["src"].startswith("data:image/") and img["alt"].strip() for img in found.all("img"))
    heads = [int(tag[1]) for tag, _ in found.tags if re.fullmatch("h[1-6]", tag)]
    assert heads[0] == 1 and heads.count(1) == 1 and all(b <= a + 1 for a, b in pairwise(heads))
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and {a["href"][1:] for a in found.all("a")} <= set(ids)
    assert found.all("th") and all(th.get("scope") in ("row", "col") for th in found.all("th"))
    assert "https://" not in text and "http://" not in text
    assert not re.search(r"\b(nan|NaN|None|undefined)\b", " ".join(found.text))


def test_the_verdict_stands_before_the_contents_and_no_section_is_lost(run):
    text = (run.path / "report.html").read_text(encoding="utf-8")
    heads = re.findall(r'<h2 id="(\w+)"', text)
    assert heads == ["verdict", "contents", *SECTIONS[1:]]


def test_a_column_that_never_varies_is_told_in_place_of_its_chart(several, tmp_path):
    run = runs.load_run(shutil.copytree(several.path, tmp_path / "several"))
    frame = pd.read_csv(run.path / "predictions.csv")
    frame.assign(roll_true=0.0).to_csv(run.path / "predictions.csv", index=False)
    told = next(part for part in parts(gathered(run), "errors") if part["title"] == "head")
    assert told["notes"] == ["No chart over roll: the same in all images."]
    assert not [chart for chart in told["charts"] if "over roll" in chart["alt"]]
    assert [chart for chart in told["charts"] if "over yaw" in chart["alt"]]


def test_names_that_are_markup_stay_names(copied):
    frame = pd.read_csv(copied.path / "predictions.csv")
    frame.loc[frame["angle_error"].idxmax(), "image"] = HOSTILE
    frame["group"] = np.where(frame.index % 2, "ann", HOSTILE)
    frame.to_csv(copied.path / "predictions.csv", index=False)
    scores = copied.scores
    scores["valid"]["angle"]["groups"] = {HOSTILE: {"n": 6, "mean": 300.0}, "ann": {"n": 6, "mean": 1.0}}
    copied.write("scores.json", scores)
    text = page(copied)
    found = Page(text)
    assert not found.all("script") and not [img for img in found.all("img") if "onerror" in img]
    assert "<script" not in text and "".join(found.text).count(HOSTILE) >= 2
    assert any(HOSTILE in img["alt"] for img in found.all("img"))


def test_a_template_is_not_silent_about_what_it_lacks():
    with pytest.raises(UndefinedError, match="'targets' is undefined"):
        html.render("comparison.html", {"names": ["a", "b"], "curves": [], "settings": {}, "notes": []})
