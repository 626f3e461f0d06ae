"""A disk that fills at any moment of a training: one line, the last good state stays, and resume goes on from it."""
import resource
from contextlib import contextmanager

import pytest

from benchmarks import resuming
from imgreg_fastai import runs
from imgreg_fastai.api import functions, prediction
from imgreg_fastai.inference import model_file
from imgreg_fastai.plots import figures
from imgreg_fastai.runs import run_folder
from imgreg_fastai.training import checkpoint
from imgreg_fastai.utils import files
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY, skip_plots

EXACT = {**TINY, "lr": 3e-3, "fixed_norm": 0.0, "epochs": 2, "deterministic": True, "save_minutes": 0, "workers": 0,
         "calibrate": 0.2}  # both epochs improve the model
WRITERS = (checkpoint, figures, model_file, run_folder)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full")
    resuming.draw(folder)
    return folder / "data"


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run on a disk with room; do not write into it."""
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        return functions.train("angle", data=data, out=tmp_path_factory.mktemp("whole"), **EXACT).path


@contextmanager
def largest_file(n_bytes):
    """Within the block, the system lets this process write no file beyond n_bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill_disk_at(monkeypatch, name, nth):
    """From the nth time on that a file of this name is written, the disk is full after its first 30 bytes."""
    count = 0

    @contextmanager
    def atomic_file(path, *args, **options):
        nonlocal count
        count += path.name == name
        with files.atomic_file(path, *args, **options) as file:
            if count < nth:
                yield file
            else:
                with largest_file(30):
                    yield file

    for module in WRITERS:
        monkeypatch.setattr(module, "atomic_file", atomic_file)


def assert_resumed_after_a_full_disk(data, whole, tmp_path, monkeypatch, name, nth):
    path = tmp_path / "angle-001"
    with monkeypatch.context() as patch, pytest.raises(ImgregError) as error:
        fill_disk_at(patch, name, nth)
        functions.train("angle", data=data, out=tmp_path, **EXACT)
    assert name in str(error.value) and "File too large" in str(error.value)
    assert str(error.value).endswith(f"; try making room, then imgreg resume {path}")
    assert runs.load_run(path).state in ("failed", "interrupted", "scoring")
    assert not list(path.rglob(".*"))
    assert functions.resume(path).state == "trained"
    assert not resuming.differences(whole, path)


@pytest.mark.parametrize(("name", "nth"), [
    ("last.ckpt", 1), ("last.ckpt", 7), ("history.csv", 1), ("history.csv", 2), ("run.json", 2), ("run.json", 3),
    ("run.json", 4), ("batch.png", 1), ("model.safetensors", 1), ("model.safetensors", 3), ("scores.json", 1),
    ("predictions.csv", 1),
])
@pytest.mark.usefixtures("without_plots")
def test_a_full_disk_is_said_in_a_line_and_resume_ends_in_the_same_weights(data, whole, tmp_path, monkeypatch, caplog,
                                                                          name, nth):
    assert_resumed_after_a_full_disk(data, whole, tmp_path, monkeypatch, name, nth)
    assert "next" not in caplog.text  # the one line names the next command


@pytest.mark.slow
@pytest.mark.parametrize("name", ["curves.png", "predicted.png", "grid.png", "report.html"])
def test_plots_and_report_on_a_full_disk_are_completed_by_resume(data, whole, tmp_path, monkeypatch, name):
    assert_resumed_after_a_full_disk(data, whole, tmp_path, monkeypatch, name, 1)
    assert (tmp_path / "angle-001/report.html").exists() and (tmp_path / "angle-001/plots/grid.png").exists()


@pytest.mark.parametrize("name", ["labels.csv", "image_hashes.csv", "run.json"])
def test_a_disk_that_is_full_before_a_run_begins_leaves_no_folder(data, tmp_path, monkeypatch, name):
    fill_disk_at(monkeypatch, name, 1)
    with pytest.raises(ImgregError, match=f"{name}.*File too large; try making room, then the same again"):
        functions.train("angle", data=data, out=tmp_path, **EXACT)
    assert not list(tmp_path.iterdir())


def test_the_checkpoint_before_stays_when_a_later_one_does_not_fit(data, tmp_path, monkeypatch):
    fill_disk_at(monkeypatch, "last.ckpt", 4)
    with pytest.raises(ImgregError):
        functions.train("angle", data=data, out=tmp_path, **EXACT)
    saved = checkpoint.read_checkpoint(tmp_path / "angle-001")
    assert saved is not None and saved.progress.step == 3


def test_an_evaluation_on_a_full_disk_says_so(data, whole, monkeypatch):
    fill_disk_at(monkeypatch, "predictions.csv", 1)
    with pytest.raises(ImgregError, match=r"predictions\.csv.*File too large; try making room, then the same again"):
        prediction.evaluate(whole, data / "labels.csv")
