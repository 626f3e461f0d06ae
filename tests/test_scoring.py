import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import load, scoring
from imgreg_fastai.targets import Number
from imgreg_fastai.tasks import ANGLE, Task


def test_scores_of_known_errors():
    true = np.array([10.0, 60.0, 110.0, 179.0])
    result = pd.DataFrame({"angle": true, "angle_predicted": [12.0, 59.0, 110.0, 3.0],
                           "angle_error": [2.0, 1.0, 0.0, 4.0]})
    s = scoring.score(ANGLE, result, pd.DataFrame({"angle": np.arange(0, 180, 1.0)}))["angle"]
    assert s["n"] == 4 and s["unit"] == "°" and s["max"] == 4
    assert s["mean"] == pytest.approx(1.75) and s["median"] == pytest.approx(1.5)
    assert s["bias"] == pytest.approx((2 - 1 + 0 + 4) / 4) and s["rmse"] == pytest.approx(np.sqrt(21 / 4))
    assert scoring.sentence("angle", s).startswith("angle error 1.75° (guessing: ")


def test_the_baseline_is_the_training_parts_mean():
    task = Task("ages", (Number("age", ("age",), "years", low=0.0, high=100.0),))
    result = pd.DataFrame({"age": [10.0, 30.0], "age_predicted": [10.0, 30.0], "age_error": [0.0, 0.0]})
    s = scoring.score(task, result, pd.DataFrame({"age": [40.0, 60.0]}))["age"]
    assert s["baseline"] == 30 and s["mean"] == 0  # |10 - 50| and |30 - 50|


def test_predictions_keep_rows_and_leave_broken_pictures_out(run, tmp_path):
    frame = run.labels.head(5).copy()
    broken = tmp_path / "x.png"
    broken.write_bytes(b"")
    frame.loc[2, "path"] = str(broken)
    result = scoring.predictions(load(run.path), frame)
    assert list(result["image"]) == list(frame["image"].drop(2))
    error = np.abs((result["angle_predicted"] - result["angle"] + 90) % 180 - 90)
    np.testing.assert_allclose(result["angle_error"], error)
