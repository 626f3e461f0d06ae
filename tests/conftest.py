"""What the tests share: small drawn images, and one small trained run."""
import os
import signal
import subprocess
import time
from contextlib import contextmanager

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait starve each other on few cores

if "PYTEST_XDIST_WORKER" in os.environ:  # a thread for each of those that share the cores
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

settings.register_profile("imgreg", deadline=None)  # no test asserts a time
settings.load_profile("imgreg")

SMALL = {"size": (48, 48), "epochs": 2, "bs": 16, "precision": "fp32", "device": "cpu"}
TINY = {**SMALL, "size": (32, 48), "arch": "test_resnet", "weights": "none", "bs": 4, "epochs": 1}  # for a handful
BOX = ("cx", "cy", "w", "h")
SHAPES = [(60, 40), (40, 60), (50, 50), (90, 30)]


def interrupted(command, folder, ready) -> tuple[int, str]:
    """Run a command in a folder, press Ctrl-C once `ready()`; its exit code and what it wrote on stderr."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                               start_new_session=True, preexec_fn=_let_interrupts_through)
    try:
        while not ready() and process.poll() is None:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: its worker processes get it, too
        stderr = process.communicate(timeout=60)[1]
        return process.returncode, stderr
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def _let_interrupts_through():
    """Of a script that was started with `&`, children ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def said(capsys, *args) -> str:
    """What the command prints on stdout, run in this process; it must succeed."""
    from imgreg_fastai import cli

    with pytest.raises(SystemExit) as e:
        cli.main([str(a) for a in args])
    out = capsys.readouterr()
    assert e.value.code == 0, out.err
    return out.out


def skip_plots(monkeypatch):
    """Write no plots and report, which take nine tenths of the time of a run of few images."""
    from imgreg_fastai import plots
    from imgreg_fastai.reports import run_page

    monkeypatch.setattr(plots, "write_all", lambda *_: None)
    monkeypatch.setattr(run_page, "write", lambda *_: None)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """The folder of what is kept between commands, in place of the user's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("IMGREG_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """A folder of 120 drawn bars of 48 pixels with their labels table."""
    from imgreg_fastai.datasets import angle

    return angle.draw(tmp_path_factory.mktemp("drawn") / "angle", n=120, size=48, seed=1, jobs=1).parent


@pytest.fixture(scope="session")
def run(drawn, tmp_path_factory):
    """A run of the angle task on `drawn`, two epochs; do not write into it."""
    from imgreg_fastai import train

    return train("angle", data=drawn, out=tmp_path_factory.mktemp("runs"), **SMALL)


@pytest.fixture(scope="session")
def calibrated(drawn, tmp_path_factory):
    """A run as `run`, with intervals calibrated by 32 of the images; do not write into it."""
    from imgreg_fastai import train

    with plots_left_out():
        return train("angle", data=drawn, out=tmp_path_factory.mktemp("calibrated"), calibrate=0.3, **SMALL)


@contextmanager
def plots_left_out():
    """Train, score and evaluate as ever, without plots and report, see skip_plots."""
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        yield


@pytest.fixture
def without_plots():
    """See plots_left_out; fixtures of a module use that itself."""
    with plots_left_out():
        yield


@pytest.fixture(scope="session")
def bars():
    """Draw bars alone, turning about the image's own middle: angles in [0, 360) -> uint8 [n, 100, 100]."""
    import numpy as np

    from imgreg_fastai.datasets.drawing.bars import Canvas

    canvas = Canvas(100)
    canvas.middle, canvas.frame = (50.0, 50.0), np.ones((100, 100))

    def draw(angles):
        return canvas.draw(np.asarray(angles, float), np.empty((len(angles), 0, 2)), np.zeros(len(angles), bool))

    return draw


@pytest.fixture(scope="session")
def spotted(tmp_path_factory):
    """The labels frame of 16 images of four shapes, a red and a blue blob in each: their places, a box, other labels.

    Beside the images lies the table, labels.csv. The blue blob of rows 2 and 11 is not labelled.
    """
    import numpy as np
    import pandas as pd
    from PIL import Image

    folder, rng, rows = tmp_path_factory.mktemp("spotted"), np.random.default_rng(0), []
    for i in range(16):
        width, height = SHAPES[i % 4]
        red, blue = rng.uniform((10, 10), (width - 10, height - 10), (2, 2))
        y, x = np.mgrid[:height, :width] + 0.5
        bells = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 2.0**2)) for a, b in (red, blue)]
        bright = np.stack([bells[0], np.zeros_like(x), bells[1]], axis=2) * 255 + 0.5
        Image.fromarray(bright.astype(np.uint8)).save(folder / f"{i}.png")
        row = {"image": f"{i}.png", "split": "valid" if i % 2 else "train", "group": f"g{i % 3}", "n": float(i),
               "way": 20.0 * i, "yaw": 3.0 * i, "pitch": -2.0 * i, "roll": i / 2,
               **dict(zip(("rx", "ry", "bx", "by"), (*red, *blue), strict=True)),
               **dict(zip(BOX, (*(red + blue) / 2, *(np.abs(red - blue) + 12)), strict=True))}
        rows.append(row | ({"bx": np.nan, "by": np.nan} if i in (2, 11) else {}))
    frame = pd.DataFrame(rows)
    frame.to_csv(folder / "labels.csv", index=False)
    return frame.assign(path=[str(folder / name) for name in frame["image"]])
