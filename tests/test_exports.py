import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from imgreg_fastai import export, load
from imgreg_fastai.errors import ImgregError

OPEN = """
import sys, warnings
warnings.filterwarnings("ignore")
from fastai.learner import load_learner
learn = load_learner("export.pkl")
print(float(learn.predict("photo.png")[0]), len(learn.dls.train_ds))
"""


def test_the_learner_opens_in_an_empty_folder_and_predicts_degrees(run, drawn, tmp_path):
    path = export(run.path, out=tmp_path / "export.pkl")
    picture = next((drawn / "images").glob("*.png"))
    shutil.copy(picture, tmp_path / "photo.png")
    ran = subprocess.run([sys.executable, "-c", OPEN], cwd=tmp_path, capture_output=True, text=True, check=True)
    degrees, rows = ran.stdout.split()
    assert float(degrees) == pytest.approx(load(run.path).predict(picture)["angle"][0], abs=1e-3)
    assert rows == "0" and path == tmp_path / "export.pkl"


def test_the_learner_holds_no_picture_table_or_absolute_path(run, drawn, tmp_path):
    path = export(run, out=tmp_path / "export.pkl")
    with zipfile.ZipFile(path) as archive:
        pickled = next(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
    for word in (b"/tmp", b"/home", b"/root", b"site-packages", b"imgreg_fastai/", b"sample0", b"blank", b"labels.csv"):
        assert word not in pickled, word
    assert path.stat().st_size < (run.path / "model.safetensors").stat().st_size + 60_000


def test_the_bundle_holds_everything_and_no_pickle(run, drawn, tmp_path):
    path = export(run, "bundle", tmp_path / "model.imgreg")
    content = path.read_bytes()
    assert not zipfile.is_zipfile(path) and b"pickle" not in content and str(drawn).encode() not in content
    assert int.from_bytes(content[:8], "little") < len(content) and content[8:9] == b"{"  # safetensors' header
    pictures = list((drawn / "images").glob("*.png"))[:5]
    expected = load(run.path).predict(pictures)["angle"]
    np.testing.assert_array_equal(load(path).predict(pictures)["angle"], expected)


def test_defaults_lie_in_the_run_and_nothing_of_the_users_is_written_over(run, tmp_path):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    assert export(copy) == copy / "export.pkl" and export(copy, "bundle") == copy / "model.imgreg"
    mine = tmp_path / "mine.imgreg"
    mine.write_text("precious")
    with pytest.raises(ImgregError, match="new file"):
        export(copy, "bundle", mine)
    assert mine.read_text() == "precious"
    with pytest.raises(ImgregError, match="learner or bundle"):
        export(copy, "onnx")
    with pytest.raises(ImgregError, match="mkdir"):
        export(copy, "bundle", tmp_path / "no" / "m.imgreg")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ImgregError):
        export(copy, "bundle", tmp_path / "other.imgreg")
