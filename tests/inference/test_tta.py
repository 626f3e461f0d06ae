"""Test-time augmentation: what moves with the image comes back where it was, and what does not is averaged away."""
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation as R

from imgreg_fastai import runs
from imgreg_fastai.api import functions
from imgreg_fastai.evaluation import metrics
from imgreg_fastai.inference import tta
from imgreg_fastai.inference.predictor import Predictor
from imgreg_fastai.inference.tta import Move
from imgreg_fastai.tasks import ANGLE, HEADPOSE, Angle, Motion, Number, Point, Rotation, Task
from imgreg_fastai.training import augment
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, said
from tests.inference.test_conformal import plain

MOVED = ("flip", "quarter")
STILL = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
WAY = Angle("way", ("way",), in_plane=True, zero=30.0, clockwise=True)
FAR = Number("far", ("far",), low=1.0, high=200.0, scale="log", laws=MOVED)
POSE = Rotation("pose", ("yaw", "pitch", "roll"), camera_frame=True)
SPOTS = Point("spots", ("rx", "ry", "bx", "by"), follows=True)
ALL = (SPOTS, FAR, POSE, WAY)
TILT = R.from_euler("x", 0.4).as_matrix()


def task(*targets, size=(48, 48), augment=MOVED, **more):
    return Task("seen", targets or ALL, size=size, augment=augment, **more)


def model(of, answer, calibration=None):
    """A Predictor whose network gives `answer` (pixels [n, 3, h, w] of 0 to 1 as numpy -> outputs)."""
    about = {**STILL, "calibration": {"coverage": 0.9}}
    return Predictor(of, (lambda x: x, lambda x: torch.from_numpy(answer(x.numpy().astype(float)))), about,
                     calibration=calibration)


def blobs(pixels):
    """The middles [n, 2, 2] of what is red and of what is blue, x and y in pixels of the view; grey is padding."""
    padding = (np.abs(pixels * 255 - np.array([124.0, 116, 104])[:, None, None]) < 1).all(axis=1, keepdims=True)
    bright = np.where(padding | (pixels < 0.05), 0.0, pixels)[:, [0, 2]]
    y, x = np.mgrid[: pixels.shape[2], : pixels.shape[3]] + 0.5
    total = bright.sum(axis=(2, 3))
    return np.stack([(bright * x).sum(axis=(2, 3)) / total, (bright * y).sum(axis=(2, 3)) / total], axis=2)


def follows(pixels):
    """Outputs for ALL, moving with the image: where the blobs are, how far apart, and which way from red to blue."""
    spots = blobs(pixels)
    across = spots / (pixels.shape[3] / 2, pixels.shape[2] / 2) - 1
    apart = spots[:, 1] - spots[:, 0]
    far = np.linalg.norm(apart, axis=1)
    dx, dy = (apart / far[:, None]).T
    no, one = np.zeros_like(dx), np.ones_like(dx)
    frame = np.stack([dy, dx, no, -dx, dy, no, no, no, one], axis=1).reshape(-1, 3, 3)
    phi = np.rad2deg(np.arctan2(-dy, dx))  # counterclockwise as seen
    theta = np.deg2rad(WAY.zero - phi)
    return np.hstack([across.reshape(-1, 4), FAR.encode_labels(far[:, None]), (frame @ TILT).reshape(-1, 9),
                      np.stack([np.cos(theta), np.sin(theta)], 1)])


def values(frame, target):
    return frame[list(target.columns)].to_numpy(float)


# which moves

@pytest.mark.parametrize(("of", "n"), [
    (ANGLE, 8), (replace(ANGLE, size=(60, 100)), 4), (replace(ANGLE, augment=("flip",)), 2), (HEADPOSE, 2),
    (replace(HEADPOSE, size=(224, 224)), 2),  # no head was shown upside down
    (task(replace(SPOTS, mirror=False), augment=("quarter",)), 4),
    (task(replace(FAR, laws=("flip",)), augment=("colour", "flip")), 2),
])
def test_as_many_moves_as_the_laws_and_the_training_allow(of, n):
    found = tta.moves_for(of)
    assert len(found) == len(set(found)) == n and found[0] == Move(False, 0)


@pytest.mark.parametrize("of", [
    task(replace(FAR, laws=()), augment=()), task(replace(FAR, laws=()), SPOTS, augment=()),
    task(replace(WAY, in_plane=False), augment=()), task(replace(FAR, laws=("flip",)), augment=("colour",)),
    task(replace(SPOTS, mirror=False), augment=("turn",)),
])
def test_a_task_without_a_move_is_told_so_in_one_line_before_the_work(of, spotted):
    one = model(of, follows)
    for call in (lambda: one.predict(list(spotted["path"]), tta=True),
                 lambda: one.predict_outputs(["nosuch.png"], tta=True),
                 lambda: metrics.predictions(one, spotted, tta=True),
                 lambda: functions.predict(one, "nosuch", tta=True)):
        with pytest.raises(ImgregError, match=r"--tta with a task whose laws.*'seen'.*trained with flip") as e:
            call()
        assert "\n" not in str(e.value)


def test_one_target_without_a_law_bars_the_move_for_all():
    with pytest.raises(ImgregError, match="--tta"):
        tta.moves_for(task(WAY, replace(FAR, laws=()), augment=()))


# there and back

@pytest.mark.parametrize("move", tta.moves_for(ANGLE))
@pytest.mark.parametrize("size", [(6, 6), (4, 6)])
def test_pixels_move_as_in_training_and_every_kind_comes_back(move, size):
    if size[0] != size[1] and move.quarters % 2:
        return
    pixels = np.random.default_rng(0).integers(0, 256, (3, *size, 3), dtype=np.uint8)
    aspect, one = size[1] / size[0], np.ones(3)
    there = Motion(move.mirrored * one, 90.0 * move.quarters * one, one, np.zeros((3, 2)), aspect)
    warped = augment.warp(torch.from_numpy(pixels).permute(0, 3, 1, 2), there).permute(0, 2, 3, 1)
    assert np.array_equal(move.apply(pixels), warped.numpy())
    for target, labels in ((SPOTS, [[-0.5, 0.2, 0.9, -0.3]]), (WAY, [[33.0]]), (POSE, [[20.0, -35.0, 70.0]]),
                           (FAR, [[7.0]]), (replace(SPOTS, flip_pairs=((0, 1),)), [[-0.5, 0.2, 0.9, -0.3]])):
        start = np.tile(labels, (3, 1))
        again = target.transform_labels(target.transform_labels(start, there), move.inverse(3, aspect))
        assert target.error(again, start) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("size", [(48, 48), (32, 48), (60, 36)])
@pytest.mark.parametrize(("fit", "box"), [("pad", ()), ("squish", ()), ("pad", BOX)])
def test_what_moves_with_the_picture_is_not_changed_by_moving_it(spotted, size, fit, box):
    """All kinds at once, of images of four shapes; a network that follows them exactly."""
    bent = fit == "squish"
    of = task(*ALL, size=size, augment=("flip",) if bent else MOVED, fit=fit, box=box, margin=1.0)
    one, boxes = model(of, follows), spotted[list(BOX)].to_numpy() if box else None
    assert len(tta.moves_for(of)) == (2 if bent else 8 if size[0] == size[1] else 4)
    alone, moved = (one.predict(list(spotted["path"]), boxes, bs=5, tta=tta) for tta in (False, True))
    assert list(alone.columns) == list(moved.columns) and len(moved) == 16
    for target in ALL:
        assert np.ptp(values(alone, target), axis=0).min() > 0
        assert target.error(values(moved, target), values(alone, target)) == pytest.approx(0, abs=1e-3)


def test_points_that_a_mirror_makes_one_another_change_places_twice(spotted):
    """Left is whatever lies further left: in a mirrored image it is the other one."""
    def sided(pixels):
        spots = blobs(pixels)
        order = np.argsort(spots[:, :, 0], axis=1)[:, :, None]
        across = np.take_along_axis(spots, order, axis=1) / (pixels.shape[3] / 2, pixels.shape[2] / 2) - 1
        return across.reshape(-1, 4)

    paired = task(replace(SPOTS, flip_pairs=((0, 1),)), size=(32, 48), augment=("flip",))
    alone, moved = (model(paired, sided).predict(list(spotted["path"]), tta=tta) for tta in (False, True))
    assert values(moved, SPOTS) == pytest.approx(values(alone, SPOTS), abs=1e-3)
    wrong = model(replace(paired, targets=(SPOTS,)), sided).predict(list(spotted["path"]), tta=True)
    assert np.abs(values(wrong, SPOTS) - values(alone, SPOTS)).max() > 1


# what does not move

def always(*outputs):
    return lambda pixels: np.tile(np.asarray(outputs, float), (len(pixels), 1))


PICTURE = np.zeros((40, 60, 3), np.uint8)


@pytest.mark.parametrize(("moves", "size", "expected"), [
    (("flip",), (48, 48), (30, 26)), (MOVED, (48, 48), (30, 20)), (MOVED, (32, 48), (30, 20)),
])
def test_a_place_that_never_moves_is_brought_to_the_axis_or_the_middle(moves, size, expected):
    one = model(task(Point("p", ("x", "y"), follows=True), size=size, augment=moves), always(0.4, 0.2 * 48 / size[0]))
    assert values(one.predict(PICTURE, tta=True), one.task.targets[0])[0] == pytest.approx(expected, abs=0.3)


@pytest.mark.parametrize(("zero", "clockwise"), [(0, False), (90, True), (30, True), (-45, False)])
def test_a_direction_that_never_moves_is_brought_to_straight_up_or_down(zero, clockwise):
    """The mirror image of phi is 180 - phi, between which lies 90 or 270."""
    way = Angle("way", ("way",), in_plane=True, zero=zero, clockwise=clockwise)
    one = model(task(way, augment=("flip",)), always(np.cos(0.3), np.sin(0.3)))
    phi = zero + (-1 if clockwise else 1) * one.predict(PICTURE, tta=True)["way"][0]
    assert abs(np.cos(np.deg2rad(phi))) < 1e-9


def test_a_rotation_that_never_moves_loses_its_yaw_and_roll_in_the_mirror():
    matrix = POSE.matrix(np.array([[25.0, -40.0, 15.0]]))[0]
    one = model(task(POSE, size=(32, 48), augment=("flip",)), always(*matrix.ravel()))
    yaw, pitch, roll = values(one.predict(PICTURE, tta=True), POSE)[0]
    assert (yaw, roll) == pytest.approx((0, 0), abs=1e-6) and -60 < pitch < -20


def test_a_number_whose_law_is_declared_stays_and_unlike_ones_are_averaged_by_their_kind():
    steady = model(task(FAR), always(FAR.encode_labels(np.array(20.0))))
    assert steady.predict(PICTURE, tta=True)["far"][0] == pytest.approx(20)
    lit = np.zeros((48, 48, 3), np.uint8)
    lit[:, :24] = 255
    sided = lambda pixels: FAR.encode_labels(np.where(pixels[:, :1, 0, 0] > 0.5, 4.0, 100.0))  # noqa: E731
    flipped = task(replace(FAR, laws=("flip",)), augment=("flip",))
    plainly = replace(flipped, targets=(replace(flipped.targets[0], scale="linear"),))
    assert model(flipped, sided).predict(lit, tta=True)["far"][0] == pytest.approx(20)
    linear = lambda pixels: plainly.targets[0].encode_labels(np.where(pixels[:, :1, 0, 0] > 0.5, 4.0, 100.0))  # noqa: E731
    assert model(plainly, linear).predict(lit, tta=True)["far"][0] == pytest.approx(52)


# through everything

def test_intervals_are_those_of_the_picture_as_it_is(spotted):
    of = task(FAR)
    one = model(of, lambda pixels: FAR.encode_labels(50 + 100 * pixels[:, 0, 0, :1] + 20 * pixels[:, 2, 5, 7:8]))
    one.network = (lambda x: x[:, :, 3, 3], lambda x: torch.zeros(len(x), 1))
    one = replace(one, calibration=plain(np.arange(1, 40.0), features=3))
    alone, moved = (one.predict(list(spotted["path"]), tta=tta) for tta in (False, True))
    assert (moved["far_within"] == alone["far_within"]).all() and (moved["ood"] == alone["ood"]).all()


@pytest.mark.usefixtures("without_plots")
def test_a_run_is_evaluated_and_predicts_by_averages(run, drawn, tmp_path, capsys):
    copy = shutil.copytree(run.path, tmp_path / "angle-001")
    alone, moved = (functions.evaluate(copy, tta=tta) for tta in (False, True))
    assert moved["folder"].endswith("evaluations/valid-tta")
    alone, moved = alone["scores"], moved["scores"]
    assert moved["angle"]["n"] == alone["angle"]["n"]
    assert moved["angle"]["mean"] != alone["angle"]["mean"]
    told = said(capsys, "evaluate", copy, "--tta")
    assert f"angle error {metrics.format_value(moved['angle']['mean'], '°')}" in told and "valid-tta-002" in told
    held = runs.load_run(copy).labels.query("split == 'valid'")
    by_hand = metrics.predictions(functions.load(copy), held, tta=True)["angle_error"].mean()
    assert by_hand == pytest.approx(moved["angle"]["mean"], rel=1e-5)
    rows = json.loads(said(capsys, "predict", copy, *held["path"], "--tta", "--format", "json"))
    ours = metrics.predictions(functions.load(copy), held, tta=True)["angle_predicted"]
    assert [row["angle"] for row in rows] == pytest.approx(list(ours), abs=1e-3)
    nothing = functions.load(copy).predict_outputs([tmp_path / "gone.png"], tta=True)
    assert len(nothing.broken) == 1 and functions.load(copy).decode(nothing)["angle"].shape == (0,)
