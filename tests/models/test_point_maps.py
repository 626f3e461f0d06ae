"""Maps of points: where and how widely they are high, from which features they are made, and what the head adds."""
import pytest
import torch
from torch import nn

from imgreg_fastai.models import mean_positions, network, output_head, point_maps, timm_body
from imgreg_fastai.models.point_maps import BodyWithMaps, PointMaps, ScaleInfo, ToGrid, find_scales, resampling

TINY_SWIN = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
FAMILIES = [("test_resnet", (64, 96), {}), ("test_convnext", (96, 64), {}), ("test_vit", (96, 128), {}),
            ("test_mambaout", (64, 96), {}), ("swin_tiny_patch4_window7_224", (64, 96), TINY_SWIN)]
NAMES = [arch for arch, *_ in FAMILIES]


def peaks(*places, height=3, width=4):
    """Maps that are high at one (row, column) each; alike everywhere where it is None."""
    maps = torch.full((1, len(places), height, width), -50.0)
    for i, place in enumerate(places):
        if place is None:
            maps[0, i] = 0
        else:
            maps[0, i, place[0], place[1]] = 50
    return maps


# ---- from maps to positions


def test_a_position_is_where_a_map_is_high_across_then_down():
    positions, _, _ = PointMaps(3, 4)(peaks((0, 0), (1, 3), (2, 1), None))
    expected = torch.tensor([[-0.75, -2 / 3, 0.75, 0, -0.25, 2 / 3, 0, 0]])
    torch.testing.assert_close(positions, expected, atol=1e-6, rtol=0)


def test_a_map_that_is_high_at_two_positions_tells_the_one_between():
    maps = torch.maximum(peaks((0, 0)), peaks((0, 2)))
    torch.testing.assert_close(PointMaps(3, 4)(maps)[0], torch.tensor([[-0.25, -2 / 3]]), atol=1e-6, rtol=0)


def test_the_spread_is_the_logarithm_of_the_distance_about_the_position():
    two = torch.maximum(peaks((1, 0)), peaks((1, 3)))  # 0.75 to the left and to the right
    _, spread, _ = PointMaps(3, 4)(torch.cat([peaks((1, 1)), two, peaks(None)], dim=1))
    assert spread.shape == (1, 3)
    assert spread[0, 0] < -6 and spread[0, 1].exp().item() == pytest.approx(0.75, rel=1e-4)
    assert spread[0, 2].exp().item() == pytest.approx((0.3125 + 8 / 27) ** 0.5, rel=1e-4)


def test_the_spread_grows_with_the_width_of_a_map():
    y, x = torch.meshgrid(*(point_maps.cell_centres(n) for n in (12, 16)), indexing="ij")
    widths = (0.05, 0.1, 0.2, 0.3)
    maps = torch.stack([-0.5 * ((x - 0.1) ** 2 + (y + 0.1) ** 2) / width**2 for width in widths])[None]
    positions, spread, _ = PointMaps(12, 16)(maps)
    assert (spread.diff() > 0.2).all()
    assert spread[0, 1].exp().item() == pytest.approx(2**0.5 * 0.1, rel=0.05)
    torch.testing.assert_close(positions[0, 2:4], torch.tensor([0.1, -0.1]), atol=0.01, rtol=0)


def test_the_logits_of_columns_and_rows_are_those_of_the_maps_marginals_and_their_means_the_position():
    torch.manual_seed(0)
    maps = 3 * torch.randn(2, 5, 3, 4)
    layer = PointMaps(3, 4)
    positions, _, logits = layer(maps)
    assert logits.shape == (2, 5, 4 + 3)
    shares = maps.flatten(2).softmax(dim=2).unflatten(2, (3, 4))
    columns, rows = (part.softmax(dim=2) for part in logits.split([4, 3], dim=2))
    torch.testing.assert_close(columns, shares.sum(dim=2))
    torch.testing.assert_close(rows, shares.sum(dim=3))
    torch.testing.assert_close(torch.stack([columns @ layer.columns, rows @ layer.rows], dim=2).flatten(1), positions)


def test_logits_of_any_size_give_numbers_and_finite_gradients():
    maps = torch.stack([torch.full((3, 4), value) for value in (0.0, 1e6, -1e6)])[None]
    maps = torch.cat([maps, 1e6 * peaks((0, 3))], dim=1).requires_grad_()
    outputs = PointMaps(3, 4)(maps)
    sum(output.clamp(-9, 9).sum() for output in outputs).backward()
    assert all(output.isfinite().all() for output in outputs) and maps.grad.isfinite().all()
    assert outputs[0].abs().max() < 1


# ---- from features to one grid


@pytest.mark.parametrize(("n", "to_n"), [(2, 7), (3, 6), (7, 2), (6, 3), (5, 5), (1, 4), (4, 1)])
def test_values_that_are_all_the_same_stay_so(n, to_n):
    torch.testing.assert_close(torch.full((2, n), 3.0) @ resampling(n, to_n), torch.full((2, to_n), 3.0))


def test_fewer_positions_are_means_and_more_are_linear_between_their_middles():
    torch.testing.assert_close(torch.tensor([1.0, 3, 5, 9]) @ resampling(4, 2), torch.tensor([2.0, 7.0]))
    line = point_maps.cell_centres(4)
    torch.testing.assert_close((line @ resampling(4, 12))[1:-1], point_maps.cell_centres(12)[1:-1])


@pytest.mark.parametrize(("grid", "to_grid"), [((6, 8), (3, 4)), ((3, 4), (6, 8)), ((3, 4), (3, 4)), ((2, 9), (4, 3))])
def test_a_scale_is_brought_to_the_grid_down_and_across(grid, to_grid):
    scale = ToGrid(2, 5, grid, to_grid)
    y, x = (t.contiguous() for t in torch.meshgrid(*map(point_maps.cell_centres, grid), indexing="ij"))
    nn.init.zeros_(scale.projection.weight)
    scale.projection.weight.data[0, 0] = scale.projection.weight.data[1, 1] = 1
    out = scale(torch.stack([x, y])[None]).detach()
    assert out.shape == (1, 5, *to_grid)
    assert (out[0, 0].diff(dim=1) > 0).all() and out[0, 0].diff(dim=0).abs().max() < 1e-6  # x: across alone
    assert (out[0, 1].diff(dim=0) > 0).all() and out[0, 1].diff(dim=1).abs().max() < 1e-6


# ---- which features


@pytest.mark.parametrize(("arch", "size", "args"), FAMILIES, ids=NAMES)
def test_features_of_all_strides_from_4_to_32_are_found_and_of_a_vit_its_one_grid(arch, size, args):
    body = timm_body.build(arch, size, args)
    scales = find_scales(body, size)
    height, width = size
    if arch == "test_vit":
        assert scales == ScaleInfo(None, [64], [(height // 16, width // 16)])
    else:
        assert scales.grids == [(height // stride, width // stride) for stride in (4, 8, 16, 32)]
        assert len(set(scales.channels)) > 1
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        last, features = point_maps.compute_features(body, x, scales)
        assert torch.equal(last, body.forward_features(x))
    assert [f.shape for f in features] == [(2, n, *grid)
                                           for n, grid in zip(scales.channels, scales.grids, strict=True)]


def test_maps_lie_on_the_grid_nearest_to_8_pixels_a_position():
    assert BodyWithMaps(timm_body.build("test_resnet", (64, 96)), (64, 96), 1).grid == (8, 12)
    assert BodyWithMaps(timm_body.build("test_vit", (96, 128)), (96, 128), 1).grid == (6, 8)


class Listed(nn.Module):
    """A body whose last features are a list of several scales."""

    num_features = 3

    def forward_features(self, x):
        return [x, x]


@pytest.mark.parametrize("body", [nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, 4)), Listed()], ids=["flat", "list"])
def test_a_body_without_a_grid_has_no_scales_and_no_maps(body):
    body.parameters = lambda: iter([torch.zeros(1)])
    assert find_scales(body, (8, 8)) is None
    assert network.choose_kind(body, (8, 8), 2, False) == network.choose_kind(body, (8, 8), 2, True) == "pooled"
    with pytest.raises(ValueError, match="no grid"):
        BodyWithMaps(body, (8, 8), 2)


def test_grids_of_one_position_are_no_scales_and_a_finer_one_beside_them_is():
    assert find_scales(timm_body.build("test_vit", (16, 16)), (16, 16)) is None
    body = timm_body.build("test_resnet", (32, 32))
    assert timm_body.feature_grid(body, (32, 32)) == (1, 1)
    assert find_scales(body, (32, 32)).grids[-1] == (1, 1) and network.choose_kind(body, (32, 32), 1, False) == "maps"


@pytest.mark.parametrize(("n_points", "has_lines", "kind"), [
    (0, False, "pooled"), (0, True, "positions"), (3, False, "maps"), (3, True, "maps")])
def test_points_get_maps_and_numbers_alone_mean_positions(n_points, has_lines, kind):
    body = timm_body.build("test_resnet", (64, 64))
    assert network.choose_kind(body, (64, 64), n_points, has_lines) == kind
    forms = ["position"] * 2 * n_points
    assert network.kind_of(network.extend_body(body, (64, 64), kind, forms)) == kind


def test_further_maps_are_there_for_other_targets_alone():
    size = (64, 64)
    points = network.network("test_resnet", size, 4, kind="maps", forms=["position"] * 4)
    both = network.network("test_resnet", size, 5, kind="maps", forms=["position"] * 4 + ["line"])
    assert (points[0].n_points, points[0].n_maps) == (2, 2)
    assert (both[0].n_points, both[0].n_maps) == (2, 2 + mean_positions.N_MAPS)


@pytest.mark.parametrize(("kind", "forms"), [("maps", []), ("maps", ["line"]), ("pooled", ["position"] * 2),
                                             ("positions", ["position"] * 2), ("magic", []), (["maps"], [])])
def test_a_kind_of_head_that_does_not_suit_its_outputs_is_refused(kind, forms):
    with pytest.raises(ValueError, match="a head of the kind"):
        network.network("test_resnet", (64, 64), 2, kind=kind, forms=forms)


# ---- the body


@pytest.mark.parametrize(("arch", "size", "args"), FAMILIES, ids=NAMES)
def test_a_body_with_maps_keeps_the_pooled_features_and_adds_three_numbers_a_map(arch, size, args):
    torch.manual_seed(0)
    body = timm_body.build(arch, size, args).eval()
    with_maps, x = BodyWithMaps(body, size, 2, 3).eval(), torch.randn(2, 3, *size)
    with torch.no_grad():
        plain, more = body(x), with_maps(x)
    n = plain.shape[1]
    assert timm_body.n_features(with_maps) == more.shape[1] == n + 3 * 5 and with_maps.features == (n, 5)
    torch.testing.assert_close(more[:, :n], plain)
    assert more[:, n : n + 10].abs().max() < 1
    assert torch.equal(with_maps.point_spreads(more), more[:, n + 10 : n + 12])
    assert with_maps.logits.numel() == 0
    with_maps.with_logits = True
    with_maps(x)
    assert with_maps.logits.shape == (2, 2, sum(with_maps.grid))


@pytest.mark.parametrize(("arch", "size", "args"), FAMILIES, ids=NAMES)
def test_a_spot_in_a_corner_moves_the_features_of_that_corner(arch, size, args):
    torch.manual_seed(0)
    body = BodyWithMaps(timm_body.build(arch, size, args), size, 1).eval()
    changed = []
    body.smooth.register_forward_hook(lambda module, inputs, output: changed.append(inputs[0]))
    x, (height, width) = torch.zeros(1, 3, *size), size
    with torch.no_grad():
        body(x)
        for down in (False, True):
            for right in (False, True):
                spotted = x.clone()
                spotted[..., height * 3 // 4 * down : height // 4 + height * 3 // 4 * down,
                        width * 3 // 4 * right : width // 4 + width * 3 // 4 * right] = 3.0
                body(spotted)
                change = (changed[-1] - changed[0]).norm(dim=1)[0]
                row, column = divmod(int(change.argmax()), body.grid[1])
                assert (column >= body.grid[1] / 2, row >= body.grid[0] / 2) == (right, down)


def test_positions_are_computed_in_float32_under_autocast():
    layer, maps = PointMaps(16, 16), 3 * torch.randn(4, 9, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        assert (maps[0] @ maps[0]).dtype == torch.bfloat16  # it is really on
        outputs = layer(maps)
    for output, exact in zip(outputs, layer(maps), strict=True):
        assert output.dtype == torch.float32
        torch.testing.assert_close(output, exact, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("arch", ["test_resnet", "test_vit"])
def test_gradients_reach_all_parameters(arch):
    torch.manual_seed(0)
    net = network.network(arch, (64, 96), 5, kind="maps", forms=["position"] * 4 + ["sigmoid"])
    (net(torch.randn(2, 3, 64, 96)) * torch.randn(5)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    above = [p for name, p in net.named_parameters() if not name.startswith("0.timm_body.")]
    assert all(p.grad.abs().sum() > 0 for p in above) and next(net.parameters()).grad.abs().sum() > 0


# ---- the head


FORMS = ["sigmoid", "position", "position", "line", "circle", "position", "position", "sigmoid"]
ARE_POINTS = [1, 2, 6, 7]  # among the outputs, of which a circle has two


def maps_head(start=None):
    return output_head.build(output_head.MapFeatures(8, 5), 9, start, FORMS)


def features_at(positions, n_pooled=8, n_maps=5):
    """Features of a body: random ones, but for the positions of the first maps."""
    features = torch.randn(len(positions), n_pooled + 3 * n_maps)
    features[:, n_pooled : n_pooled + 2 * n_maps] = torch.rand(len(positions), 2 * n_maps) - 0.5
    features[:, n_pooled : n_pooled + positions.shape[1]] = positions
    return features


def test_a_linear_term_of_0_leaves_the_positions_as_the_maps_have_them():
    head, positions = maps_head(), 1.98 * torch.rand(16, 4) - 0.99
    nn.init.zeros_(head[0].weight)
    features = features_at(positions)
    torch.testing.assert_close(head(features)[:, ARE_POINTS], positions, atol=1e-6, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(head(features)[:, ARE_POINTS], positions, atol=1e-6, rtol=0)


def test_the_linear_term_moves_a_position_within_the_range_and_its_own_alone():
    head, positions = maps_head(), torch.tensor([[0.2, -0.3, 0.9, -0.9]])
    nn.init.zeros_(head[0].weight)
    features = features_at(positions)
    before = head(features)
    head[0].bias.data[2] = 50  # y of the first point: after one sigmoid and its own x
    moved = head(features)
    assert moved[0, 2].item() == pytest.approx(1.1, abs=1e-4)
    others = [i for i in range(9) if i != 2]
    torch.testing.assert_close(moved[:, others], before[:, others])


def test_points_start_at_their_maps_and_other_outputs_where_they_are_told_to():
    start = torch.tensor([0.5, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, -0.4])
    head, positions = maps_head(start), torch.zeros(1, 4)
    nn.init.zeros_(head[0].weight)
    out = head(features_at(positions))[0]
    torch.testing.assert_close(out[ARE_POINTS], torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(out[[0, 8]], torch.tensor([0.5, -0.4]))


def test_the_spreads_are_for_the_intervals_and_not_for_the_head():
    head = maps_head()
    features = features_at(torch.zeros(2, 4))
    before = head(features)
    features[:, -5:] = 7.0
    assert torch.equal(head(features), before)


def test_tensors_of_a_network_with_maps_are_called_body_and_head():
    keys = network.network("test_resnet", (64, 64), 2, kind="maps", forms=["position"] * 2).state_dict()
    above = [key for key in keys if not key.startswith("0.timm_body.")]
    assert [key for key in above if key.startswith("1.")] == ["1.0.weight", "1.0.bias"]
    assert {key.split(".")[1] for key in above if key.startswith("0.")} == {"scales", "smooth", "maps"}
