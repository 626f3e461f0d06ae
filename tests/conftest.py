"""What the tests share: small drawn pictures, and one small trained run."""
import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait starve each other on few cores

import pytest

SMALL = {"size": (48, 48), "epochs": 2, "bs": 16, "precision": "fp32", "device": "cpu"}


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
def bars():
    """Draw bars alone, turning about the picture's own middle: angles in [0, 360) -> uint8 [n, 100, 100]."""
    import numpy as np

    from imgreg_fastai.datasets.angle import Canvas

    canvas = Canvas(100)
    canvas.middle, canvas.frame = (50.0, 50.0), np.ones((100, 100))

    def draw(angles):
        return canvas.draw(np.asarray(angles, float), np.empty((len(angles), 0, 2)), np.zeros(len(angles), bool))

    return draw
