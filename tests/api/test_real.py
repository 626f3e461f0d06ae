"""With real ImageNet weights, where IMGREG_REAL_DATA tells of a folder that has them."""
import os
from pathlib import Path

import pytest
import torch

from imgreg_fastai import load
from imgreg_fastai.api import functions
from imgreg_fastai.models import backbones, timm_body, weights
from tests.conftest import SMALL

FILE = Path(os.environ.get("IMGREG_REAL_DATA", "nowhere")) / "weights" / "mobilenetv2_100_imagenet.pth"
pytestmark = [pytest.mark.real, pytest.mark.skipif(not FILE.is_file(), reason="IMGREG_REAL_DATA has no weights")]


def test_every_tensor_of_a_weights_file_is_loaded():
    found = weights.find_weights("mobilenetv2_100", str(FILE))
    body = backbones.build("mobilenetv2_100", (96, 96), {"pad_type": "same"})
    found = weights.load_body(body, "mobilenetv2_100", found)
    state = torch.load(FILE, weights_only=True)
    own = body.state_dict()
    assert found.origin == "file" and found.note == "" and all(torch.equal(own[k], state[k]) for k in own)


@pytest.mark.usefixtures("without_plots")
def test_a_run_starts_from_them_and_records_where_they_came_from(drawn, tmp_path):
    run = functions.train("angle", data=drawn, out=tmp_path, arch="mobilenetv2_100", weights=str(FILE), lr=1e-7,
                    freeze_epochs=1, **{**SMALL, "epochs": 1})
    recorded = run.about["weights"]
    assert recorded["kind"] == "file" and recorded["source"] == FILE.name and len(recorded["sha256"]) == 64
    untouched = timm_body.build("mobilenetv2_100", (48, 48))
    untouched.load_state_dict(torch.load(FILE, weights_only=True), strict=False)
    trained = load(run.path).network[0]
    torch.testing.assert_close(trained.conv_stem.weight, untouched.conv_stem.weight, atol=1e-4, rtol=0)
    assert str(FILE.parent) not in str(load(run.path).about)
