"""Names in options: whatever they hold, what is written in quotes is read again as it was."""
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.tasks import Number, Point, parse_for_table
from imgreg_fastai.utils import quoting

NAMES = st.text(st.sampled_from("ab:=,*\"' é°()"), min_size=1).filter(lambda name: name.strip())


@given(NAMES)
def test_a_quoted_name_is_read_as_it_was_and_a_plain_one_needs_no_quotes(name):
    assert quoting.unquote(quoting.quote(name)) == name
    for sign in ":=,":
        assert quoting.split(f"{quoting.quote(name)}{sign}x", sign, 1) == [quoting.quote(name), "x"]


@given(st.lists(NAMES, min_size=2, max_size=4, unique=True))
def test_a_target_of_any_columns_is_read_by_what_a_shell_hands_over(columns):
    typed = quoting.option("--target", quoting.target_text("t", columns[:2], "point"))
    option, spec = shlex.split(typed)
    assert option == "--target" and parse_for_table(spec, columns) == Point("t", tuple(columns[:2]))


@pytest.mark.parametrize(("text", "parts"), [
    ('a,"b,c",d', ["a", '"b,c"', "d"]), ("'a,b' , c", ["'a,b' ", " c"]), ('5", 6"', ['5"', ' 6"']),
    ('"a,b', ['"a', "b"]), ('"a"",b",c', ['"a"",b"', "c"]), ("", [""]),
])
def test_only_quotes_around_a_whole_part_count(text, parts):
    assert quoting.split(text, ",") == parts


@pytest.mark.parametrize(("spec", "target"), [
    ('"T, mean (°C)":number', Number("T, mean (°C)", ("T, mean (°C)",))),
    ('"a:b"="col,1":number', Number("a:b", ("col,1",))), ("a:b", Number("a:b", ("a:b",))),
    ("y='a:b'", Number("y", ("a:b",))), ('p="x*","y*":point', Point("p", ("x*", "y*"))),
])
def test_names_in_quotes_and_a_column_by_itself(spec, target):
    columns = ["T, mean (°C)", "col,1", "a:b", "x*", "y*", "xa", "ya"]
    assert parse_for_table(spec, columns) == target
