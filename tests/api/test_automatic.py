"""The automatic recipe of a table's training: what it decides, what it leaves to the user, and what it says."""
import json
import logging
from pathlib import Path

import pytest

from imgreg_fastai.api import automatic, functions, several_runs
from imgreg_fastai.api.preparation import prepare
from imgreg_fastai.config import BY_RECIPE, option_name
from imgreg_fastai.data.object_size import shown_size
from imgreg_fastai.models import output_head
from imgreg_fastai.reports.run_page import settings_tables
from imgreg_fastai.runs import Run
from imgreg_fastai.training import recipe
from tests.conftest import TINY

OFFLINE = {"targets": "n:number", "weights": "none", "device": "cpu"}


@pytest.fixture
def table(spotted, tmp_path):
    """The table of `spotted`, beside which nothing else lies."""
    spotted.assign(image=spotted["path"])[["image", "split", "n"]].to_csv(tmp_path / "numbers.csv", index=False)
    return tmp_path / "numbers.csv"


@pytest.fixture
def small_recipe(monkeypatch):
    """A table of settings whose networks are tiny."""
    settings = {"arch": "test_resnet", "lr": 4e-3, "bs": 8}
    rows = (recipe.Row(pretrained, float("inf"), 64, 5, settings, "they are few") for pretrained in (False, True))
    monkeypatch.setattr(recipe, "TABLE", tuple(rows))


def test_a_table_gets_what_the_recipe_says(table):
    plan = automatic.apply_recipe(prepare(table, **OFFLINE))
    facts = recipe.DataFacts(int((plan.rows["split"] == "train").sum()), shown_size(plan.rows, plan.task), False)
    chosen = recipe.choose_recipe(facts)
    assert plan.task.size == chosen.size and chosen.settings.items() <= plan.config.to_dict().items()


def test_what_the_user_sets_stays(table):
    settings = {"size": (48, 64), "arch": "test_resnet", "epochs": 3, "lr": 1e-3, "body_lr": 0.1, "bs": 4}
    assert set(settings) == set(BY_RECIPE)
    plan = automatic.apply_recipe(prepare(table, **OFFLINE, **settings))
    assert plan.task.size == (48, 64) and not plan.recipe
    assert {name: getattr(plan.config, name) for name in settings if name != "size"} == {
        name: value for name, value in settings.items() if name != "size"}
    for name, value in settings.items():
        assert name not in automatic.apply_recipe(prepare(table, **OFFLINE, **{name: value})).recipe


def test_a_built_in_task_has_settings_of_its_own(drawn):
    plan = automatic.apply_recipe(prepare("angle", data=drawn))
    assert not plan.recipe and plan.task.size == (100, 100)


def test_the_size_of_boxes_is_that_of_the_box_and_not_of_the_image(spotted, tmp_path):
    frame = spotted.assign(image=spotted["path"], cx=20, cy=20, w=10, h=20)
    frame[["image", "split", "n", "cx", "cy", "w", "h"]].to_csv(tmp_path / "t.csv", index=False)
    plan = prepare(tmp_path / "t.csv", box=("cx", "cy", "w", "h"), margin=0.0, **OFFLINE)
    assert shown_size(plan.rows, plan.task) == pytest.approx((20, 10))


@pytest.mark.usefixtures("small_recipe", "without_plots")
def test_a_training_measures_its_epochs_and_says_and_records_the_recipe(table, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        run = functions.train(table, out=tmp_path, precision="fp32", workers=0, **OFFLINE)
    said = [r.getMessage() for r in caplog.records]
    start = next(i for i, text in enumerate(said) if text.startswith("recipe for "))
    reason, line = said[start : start + 2]
    recorded = json.loads((run.path / "run.json").read_text())["recipe"]
    assert recorded["reason"] in reason and ", about " in reason
    assert recorded["epochs"] == run.config.epochs == 5
    for name in ("arch", "size", "bs", "lr", "loss", "augment", "epochs"):
        assert option_name(name) in line and name in recorded
    assert "--loss histogram --augment colour --epochs 5" in line and max(map(len, (reason, line))) <= 120
    best = run.read_table("history.csv")["valid_loss"].idxmin() + 1
    assert f"kept: the weights of epoch {best} of 5, whose validation loss is the lowest" in said
    assert "set_by_user" in run.about and "weights" in run.about["set_by_user"]
    report = settings_tables(run)
    assert {"arch", "size", "bs", "lr", "loss", "augment", "epochs"} <= {name for name, *_ in report["by_recipe"]}
    assert "weights" in {name for name, *_ in report["by_user"]} and not report["other_settings"]


def test_a_backbone_with_arguments_of_its_own_is_no_option_that_could_be_typed(table, caplog):
    plan = automatic.apply_recipe(prepare(table, **OFFLINE))
    with caplog.at_level(logging.INFO, "imgreg"):
        automatic.say_recipe(plan, ", about 10 min 30 s")
    reason, line = (r.getMessage() for r in caplog.records[-2:])
    assert f"a small {plan.config.arch} (--arch)" in reason and "--arch" not in line and "--size" in line
    assert max(map(len, (reason, line))) <= 120


@pytest.mark.usefixtures("small_recipe")
@pytest.mark.parametrize(("minutes", "epochs", "warns"), [(10, 5, False), (1e-9, 1, True)])
def test_the_epochs_fit_the_time(table, monkeypatch, caplog, minutes, epochs, warns):
    from imgreg_fastai.api import fitting

    monkeypatch.setattr(recipe, "MINUTES", minutes)
    plan = automatic.apply_recipe(prepare(table, **OFFLINE))
    learn, _ = fitting.build_learner(plan)
    with caplog.at_level(logging.WARNING, "imgreg"):
        assert automatic.plan_epochs(plan, learn, "fp32", False).config.epochs == epochs
    assert any("an epoch takes" in r.getMessage() for r in caplog.records) == warns


@pytest.mark.usefixtures("small_recipe")
def test_of_a_deterministic_training_nothing_depends_on_timing(table, monkeypatch):
    from imgreg_fastai.api import fitting

    monkeypatch.setattr(automatic, "measure_steps", None)  # would raise
    plan = automatic.apply_recipe(prepare(table, deterministic=True, **OFFLINE))
    learn, _ = fitting.build_learner(plan)
    assert automatic.plan_epochs(plan, learn, "fp32", False).config.epochs == plan.config.epochs


@pytest.mark.usefixtures("without_plots")
def test_all_folds_have_the_recipe_of_the_first(table, tmp_path):
    folds = functions.train(table, out=tmp_path, folds=2, targets="n:number", split_col="none",
                            **{k: v for k, v in TINY.items() if k not in ("bs", "size")})
    plans = [(run.task.size, run.config.bs, run.config.lr) for run in folds.runs]
    n_train = int((folds.runs[0].labels["split"] == "train").sum())
    assert len(set(plans)) == 1 and plans[0][1] == min(n_train, recipe.TABLE[0].settings["bs"])


def test_get_preds_of_numbers_has_an_output_for_each_and_training_has_their_logits(table):
    learn = functions.learner(table, targets="n:number", **{k: v for k, v in TINY.items() if k != "epochs"})
    widths = []
    handle = learn.model.register_forward_hook(lambda _, inputs, output: widths.append(output.shape[1]))
    assert learn.get_preds(dl=learn.dls.valid)[0].shape[1] == 1 and set(widths) == {1}
    learn.fit(1)
    assert widths[-1] == 1 + output_head.N_BINS
    handle.remove()
    assert learn.get_preds(dl=learn.dls.valid)[0].shape[1] == 1


def test_rates_of_the_recipe_are_not_those_of_any_backbone(table):
    plan = automatic.apply_recipe(prepare(table, **OFFLINE, arch="test_vit"))
    assert "lr" not in plan.recipe and "arch" not in plan.recipe and "bs" in plan.recipe


def test_images_that_are_turned_get_a_size_too(spotted):
    labels = Path(spotted["path"][0]).parent / "labels.csv"
    plan = automatic.apply_recipe(prepare(labels, targets="pose:rotation", augment="turn", weights="none"))
    assert "size" in plan.recipe and plan.task.augment == ("turn",)


def said(caplog) -> str:
    """All messages, a line each."""
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.mark.usefixtures("small_recipe", "without_plots")
def test_a_dry_run_says_what_a_training_would_do_and_judges_nothing(table, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        assert functions.train(table, out=tmp_path / "runs", dry_run=True, workers=0, **OFFLINE) is None
    n_train = int((prepare(table, **OFFLINE).rows["split"] == "train").sum())
    assert f"recipe for {n_train} images" in said(caplog) and "--epochs 5" in said(caplog)
    assert f"on {n_train} images, validating on" in said(caplog)
    assert "error" not in said(caplog) and "ridge" not in said(caplog) and "/" not in said(caplog)


def test_loaders_show_the_images_that_a_training_sees_where_time_limits_their_size(table, monkeypatch):
    monkeypatch.setattr(recipe, "choose_size", lambda facts, most: (64, 64) if facts.minutes else (128, 128))
    options = {**OFFLINE, "weights": "none"}
    size = automatic.apply_recipe(prepare(table, **options)).task.size
    loaders = functions.dataloaders(table, workers=0, **options)
    assert size == (64, 64) and tuple(loaders.one_batch()[0].shape[-2:]) == size


@pytest.mark.usefixtures("small_recipe")
def test_loaders_look_for_weights_only_where_the_recipe_needs_them(table, monkeypatch):
    monkeypatch.setattr(automatic.weights, "find_weights", None)  # would raise
    options = {k: v for k, v in TINY.items() if k in ("size", "arch", "bs", "device")}
    assert functions.dataloaders(table, targets="n:number", workers=0, **options).bs == 4


@pytest.mark.usefixtures("small_recipe", "without_plots")
def test_the_weights_of_a_run_bring_the_size_of_its_images(table, tmp_path, caplog):
    options = {"targets": "n:number", "out": tmp_path, "workers": 0, "precision": "fp32", "device": "cpu", "epochs": 1}
    run = functions.train(table, weights="none", size=(48, 80), **options)
    plan = automatic.apply_recipe(prepare(table, targets="n:number", weights=run.path))
    assert plan.task.size == (48, 80) and "images as large as theirs" in plan.recipe["reason"]
    plan = automatic.apply_recipe(prepare(table, targets="n:number", weights=run.path, size=64))
    assert plan.task.size == (64, 64) and "theirs" not in plan.recipe["reason"]


@pytest.mark.usefixtures("small_recipe", "without_plots")
def test_all_folds_have_the_epochs_that_the_first_measured(table, tmp_path, monkeypatch):
    seconds = iter([(200.0, 0.0), (1e-3, 0.0), (1e-3, 0.0)])  # the first fold finds time for fewer epochs
    monkeypatch.setattr(automatic, "measure_steps", lambda _, config, *__: (config, *next(seconds)))
    monkeypatch.setattr(recipe, "MINUTES", 10)
    folds = functions.train(table, out=tmp_path, folds=2, split_col="none", workers=0, precision="fp32", **OFFLINE)
    first, second = (run.config.epochs for run in folds.runs)
    assert first == second < 5
    planned = folds.runs[1].about
    assert "precision" in planned and planned["recipe"]["epochs"] == first


def test_with_first_epochs_takes_those_of_a_run_that_has_begun(table):
    plan = automatic.apply_recipe(prepare(table, **OFFLINE))
    begun, waiting = ({"config": {"epochs": n}, **more} for n, more in ((7, {"precision": "fp32"}), (9, {})))
    runs = [Run(Path(), about) for about in (waiting, begun)]
    assert several_runs.with_first_epochs(plan, runs).config.epochs == 7
    assert several_runs.with_first_epochs(plan, runs[:1]) is plan
