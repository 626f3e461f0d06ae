"""Errors: one line that tells what was expected, what was found and what to try, whatever they are made of."""
import copy
import pickle

import pytest

from imgreg_fastai.data.images import PictureError
from imgreg_fastai.utils.messages import ImgregError, close_matches, first_few


def test_a_message_tells_what_was_expected_found_and_what_to_try():
    error = ImgregError("a table", "nothing", "imgreg data angle")
    assert str(error) == "expected a table; found nothing; try imgreg data angle"
    assert (error.expected, error.actual, error.hint) == ("a table", "nothing", "imgreg data angle")


@pytest.mark.parametrize(("parts", "text"), [
    (("a",), "expected a"), (("a", "b"), "expected a; found b"), (("a", None, "c"), "expected a; try c"),
    (("a", "", "c"), "expected a; try c"),
])
def test_parts_that_are_missing_leave_no_trace(parts, text):
    assert str(ImgregError(*parts)) == text


def test_a_message_of_many_lines_becomes_one():
    assert str(ImgregError("a\n  b", "c\r\nd\te", " f \n")) == "expected a b; found c d e; try f"


@pytest.mark.parametrize("cls", [ImgregError, PictureError])
def test_errors_come_whole_out_of_a_worker_process(cls):
    error = cls("a", "b", "c")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is cls and str(again) == str(error)
        assert (again.expected, again.actual, again.hint) == ("a", "b", "c")


def test_nearest_gives_the_likely_names_best_first():
    names = ["resnet18", "resnet10t", "vit_tiny", "convnext_atto", "mobilenet", "efficientnet", "swin"]
    assert close_matches("resnet81", names).startswith("'resnet18'") and "vit" not in close_matches("resnet81", names)
    assert close_matches("zzz", names) == ""
    assert close_matches("resnet18", [f"resnet{i}" for i in range(10, 30)]).count("'") == 6


def test_nearest_gives_all_of_a_short_list_if_none_is_like_it():
    assert close_matches("zzz", ["pad", "squish", "crop", "a"]) == "'pad', 'squish', 'crop', 'a'"
    assert close_matches("zzz", iter(["pad", "crop"])) == "'pad', 'crop'"
    assert close_matches("zzz", []) == ""


@pytest.mark.parametrize(("n", "text"), [
    (0, ""), (1, "0"), (5, "0, 1, 2, 3, 4"), (6, "0, 1, 2, 3, 4 and 1 more"), (100, "0, 1, 2, 3, 4 and 95 more"),
])
def test_some(n, text):
    assert first_few(range(n)) == first_few(iter(range(n))) == text


def test_some_of_as_many_as_one_likes():
    assert first_few("abc", 2) == "a, b and 1 more"
