import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks import question
from benchmarks.classical import TARGET, from_tensor
from imgreg_fastai.datasets import angle
from imgreg_fastai.utils.messages import ImgregError

NO_DOTS = np.empty((1, 0, 2))


@pytest.mark.parametrize("outlined", [False, True])
def test_pixels_are_matplotlibs(outlined):
    angles, dots, _ = question.sample(25, seed=3)
    angles[:4] = 0.01, 45, 89.99, 179.99  # not 0 and 90: there matplotlib moves the bar to whole pixels
    theirs = np.stack([question.picture(a, d, outlined)[..., 0] for a, d in zip(angles, dots, strict=True)])
    apart = np.abs(angle.canvas(100).draw(angles, dots, np.full(25, outlined)) - theirs.astype(float))
    assert apart.mean(axis=(1, 2)).max() < 0.5
    assert apart.max() < 20


@pytest.mark.parametrize("size", [40, 160, 225])
def test_other_sizes_are_matplotlibs_at_another_dpi(size, monkeypatch):
    monkeypatch.setattr(question, "DPI", size / 5)
    angles, dots, outlined = question.sample(8, seed=4)
    theirs = np.stack([question.picture(*one)[..., 0] for one in zip(angles, dots, outlined, strict=True)])
    assert theirs.shape == (8, size, size)
    apart = np.abs(angle.canvas(size).draw(angles, dots, outlined) - theirs.astype(float))
    assert apart.mean() < 0.5


def test_angles_turn_counterclockwise_from_the_right():
    picture = angle.canvas(100).draw(np.array([30.0]), NO_DOTS, np.array([False]))[0]
    (x, y), turn = (100 * (0.125 + 0.9) / 2, 100 * (1 - (0.11 + 0.88) / 2)), np.exp(1j * np.pi / 6)  # axes' middle
    for along in (25, -25):
        place = (along + 1.9j) * turn  # the bar lies on one side of its line, 3.85 px thick
        assert picture[int(y - place.imag), int(x + place.real)] < 10
        assert picture[int(y + place.imag), int(x + place.real)] == 255


def test_a_structure_tensor_finds_the_angles():
    pictures, hundredths = angle.sample(60, 100, np.random.default_rng(1))
    found = np.array([from_tensor(p) for p in pictures])
    error = TARGET.error(found[:, None], hundredths[:, None] / 100)
    assert error.max() < 3
    assert np.ptp(hundredths) > 9000  # angles from all round, so that a constant would not do


def test_half_of_the_bars_are_outlined():
    asked = {}

    class Spy:
        def draw(self, angles, dots, outlined):
            asked.update(angles=angles, dots=dots, outlined=outlined)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(angle, "canvas", lambda size: Spy())
        angle.sample(1000, 100, np.random.default_rng(0))
    assert 0.4 < asked["outlined"].mean() < 0.6
    assert asked["dots"].shape == (1000, 50, 2)
    assert np.abs(asked["dots"]).max() == pytest.approx(10, abs=0.01)
    assert (asked["angles"].min(), asked["angles"].max()) == pytest.approx((0, 180), abs=1)


def test_table_and_names_agree(tmp_path):
    table = angle.draw(tmp_path / "drawn", n=130)  # not a multiple of what is drawn at once
    assert table == tmp_path / "drawn" / "labels.csv"
    rows = pd.read_csv(table)
    assert list(rows.columns) == ["image", "angle"]
    assert len(rows) == 130
    assert sorted(rows.image) == sorted(f"images/{p.name}" for p in (tmp_path / "drawn" / "images").iterdir())
    for i, (name, degrees) in enumerate(rows.itertuples(index=False)):
        found = re.fullmatch(r"images/sample(\d{4})_angle_(\d{5})\.png", name)
        assert int(found[1]) == i
        assert int(found[2]) / 100 == pytest.approx(degrees, abs=1e-9)
    assert rows.angle.between(0, 179.99).all()
    with Image.open(table.parent / rows.image[129]) as last:
        assert (last.mode, last.size) == ("L", (100, 100))
        assert TARGET.residual(from_tensor(np.asarray(last)), rows.angle[129]) == pytest.approx(0, abs=3)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_same_seed_same_pictures_whatever_the_jobs(tmp_path):
    for name, options in {"one": {"jobs": 1}, "three": {"jobs": 3}, "other": {"jobs": 1, "seed": 8}}.items():
        angle.draw(tmp_path / name, **{"n": 210, "size": 32, "seed": 7, **options})
    one = contents(tmp_path / "one")
    assert len(one) == 211
    assert one == contents(tmp_path / "three")
    assert one["labels.csv"] != contents(tmp_path / "other")["labels.csv"]


def test_chunks_differ(tmp_path):
    rows = pd.read_csv(angle.draw(tmp_path / "drawn", n=200, size=16, jobs=1))
    assert (rows.angle[:100].to_numpy() != rows.angle[100:].to_numpy()).any()


@pytest.mark.parametrize("size", [16, 33, 150])
def test_other_sizes(tmp_path, size):
    table = angle.draw(tmp_path / "drawn", n=3, size=size, jobs=1)
    for name in pd.read_csv(table).image:
        with Image.open(table.parent / name) as picture:
            assert picture.size == (size, size)


def test_an_empty_folder_is_used(tmp_path):
    assert angle.draw(tmp_path, n=1, jobs=1).is_file()
    assert len(list((tmp_path / "images").iterdir())) == 1


@pytest.mark.parametrize("wrong", [{"n": 0}, {"size": 8}])
def test_too_few_or_too_small(tmp_path, wrong):
    with pytest.raises(ImgregError, match="--n of at least 1"):
        angle.draw(tmp_path / "drawn", **wrong)
