"""Left and right points: found by their names, read from what the user gives, and never guessed at."""
import json
from dataclasses import replace

import pytest

from imgreg_fastai import tasks
from imgreg_fastai.tasks import MOVES, Number, Point, pairs_by_name, read_pairs, with_flip_pairs
from imgreg_fastai.utils.messages import ImgregError


def columns(*names):
    return tuple(f"{name}_{axis}" for name in names for axis in "xy")


def point(*names, name="face"):
    return Point(name, columns(*names))


FACE = point("left_eye", "right_eye", "nose")
DOTS = point(*(f"p{i:02}" for i in range(68)))


@pytest.mark.parametrize(("of", "called"), [
    (("nose_x", "nose_y"), ("nose",)), (("x_nose", "y_nose"), ("nose",)), (("p00_x", "p00_y"), ("p00",)),
    (("x1", "y1", "x2", "y2"), ("1", "2")), (("lx", "ly", "rx", "ry"), ("l", "r")), (("noseX", "noseY"), ("nose",)),
    (("x", "y"), ("place",)), (("a", "b"), ("place",)), (("a", "b", "nose_x", "nose_y"), ("0", "nose")),
    (("tip_x_px", "tip_y_px"), ("tip_px",)), (("a_x", "a_y", "a.x", "a.y"), ("0", "1")), (("鼻_x", "鼻_y"), ("鼻",)),
])
def test_points_are_called_by_what_their_columns_share(of, called):
    assert Point("place", of).names == called


@pytest.mark.parametrize(("names", "pairs"), [
    (("left_eye", "right_eye", "nose"), ((0, 1),)), (("LeftEye", "RightEye"), ((0, 1),)),
    (("rightEye", "nose", "leftEye"), ((0, 2),)), (("eye_L", "eye_R"), ((0, 1),)), (("l_eye", "r_eye"), ((0, 1),)),
    (("LEye", "REye"), ((0, 1),)), (("lefteye", "righteye", "leftmouth", "rightmouth"), ((0, 1), (2, 3))),
    (("LEFT_EYE", "RIGHT_EYE"), ((0, 1),)), (("left_1", "left_2", "right_1", "right_2"), ((0, 2), (1, 3))),
    (("L1", "R1", "L2", "R2"), ((0, 1), (2, 3))), (("l", "r", "nose"), ((0, 1),)), (("eyeleft", "eyeright"), ((0, 1),)),
    (("left_eye_left", "right_eye_right", "left_eye_right", "right_eye_left"), ((0, 1), (2, 3))),
    (("left eye", "right eye"), ((0, 1),)), (("nose", "chin"), ()), (("brightness", "upright"), ()),
    (tuple("jklmnopqr"), ()),  # letters, and no sides
])
def test_pairs_are_found_by_name(names, pairs):
    assert pairs_by_name(columns(*names)) == (pairs, ())


@pytest.mark.parametrize(("names", "alone"), [
    (("left_eye",), ("left_eye",)), (("left_eye", "right_eye", "left_ear"), ("left_ear",)),
    (("eye_L", "nose"), ("eye_L",)), (("left_1", "right_2"), ("left_1", "right_2")),
])
def test_a_side_without_the_other_is_told(names, alone):
    assert pairs_by_name(columns(*names))[1] == alone


# --flip-pairs

def test_pairs_by_name_by_column_by_number_and_by_file(tmp_path):
    assert read_pairs("p00:p16, p17_x:p26_y", [DOTS]) == {"face": ((0, 16), (17, 26))}
    assert read_pairs([("left_eye", "right_eye")], [FACE]) == {"face": ((0, 1),)}
    assert read_pairs("1:2", [Point("p", ("x1", "y1", "x2", "y2"))]) == {"p": ((0, 1),)}
    assert read_pairs("none", [FACE]) == {"face": ()}
    file = tmp_path / "paare ä.txt"
    file.write_text("\ufeff# jaw\np00:p16\n\np01,p15\np02 p14  # seen from the front\n", "utf-8")
    assert read_pairs(file, [DOTS]) == read_pairs(str(file), [DOTS]) == {"face": ((0, 16), (1, 15), (2, 14))}
    assert read_pairs("a:b", [FACE, point("a", "b", name="hand")]) == {"face": (), "hand": ((0, 1),)}


@pytest.mark.parametrize(("given", "told"), [
    ("p00:p99", "names of points: p00, p01.*found 'p99'; try 'p"), ("p00", "LEFT:RIGHT.*found 'p00'"),
    ("p00:p01:p02", "found 'p00:p01:p02'"), ("p00:", "found 'p00:'"), ("p00:p00", "each point once; found p00:p00"),
    ("p00:p01,p01:p02", "each point once; found p01:p02"), ("", "found no pair in ''"), ("pairs.txt", "'pairs.txt'"),
    ("p00:a", "points of one target.*'p00' of face and 'a' of hand"), ("x" * 5000, "LEFT:RIGHT"),
    ([("p00", "p01", "p02")], "found 'p00:p01:p02'"), ([], "no pair"),
])
def test_pairs_of_no_use_are_one_line(given, told):
    with pytest.raises(ImgregError, match=told) as e:
        read_pairs(given, [DOTS, point("a", "b", name="hand")])
    assert "\n" not in str(e.value)


def test_a_file_without_pairs_or_of_no_text_is_one_line(tmp_path):
    (tmp_path / "empty.txt").write_text("# nothing\n")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00\xd8")
    for name in ("empty.txt", "bytes.txt"):
        with pytest.raises(ImgregError, match="--flip-pairs"):
            read_pairs(tmp_path / name, [DOTS])


# what becomes of a target

def test_named_sides_let_pictures_be_mirrored_and_it_is_told():
    (face, age), told = with_flip_pairs((FACE, Number("age", ("age",))))
    assert face == replace(FACE, follows=True, flip_pairs=((0, 1),)) and face.moves == MOVES
    assert age == Number("age", ("age",))
    assert told == ["face: a mirror swaps left_eye and right_eye (--flip-pairs changes it)"]


@pytest.mark.parametrize(("of", "why"), [
    (DOTS, "names do not tell left from right"), (point("left_eye"), "left_eye without the other side"),
    (point("a", "b"), "names do not tell"), (point("left_eye", "right_eye", "p1"), "names do not tell"),
    (point("left_eye", "right_eye", "left_ear"), "left_ear without"), (Point("p", ("a", "b", "c", "d")), "do not tell"),
])
def test_where_left_and_right_are_not_known_nothing_is_mirrored(of, why):
    (done,), (told,) = with_flip_pairs([of])
    assert done.moves == tuple(m for m in MOVES if m != "flip") and done.flip_pairs == ()
    assert why in told and "--flip-pairs" in told and "\n" not in told


def test_a_single_point_without_a_side_stays_itself():
    (done,), (told,) = with_flip_pairs([Point("centre", ("x", "y"))])
    assert done.moves == MOVES and done.flip_pairs == () and "can be mirrored without swapping points" in told


def test_targets_of_one_name_stay_what_they_are():
    """A Task refuses them, and names what they share."""
    age, first, second = Number("a", ("age",)), Point("a", ("b_x", "b_y")), Point("a", ("c_x", "c_y"))
    changed, lines = with_flip_pairs([age, first, second])
    assert [t.columns for t in changed] == [t.columns for t in (age, first, second)] and len(lines) == 2
    with pytest.raises(ImgregError, match=r"found a, a_within$"):
        tasks.Task("t", changed)


def test_names_of_points_are_listed_once():
    points = [Point("a", ("nose_x", "nose_y")), Point("b", ("nose.x", "nose.y"))]
    with pytest.raises(ImgregError, match=r"names of points: nose; found 'mouth'"):
        read_pairs("mouth:nose", points)


def test_what_is_given_goes_before_what_is_found():
    (done,), _ = with_flip_pairs([DOTS], "p00:p16,p01:p15")
    assert done.flip_pairs == ((0, 16), (1, 15)) and done.moves == MOVES
    (done,), (told,) = with_flip_pairs([DOTS], "none")
    assert done.flip_pairs == () and done.moves == MOVES and "can be mirrored without swapping points" in told
    body = point("left_eye", "right_eye", "left_1", "right_1", "right_2", "left_2")
    (done,), _ = with_flip_pairs([body], "left_1:right_2,right_1:left_2")
    assert done.flip_pairs == ((2, 4), (3, 5), (0, 1))  # those not spoken of are found by name
    (done, hand), _ = with_flip_pairs([FACE, point("a", "b", name="hand")], "a:b")
    assert done.flip_pairs == hand.flip_pairs == ((0, 1),)
    (done,), _ = with_flip_pairs([point("left_eye", "right_eye", "left_ear")], "left_eye:right_eye")
    assert "flip" not in done.moves
    with pytest.raises(ImgregError, match="--flip-pairs with a target of points; found number 'age'"):
        with_flip_pairs([Number("age", ("age",))], "a:b")


def test_mirror_goes_to_json_and_back():
    (done,), _ = with_flip_pairs([DOTS])
    again = tasks.target_from_dict(json.loads(json.dumps(done.to_dict())))
    assert again == done and not again.mirror
    old = {k: v for k, v in FACE.to_dict().items() if k not in ("mirror", "weight")}
    assert tasks.target_from_dict(old) == FACE
    for mirror in ("no", 0, None):
        with pytest.raises(ImgregError, match="fields of a target of kind point"):
            tasks.target_from_dict({**FACE.to_dict(), "mirror": mirror})
