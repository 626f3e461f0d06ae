"""timm's backbones: names, sizes, and the list; nothing is asked of the hub."""
import pytest
import torch

from imgreg_fastai.models import backbones, timm_body
from imgreg_fastai.utils.messages import ImgregError

ARCH, SIZE = "test_resnet", (64, 64)


# ---- names and sizes


@pytest.mark.parametrize(("arch", "size"), [(ARCH, (64, 48)), ("resnet10t.c3_in1k", (64, 64)), ("test_vit", (96, 64))])
def test_check_passes_what_works(arch, size):
    body = backbones.build(arch, size)
    assert body(torch.zeros(2, 3, *size)).shape == (2, timm_body.n_features(body))


@pytest.mark.parametrize(
    ("arch", "size", "args", "says"),
    [
        ("resnet-18", (64, 64), {}, "'resnet18'"),
        ("timm/resnet18", (64, 64), {}, "'resnet18'"),
        ("resnet10t.c3_in2k", (64, 64), {}, "'resnet10t.c3_in1k'"),
        ("test_vit", (100, 96), {}, "--size 112x96"),
        ("nest_tiny", (224, 192), {}, "--size 224"),
        (ARCH, SIZE, {"foo": 1}, "foo=1 (ResNet.__init__() got an unexpected keyword"),
        (ARCH, SIZE, {"global_pool": ""}, r"its output is [1, "),
        (ARCH, SIZE, {"features_only": True}, "its output is a list"),
        (ARCH, SIZE, {"in_chans": 1}, "in_chans=1"),
        (ARCH, SIZE, {"checkpoint_path": "x"}, "--weights"),
    ],
)
def test_check_refuses_in_one_line(arch, size, args, says):
    with pytest.raises(ImgregError) as e:
        backbones.build(arch, size, args)
    assert says in str(e.value) and "\n" not in str(e.value)


def test_the_size_that_check_offers_works():
    for arch, size in (("test_vit", (100, 90)), ("test_maxvit", (100, 100))):
        with pytest.raises(ImgregError) as e:
            backbones.build(arch, size)
        offered = e.value.hint.removeprefix("--size ").split("x")
        backbones.build(arch, (int(offered[0]), int(offered[-1])))


def test_whether_a_backbone_works_draws_no_random_numbers_and_needs_no_memory():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert backbones.works("vit_large_patch16_224", (64, 64))  # 300 million parameters
    assert torch.equal(before, torch.get_rng_state())


def test_stats_are_those_of_the_weights():
    assert backbones.stats("resnet18") == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert backbones.stats("vit_tiny_patch16_224") == ((0.5,) * 3, (0.5,) * 3)
    with pytest.raises(ImgregError):
        backbones.stats("resnet_eighteen")


# ---- the list


def put_in_cache(folder, commit="0123456789abcdef0123456789abcdef01234567"):
    repo = folder / "models--timm--test_resnet.r160_in1k"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "snapshots" / commit / "model.safetensors").write_bytes(b"only looked up, not opened")


def test_the_table_of_a_few(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    put_in_cache(tmp_path)
    table = backbones.table("test_*", (64, 64)).set_index("name")
    assert list(table.columns) == ["params", "input", "weights", "cached", "works"]
    assert table.loc[ARCH].to_dict() == {
        "params": 0.37, "input": "160", "weights": "r160_in1k", "cached": True, "works": True
    }
    assert table.loc["test_mambaout", "weights"] is None
    assert table["cached"].sum() == 1
    assert not backbones.table("test_maxvit", (100, 100))["works"].any()


def test_the_table_of_all_builds_no_backbone_and_leaves_out_what_must_be_built(monkeypatch):
    monkeypatch.setattr(timm_body.timm, "create_model", None)  # to call it would be an error
    table = backbones.table(size=(64, 64))
    assert len(table) > 1000 and table["params"].isna().all() and table["works"].isna().all()
    assert {"resnet18", "test_vit"} <= set(table["name"])


def test_the_table_matches_a_part_of_a_name_or_a_glob():
    assert {"resnet10t", "skresnet18"} <= set(backbones.table("resnet1")["name"])
    assert list(backbones.table("resnet10?")["name"]) == ["resnet10t", "resnet101"]
    assert list(backbones.table("resnet10t")["params"]) == [4.92]
    assert len(backbones.table("nothing_like_it")) == 0
