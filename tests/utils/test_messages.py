"""Errors: one line that tells what was expected, what was found and what to try, whatever they are made of."""
import copy
import logging
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.data.images import PictureError
from imgreg_fastai.utils.messages import (
    ITEM,
    PATH,
    SCREEN,
    ImgregError,
    close_matches,
    first_few,
    say,
    shorten,
    shorten_items,
    warn,
)

CELL = "9j/4AAQSkZJRgAB" * 9000  # an image in base64
ANYTHING = st.text(st.characters(), max_size=80).flatmap(  # lone surrogates and escapes, too; sometimes very long
    lambda text: st.sampled_from([text, text * 40, f"'{text}'", f"'{text * 30}' in '/a/{text * 30}'"]))


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


@given(ANYTHING, st.integers(20, 200))
def test_a_short_value_is_one_line_that_a_terminal_can_show(text, limit):
    value = shorten(text, limit)
    assert len(value) <= limit and value.isprintable()
    assert value.encode().decode() == value
    if text.isprintable() and len(text) <= limit:
        assert value == " ".join(text.split())


@given(ANYTHING, ANYTHING, ANYTHING)
def test_no_message_is_longer_than_a_screen(expected, actual, hint):
    text = str(ImgregError(expected, actual, hint))
    assert len(text) <= SCREEN and text.isprintable() and text.startswith("expected")
    assert not hint.strip() or "; try" in text


@given(ANYTHING, ANYTHING)
def test_a_hint_that_can_be_typed_stays_whole(expected, actual):
    hint = f"imgreg check /data/{'long name ' * 20}/labels.csv --target age"
    assert str(ImgregError(expected, actual, hint)).endswith(f"; try {hint}")


@pytest.mark.parametrize("cell", [CELL, "23 45 12 " * 10_000, "ab" * 50_000])
def test_a_huge_cell_is_quoted_by_its_ends(cell):
    text = str(ImgregError("a number in 'age'", f"'{cell}' in 'labels.csv'", "--target age"))
    assert text.startswith("expected a number in 'age'; found '" + cell[:20]) and "…" in text
    assert text.endswith(f"{cell[-20:].strip()}' in 'labels.csv'; try --target age") and len(text) < PATH


def test_many_long_names_stay_short():
    text = first_few(f"{n}{'x' * 500}" for n in range(500))
    assert text.startswith("0xxx") and text.endswith("xxx and 495 more") and len(text) <= 5 * (ITEM + 2) + 20


def test_what_is_short_stays_as_it_is():
    text = f"a table's column ' age', the images' names 'it's 5 o'clock' and '/tmp/{'folder/' * 15}labels.csv'"
    assert shorten_items(text) == text
    assert str(ImgregError(text)) == f"expected {text}"


@pytest.mark.parametrize("log", [say, warn])
def test_what_is_logged_is_short_and_cannot_move_the_cursor(log, caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        log(f"left out \x1b[2J'{CELL}'\r\nof \udcff {'name ' * 500}: try --target age")
    text = caplog.messages[0]
    assert text.startswith(r"left out \x1b[2J'9j/4AAQ") and text.endswith("try --target age")
    assert len(text) <= SCREEN and text.isprintable()
