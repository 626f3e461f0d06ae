import json
import logging
import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imgreg_fastai import load, predictor
from imgreg_fastai.errors import ImgregError


@pytest.fixture
def pictures(drawn):
    return sorted((drawn / "images").glob("*.png"))[:9]


def test_paths_arrays_bytes_and_pillow_pictures_agree(run, pictures):
    model = load(run.path)
    by_path = model.predict(pictures)
    assert list(by_path.columns) == ["image", "angle"] and list(by_path["image"]) == [str(p) for p in pictures]
    for given in ([p.read_bytes() for p in pictures], [Image.open(p) for p in pictures],
                  [np.asarray(Image.open(p).convert("RGB")) for p in pictures]):
        np.testing.assert_allclose(model.predict(given)["angle"], by_path["angle"], atol=1e-3)
    one = model.predict(str(pictures[3]))
    np.testing.assert_allclose(one["angle"], by_path["angle"][3], atol=1e-3)
    np.testing.assert_allclose(model.predict(pictures, bs=2)["angle"], by_path["angle"], atol=1e-3)


def test_predictions_are_those_of_training(run, drawn):
    """The network through fastai's DataLoaders and Learner, and through the Predictor: the same to float32."""
    from imgreg_fastai import batches

    model = load(run.path)
    frame = run.labels
    dls = batches.build(frame, model.task, run.config, (model.about["mean"], model.about["std"]), "cpu")
    with torch.inference_mode():
        through_fastai = torch.cat([model.network(x.as_subclass(torch.Tensor)) for x, _ in dls.valid])
    ours, broken = model.outputs(list(frame.loc[frame["split"] == "valid", "path"]))
    assert not broken
    np.testing.assert_allclose(ours, through_fastai.numpy(), atol=1e-5)


def test_broken_pictures_are_named_and_left_out(run, pictures, tmp_path, caplog):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG nothing")
    with caplog.at_level(logging.WARNING):
        frame = load(run.path).predict([pictures[0], bad, tmp_path / "gone.png", pictures[1]])
    assert list(frame["image"]) == [str(pictures[0]), str(pictures[1])]
    assert "left out 2 of 4" in caplog.text and "bad.png" in caplog.text and "gone.png" in caplog.text
    with pytest.raises(ImgregError, match=r"bad\.png"):
        load(run.path).predict(bad)


def test_a_rebuilt_model_is_the_same_to_the_bit(run, tmp_path):
    model = load(run.path)
    again = load(predictor.save(tmp_path / "copy.imgreg", model.network, model.about))
    assert again.about == model.about
    for a, b in zip(model.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    about = json.dumps(model.about)
    assert str(run.path) not in about and "/tmp" not in about


class Evil:
    def __reduce__(self):
        return print, ("opened a pickle",)


def test_what_is_no_model_is_refused_in_one_line_and_no_pickle_is_opened(run, tmp_path, capsys):
    files = {"evil.pkl": pickle.dumps(Evil()), "evil.imgreg": pickle.dumps(Evil()), "text.imgreg": b"hello",
             "empty.imgreg": b"", "huge.imgreg": b"\xff" * 64}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"a": Evil()}, tmp_path / "zip.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    for path in [*tmp_path.iterdir(), tmp_path / "gone", tmp_path]:
        with pytest.raises(ImgregError) as e:
            load(path)
        assert "\n" not in str(e.value)
    assert "opened" not in capsys.readouterr().out


@pytest.mark.parametrize("change", [
    {"format": 99}, {"task": {}}, {"task": 5}, {"arch": "resnet999"}, {"arch_args": {"channels": [1]}}, {"mean": [1]},

    {"arch": "hf-hub:evil/x"}, {"arch_args": {"checkpoint_path": "/etc/passwd"}},
    {"mean": ["a", "b", "c"]}, {"arch": None}, {"arch_args": 5}, {"std": None}])
def test_a_changed_model_file_is_refused_in_one_line(run, tmp_path, change):
    state = load_file(run.path / predictor.MODEL)
    about = {**load(run.path).about, **change}
    save_file(state, tmp_path / "m.imgreg", metadata={"imgreg": json.dumps(about)})
    with pytest.raises(ImgregError):
        load(tmp_path / "m.imgreg")


def test_a_model_file_is_written_whole_or_not_at_all(run, tmp_path):
    model = load(run.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ImgregError, match="written"):
        predictor.save(tmp_path / "file" / "m.imgreg", model.network, model.about)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_predicting_needs_no_fastai(run, pictures):
    code = (f"import sys; from imgreg_fastai import load; load({str(run.path)!r}).predict({str(pictures[0])!r});"
            "assert 'fastai' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_outputs_are_columns_of_the_labels_table(run):
    model = load(run.path)
    columns = model.columns(np.array([[0.0, 1.0], [-1.0, 0.0]], np.float32))
    assert {k: list(v) for k, v in columns.items()} == {"angle": [45.0, 90.0]}
    assert isinstance(pd.DataFrame(columns), pd.DataFrame)
