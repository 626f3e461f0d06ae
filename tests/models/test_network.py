"""The net: shapes for every family of backbone, the head's range and its float32."""
import pytest
import torch

from imgreg_fastai.models import mean_positions, network, output_head, timm_body

TINY_SWIN = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 2, 2, 4)}
FAMILIES = [
    ("test_resnet", (64, 48), {}),
    ("test_vit", (96, 128), {}),  # made for 160x160
    ("test_mambaout", (64, 64), {}),  # channels last inside
    ("swin_tiny_patch4_window7_224", (112, 96), TINY_SWIN),  # channels last inside, made for 224x224
    ("mobilenetv3_small_050", (64, 64), {}),  # wider after pooling than num_features
]


@pytest.mark.parametrize(("arch", "size", "args"), FAMILIES, ids=[f[0] for f in FAMILIES])
def test_every_family_gives_one_row_a_picture(arch, size, args):
    net = network.network(arch, size, 3, args).eval()
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        pooled, y = net[0](x), net(x)
    assert pooled.shape == (2, timm_body.n_features(net[0]))
    assert y.shape == (2, 3)
    assert output_head.Y_RANGE[0] < y.min() <= y.max() < output_head.Y_RANGE[1]


def test_features_where_pooling_widens_and_where_timm_says_little():
    body = timm_body.build("mobilenetv3_small_050", (64, 64))
    assert timm_body.n_features(body) == 1024 != body.num_features

    class Bare:
        num_features = 7

    assert timm_body.n_features(Bare()) == 7


def test_a_fixed_size_can_still_be_given_by_hand():
    body = timm_body.build("test_vit", (64, 64), {"img_size": (96, 96)})
    assert body.patch_embed.img_size == (96, 96)
    assert timm_body.build("test_vit", (64, 64)).patch_embed.img_size == (64, 64)


def test_training_starts_near_the_middle_and_the_head_reaches_both_ends():
    head = output_head.build(512, 2)
    assert head(torch.zeros(1, 512)).abs().max() == 0
    assert head(torch.randn(64, 512)).abs().max() < 0.6
    with torch.no_grad():
        head[0].weight.fill_(1.0)
    ends = head(torch.tensor([[-1.0], [1.0]]).expand(2, 512))
    assert torch.allclose(ends[:, 0], torch.tensor(output_head.Y_RANGE))


def test_a_head_starts_where_it_is_told_to():
    start = torch.tensor([0.0, 0.7, -0.9, 1.05])
    head = output_head.build(512, 4, start)
    torch.testing.assert_close(head(torch.zeros(1, 512))[0], start)
    assert (head(torch.randn(64, 512)) - start).abs().max() < 0.6


def test_a_start_beyond_the_range_is_as_near_to_it_as_can_be_learnt_from():
    """The mean place of points that lie outside what a crop shows: no logit has a sigmoid of 1."""
    head = output_head.build(8, 4, torch.tensor([1.5, -3.0, 1.1, -1.1]))
    out = head(torch.zeros(1, 8))[0]
    assert out.isfinite().all() and out.abs().min() > 1
    out.sum().backward()
    assert head[0].bias.grad.abs().min() > 1e-5


def test_the_head_computes_in_float32_under_autocast():
    head, x = output_head.build(64, 2), torch.randn(8, 64)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.nn.functional.linear(x, head[0].weight).dtype == torch.bfloat16  # autocast is really on
        y = head(x)
    assert y.dtype == torch.float32
    assert torch.equal(y, head(x))
    assert head(x.bfloat16()).dtype == torch.float32


def test_state_dict_keys_are_the_body_as_0_and_the_head_as_1():
    keys = network.network("test_resnet", (64, 64), 2).state_dict()
    heads = [k for k in keys if not k.startswith("0.")]
    assert heads == ["1.0.weight", "1.0.bias"]


def test_gradients_reach_the_first_layer():
    net = network.network("test_resnet", (64, 64), 1)
    net(torch.randn(2, 3, 64, 64)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    assert next(net.parameters()).grad.abs().sum() > 0


# places

GRIDS = [("test_resnet", (64, 96)), ("test_vit", (96, 128)), ("test_mambaout", (64, 96)),
         ("mobilenetv3_small_050", (64, 96))]


@pytest.mark.parametrize(("arch", "size"), GRIDS)
def test_a_body_that_places_adds_two_numbers_a_map_and_keeps_the_pooled_features(arch, size):
    torch.manual_seed(0)
    body = timm_body.build(arch, size).eval()
    placed = mean_positions.add_positions(body, size)
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        plain, more = body(x), placed(x)
    assert isinstance(placed, mean_positions.BodyWithPositions) and timm_body.n_features(placed) == more.shape[1]
    torch.testing.assert_close(more[:, : plain.shape[1]], plain)
    places = more[:, plain.shape[1] :]
    assert places.shape == (2, 2 * mean_positions.N_MAPS) and places.abs().max() < 1
    assert mean_positions.add_positions(placed, size) is placed


def test_the_centre_of_a_map_is_where_it_is_high_across_then_down():
    centres = mean_positions.SpatialSoftmax(3, 4)
    maps = torch.full((1, 3, 12), -100.0)
    maps[0, 0, 0], maps[0, 1, 1 * 4 + 3] = 100, 100  # row 0 column 0; row 1 column 3
    maps[0, 2] = 0  # alike everywhere
    expected = torch.tensor([[-0.75, -2 / 3, 0.75, 0, 0, 0]])
    torch.testing.assert_close(centres(maps.transpose(1, 2)), expected, atol=1e-6, rtol=0)


def feature_list(body, x):
    """The last features, [B, positions, C], row by row."""
    return timm_body.channels_last(body, body.forward_features(x)).flatten(1, -2)


@pytest.mark.parametrize(("arch", "size"), GRIDS[:3])  # the last looks at the whole image before its last features
def test_features_are_listed_row_by_row_so_that_a_map_lies_as_the_picture_does(arch, size):
    """What changes in one corner of the image changes most the feature at that corner."""
    torch.manual_seed(0)
    body = timm_body.build(arch, size).eval()
    placed = mean_positions.add_positions(body, size)
    grid = placed.places[1].grid
    x, (height, width) = torch.zeros(1, 3, *size), size
    with torch.no_grad():
        before = feature_list(body, x)
        for down in (False, True):
            for right in (False, True):
                spotted = x.clone()
                spotted[..., height * 3 // 4 * down : height // 4 + height * 3 // 4 * down,
                        width * 3 // 4 * right : width // 4 + width * 3 // 4 * right] = 3.0
                change = (feature_list(body, spotted) - before).norm(dim=2)[0]
                at = grid[change.argmax()]
                assert (at[0] > 0, at[1] > 0) == (right, down), (arch, right, down)


def test_a_body_without_a_grid_stays_as_it_is():
    body = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 8 * 8, 4))
    assert mean_positions.add_positions(body, (8, 8)) is body


def test_a_body_without_places_tells_whether_it_has_no_grid_or_one_of_one_place():
    body = timm_body.build("test_resnet", (32, 32))
    assert timm_body.feature_grid(body, (32, 32))[:2] == (1, 1) and mean_positions.add_positions(body, (32, 32)) is body
    assert timm_body.feature_grid(body, (64, 32))[:2] == (2, 1)
    assert timm_body.feature_grid(torch.nn.Flatten(), (8, 8)) is None
