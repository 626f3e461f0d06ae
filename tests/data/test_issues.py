"""A finding is told in one line, whatever it found and how often, and goes into JSON whole."""
import json

import pytest

from imgreg_fastai.data.issues import Issue


def test_it_tells_what_how_many_the_first_five_rows_and_how_many_more():
    few = Issue("absent", "leave out", (3, 9), 100, "no such image")
    assert few.describe() == "no such image: 2 of 100 rows (row 3, row 9)"
    many = Issue("word", "note", tuple(range(2, 14)), 100, "no number in age", "mend them")
    assert many.describe() == ("no number in age: 12 of 100 rows (row 2, row 3, row 4, row 5, row 6 and 7 more); "
                           "mend them")


def test_names_are_told_in_place_of_numbers_and_what_has_no_rows_tells_none():
    assert Issue("x", "note", (3,), 9, "odd", names=("row 3 'a.png'",)).describe() == "odd: 1 of 9 rows (row 3 'a.png')"
    few = Issue("few", "stop", (), 3, "only 3 usable rows", "label more")
    assert few.describe() == "only 3 usable rows; label more"


def test_it_is_one_line_even_if_a_label_is_not():
    assert "\n" not in Issue("word", "note", (2,), 9, "no number, such as 'a\nb'", "mend\nit").describe()


def test_all_rows_go_into_json():
    finding = Issue("x", "note", tuple(range(2, 2000)), 5000, "odd", "mend it", tuple(map(str, range(2, 2000))))
    again = json.loads(json.dumps(finding.to_dict()))
    assert again["rows"] == list(range(2, 2000)) and again["count"] == 1998 and again["total"] == 5000
    assert (again["kind"], again["level"], again["text"], again["then"]) == ("x", "note", "odd", "mend it")
    assert len(again["names"]) == 1998 and "names" not in Issue("x", "note", (2,), 9, "odd").to_dict()


def test_a_level_that_nobody_acts_on_is_refused():
    with pytest.raises(ValueError, match="stop, leave out, note"):
        Issue("x", "warning", (), 1, "odd")
