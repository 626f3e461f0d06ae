"""Columns that may name what several images show."""
import pandas as pd
import pytest

from imgreg_fastai.data.group_columns import describe_ungrouped, group_columns


def frame(**columns):
    n = 12
    return pd.DataFrame({"image": [f"{i}.png" for i in range(n)], "age": range(n), **columns})


@pytest.mark.parametrize(("columns", "found"), [
    ({"person": [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]}, ["person"]),
    ({"PatientID": list("aabbccddeeff")}, ["PatientID"]),
    ({"person": range(12)}, []),  # each its own
    ({"person": [1] * 12}, []),  # one for all
    ({"person": [1, 1, *range(2, 12)]}, []),  # hardly any share it
    ({"quality": [1, 2] * 6}, []),
    ({"gender": list("mf") * 6, "house_no": [1, 1, 2, 2, 3, 3] * 2, "video": [None] * 6 + [1, 1, 1, 2, 2, 2]},
     ["house_no", "video"]),
])
def test_columns_are_found_by_their_names_and_by_values_that_rows_share(columns, found):
    assert group_columns(frame(**columns)) == found


def test_a_column_in_use_is_not_named():
    table = frame(person=[1, 2, 3] * 4)
    assert describe_ungrouped(table, ["person"]) == []
    (line,) = describe_ungrouped(table)
    assert line.startswith("the column 'person' repeats its values: with --group person each stands")
