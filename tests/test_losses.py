import numpy as np
import pytest
import torch

from imgreg_fastai.losses import TargetError, TaskLoss, encode, plain
from imgreg_fastai.targets import Angle, Number
from imgreg_fastai.tasks import ANGLE, Task

MIXED = Task("mixed", (Number("age", ("age",), "years", low=0.0, high=100.0), Angle("way", ("way",))))


@pytest.mark.parametrize("target", [ANGLE.targets[0], *MIXED.targets], ids=lambda t: t.name)
def test_decode_undoes_encode(target):
    values = torch.linspace(0, 99, 34)[:, None]
    coded = encode(target, values)
    assert coded.shape == (34, target.n_out) and coded.abs().max() <= 1 + 1e-6
    np.testing.assert_allclose(target.decode(coded.numpy()), values.numpy(), atol=1e-3)


def test_a_column_of_labels_does_not_broadcast():
    labels = torch.tensor([10.0, 50.0, 170.0])
    perfect = encode(ANGLE.targets[0], plain(labels))
    assert TaskLoss(ANGLE)(perfect, labels).item() == pytest.approx(0, abs=1e-6)
    wrong = TaskLoss(ANGLE)(perfect, labels.flip(0)).item()
    assert wrong == pytest.approx(np.abs(perfect.numpy() - perfect.flip(0).numpy()).mean(), rel=1e-5)


def test_each_target_weighs_the_same_and_penalties_differ():
    labels = torch.tensor([20.0, 80.0]), torch.tensor([10.0, 350.0])
    perfect = torch.cat([encode(t, plain(y)) for t, y in zip(MIXED.targets, labels, strict=True)], dim=1)
    off_age = perfect + torch.tensor([0.5, 0, 0])
    off_way = perfect + torch.tensor([0, 0.5, 0.5])
    assert TaskLoss(MIXED)(off_age, *labels).item() == pytest.approx(0.25)
    assert TaskLoss(MIXED)(off_way, *labels).item() == pytest.approx(0.25)
    values = {p: TaskLoss(MIXED, p)(off_age, *labels).item() for p in ("l1", "mse", "huber")}
    assert values["mse"] == pytest.approx(0.125) and len(set(values.values())) == 3


def test_decodes_gives_one_tensor_a_target_in_units():
    coded = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, -1.0]])
    age, way = TaskLoss(MIXED).decodes(coded)
    assert age.tolist() == [50, 100] and way.tolist() == [0, 270]
    assert TaskLoss(ANGLE).decodes(torch.tensor([[-1.0, 0.0]])).tolist() == [90]


def test_the_metric_is_in_units_wraps_round_and_is_named_an_error():
    metric = TargetError(ANGLE, 0)
    assert metric.__name__ == "angle_error"
    coded = encode(ANGLE.targets[0], torch.tensor([[179.0], [1.0]]))
    assert metric(coded, torch.tensor([1.0, 1.0])).item() == pytest.approx(1.0, abs=1e-3)
    assert TargetError(MIXED, 1)(torch.tensor([[0.0, 1, 0]]), torch.zeros(1), torch.tensor([350.0])).item() == 10
