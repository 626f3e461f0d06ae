import copy
import re

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.transform import Rotation

from imgreg_fastai.datasets import biwi
from imgreg_fastai.datasets.cameras import Camera, read_calibration, read_pose
from imgreg_fastai.datasets.drawing import heads, processes
from imgreg_fastai.datasets.drawing.backgrounds import draw_room
from imgreg_fastai.datasets.drawing.people import Person
from imgreg_fastai.datasets.drawing.rendering import Light, render
from imgreg_fastai.utils.messages import ImgregError
from tests.datasets.test_drawings import Inline

NAMES = sorted(set(biwi.PEOPLE.values()))
CENTRED = Camera(np.array([[517.679, 0, 320], [0, 517.679, 240], [0, 0, 1]]), np.eye(3), np.zeros(3), (640, 480))
MIRROR = np.diag([-1.0, 1, 1])
people = st.builds(Person, st.sampled_from(NAMES), st.integers(0, 20))
few = settings(max_examples=8, deadline=None)


def rotation(yaw, pitch, roll):
    return Rotation.from_euler("XYZ", [-pitch, yaw, roll], degrees=True).as_matrix()


def poses(far=1.0):
    yaw, pitch, roll = (st.floats(-far * limit, far * limit) for limit in (75, 60, 50))
    return st.builds(rotation, yaw, pitch, roll)


places = st.builds(lambda x, y, z: np.array([x, y, z]), st.floats(-150, 150), st.floats(-120, 60), st.floats(750, 1200))
lights = st.builds(lambda x, y: Light((x, y, -0.8)), st.floats(-1, 1), st.floats(-1, 0))


def with_looks(who, **looks):
    """The person with other looks."""
    other = copy.copy(who)
    vars(other).update(looks)
    return other


def landmarks(who):
    """Points on the head's surface, [3] each in mm in its own frame."""
    return {name: np.multiply(who.scale, point) for name, point in who.points().items()}


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def angles(matrices):
    pitch, yaw, roll = Rotation.from_matrix(matrices).as_euler("XYZ", degrees=True).T * [[-1], [1], [1]]
    return yaw, pitch, roll


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return heads.draw(tmp_path_factory.mktemp("heads") / "biwi", n=40, seed=3, jobs=1)


def test_the_folder_is_shaped_like_biwi(drawn):
    assert sorted(p.name for p in drawn.iterdir()) == sorted(biwi.PEOPLE)
    assert len(list(drawn.rglob("*_rgb.jpg"))) == 40
    cameras = {}
    for name in biwi.PEOPLE:
        files = {p.name for p in (drawn / name).iterdir()}
        numbers = sorted(int(m[1]) for f in files if (m := re.fullmatch(r"frame_(\d{5})_rgb\.jpg", f)))
        frames = {f"frame_{n:05}_{kind}" for n in numbers for kind in ("rgb.jpg", "pose.txt")}
        assert files == {"rgb.cal", "depth.cal"} | frames
        assert len(numbers) in (1, 2)
        late = name == "06" or int(name) > 14
        assert numbers[0] == (0 if late else 3)
        cameras.setdefault((drawn / name / "rgb.cal").read_bytes(), set()).add(late)
    assert sorted(cameras.values(), key=str) == [{False}, {True}]
    with Image.open(next(drawn.rglob("*.jpg"))) as picture:
        assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (640, 480))


def test_files_hold_what_was_drawn(drawn):
    for person in ("02", "20"):
        n = len(list((drawn / person).glob("*_rgb.jpg")))
        camera = read_calibration(drawn / person / "rgb.cal")
        assert np.abs(camera.rotation @ camera.rotation.T - np.eye(3)).max() < 2e-5
        for number, turn, centre, *_ in heads.plan_frames(person, n, 3):
            seen = camera.from_depth_frame(*read_pose(drawn / person / f"frame_{number:05}_pose.txt"))
            assert seen[0] == pytest.approx(turn, abs=1e-4)
            assert seen[1] == pytest.approx(centre, abs=0.05)


def test_same_seed_same_bytes_whatever_the_jobs(drawn, tmp_path):
    assert contents(heads.draw(tmp_path / "three", n=40, seed=3, jobs=3)) == contents(drawn)
    other = contents(heads.draw(tmp_path / "other", n=24, seed=4, jobs=2))
    assert other["01/frame_00003_rgb.jpg"] != contents(drawn)["01/frame_00003_rgb.jpg"]


def test_numbers_have_gaps_and_neighbours_are_close():
    numbers, turns, centres, *_ = zip(*heads.plan_frames("01", 300, 0), strict=True)
    turns = np.array(turns)
    steps = np.diff(numbers)
    assert steps.min() == 1
    assert 3 <= (steps > 1).sum() <= 60
    apart = np.degrees(Rotation.from_matrix(turns[:-1].transpose(0, 2, 1) @ turns[1:]).magnitude())
    assert np.median(apart) < 12
    assert apart[steps == 1].max() < 15
    assert np.linalg.norm(np.diff(centres, axis=0), axis=1)[steps == 1].max() < 60


def test_poses_cover_the_range_and_heads_stay_in_the_picture():
    ways = [heads.random_motion(208, np.random.default_rng(i)) for i in range(24)]
    turns, centres = (np.concatenate(v) for v in zip(*ways, strict=True))
    found = angles(turns)
    for values, limit in zip(found, (75, 60, 50), strict=True):
        assert 0.9 * limit < np.abs(values).max() <= limit + 1e-6
        assert np.histogram(values, np.linspace(-limit, limit, 7))[0].min() > 0.015 * len(values)
    assert sum((v / limit) ** 2 for v, limit in zip(found, (75, 60, 50), strict=True)).max() < 1.35
    assert np.linalg.norm(centres, axis=1).min() > 740
    assert centres[:, 2].max() < 1210
    x, y = CENTRED.project(centres).T
    assert (x.min(), x.max()) == pytest.approx((210, 430), abs=20)
    assert (y.min(), y.max()) == pytest.approx((150, 300), abs=20)


def test_twenty_people_and_rooms_differ():
    everybody = [Person(name, 0) for name in NAMES]
    assert len({str(vars(p)) for p in everybody}) == 20
    pictures = np.stack([render(p, np.eye(3), np.array([0, 0, 900.0]), CENTRED) for p in everybody])
    rooms = np.stack([draw_room(k) for k in range(20)])
    for seen, least in ((pictures[:, 150:330, 250:390], 8), (rooms, 12)):
        small = seen[:, ::4, ::4].reshape(20, -1).astype(float)
        apart = np.abs(small[:, None] - small).mean(-1)
        assert apart[~np.eye(20, dtype=bool)].min() > least
    assert vars(Person("F01", 0)) == vars(everybody[0]) != vars(Person("F01", 1))


def spots(who, pose, centre, **colours):
    """Middles in x, y and the numbers of the pixels that change with a colour of a person."""
    one, two = (render(with_looks(who, **{k: v[i] for k, v in colours.items()}), pose, centre, CENTRED).astype(int)
                for i in range(2))
    apart = np.abs(one - two).sum(-1)
    rows, columns = np.nonzero(apart > 30)
    weights = apart[rows, columns]
    return np.array([columns + 0.5, rows + 0.5]), weights


@few
@given(people, poses(0.6), places)
def test_the_nose_is_seen_where_it_projects(who, pose, centre):
    who = with_looks(who, beard="", glasses=None)
    at, weights = spots(who, pose, centre, nose_tip=((255, 0, 0), (0, 255, 255)))
    nose = CENTRED.project(pose @ landmarks(who)["nose"] + centre)[0]
    near = np.linalg.norm(at - nose[:, None], axis=0) < 9  # the cheeks and ears blush in the same colour
    assert near.sum() > 20
    assert np.average(at[:, near], axis=1, weights=weights[near]) == pytest.approx(nose, abs=4)  # 3.004 was seen


@few
@given(people, poses(0.5), places)
def test_the_eyes_are_seen_where_they_project(who, pose, centre):
    who = with_looks(who, glasses=None, hair="short", brows=(0.5, 0))
    at, weights = spots(who, pose, centre, iris=((255, 0, 0), (0, 255, 255)))
    points = landmarks(who)
    left, right = CENTRED.project(np.array([pose @ points[f"{s}_eye"] + centre for s in ("left", "right")]))
    own = np.linalg.norm(at - left[:, None], axis=0) < np.linalg.norm(at - right[:, None], axis=0)
    assert len(weights) > 8
    for eye, mine in ((left, own), (right, ~own)):
        if mine.sum() > 12:
            assert np.average(at[:, mine], axis=1, weights=weights[mine]) == pytest.approx(eye, abs=2.5)


def test_a_head_of_no_rotation_looks_into_the_camera():
    far = np.array([0, 0, 900])
    points = {k: CENTRED.project(v + far)[0] for k, v in landmarks(Person("M01", 0)).items()}
    assert points["left_eye"][0] > 320 > points["right_eye"][0]  # the person's left is the image's right
    assert points["top"][1] < points["left_eye"][1] < points["nose"][1] < points["mouth"][1] < points["chin"][1]
    nose = {k: CENTRED.project(rotation(*turn) @ landmarks(Person("M01", 0))["nose"] + far)[0]
            for k, turn in {"yaw": (40, 0, 0), "pitch": (0, 40, 0)}.items()}
    assert nose["yaw"][0] < 300  # positive yaw: to the image's left
    assert nose["pitch"][1] < 240  # positive pitch: up


@few
@given(people, poses(), places, lights)
def test_a_mirrored_pose_is_the_mirrored_picture(who, pose, centre, light):
    one = render(who, pose, centre, CENTRED, light)
    mirrored = light._replace(towards=tuple(MIRROR @ light.towards))
    other = render(who, MIRROR @ pose @ MIRROR, MIRROR @ centre, CENTRED, mirrored)
    apart = np.abs(one[:, ::-1].astype(int) - other)
    assert (one != 128).any(-1).mean() > 0.05
    assert apart.mean() < 0.02  # rounding may decide differently on an edge
    assert (apart.max(-1) > 8).mean() < 1e-3


@few
@given(people, poses(), places, lights, st.sampled_from([-40, -15, 20, 90]))
def test_a_turned_pose_is_the_turned_picture(who, pose, centre, light, degrees):
    turn = Rotation.from_euler("z", degrees, degrees=True).as_matrix()
    assume(np.hypot(*CENTRED.project(centre)[0] - [320, 240]) < 60)
    one = render(who, pose, centre, CENTRED, light, body=np.eye(3))
    turned = light._replace(towards=tuple(turn @ light.towards))
    other = render(who, turn @ pose, turn @ centre, CENTRED, turned, body=turn)
    expected = np.asarray(Image.fromarray(one).rotate(-degrees, Image.Resampling.BICUBIC))  # clockwise for positive
    rows, columns = np.mgrid[:480, :640]
    near = np.hypot(rows - 239.5, columns - 319.5) < 200  # what is outside one of the two images is not compared
    apart = np.abs(expected.astype(int) - other)[near]
    wrong = np.abs(np.asarray(Image.fromarray(one).rotate(degrees)).astype(int) - other)[near]
    assert apart.mean() < 1.5 < wrong.mean()


def test_a_person_outside_the_picture_leaves_the_background():
    background = draw_room(3)
    picture = render(Person("F02"), np.eye(3), np.array([3000.0, 0, 900]), CENTRED, background=background)
    assert (picture == background).all()


@pytest.mark.parametrize("wrong", [{"n": 23}, {"n": 24, "seed": -1}])
def test_too_few(tmp_path, wrong):
    with pytest.raises(ImgregError, match="--n of at least 24"):
        heads.draw(tmp_path / "drawn", **wrong)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_is_used_and_the_path_is_returned_as_given(tmp_path, monkeypatch):
    monkeypatch.setattr(heads, "_write", lambda folder, name, *_: (folder / name).mkdir())
    monkeypatch.setattr(processes, "ProcessPoolExecutor", Inline)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert str(heads.draw("empty", n=24)) == "empty"
    assert sorted(p.name for p in (tmp_path / "empty").iterdir()) == sorted(biwi.PEOPLE)
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]
