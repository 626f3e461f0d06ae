"""The public functions take a DataFrame where they take the path of a table."""
import pandas as pd
import pytest

from imgreg_fastai import check, dataloaders, evaluate, learner, train
from imgreg_fastai.api.preparation import prepare
from imgreg_fastai.utils.messages import ImgregError

TINY = {"arch": "test_resnet", "weights": "none", "epochs": 1, "size": (32, 32), "bs": 8, "workers": 0, "device": "cpu"}


@pytest.fixture
def frame(drawn, monkeypatch):
    monkeypatch.chdir(drawn.parent)  # its images are relative to the working directory
    table = pd.read_csv(drawn / "labels.csv") if (drawn / "labels.csv").exists() else None
    names = sorted(path.name for path in drawn.glob("*.png"))
    table = table if table is not None else pd.DataFrame({"image": names, "angle": range(len(names))})
    return table.assign(image=drawn.name + "/" + table["image"])


@pytest.mark.usefixtures("without_plots")
def test_a_training_on_a_dataframe_is_the_same_as_on_its_file(frame, tmp_path):
    frame.to_csv(tmp_path / "file.csv", index=False)
    out = tmp_path / "runs"
    by_frame = train(frame, targets="angle:number", out=out, **TINY)
    by_file = train(tmp_path / "file.csv", targets="angle:number", images=".", out=out, **TINY)
    assert by_frame.path.name == "table-001" and by_file.path.name == "file-001"
    assert by_frame.scores == by_file.scores and by_frame.about["data"]["sha256"] == by_file.about["data"]["sha256"]
    assert by_frame.about["data"]["table"] == "a DataFrame"
    assert f"train(<DataFrame of {len(frame)} rows>, " in by_frame.about["command"]
    pd.testing.assert_frame_equal(by_frame.labels, by_file.labels)
    result = evaluate(by_frame, frame)
    assert result["folder"].endswith("evaluations/table") and result["scores"]["angle"]["n"] > 0


@pytest.mark.usefixtures("without_plots")
def test_the_runs_of_a_dataframe_can_be_named(frame, tmp_path):
    run = train(frame, targets="angle:number", name="bars", out=tmp_path, **TINY)
    assert run.path.name == "bars-001" and run.task.name == "bars"
    for name in ("a/b", "..", "x\n"):
        with pytest.raises(ImgregError, match="a name that a folder can have"):
            prepare(frame, name=name)
    with pytest.raises(ImgregError, match="--name with a labels table; found the task 'angle'"):
        prepare("angle", name="bars")


def test_what_else_takes_a_task_takes_a_dataframe(frame, tmp_path):
    health, plot = check(frame, targets="angle:number", out=tmp_path)
    assert health.table == "the DataFrame" and plot.name == "check-table-001.png" and health.facts["rows"] == len(frame)
    assert len(dataloaders(frame, targets="angle:number", **TINY).train_ds)
    assert learner(frame, targets="angle:number", **TINY).dls.n_inp == 1


def test_mistakes_in_a_dataframe_are_told_as_those_of_a_file(frame):
    with pytest.raises(ImgregError, match="a column 'age' for the target"):
        prepare(frame, targets="age=age")
    with pytest.raises(ImgregError, match="usable rows in 'the DataFrame'; found no such image"):
        prepare(frame.assign(image="x" + frame["image"]), targets="angle:number")
    with pytest.raises(ImgregError, match="a labels table with rows"):
        prepare(frame[:0])
    with pytest.raises(ImgregError, match="or a DataFrame; found a dict"):
        prepare(frame.to_dict())
