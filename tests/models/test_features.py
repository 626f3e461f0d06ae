"""Frozen features: the pooled ones, those of tokens, and where things are."""
import pytest
import torch

from imgreg_fastai.models import features, timm_body

SIZE = (64, 96)


def body_of(arch, size=SIZE):
    torch.manual_seed(0)
    return timm_body.build(arch, size).eval()


def test_those_of_a_cnn_are_its_pooled_ones():
    body, x = body_of("test_resnet"), torch.rand(2, 3, *SIZE)
    with torch.inference_mode():
        frozen = features.FrozenFeatures(body, SIZE)
        assert torch.equal(frozen(x), body(x)) and timm_body.n_features(frozen) == body.num_features


def test_places_are_kept_where_they_are_wanted():
    body, x = body_of("test_resnet"), torch.rand(2, 3, *SIZE)
    with torch.inference_mode():
        frozen = features.FrozenFeatures(body, SIZE, 3)
        pooled, cells = frozen(x).split([body.num_features, 9 * body.num_features], dim=1)
        assert torch.equal(pooled, body(x)) and frozen.n_pooled == body.num_features
        moved = frozen(x.flip(3))[:, body.num_features :]
        assert not torch.allclose(cells, moved, atol=1e-3)
        assert frozen(x[:0]).shape == (0, 10 * body.num_features)


@pytest.mark.parametrize("pool, other", [("token", "avg"), ("avg", "token")])
def test_those_of_tokens_are_the_class_token_and_the_mean_patch(pool, other):
    torch.manual_seed(0)
    body, x = timm_body.build("test_vit", SIZE, {"global_pool": pool}).eval(), torch.rand(2, 3, *SIZE)
    with torch.inference_mode():
        tokens = body.forward_features(x)
        pooled, added = features.FrozenFeatures(body, SIZE)(x).split(body.num_features, dim=1)
        expected = {"token": tokens[:, 0], "avg": tokens[:, 1:].mean(dim=1)}[other]
        assert torch.equal(pooled, body(x)) and torch.allclose(added, expected, atol=1e-5)
        with_places = features.FrozenFeatures(body, SIZE, 2)
        assert with_places(x).shape == (2, (2 + 4) * body.num_features)
        assert with_places.n_pooled == 2 * body.num_features


@pytest.mark.parametrize("arch", ["vit_small_patch14_dinov2", "vit_small_patch16_dinov3",
                                  "vit_base_patch16_siglip_224"])
def test_backbones_of_self_supervision_tell_two_things(arch):
    """Registers are no patches, and an attention pool stands in for a class token."""
    with torch.device("meta"):
        body = timm_body.build(arch, (112, 112), {"depth": 1})
        frozen = features.FrozenFeatures(body, (112, 112))
    assert timm_body.n_features(frozen) == 2 * body.num_features


def test_many_images_have_a_coarser_grid_which_is_said(caplog):
    caplog.set_level("INFO", "imgreg")
    body = body_of("test_resnet")
    grids = [features.choose_grid(body, SIZE, features.MAX_NUMBERS // (body.num_features * cells))
             for cells in (16, 9, 4, 3)]
    assert grids == [4, 3, 2, 1]
    assert "features on a grid of 2 x 2: on a grid of 4 x 4, those of " in caplog.text
    assert caplog.text.count("too much memory") == 3 and "features of whole images: " in caplog.text


@pytest.mark.parametrize("grid", [0, -1, 10_000, 1.5, "4", None, [4]])
def test_a_grid_that_is_none_is_refused(grid):
    with pytest.raises(ValueError, match="grid"):
        features.frozen_network("test_resnet", SIZE, 1, None, grid)
