"""The verdict: a sentence with its numbers, and each warning where it holds and nowhere else."""
import pandas as pd
import pytest

from imgreg_fastai.reports import verdict
from imgreg_fastai.tasks import Angle, Number, Point

AGE = Number("age", ("age",), "years")
GOOD = {"unit": "years", "n": 1000, "mean": 2.0, "median": 1.6, "p90": 4.1, "rmse": 2.6, "bias": 0.1, "baseline": 12.0}


def kinds(numbers, target=AGE):
    return [warned.kind for warned in verdict.weaknesses(target, {**GOOD, **numbers})]


def test_the_sentence_tells_error_guessing_and_what_nine_in_ten_keep_within():
    assert verdict.sentence({**GOOD, "unit": "°", "mean": 0.171, "baseline": 45.1, "p90": 0.3}, "validation") == (
        "Off by 0.17° on average on 1,000 images it was not trained on; guessing would be off by 45°. "
        "Nine in ten lie within 0.30°.")


def test_without_a_guess_few_pictures_or_labels_it_says_less():
    plain = {k: v for k, v in GOOD.items() if k != "baseline"}
    assert verdict.sentence({**plain, "n": 1}, "test") == (
        "Off by 2.0 years on average on the only image it was not trained on.")
    assert verdict.sentence({"unit": "°", "n": 0}, "test") == (
        "No image of the test part has a label: nothing can be said.")
    assert list(verdict.weaknesses(AGE, {"unit": "", "n": 0})) == []


def test_a_good_model_has_no_warnings():
    assert kinds({"coverage": {"asked": 0.9, "reached": 0.91, "low": 0.88, "high": 0.93, "width": 4.0},
                  "range": [{"low": 0, "high": 9, "n": 9, "mean": 3.0}],
                  "groups": {"ann": {"n": 50, "mean": 3.9}}}) == []


@pytest.mark.parametrize(("numbers", "kind", "told"), [
    ({"mean": 11.0, "rmse": 13.0}, "guessing", "Hardly better than guessing: 11 years against 12 years."),
    ({"mean": 12.5, "rmse": 15.0}, "guessing", "No better than guessing: 12 years against 12 years."),
    ({"bias": -1.4}, "bias", "Predictions are too small by 1.4 years on average"),
    ({"groups": {"ann": {"n": 9, "mean": 5.0}, "bob": {"n": 2, "mean": 9.0}}}, "groups", "on ann (5.0 years)."),
    ({"range": [{"low": 60, "high": 80, "n": 12, "mean": 6.0}]}, "range", "between 60 and 80 years: off by 6.0 years"),
    ({"coverage": {"asked": 0.9, "reached": 0.8, "low": 0.77, "high": 0.83, "width": 4.0}}, "intervals",
     "they hold for 80 % of the images, and 90 % were asked."),
    ({"coverage": {"asked": 0.9, "reached": 0.9, "width": 4.0, "range": [
        {"low": 0, "high": 54, "n": 90, "reached": 0.95}, {"low": 54, "high": 90, "n": 30, "reached": 0.57}],
        "groups": {"ann": {"n": 40, "reached": 0.4}, "bob": {"n": 29, "reached": 0.1}}}}, "uneven",
     "promise 90 %, and of ann only 40 %, of age 54 to 90 years only 57 % lie within theirs."),
    ({"n": 12}, "few", "Only 12 images were scored"),
])
def test_each_weakness_is_told_with_its_number_and_with_what_to_do(numbers, kind, told):
    (warned,) = verdict.weaknesses(AGE, {**GOOD, **numbers})
    assert warned.kind == kind and told in warned.text and warned.hint


@pytest.mark.parametrize("numbers", [
    {"bias": 1.4, "rmse": 2.6, "n": 25},  # so few images have such a bias by chance
    {"coverage": {"asked": 0.9, "reached": 0.8, "low": 0.6, "high": 0.93, "width": 4.0}},
    {"coverage": {"asked": 0.9, "reached": 0.9, "width": 4.0, "groups": {"ann": {"n": 90, "reached": 0.76}},
                  "range": [{"low": 0, "high": 9, "n": 29, "reached": 0.2}]}},
    {"groups": {"ann": {"n": 4, "mean": 9.0}}}, {"range": [{"low": 60, "high": 80, "n": 4, "mean": 9.0}]},
])
def test_what_luck_explains_is_no_weakness(numbers):
    assert [kind for kind in kinds(numbers) if kind != "few"] == []


def test_of_points_a_group_counts_by_its_pictures():
    points = Point("face", tuple(f"p{i}_{axis}" for i in range(4) for axis in "xy"))
    held = {"asked": 0.9, "reached": 0.9, "width": 4.0}
    for n, found in ((119, []), (120, ["uneven"])):
        assert kinds({"coverage": {**held, "groups": {"ann": {"n": n, "reached": 0.4}}}}, points) == found


def test_a_bias_of_points_has_no_sign_and_an_angle_is_too_large():
    targets = Point("p", ("x", "y")), Angle("a", ("a",))
    told = [next(verdict.weaknesses(t, {**GOOD, "bias": 1.4})).text for t in targets]
    assert "to one side" in told[0] and "too large" in told[1]


def history(train, valid):
    return pd.DataFrame({"epoch": range(1, len(train) + 1), "train_loss": train, "valid_loss": valid})


@pytest.mark.parametrize(("train", "valid", "stopped", "found"), [
    ([0.5, 0.3, 0.1], [0.5, 0.4, 0.45], "", []),
    ([0.5, 0.1, 0.1], [0.5, 0.4, 0.45], "", ["overfitted"]),
    ([0.5, 0.4, 0.3], [0.5, 0.4, 0.3], "", ["short"]),
    ([0.5, 0.4, 0.3], [0.5, 0.4, 0.3], "patience", []),
    ([0.5, 0.4, 0.3], [0.5, 0.4, 0.399], "", []),  # one cycle's last epoch is the best by a hair
    ([0.5], [0.4], "", []),
    ([0.5, 0.4], [float("nan")] * 2, "", []),
])
def test_the_training_was_too_long_or_too_short(train, valid, stopped, found):
    warned = list(verdict.training_weaknesses(history(train, valid), "--epochs 6", stopped))
    assert [w.kind for w in warned] == found
    assert "short" not in found or "--epochs 6" in warned[0].hint
