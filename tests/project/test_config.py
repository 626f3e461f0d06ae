from dataclasses import fields

import pytest

from imgreg_fastai import config
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.tasks import ANGLE, PRESETS
from imgreg_fastai.utils.messages import ImgregError

DRAWN_HEADS = PRESETS["headpose"]["drawn"]


def test_the_user_overrides_the_recipe_which_overrides_the_defaults():
    assert make_config(ANGLE).arch_args == dict(ANGLE.recipe)["arch_args"]
    assert make_config(ANGLE, epochs=3).epochs == 3
    assert make_config(ANGLE).wd == config.TrainConfig.wd


def test_another_backbone_comes_as_timm_has_it():
    cfg = make_config(ANGLE, arch="resnet18")
    assert cfg.arch_args == {} and cfg.weights == "auto"


def test_naming_what_is_the_default_changes_nothing():
    default = make_config(ANGLE)
    assert make_config(ANGLE, arch=default.arch) == default
    assert make_config(ANGLE, arch=default.arch, arch_args=default.arch_args, valid=default.valid) == default
    assert make_config(ANGLE, arch="resnet10t", arch_args={"output_stride": 8}).arch_args["stem_width"] == 16


@pytest.mark.parametrize("name", [f.name for f in fields(config.TrainConfig) if f.name not in ("lr", "bs")])
def test_none_stands_for_the_default(name):
    assert make_config(ANGLE, **{name: None}) == make_config(ANGLE)
    assert make_config(DRAWN_HEADS, **{name: None}) == make_config(DRAWN_HEADS)


def test_rate_and_batch_size_are_searched_for_where_they_are_auto():
    for auto in ("auto", None):  # run.json of such a run says null
        cfg = make_config(ANGLE, lr=auto, bs=auto)
        assert cfg.lr is None and cfg.bs is None


def test_an_option_is_called_as_in_the_terminal():
    assert config.option_name("hold_out") == "--hold-out" and config.option_name("units") == "--unit"


def test_an_arch_arg_alone_joins_the_recipes():
    cfg = make_config(ANGLE, arch_args={"output_stride": 8})
    assert cfg.arch_args["output_stride"] == 8 and cfg.arch_args["stem_width"] == 16 and cfg.weights == "none"


def test_settings_travel_through_json():
    import json

    cfg = make_config(ANGLE, stop_at=("angle", 0.5), lr="auto", hold_out=("13", "ann"))
    assert config.config_from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg
    older = {k: v for k, v in cfg.to_dict().items() if k not in ("hold_out", "folds", "fold")}
    assert config.config_from_dict(older).hold_out == () and config.config_from_dict(older).folds is None


def test_a_name_alone_is_not_taken_apart():
    """hold_out="13" must not hold out the folders 1 and 3."""
    assert make_config(ANGLE, hold_out="13").hold_out == ("13",)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"bs": 1}, {"loss": "l3"}, {"precision": "fp8"},
                                   {"cache": "yes"}, {"workers": -1},
                                   {"seed": -1}, {"lr": -1.0}, {"lr": float("nan")}, {"lr": 0.0},
                                   {"wd": -1.0}, {"epochs": "two"}, {"epochs": 1.5}, {"lr": "x"},
                                   {"body_lr": 0.0}, {"patience": 0}, {"fixed_norm": 1}])
def test_wrong_settings_are_one_line(wrong):
    with pytest.raises(ImgregError) as e:
        make_config(ANGLE, **wrong)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5m", 90)])
def test_a_time_is_read_and_written(text, seconds):
    assert config.parse_time(text) == seconds and config.parse_time(config.time_option(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "m", "1m1h", "-3m", "1.2.3s", "3 days"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError):
        config.parse_time(text)
