import pytest

from imgreg_fastai import config
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.utils.errors import ImgregError


def test_the_user_overrides_the_recipe_which_overrides_the_defaults():
    assert make_config(ANGLE).arch_args == dict(ANGLE.recipe)["arch_args"]
    assert make_config(ANGLE, epochs=3).epochs == 3
    assert make_config(ANGLE).wd == config.TrainConfig.wd


def test_a_backbone_asked_for_comes_as_timm_has_it():
    cfg = make_config(ANGLE, arch="resnet10t")
    assert cfg.arch_args == {} and cfg.weights == "auto"


def test_an_arch_arg_alone_joins_the_recipes():
    cfg = make_config(ANGLE, arch_args={"output_stride": 8})
    assert cfg.arch_args["output_stride"] == 8 and cfg.arch_args["stem_width"] == 16 and cfg.weights == "none"


def test_settings_travel_through_json():
    import json

    cfg = make_config(ANGLE, stop_at=("angle", 0.5), lr=None, hold_out=("13", "ann"))
    assert config.config_from_dict(json.loads(json.dumps(cfg.to_dict()))) == cfg
    older = {k: v for k, v in cfg.to_dict().items() if k not in ("hold_out", "folds", "fold")}
    assert config.config_from_dict(older).hold_out == () and config.config_from_dict(older).folds is None


def test_a_name_alone_is_not_taken_apart():
    """hold_out="13" must not hold out the folders 1 and 3."""
    try:
        assert make_config(ANGLE, hold_out="13").hold_out == ("13",)
    except ImgregError as e:
        assert "\n" not in str(e)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"bs": 1}, {"loss": "l3"}, {"precision": "fp8"}, {"epoch": 3},
                                   {"cache": "yes"}, {"workers": -1},
                                   {"seed": -1}, {"lr": -1.0}, {"lr": float("nan")}, {"lr": 0.0},
                                   {"wd": -1.0}, {"epochs": "two"}, {"epochs": 1.5}, {"lr": "x"},
                                   {"body_lr": 0.0}, {"patience": 0}])
def test_wrong_settings_are_one_line(wrong):
    with pytest.raises(ImgregError) as e:
        make_config(ANGLE, **wrong)
    assert "\n" not in str(e.value)
