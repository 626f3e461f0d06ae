"""Histograms of numbers, angles and points: those of labels, and how far a network's are from them."""
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from imgreg_fastai.config import TrainConfig
from imgreg_fastai.models import output_head, timm_body
from imgreg_fastai.models.point_maps import BodyWithMaps, PointMaps
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from imgreg_fastai.training import learner, losses
from imgreg_fastai.training.histograms import NumberHistogram, PointHistograms

NAN = float("nan")


@pytest.mark.parametrize("form, encoded", [
    ("line", torch.tensor([[-1.0], [0.3], [0.77], [1.0]])),
    ("circle", torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, -0.8], [-0.28, 0.96]])),
])
def test_a_labels_histogram_has_its_mean_and_the_divergence_is_0_there_and_above_elsewhere(form, encoded):
    histogram = NumberHistogram(form)
    shares = histogram.of_labels(encoded)
    assert torch.allclose(shares.sum(dim=1), torch.ones(4))
    logits = shares.clamp(min=1e-30).log()
    means = output_head.HistogramRange([form])(logits)
    if form == "circle":  # the mean of directions about a direction is a shorter vector
        assert means.norm(dim=1).min() > 0.9 and means.norm(dim=1).max() < 1
        means = means / means.norm(dim=1, keepdim=True)
    assert torch.allclose(means, encoded, atol=2e-3)
    assert torch.allclose(histogram.divergence(logits, encoded), torch.zeros(4, 1), atol=1e-5)
    assert (histogram.divergence(logits, encoded.roll(1, 0)) > 0.5).all()


def test_histograms_of_a_line_and_of_a_circle_stand_in_the_order_of_the_targets():
    forms = ["circle", "sigmoid", "line", "sigmoid", "circle"]
    layer = output_head.HistogramRange(forms)
    labels = {"line": torch.tensor([[0.3]]), "circle": torch.tensor([[0.6, -0.8]])}
    logits = {form: NumberHistogram(form).of_labels(y).log() for form, y in labels.items()}
    logits["second circle"] = NumberHistogram("circle").of_labels(torch.tensor([[0.0, 1.0]])).log()
    x = torch.cat([torch.tensor([[-9.0, 9.0]]), logits["circle"], logits["line"], logits["second circle"]], dim=1)
    outputs = layer(x)[0]
    length = float(outputs[:2].norm())
    wanted = [0.6 * length, -0.8 * length, -1.1, 0.3, 1.1, 0.0, length]
    assert torch.allclose(outputs, torch.tensor(wanted), atol=2e-3)


def test_numbers_are_learnt_by_their_histograms_beside_targets_that_are_none():
    task = Task("t", (Point("tip", ("x", "y")), Number("n", ("n",), low=0.0, high=1.0)), augment=())
    forms = learner.output_forms(task, TrainConfig(loss="histogram"))
    assert forms == ["sigmoid", "sigmoid", "line"] and learner.output_forms(task, TrainConfig(loss="l1")) == []
    head = output_head.build(8, 3, torch.tensor([0.5, -0.5, 0.0]), forms)
    loss = losses.TaskLoss(task, "histogram", (torch.rand(20, 1, 2), torch.rand(20)))
    x, labels = torch.randn(4, 8), (torch.rand(4, 1, 2), torch.tensor([0.1, 0.5, float("nan"), 0.9]))
    plain = head(x)
    assert plain.shape == (4, 3)
    assert torch.allclose(head(torch.zeros(1, 8)), torch.tensor([[0.5, -0.5, 0.0]]), atol=1e-5)
    head[-1].with_logits = True
    both = head(x)
    assert torch.equal(both[:, :3], plain) and both.shape == (4, 3 + output_head.N_BINS)
    value = loss(both, *labels)
    value.backward()
    assert value.isfinite() and head[0].weight.grad.abs().sum(dim=1).gt(0).all()
    assert loss(plain, *labels).isfinite(), "without logits the mean is judged"


@pytest.mark.parametrize("target, guessing", [
    (Number("n", ("n",), low=0.0, high=1.0), 0.24), (Angle("n", ("n",), period=1.0), 0.24),
])
def test_a_network_learns_numbers_and_angles_by_histograms(target, guessing):
    torch.manual_seed(0)
    task = Task("t", (target,), augment=())
    x = torch.randn(256, 8)
    y = torch.sigmoid(2 * x[:, 0])
    forms = learner.output_forms(task, TrainConfig(loss="histogram"))
    head, loss = output_head.build(8, task.n_out, None, forms), losses.TaskLoss(task, "histogram", (y,))
    head[-1].with_logits = True
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        loss(head(x), y).backward()
        optimiser.step()
    outputs = head(x)[:, : task.n_out].detach().numpy()
    error = target.error(target.decode(outputs), y[:, None].numpy().astype(float)).mean()
    assert error < guessing / 3


def test_histograms_weigh_as_much_as_other_targets():
    labels = (torch.rand(50, 1, 2) - 0.5, torch.randint(0, 100, (50,)).float())
    task = Task("t", (Point("tip", ("x", "y")), Number("n", ("n",), low=-10.0, high=110.0)), augment=())
    loss = losses.TaskLoss(task, "histogram", labels)
    assert loss.guess_costs[1] != 1 and np.isfinite(loss.guess_costs).all()
    head = output_head.build(8, 3, None, learner.output_forms(task, TrainConfig(loss="histogram")))
    head[-1].with_logits = True
    assert 0.5 < loss(head(torch.zeros(50, 8)), *labels).item() < 3, "guessing costs about 1"


@pytest.mark.parametrize("weighted", [False, True])
def test_an_angle_without_a_label_counts_for_nothing_in_the_loss_of_its_histogram(weighted):
    task = Task("t", (Angle("way", ("way",)),), augment=())
    labels, row_weights = torch.tensor([10.0, float("nan"), 200.0]), torch.tensor([0.5, 3.0, 1.5])
    loss = losses.TaskLoss(task, "histogram", (labels,))
    torch.manual_seed(0)
    head = output_head.build(8, 2, None, ["circle"])
    head[-1].with_logits = True
    torch.nn.init.normal_(head[0].weight, std=0.5)
    x, labelled = torch.randn(3, 8), torch.tensor([0, 2])

    def of(rows):
        loss.row_weights = row_weights[rows] if weighted else None
        head.zero_grad()
        value = loss(head(x[rows]), labels[rows])
        value.backward()
        return value.detach(), head[0].weight.grad.clone()

    (all_rows, gradient), (alone, own_gradient) = of(torch.arange(3)), of(labelled)
    torch.testing.assert_close(all_rows, alone)
    torch.testing.assert_close(gradient, own_gradient)


def test_logits_that_belong_to_other_targets_are_refused():
    task = Task("t", (Angle("way", ("way",)), Number("n", ("n",), low=0.0, high=1.0)), augment=())
    loss = losses.TaskLoss(task, "histogram", (torch.rand(9) * 360, torch.rand(9)))
    with pytest.raises(ValueError, match="64 logits"):
        loss(torch.zeros(4, 3 + output_head.N_BINS), torch.rand(4) * 360, torch.rand(4))


# ---- points

GRID = (6, 9)
EYES = Point("eyes", ("lx", "ly", "rx", "ry"))
FOUR = Task("four", (Point("tip", ("tx", "ty")), Number("n", ("n",), low=0.0, high=1.0),
                     Rotation("pose", ("yaw", "pitch", "roll")), EYES), size=(64, 96), augment=())


def test_the_divergence_of_points_is_0_at_their_own_histograms_and_above_elsewhere():
    histograms = PointHistograms(GRID, 2)
    labels = torch.tensor([[0.1, -0.2, 0.7, 0.5], [-0.9, 0.9, 0.0, 0.3]])
    shares = histograms.of_labels(labels)
    assert shares.shape == (2, histograms.n_logits) == (2, 2 * (6 + 9))
    torch.testing.assert_close(shares.sum(dim=1), torch.full((2,), 4.0))  # two points, columns and rows of each
    logits = shares.clamp(min=1e-30).log()
    torch.testing.assert_close(histograms.divergence(logits, labels), torch.zeros(2, 4), atol=1e-5, rtol=0)
    moved = labels + torch.tensor([0.0, 0.3, 0.0, 0.0])  # y of the first point alone
    costs = histograms.divergence(logits, moved.clamp(-1, 1))
    assert costs[0, 1] > 0.5 and costs[:, [0, 2, 3]].abs().max() < 1e-5


def test_columns_come_before_rows_and_are_those_of_the_maps():
    """What a map with a single high position puts out is cheapest for the label at that position."""
    maps = torch.full((1, 2, *GRID), -20.0)
    maps[0, 0, 1, 7], maps[0, 1, 5, 0] = 20, 20  # row 1, column 7; row 5, column 0
    positions, _, logits = PointMaps(*GRID)(maps)
    histograms = PointHistograms(GRID, 2)
    own = histograms.divergence(logits.flatten(1), positions)
    assert own.shape == (1, 4)
    for other in (positions.flip(1), positions.roll(2, 1), -positions):
        assert (own < histograms.divergence(logits.flatten(1), other) - 0.1).any()
        assert own.sum() < histograms.divergence(logits.flatten(1), other).sum() - 1


def test_a_point_outside_of_the_view_costs_a_finite_amount_and_draws_the_map_to_the_edge():
    histograms, logits = PointHistograms(GRID, 1), torch.zeros(1, 15, requires_grad=True)
    costs = histograms.divergence(logits, torch.tensor([[5.0, -40.0]]))
    costs.sum().backward()
    assert costs.isfinite().all() and logits.grad.isfinite().all()
    assert logits.grad[0].argmin() in (8, 9)  # the last column, or the first row
    assert logits.grad[0, 8] < -0.5 and logits.grad[0, 9] < -0.5


def test_a_coordinate_without_a_label_costs_nothing_and_gives_no_gradient():
    task = Task("eyes", (EYES,), augment=())
    loss = losses.TaskLoss(task, "histogram", (torch.rand(9, 2, 2) - 0.5,), grid=GRID)
    torch.manual_seed(0)
    predicted = torch.cat([torch.zeros(3, 4), torch.randn(3, 30)], dim=1)
    labels = torch.rand(3, 2, 2) - 0.5
    labels[1, 1], labels[2] = NAN, NAN

    def of(rows):
        x = predicted[rows].requires_grad_()
        value = loss(x, labels[rows])
        value.backward()
        return value.detach(), x.grad

    value, gradient = of([0, 1, 2])
    assert value.isfinite() and gradient.isfinite().all()
    assert gradient[2].abs().max() == 0 and gradient[1, 4 + 15 :].abs().max() == 0  # the second point's logits
    assert gradient[1, 4 : 4 + 15].abs().min() > 0 and gradient[0, 4:].abs().min() > 0
    torch.testing.assert_close(of([0, 1])[0], value)
    assert losses.TaskLoss(task, "histogram", (torch.full((9, 2, 2), NAN),), grid=GRID)(
        predicted, torch.full((3, 2, 2), NAN)) == 0


def test_points_are_compared_by_maps_and_by_positions_and_by_positions_alone_without_logits():
    task = Task("eyes", (EYES,), augment=())
    labels = torch.tensor([[[0.3, -0.4], [-0.2, 0.6]]])
    loss, shares = losses.TaskLoss(task, "histogram", grid=GRID), PointHistograms(GRID, 2).of_labels(labels.flatten(1))
    right = torch.cat([labels.flatten(1), shares.clamp(min=1e-30).log()], dim=1)
    assert loss(right, labels).item() == pytest.approx(0, abs=1e-5)
    wrong_map, wrong_position = right.clone(), right.clone()
    wrong_map[:, 4:] = 0
    wrong_position[:, 0] += 0.4
    assert loss(wrong_map, labels) > 0.5
    assert loss(wrong_position, labels).item() == pytest.approx(PointHistograms.output_weight * 0.4 / 4, abs=1e-4)
    assert loss(wrong_position[:, :4], labels).item() == pytest.approx(0.4 / 4, abs=1e-6)
    plain = losses.TaskLoss(task, "l1", grid=GRID)
    with pytest.raises(ValueError, match="30 logits"):  # a loss that compares no histograms
        plain(right, labels)


# ---- points beside other targets


def build_net():
    forms = learner.output_forms(FOUR, TrainConfig(loss="histogram"), has_maps=True)
    torch.manual_seed(0)
    body = BodyWithMaps(timm_body.build("test_resnet", FOUR.size), FOUR.size, 3, 4)
    return nn.Sequential(body, output_head.build(body.features, FOUR.n_out, forms=forms))


def test_the_forms_of_points_numbers_and_rotations_stand_in_the_order_of_the_targets():
    assert learner.output_forms(FOUR, TrainConfig(loss="histogram"), has_maps=True) == [
        "position", "position", "line", *["sigmoid"] * 9, *["position"] * 4]
    assert learner.output_forms(FOUR, TrainConfig(loss="l1"), has_maps=True) == [
        "position", "position", *["sigmoid"] * 10, *["position"] * 4]
    assert learner.output_forms(FOUR, TrainConfig(loss="l1")) == []


def test_logits_of_a_number_and_of_two_point_targets_go_to_their_own_targets():
    """They stand apart from the order of the targets: numbers first, then points."""
    labels = (torch.tensor([[[0.5, -0.5]]]), torch.tensor([0.25]), torch.tensor([[10.0, 20, 30]]),
              torch.tensor([[[-0.5, 0.1], [0.2, 0.8]]]))
    loss = losses.TaskLoss(FOUR, "histogram", grid=GRID)
    tip, number, pose, eyes = (losses.encode_labels(t, y) for t, y in zip(FOUR.targets, labels, strict=True))
    parts = [NumberHistogram("line").of_labels(number), PointHistograms(GRID, 1).of_labels(tip),
             PointHistograms(GRID, 2).of_labels(eyes)]
    logits = [part.clamp(min=1e-30).log() for part in parts]
    outputs = torch.cat([tip, number, pose, eyes], dim=1)
    right = loss(torch.cat([outputs, *logits], dim=1), *labels).item()
    assert right == pytest.approx(0, abs=1e-3)
    for i in range(3):
        flat = [torch.zeros_like(part) if i == k else part for k, part in enumerate(logits)]
        assert loss(torch.cat([outputs, *flat], dim=1), *labels).item() > right + 0.2
    with pytest.raises(ValueError, match="108 logits for histograms of 109"):
        loss(torch.cat([outputs, *logits], dim=1)[:, :-1], *labels)


def test_the_callback_appends_logits_for_the_loss_and_clears_them():
    net, x = build_net(), torch.randn(2, 3, *FOUR.size)
    callback = losses.ReturnLogits()
    callback.learn = learn = SimpleNamespace(model=net.eval())
    plain = net(x)
    assert plain.shape == (2, FOUR.n_out) and net[0].logits.numel() == 0
    callback.before_batch()
    learn.pred = net(x)
    assert net[0].logits.shape == (2, 3, sum(net[0].grid))
    callback.after_pred()
    n_map_logits = 3 * sum(net[0].grid)
    assert learn.pred.shape == (2, FOUR.n_out + output_head.N_BINS + n_map_logits)
    torch.testing.assert_close(learn.pred[:, : FOUR.n_out], plain)
    assert net[0].logits.numel() == 0 and not net[0].with_logits and not net[1][-1].with_logits
    positions = net[0](x)[:, net[0].features.n_pooled :][:, :6]
    columns = learn.pred[:, -n_map_logits:].unflatten(1, (3, -1))[..., : net[0].grid[1]]
    x_of_maps = (columns.softmax(dim=2) * net[0].positions.columns).sum(dim=2)
    torch.testing.assert_close(x_of_maps, positions[:, ::2])
    learn.gather_preds = callback  # as within get_preds
    callback.before_batch()
    learn.pred = net(x)
    callback.after_pred()
    assert learn.pred.shape == (2, FOUR.n_out)


def test_every_parameter_learns_from_points_beside_other_targets():
    net, labels = build_net(), (torch.rand(4, 1, 2) - 0.5, torch.rand(4), 20 * torch.randn(4, 3),
                                torch.rand(4, 2, 2) - 0.5)
    loss = losses.TaskLoss(FOUR, "histogram", labels, grid=net[0].grid)
    assert np.isfinite(loss.guess_costs).all() and min(loss.guess_costs) > 0
    for layer in (net[0], net[1][-1]):
        layer.with_logits = True
    outputs = net(torch.randn(4, 3, *FOUR.size))
    loss(torch.cat([outputs, net[0].logits.flatten(1)], dim=1), *labels).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert net[0].maps[0].weight.grad.abs().flatten(1).sum(dim=1).gt(0).all()  # further maps, too
    assert all(scale.projection.weight.grad.abs().sum() > 0 for scale in net[0].scales)
