"""A ridge as the head of a network: fitted by groups, by what is labelled, and by the weights of rows."""
import numpy as np
import pandas as pd
import torch

from imgreg_fastai.evaluation import ridge
from imgreg_fastai.models import output_head
from imgreg_fastai.tasks import Number, Task

LEVEL = Task("t", (Number("n", ("n",), low=-1.0, high=1.0),))


def rows_of(levels, **columns):
    """A labels frame of images that have these levels."""
    return pd.DataFrame({"n": levels, "image": [f"{i}.png" for i in range(len(levels))], **columns})


def test_the_head_is_that_of_a_network_and_fits_the_labels():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)).astype(np.float32)
    level = np.tanh(x[:, 0] - x[:, 1])
    level[::7] = np.nan
    head = ridge.fit_head(LEVEL, rows_of(level), x, np.zeros((200, 4)))
    output = head(torch.tensor(x)).detach().numpy()
    plain = output_head.build(6, 1)
    assert {k: v.shape for k, v in head.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    error = np.abs(LEVEL.decode(output, np.zeros((200, 4)))["n"][:, 0] - level)
    assert np.nanmean(error) < 0.1 < 0.4 < np.nanmean(np.abs(level - np.nanmean(level)))
    assert (np.abs(head(torch.tensor(1e6 * x)).detach().numpy()) <= 1.1001).all()


def test_the_width_with_the_smallest_error_is_taken():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 60)).astype(np.float32)
    for told, expected in ((1, 2), (50, 60)):
        rows = rows_of(np.tanh(x[:, told] * 0.5), group=np.arange(80) // 4)
        assert ridge.fit_head(LEVEL, rows, x, np.zeros((80, 4)), [2, 60])[0].in_features == expected


def test_logits_are_what_the_network_squeezes():
    encoded = np.array([[-1.0, -0.3], [0.0, 1.0]])
    assert np.allclose(output_head.SigmoidRange()(torch.tensor(ridge.to_logits(encoded))).numpy(), encoded, atol=1e-6)


def test_rows_count_by_their_weight():
    """Half of the rows say the opposite of the others: the ridge believes those that count."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 4)).astype(np.float32)
    sign = np.where(np.arange(300) % 2, 1.0, -1.0)
    level = 0.5 * np.tanh(x[:, 0]) * sign
    for counted in (-1.0, 1.0):
        rows = rows_of(level, row_weight=np.where(sign == counted, 2.0, 0.0))
        slopes = ridge.fit_head(LEVEL, rows, x, np.zeros((300, 4))).state_dict()["0.weight"]
        assert counted * slopes[0, 0] > 0.1


def test_the_strength_of_a_ridge_is_chosen_by_groups_apart():
    """Each group has a feature of its own that tells its labels: of no use for another one, and tempting."""
    rng, units = np.random.default_rng(0), np.repeat(np.arange(12), 20)
    level = rng.normal(size=12)[units]
    x = np.eye(12)[units] * 3 + rng.normal(size=(240, 12)) * 0.01
    task = Task("t", (Number("n", ("n",), low=-1.0, high=1.0),))
    apart, alone = (ridge.fit_ridge(task, x, level[:, None], of).slopes for of in (units, np.arange(240)))
    assert np.abs(apart).max() < 0.1 * np.abs(alone).max()


def test_a_ridge_on_many_features_keeps_to_their_main_axes(monkeypatch):
    monkeypatch.setattr(ridge, "MAX_AXES", 3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 2)) @ rng.normal(size=(2, 50)) + 7
    y = x[:, :1] * 0.01 + 0.2
    y[5] = np.nan
    task = Task("t", (Number("n", ("n",), low=-1.0, high=1.0),))
    slopes, start, _ = ridge.fit_ridge(task, x, y, np.arange(80))
    assert slopes.shape == (50, 1) and np.abs((x @ slopes + start - y)[np.isfinite(y)]).max() < 1e-3
    few = y[:3].astype(np.float32)
    assert ridge.fit_ridge(task, x[:3].astype(np.float32), few, np.arange(3))[1] == few.astype(float).mean()
