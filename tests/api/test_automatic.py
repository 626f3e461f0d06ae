"""The automatic recipe of a table's training: what it decides, what it leaves to the user, and what it says."""
import json
import logging
from pathlib import Path

import pandas as pd
import pytest

from imgreg_fastai.api import automatic, functions
from imgreg_fastai.api.preparation import BY_RECIPE, prepare
from imgreg_fastai.config import option_name
from imgreg_fastai.models import network
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
    facts = recipe.DataFacts(int((plan.rows["split"] == "train").sum()), automatic.shown_size(plan), False)
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
    assert automatic.shown_size(plan) == pytest.approx((20, 10))


@pytest.mark.usefixtures("small_recipe", "without_plots")
def test_a_training_measures_its_epochs_and_says_and_records_the_recipe(table, tmp_path, caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        run = functions.train(table, out=tmp_path, precision="fp32", workers=0, **OFFLINE)
    line, = (r.getMessage() for r in caplog.records if r.getMessage().startswith("recipe for "))
    recorded = json.loads((run.path / "run.json").read_text())["recipe"]
    assert recorded["reason"] in line and "\n" not in line
    assert recorded["epochs"] == run.config.epochs == 5
    for name in ("arch", "size", "bs", "lr", "epochs"):
        assert option_name(name) in line and name in recorded
    assert f"{run.config.epochs} epochs (--epochs, about" in line


@pytest.mark.usefixtures("small_recipe")
@pytest.mark.parametrize(("minutes", "epochs", "warns"), [(10, 5, False), (1e-9, 1, True)])
def test_the_epochs_fit_the_time(table, monkeypatch, caplog, minutes, epochs, warns):
    from imgreg_fastai.api import fitting

    monkeypatch.setattr(recipe, "MINUTES", minutes)
    plan = automatic.apply_recipe(prepare(table, **OFFLINE))
    learn, _ = fitting.build_learner(plan)
    with caplog.at_level(logging.WARNING, "imgreg"):
        assert automatic.plan_epochs(plan, learn, "fp32").config.epochs == epochs
    assert any("an epoch takes" in r.getMessage() for r in caplog.records) == warns


@pytest.mark.usefixtures("small_recipe")
def test_of_a_deterministic_training_nothing_depends_on_timing(table, monkeypatch):
    from imgreg_fastai.api import fitting

    monkeypatch.setattr(automatic, "measure_training", None)  # would raise
    plan = automatic.apply_recipe(prepare(table, deterministic=True, **OFFLINE))
    learn, _ = fitting.build_learner(plan)
    assert automatic.plan_epochs(plan, learn, "fp32").config.epochs == plan.config.epochs


@pytest.mark.usefixtures("without_plots")
def test_all_folds_have_the_recipe_of_the_first(table, tmp_path):
    folds = functions.train(table, out=tmp_path, folds=2, targets="n:number", split_col="none",
                            **{k: v for k, v in TINY.items() if k not in ("bs", "size")})
    plans = [(run.task.size, run.config.bs, run.config.lr) for run in folds.runs]
    assert len(set(plans)) == 1 and plans[0][1] == recipe.TABLE[0].settings["bs"]


@pytest.mark.parametrize(("losses", "improving"), [
    ([1.0, 0.5, *[0.4] * 8, 0.3], True), ([1.0, 0.5, *[0.4] * 9], False), ([1.0], False), ([1.0, 0.5], True),
])
def test_more_epochs_are_offered_where_the_end_was_still_improving(losses, improving):
    assert automatic.is_improving(pd.DataFrame({"valid_loss": losses})) == improving


def test_get_preds_of_numbers_has_an_output_for_each_and_training_has_their_logits(table):
    learn = functions.learner(table, targets="n:number", **{k: v for k, v in TINY.items() if k != "epochs"})
    widths = []
    handle = learn.model.register_forward_hook(lambda _, inputs, output: widths.append(output.shape[1]))
    assert learn.get_preds(dl=learn.dls.valid)[0].shape[1] == 1 and set(widths) == {1}
    learn.fit(1)
    assert widths[-1] == 1 + network.N_BINS
    handle.remove()
    assert learn.get_preds(dl=learn.dls.valid)[0].shape[1] == 1


def test_rates_of_the_recipe_are_not_those_of_any_backbone(table):
    plan = automatic.apply_recipe(prepare(table, **OFFLINE, arch="test_vit"))
    assert "lr" not in plan.recipe and "arch" not in plan.recipe and "bs" in plan.recipe


def test_images_that_are_turned_get_a_size_too(spotted):
    labels = Path(spotted["path"][0]).parent / "labels.csv"
    plan = automatic.apply_recipe(prepare(labels, targets="pose:rotation", augment="turn", weights="none"))
    assert "size" in plan.recipe and plan.task.augment == ("turn",)
