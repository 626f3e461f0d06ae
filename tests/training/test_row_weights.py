"""Weights of rows: read, made 1 on average, and applied to the training loss alone."""
import logging

import numpy as np
import pandas as pd
import pytest
import torch

from imgreg_fastai.api import fitting, functions, preparation
from imgreg_fastai.data.labels import apply_row_weights, read_row_weights
from imgreg_fastai.tasks import ANGLE, Angle, Number, Rotation, Task
from imgreg_fastai.training.losses import TaskLoss
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY

NAN = np.nan
MIXED = Task("mixed", (Number("n", ("n",), low=-1.0, high=1.0), Angle("a", ("a",)),
                       Rotation("r", ("yaw", "pitch", "roll"))))


def batch(n=6):
    torch.manual_seed(0)
    labels = [torch.rand(n), torch.rand(n) * 360, torch.rand(n, 3) * 50]
    labels[0][1] = NAN
    return torch.rand(n, MIXED.n_out, requires_grad=True), labels


def loss_of(weights, balance=False, rows=slice(None)):
    outputs, labels = batch()
    loss = TaskLoss(MIXED, labels=labels, balance=balance)
    loss.row_weights = None if weights is None else torch.tensor(weights)[rows]
    value = loss(outputs[rows], *(y[rows] for y in labels))
    value.backward()
    return value.detach(), outputs.grad


@pytest.mark.parametrize("balance", [False, True])
def test_weight_0_teaches_nothing_weight_1_is_no_weight_and_2_is_twice_the_loss_of_a_row(balance):
    plain, plain_slope = loss_of(None, balance)
    ones, ones_slope = loss_of([1.0] * 6, balance)
    torch.testing.assert_close((ones, ones_slope), (plain, plain_slope))
    _, slope = loss_of([1.0, 1.0, 0.0, 2.0, 1.0, 1.0], balance)
    assert (slope[2] == 0).all() and (slope[3] != 0).any()
    torch.testing.assert_close(slope[3], 2 * plain_slope[3])
    torch.testing.assert_close(slope[4], plain_slope[4])


def test_weights_are_1_on_average_over_the_training_part_and_rows_of_0_leave_it(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    rows = pd.DataFrame({"split": ["train"] * 5 + ["valid"] * 2, "row_weight": [2.0, 6.0, 0.0, NAN, 4.0, 0.0, 8.0]})
    done = apply_row_weights(rows)
    assert done["row_weight"].tolist() == [0.5, 1.5, 1.0, 1.0, 0.0, 2.0]
    assert (done["split"] == "train").sum() == 4 and list(done.index) == list(range(6))
    assert caplog.messages == ["1 of 5 rows to train on have no weight: they count like the average row",
                               "1 rows of weight 0 are not trained on"]
    plain = rows.drop(columns="row_weight")
    assert apply_row_weights(plain) is plain
    with pytest.raises(ImgregError, match="a weight above 0 among the images to train on"):
        apply_row_weights(rows.assign(row_weight=0.0))


@pytest.mark.parametrize(("cells", "told"), [
    (["1", "-2", "x"], "--row-weight w: finite weights of at least 0; found '-2' in row 3, 'x' in row 4"),
    (["1", "inf", "2"], "found 'inf' in row 3"), (["0", "", "0"], "a weight above 0; found none"),
])
def test_cells_that_are_no_weights_are_named(cells, told):
    with pytest.raises(ImgregError, match=told):
        read_row_weights(pd.Series(cells, name="w"))
    assert read_row_weights(pd.Series(["1", " ", "0.5"], name="w"))[[0, 2]].tolist() == [1, 0.5]


@pytest.fixture(scope="module")
def weighted(drawn):
    """A table of drawn bars with a column of weights beside it, some missing and some 0."""
    table = pd.read_csv(drawn / "labels.csv")
    table["trust"] = np.random.default_rng(0).choice([0.0, 0.5, 2.0, NAN], len(table))
    table.to_csv(drawn / "weighted.csv", index=False)
    return drawn / "weighted.csv"


@pytest.mark.parametrize(("cache", "workers"), [("on", 0), ("off", 0), ("off", 2)])
def test_each_batch_is_weighed_by_its_own_rows_and_the_validation_part_is_not(weighted, cache, workers):
    plan = preparation.prepare(weighted, targets="angle:angle180", row_weight="trust", **{
        **TINY, "cache": cache, "workers": workers, "arch": "test_resnet", "epochs": 1})
    learn, _ = fitting.build_learner(plan)
    train = plan.rows[plan.rows["split"] == "train"]
    assert train["row_weight"].mean() == pytest.approx(1, abs=0.2) and (train["row_weight"] > 0).all()
    by_label = dict(zip(train["angle"].astype(np.float32), train["row_weight"], strict=True))
    loss, checked = learn.loss_func, []

    def spy(predicted, y):
        if learn.training:
            expected = [by_label[np.float32(label)] for label in y.flatten().tolist()]
            checked.append(np.allclose(loss.row_weights.cpu(), expected, atol=1e-5))
        else:
            checked.append(loss.row_weights is None)
        return loss.forward(predicted, y)

    learn.dls.train.after_batch.fs = [t for t in learn.dls.train.after_batch.fs if "Geometric" not in type(t).__name__]
    learn.loss_func = SpyLoss(loss, spy)
    fitting.loop.quiet(learn)
    learn.fit(1)
    assert checked and all(checked)


class SpyLoss(torch.nn.Module):
    """A loss that hands its row weights on."""

    def __init__(self, loss, spy):
        super().__init__()
        self.loss, self.spy = loss, spy

    def __setattr__(self, name, value):
        if name == "row_weights":
            self.loss.row_weights = value
        else:
            super().__setattr__(name, value)

    def forward(self, predicted, y):
        return self.spy(predicted, y)


@pytest.mark.usefixtures("without_plots")
def test_a_run_with_weights_is_exported_and_evaluated_where_no_weights_are(weighted, tmp_path, caplog):
    from fastai.learner import load_learner

    run = functions.train(weighted, targets="angle:angle180", row_weight="trust", out=tmp_path, **{
        **TINY, "arch": "test_resnet", "epochs": 1})
    assert run.task.row_weight == "trust" and "row_weight" in run.labels
    scored = functions.evaluate(run, weighted.with_name("labels.csv"))["scores"]["angle"]
    assert scored["n"] >= (run.labels["split"] == "valid").sum()
    learn = load_learner(functions.export(run))
    learn.predict(weighted.parent / run.labels["image"].iloc[0])
    with pytest.raises(ImgregError, match="--row-weight with a labels table"):
        functions.train(ANGLE, row_weight="trust")
    with pytest.raises(ImgregError, match="a column 'turst'"):
        functions.train(weighted, targets="angle:angle180", row_weight="turst")


def test_the_column_of_weights_is_never_inferred_as_a_target(weighted):
    plan = preparation.resolve_options(weighted, row_weight="trust")
    assert plan.task.columns == ["angle"]


def test_the_weights_of_raters_and_those_of_a_column_are_multiplied(weighted, drawn):
    table = pd.read_csv(drawn / "labels.csv")
    table = pd.concat([table.assign(trust=np.arange(len(table)) % 3 + 1.0)] * 2)
    table["angle"] += np.random.default_rng(0).normal(0, 3, len(table))
    table.to_csv(drawn / "rated.csv", index=False)
    plain, both = (preparation.prepare(drawn / "rated.csv", targets="angle:angle180", raters="mean", row_weight=column)
                   for column in (None, "trust"))
    ratio = both.rows["row_weight"] / plain.rows["row_weight"]
    trust = np.arange(len(ratio)) % 3 + 1.0
    assert (ratio / trust).std() == pytest.approx(0, abs=1e-6) and len(both.rows) == len(table) / 2
    train = both.rows[both.rows["split"] == "train"]
    assert train["row_weight"].mean() == pytest.approx(1)
    table.assign(trust=range(len(table))).to_csv(drawn / "rated.csv", index=False)
    with pytest.raises(ImgregError, match="the same --row-weight trust in all rows of an image"):
        preparation.prepare(drawn / "rated.csv", targets="angle:angle180", raters="mean", row_weight="trust")
