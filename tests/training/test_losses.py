"""Losses: labels encoded and compared, whatever is missing; each target weighs the same; errors in units."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from fastai.vision.core import TensorPoint
from scipy.spatial.transform import Rotation as R

from imgreg_fastai.tasks import ANGLE, Angle, Number, Point, Rotation, Task
from imgreg_fastai.tasks.geometry import place_picture
from imgreg_fastai.training import losses
from imgreg_fastai.training.losses import (
    RarityWeights,
    TargetError,
    TaskLoss,
    encode_labels,
    mean_encoded,
    penalty,
    to_plain_tensor,
)

POSE = Rotation("pose", ("yaw", "pitch", "roll"))
EYES = Point("eyes", ("lx", "ly", "rx", "ry"))
RANGE = Number("a", ("a",), low=0.0, high=1.0)
NAN = float("nan")
MIXED = Task("mixed", (Number("age", ("age",), "years", low=0.0, high=100.0), Angle("way", ("way",))))


@pytest.mark.parametrize("target", [ANGLE.targets[0], *MIXED.targets], ids=lambda t: t.name)
def test_decode_undoes_encode(target):
    values = torch.linspace(0, 99, 34)[:, None]
    coded = target.encode_labels(values)
    assert coded.shape == (34, target.n_out) and coded.abs().max() <= 1 + 1e-6
    np.testing.assert_allclose(target.decode(coded.numpy()), values.numpy(), atol=1e-3)


def test_a_column_of_labels_does_not_broadcast():
    labels = torch.tensor([10.0, 50.0, 170.0])
    perfect = ANGLE.targets[0].encode_labels(to_plain_tensor(labels))
    assert TaskLoss(ANGLE)(perfect, labels).item() == pytest.approx(0, abs=1e-6)
    wrong = TaskLoss(ANGLE)(perfect, labels.flip(0)).item()
    assert wrong == pytest.approx(np.abs(perfect.numpy() - perfect.flip(0).numpy()).mean(), rel=1e-5)


def encoded(task, labels):
    """The outputs [n, n_out] that would be right for labels as batches hold them."""
    return torch.cat([encode_labels(t, y) for t, y in zip(task.targets, labels, strict=True)], dim=1)


def test_each_target_weighs_the_same_and_penalties_differ():
    labels = torch.tensor([20.0, 80.0]), torch.tensor([10.0, 350.0])
    perfect = encoded(MIXED, labels)
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
    assert metric.name == "angle_error"
    coded = ANGLE.targets[0].encode_labels(torch.tensor([[179.0], [1.0]]))
    assert metric.errors(coded, torch.tensor([1.0, 1.0])).mean() == pytest.approx(1.0, abs=1e-3)
    assert TargetError(MIXED, 1).errors(torch.tensor([[0.0, 1, 0]]), torch.zeros(1), torch.tensor([350.0])) == 10


def batch(pred, *yb, views=None):
    return SimpleNamespace(pred=pred, yb=yb, dl=SimpleNamespace(batch_views=lambda task: views))


def test_the_metric_is_the_mean_over_pictures_that_are_labelled_not_over_batches():
    metric = TargetError(MIXED, 0)
    metric.reset()
    assert np.isnan(metric.value)
    zeros = torch.zeros(3, 3)  # an age of 50
    way = torch.zeros(3)
    metric.accumulate(batch(zeros, torch.tensor([50.0, NAN, NAN]), way))
    metric.accumulate(batch(zeros, torch.tensor([60.0, 70.0, 80.0]), way))
    metric.accumulate(batch(zeros, torch.tensor([NAN] * 3), way))
    assert metric.value == pytest.approx((0 + 10 + 20 + 30) / 4, abs=1e-4)
    metric.reset()
    assert np.isnan(metric.value)


def test_the_metric_decodes_only_its_own_target(monkeypatch):
    """The other's are a rotation's: singular values and Euler angles for nothing."""
    monkeypatch.setattr(Rotation, "decode", None)
    task = Task("two", (POSE, MIXED.targets[0]))
    assert TargetError(task, 1).errors(torch.zeros(1, 10), torch.zeros(1, 3), torch.tensor([40.0])) == 10


def test_the_metric_of_points_is_in_pixels_of_the_pictures():
    """An image of 100 x 50 pixels: half of it across is 50, half of it down is 25."""
    task = Task("eyes", (EYES,))
    predicted = torch.tensor([[0.0, 0, 0, 0], [0, 0, 0, 0]])
    labels = TensorPoint(torch.tensor([[[1.0, 0], [0, 1]], [[NAN, NAN], [0, -1]]]))
    views = np.stack([place_picture(size, (32, 32), "squish").view for size in ((100, 50), (100, 50), (10, 20))])
    metric = TargetError(task, 0)
    np.testing.assert_allclose(metric.errors(predicted, labels, views=views[:2]), [(50 + 25) / 2, 25])
    np.testing.assert_allclose(metric.errors(predicted, labels, views=np.array([[1.0, 1, 0, 0]])), [1, 1])
    assert np.isnan(metric.errors(predicted, labels)).all()
    metric.accumulate(batch(predicted, labels, views=views[:2]))
    metric.accumulate(batch(predicted[1:], labels[1:], views=views[2:]))  # the third image: half of it down is 10
    assert metric.value == pytest.approx((37.5 + 25 + 10) / 3)
    metric.reset()
    metric.accumulate(batch(predicted[1:], labels[1:], views=views[:1]))
    assert metric.value == pytest.approx(25)
    metric.accumulate(SimpleNamespace(pred=predicted, yb=(labels,), dl=[labels]))  # a loader that knows no views
    assert metric.value == pytest.approx(25)


# what is missing

def random(target, n=8, seed=0):
    """Outputs and encoded labels for n images, all labelled."""
    rng = np.random.default_rng(seed)
    if isinstance(target, Point):
        labels = torch.tensor(rng.uniform(-0.9, 0.9, (n, target.n_out)), dtype=torch.float32)
    else:
        labels = target.encode_labels(torch.tensor(rng.uniform(-80, 80, (n, len(target.columns))), dtype=torch.float32))
    return torch.tensor(rng.uniform(-1, 1, (n, target.n_out)), dtype=torch.float32, requires_grad=True), labels


@pytest.mark.parametrize("kind", ["l1", "mse", "huber"])
@pytest.mark.parametrize("target", [MIXED.targets[0], MIXED.targets[1], POSE, EYES], ids=lambda t: t.name)
def test_a_missing_label_costs_nothing_and_gives_no_gradient(target, kind):
    predicted, aim = random(target)
    missing = aim.clone()
    missing[[1, 4]] = NAN
    cost = penalty(target, predicted, missing, kind)
    cost.backward()
    kept = [0, 2, 3, 5, 6, 7]
    again = predicted.detach()[kept].requires_grad_()
    alone = penalty(target, again, aim[kept], kind)
    alone.backward()
    assert cost.item() == pytest.approx(alone.item(), rel=1e-5)
    assert not predicted.grad[[1, 4]].any() and predicted.grad[kept].abs().sum(dim=1).gt(0).all()
    torch.testing.assert_close(predicted.grad[kept], again.grad)


def test_of_points_each_value_is_missing_by_itself_of_a_rotation_all():
    predicted, aim = random(EYES, 2)
    aim[0, 2:] = NAN
    penalty(EYES, predicted, aim).backward()
    assert predicted.grad[0, :2].abs().min() > 0 and not predicted.grad[0, 2:].any() and predicted.grad[1].all()
    expected = (predicted - aim).abs()[aim.isfinite()].mean().item()
    assert penalty(EYES, predicted, aim).item() == pytest.approx(expected, rel=1e-6)
    predicted, aim = random(POSE, 2)
    aim[0, 4] = NAN
    penalty(POSE, predicted, aim).backward()
    assert not predicted.grad[0].any() and predicted.grad[1].abs().sum() > 0


@pytest.mark.parametrize("target", [MIXED.targets[0], POSE, EYES], ids=lambda t: t.name)
def test_a_batch_without_any_label_costs_0_and_teaches_nothing(target):
    predicted, aim = random(target)
    cost = penalty(target, predicted, torch.full_like(aim, NAN))
    cost.backward()
    assert cost.item() == 0 and not predicted.grad.any() and predicted.grad.isfinite().all()


def test_missing_labels_of_one_target_leave_the_others_alone():
    task = Task("two", (MIXED.targets[0], EYES))
    labels = torch.tensor([NAN, NAN]), TensorPoint(torch.tensor([[[0.5, 0], [NAN, NAN]], [[0, 0], [0.5, 0]]]))
    predicted = torch.zeros(2, 5, requires_grad=True)
    cost = TaskLoss(task)(predicted, *labels)
    cost.backward()
    assert cost.item() == pytest.approx((0 + (0.5 + 0 + 0 + 0 + 0.5 + 0) / 6) / 2)
    assert predicted.grad.isfinite().all() and not predicted.grad[:, 0].any()


# rotations

@pytest.mark.parametrize("degrees", [0.01, 1, 30, 90, 150, 179])
def test_a_rotations_penalty_is_its_error_in_radians_whatever_the_outputs_length(degrees):
    true = np.random.default_rng(1).uniform(-60, 60, (5, 3))
    step = R.from_rotvec(np.deg2rad(degrees) * np.array([[0.6, 0, 0.8]])).as_matrix()
    predicted = step @ POSE.matrix(true)
    error = POSE.error(POSE.labels(predicted), true)
    assert error == pytest.approx(degrees, abs=1e-4)
    lengths = torch.tensor([0.3, 0.5, 1, 2, 3])[:, None]
    out = torch.tensor(predicted, dtype=torch.float32).flatten(1) * lengths
    aim = POSE.encode_labels(torch.tensor(true, dtype=torch.float32))
    assert penalty(POSE, out, aim).item() == pytest.approx(np.deg2rad(degrees), abs=np.deg2rad(0.01))
    if degrees > 1:
        assert penalty(POSE, out, aim).item() == pytest.approx(np.deg2rad(error.mean()), rel=2e-3)
        assert penalty(POSE, out, aim, "mse").item() == pytest.approx(np.deg2rad(error.mean()) ** 2, rel=4e-3)


@pytest.mark.parametrize("kind", ["l1", "mse", "huber"])
@pytest.mark.parametrize("degrees", [0.0, 1e-3, 179.999, 180.0])
def test_gradients_are_finite_where_truth_and_prediction_agree_and_where_they_are_opposite(degrees, kind):
    true = np.array([[0.0, 0, 0], [30, -20, 10]])
    for axis in np.eye(3):
        out = R.from_rotvec(np.deg2rad(degrees) * axis).as_matrix() @ POSE.matrix(true)
        out = torch.tensor(out, dtype=torch.float32).flatten(1).requires_grad_()
        penalty(POSE, out, POSE.encode_labels(torch.tensor(true, dtype=torch.float32)), kind).backward()
        assert out.grad.isfinite().all() and out.grad.abs().max() < 1e3


def test_gradients_are_finite_for_many_opposite_rotations():
    """Rounding takes some of them to just half a turn, where the arc sine has no slope."""
    aim = R.random(3000, rng=np.random.default_rng(0)).as_matrix()
    turns = R.from_rotvec(np.pi * np.eye(3)[np.arange(3000) % 3]).as_matrix().round()
    out = torch.tensor(turns @ aim, dtype=torch.float32).flatten(1).requires_grad_()
    penalty(POSE, out, torch.tensor(aim, dtype=torch.float32).flatten(1)).backward()
    assert out.grad.isfinite().all()


@pytest.mark.parametrize("out", [torch.zeros(9), torch.ones(9), torch.eye(3).flatten() * -1,
                                 torch.tensor([1.0, 0, 0, 0, 1, 0, 0, 0, -1])])
def test_nine_numbers_that_are_near_no_rotation_still_have_a_finite_gradient(out):
    """All of one size, none, a mirror image: singular values that are equal make a naive gradient infinite."""
    predicted = out.expand(2, 9).clone().requires_grad_()
    penalty(POSE, predicted, POSE.encode_labels(torch.tensor([[10.0, 20, 30], [0, 0, 0]]))).backward()
    assert predicted.grad.isfinite().all()


def test_a_rotation_is_learnt_from_any_start():
    """Plain descent on the nine numbers reaches the truth, half a turn away as well."""
    aim = POSE.encode_labels(torch.tensor([[50.0, -30, 20], [-60, 10, 100], [0, 0, 179]]))
    predicted = torch.eye(3).flatten().repeat(3, 1).requires_grad_()
    optimiser = torch.optim.Adam([predicted], lr=0.05)
    for _ in range(300):
        optimiser.zero_grad()
        penalty(POSE, predicted, aim).backward()
        optimiser.step()
    found = POSE.decode(predicted.detach().numpy())
    assert POSE.error(found, np.array([[50.0, -30, 20], [-60, 10, 100], [0, 0, 179]])).max() < 5


# balance and start

def labelled(n=200, seed=0):
    """A task of four kinds of unlike spread, and labels as batches hold them, some of them missing."""
    rng = np.random.default_rng(seed)
    task = Task("four", (Number("age", ("age",), low=0.0, high=1e6), ANGLE.targets[0], EYES, POSE))
    values = [rng.uniform(0, 1e6, n), rng.uniform(0, 40, n), rng.normal(0.2, 0.01, (n, 2, 2)),
              rng.uniform(-20, 20, (n, 3))]
    values[0][::7], values[2][::5, 0], values[3][::3] = NAN, NAN, NAN
    tensors = [torch.tensor(v, dtype=torch.float32) for v in values]
    tensors[2] = TensorPoint(tensors[2])
    return task, tuple(tensors)


@pytest.mark.parametrize("kind", ["auto", "l1", "mse", "huber"])
def test_among_several_targets_guessing_each_costs_1(kind):
    task, labels = labelled()
    guess = mean_encoded(task, labels).expand(200, -1)
    balanced = TaskLoss(task, kind, labels)
    assert balanced(guess, *labels).item() == pytest.approx(1, rel=1e-4)
    outputs = guess.split([t.n_out for t in task.targets], dim=1)
    parts = zip(task.targets, outputs, labels, strict=True)
    costs = [penalty(t, out, t.encode_labels(to_plain_tensor(y)), kind) for t, out, y in parts]
    assert [float(c) / g for c, g in zip(costs, balanced.guess_costs, strict=True)] == pytest.approx([1] * 4, rel=1e-4)
    perfect = encoded(task, labels).nan_to_num()
    assert balanced(perfect, *labels).item() < 0.01


def test_half_of_the_guess_is_left_when_one_of_two_targets_is_known():
    task, labels = labelled()
    two, both = Task("two", task.targets[1:3]), labels[1:3]
    out = mean_encoded(two, both).repeat(200, 1)
    out[:, :2] = two.targets[0].encode_labels(to_plain_tensor(both[0]))
    assert TaskLoss(two, "auto", both)(out, *both).item() == pytest.approx(0.5, rel=1e-3)


def test_a_target_alone_is_not_rescaled():
    _, labels = labelled()
    out = torch.zeros(200, 4)
    one = Task("one", (EYES,))
    assert TaskLoss(one, "auto", labels[2:3])(out, labels[2]).item() == TaskLoss(one)(out, labels[2]).item()


def test_a_target_that_never_varies_is_not_divided_by_0():
    task = Task("two", (EYES, MIXED.targets[0]))
    labels = TensorPoint(torch.full((9, 2, 2), 0.3)), torch.linspace(0, 100, 9)
    loss = TaskLoss(task, "auto", labels)(torch.zeros(9, 5), *labels)
    assert loss.isfinite()


def test_the_middle_is_the_mean_of_the_encoded_labels():
    task, labels = labelled()
    start = mean_encoded(task, labels)
    assert start.shape == (task.n_out,) and start.isfinite().all()
    assert start[3:7].tolist() == pytest.approx(labels[2].as_subclass(torch.Tensor).flatten(1).nanmean(dim=0).tolist())
    theta = np.deg2rad(2 * labels[1].numpy())
    assert start[1:3].tolist() == pytest.approx([np.cos(theta).mean(), np.sin(theta).mean()], abs=1e-5)
    assert mean_encoded(Task("t", (EYES,)), (torch.full((3, 2, 2), NAN),)).tolist() == [0] * 4


# decoding for fastai

def test_decodes_gives_points_as_fastai_has_them_and_angles_of_a_rotation():
    task, labels = labelled()
    out = encoded(task, labels)
    age, angle, eyes, pose = TaskLoss(task).decodes(out)
    assert isinstance(eyes, TensorPoint) and eyes.shape == (200, 2, 2) and pose.shape == (200, 3)
    assert type(age) is torch.Tensor and age.shape == (200,)
    torch.testing.assert_close(eyes.as_subclass(torch.Tensor), labels[2].as_subclass(torch.Tensor), equal_nan=True)
    for got, given, off in ((age, labels[0], 1), (angle, labels[1], 1e-3), (pose, labels[3], 1e-3)):
        torch.testing.assert_close(got, given, atol=off, rtol=0, equal_nan=True, check_dtype=False)
    alone = TaskLoss(Task("eyes", (EYES,))).decodes(torch.zeros(3, 4))
    assert isinstance(alone, TensorPoint) and alone.shape == (3, 2, 2)


@pytest.mark.parametrize("few", [10, 40])
def test_the_balance_knows_all_labels_however_the_table_is_sorted(monkeypatch, few):
    """The first half has one target alone, the second the other, both in order; one is the same everywhere."""
    monkeypatch.setattr(losses, "SAMPLE_SIZE", few)
    task = Task("merged", (Number("a", ("a",), low=0, high=1), Number("b", ("b",), low=0, high=1),
                           Point("p", ("x", "y"))))
    a = torch.cat([torch.linspace(0, 1, 100), torch.full((100,), torch.nan)])
    points = TensorPoint(torch.zeros(200, 1, 2))
    loss = TaskLoss(task, "l1", (a, a.flip(0), points))
    assert loss.guess_costs == pytest.approx([0.5, 0.5, 1.0], rel=0.15)
    assert mean_encoded(task, (a, a.flip(0), points)).numpy() == pytest.approx([0, 0, 0, 0], abs=0.12)


def test_a_target_of_three_times_the_weight_counts_three_times():
    light, heavy = Number("a", ("a",), low=0.0, high=1.0), Number("b", ("b",), low=0.0, high=1.0, weight=3.0)
    y = torch.tensor([0.2, 0.4, 0.9])
    off = torch.zeros(3, 2)
    alone = [TaskLoss(Task("t", (t,)))(off[:, :1], y) for t in (light, heavy)]
    assert alone[0] == alone[1]  # beside nothing, a weight says nothing
    both = TaskLoss(Task("t", (light, heavy)), labels=(y, y))
    costs = torch.stack([both(torch.stack([out, aim], 1), y, y) for out, aim in
                         ((off[:, 0], 2 * y - 1), (2 * y - 1, off[:, 0]))])
    assert costs[1] / costs[0] == pytest.approx(3.0)


def test_rare_labels_count_more_and_on_the_mean_as_much():
    torch.manual_seed(0)
    labels = torch.cat([torch.rand(900) * 0.2, torch.rand(100) * 0.8 + 0.2])
    rarity = RarityWeights(RANGE.encode_labels(labels[:, None]))
    weights = rarity(RANGE.encode_labels(labels[:, None]))
    assert weights.shape == (1000, 1) and weights.mean() == pytest.approx(1.0, abs=1e-4)
    assert weights[900:].mean() / weights[:900].mean() == pytest.approx(6.0, rel=0.25)  # the root of 36 times denser
    assert rarity(torch.tensor([[float("nan")], [-9.0], [9.0]])).isfinite().all()


def test_balance_moves_the_loss_to_rare_labels_and_leaves_what_is_no_plain_number():
    task = Task("t", (RANGE,))
    labels = torch.cat([torch.full((99,), 0.1), torch.tensor([0.9])])
    plain_loss, balanced = (TaskLoss(task, labels=(labels,), balance=b) for b in (False, True))
    wrong = torch.zeros(2, 1)
    rare, common = torch.tensor([0.9, 0.9]), torch.tensor([0.1, 0.1])
    assert balanced(wrong, rare) > 3 * plain_loss(wrong, rare) and balanced(wrong, common) < plain_loss(wrong, common)
    bars = TaskLoss(ANGLE, labels=(torch.rand(50) * 180,), balance=True)
    y = torch.tensor([3.0, 100.0])
    assert bars(torch.zeros(2, 2), y) == TaskLoss(ANGLE)(torch.zeros(2, 2), y)


@pytest.mark.parametrize(("low", "high", "exact"), [
    (0.0, 100.0, False), (36.0, 42.0, False), (1.7e9 - 300, 1.7e9 + 300, True), (-1e308, 1e308, True),
])
def test_labels_are_held_in_double_precision_where_float32_would_round_off_too_much(low, high, exact):
    assert Number("n", ("n",), low=low, high=high).label_dtype is (torch.float64 if exact else torch.float32)


def test_seconds_since_1970_are_learnt_and_decoded_to_the_millisecond():
    task = Task("t", (Number("t", ("t",), low=1.7e9 - 300, high=1.7e9 + 300),))
    true, wanted = torch.tensor([1.7e9 - 15, 1.7e9 + 30], dtype=torch.float64), torch.tensor([[-0.05], [0.1]])
    loss = TaskLoss(task, labels=(true,))
    assert loss(wanted, true).item() < 1e-6 and loss(wanted, true).dtype == torch.float32
    torch.testing.assert_close(loss.decodes(wanted), true, atol=1e-3, rtol=0)
    assert TargetError(task, 0).errors(wanted, true).max() < 1e-3
