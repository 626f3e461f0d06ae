"""Cells of a table are numbers however a country or a program writes them; what may be two things is told."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.data import labels, tables
from imgreg_fastai.data.labels import label_issues
from imgreg_fastai.data.tables.numbers import Marks, may_have_thousands, read_numbers
from imgreg_fastai.datasets import own_table
from imgreg_fastai.tasks import Number, Task
from imgreg_fastai.utils.messages import ImgregError

SEMICOLON, TAB = Marks(";", ","), Marks("\t")


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["\u221212.5", "\u20133", "\uff0d4", "5-", "+6"], [-12.5, -3, -4, -5, 6]),
        (["(12.5)", "3"], [-12.5, 3]),
        (["1\u00a0234.5", "999"], [1234.5, 999]),
        (["1\u202f234", "1\u2009234\u2009567"], [1234, 1234567]),
        (["1'234.5", "1\u2019000"], [1234.5, 1000]),
        (["1 200", "300"], [1200, 300]),
        (["1.250.000", "2.500", "300"], [1250000, 2500, 300]),
        (["1.250,5", "-2.500", "300"], [1250.5, -2500, 300]),
        (["1,234,567.5", "12"], [1234567.5, 12]),
        (["12,5", "7", "13,25"], [12.5, 7, 13.25]),
        (["1.234,5", "2,5"], [1234.5, 2.5]),
        (["\u0661\u0662\u066b\u0665", "\u06f3"], [12.5, 3]),
        (["\uff11\uff12\uff0e\uff15", "3"], [12.5, 3]),
        (["5", "?", "-", "n.d.", "N/A", "Unknown", ".", " ", "\u2013"], [5] + [np.nan] * 8),
        (["1,5e3 m", "2,5e-1 m"], [1500, 0.25]),
    ],
)
def test_numbers_of_all_countries(cells, numbers):
    read = read_numbers(pd.Series(cells), Marks(","))
    assert read.cells.dtype == float
    np.testing.assert_allclose(read.cells, numbers)


@pytest.mark.parametrize(
    ("cells", "numbers", "unit"),
    [
        (["12.5 kg", "13kg", "-1 kg."], [12.5, 13, -1], "kg"),
        (["45%", "3 %", "?"], [45, 3, np.nan], "%"),
        (["$9,100", "$248", "-$1,000.5"], [9100, 248, -1000.5], "$"),
        (["1 200 \u20ac", "3 400 \u20ac"], [1200, 3400], "\u20ac"),
        (["EUR 5", "EUR 6.5"], [5, 6.5], "EUR"),
        (["12 m\u00b2", "13 m\u00b2"], [12, 13], "m\u00b2"),
        (["5 km/h", "6 km/h"], [5, 6], "km/h"),
        (["3 kg/m3", "4 kg/m3"], [3, 4], "kg/m3"),
        (["1 year", "2 years"], [1, 2], "years"),
        (["12 Kg", "13 kg"], [12, 13], "Kg"),
        (["\u22125 \u00b0C", "6\u00b0C"], [-5, 6], "\u00b0C"),
    ],
)
def test_one_unit_is_taken_off_and_told(cells, numbers, unit):
    read = read_numbers(pd.Series(cells), Marks(","))
    np.testing.assert_allclose(read.cells.astype(float), numbers)
    assert read.unit == unit and f"the unit {unit} was taken off" in read.notes[0]


@pytest.mark.parametrize(
    "cells",
    [
        ["12 kg", "13 g"],
        ["12 mg", "13 Mg"],
        ["1st", "2nd"],
        ["12-14", "3+"],
        ["<5", "~30"],
        ["007a", "008a"],
        ["a1", "b2"],
        ["12:30", "1:20"],
        ["120 345", "45 120"],
        ["10, 20", "3, 4"],
        ["yes", "no"],
        ["12-left", "3-left"],
        ["1+", "2-"],
        ["12-14", "15-"],
        ["1\u00bd", "2\u00bd"],
        ["5\u00b2", "6\u00b2"],
        ["5 e3", "6 e3"],
        ["1D3", "2D3"],
        ["000.jpg", "001.jpg"],
        ["5'11\"", "6'1\""],
        ["(5", "6)"],
        ["1_000", "0x10"],
        ["--5", "+-3"],
        ["[1, 2]", "[3, 4]"],
        ["$5 kg", "$6 kg"],
        ["1 2" * 50, "3"[:0] + "x"],
    ],
)
def test_what_is_no_number_stays_as_it_is(cells):
    assert read_numbers(pd.Series(cells), Marks(",")).cells.tolist() == cells


def test_different_units_are_told_and_numbers_without_one_are_read():
    read = read_numbers(pd.Series(["12 kg", "13", "14"]), Marks(","))
    assert read.cells.tolist() == ["12 kg", 13, 14] and not read.unit
    assert "the units differ (no unit, kg)" in read.notes[0] or "the units differ (kg, no unit)" in read.notes[0]


@pytest.mark.parametrize(
    ("cells", "marks", "numbers", "note"),
    [
        (
            ["6.225", "281"],
            SEMICOLON,
            [6.225, 281],
            "'.' was read as the decimal mark, as in 6.225; if it parts thousands, write 6225",
        ),
        (["6.225", "281"], Marks(";", ",", True), [6225, 281], "'.' was taken to part thousands, as in 6.225"),
        (["1,250", "281"], TAB, [1.25, 281], "',' was read as the decimal mark, as in 1,250"),
        (["1,250", "281"], Marks("\t", ".", True), [1250, 281], "',' was taken to part thousands, as in 1,250"),
        (["6.225", "281"], Marks(), [6.225, 281], "'.' was read as the decimal mark, as in 6.225; if"),
        (["1.250", "2.275"], SEMICOLON, [1.25, 2.275], "'.' was read as the decimal mark, as in 1.250"),
        (["87,674", "3,125"], TAB, [87.674, 3.125], "',' was read as the decimal mark, as in 87,674; if it parts"),
        (["12-", "5"], Marks(), [-12, 5], "'-' behind a number is read as a minus sign, as in 12-"),
        (["12,5", "7"], Marks(","), [12.5, 7], "',' was taken as the decimal mark, as in 12,5"),
        (["6.225", "281", "0.5"], SEMICOLON, [6.225, 281, 0.5], ""),
        (["3,125", "4,25"], TAB, [3.125, 4.25], ""),
    ],
)
def test_what_may_be_two_things_is_told_with_an_example(cells, marks, numbers, note):
    read = read_numbers(pd.Series(cells), marks)
    assert (
        read.cells.astype(float).tolist() == numbers and note in "".join(read.notes) and bool(note) == bool(read.notes)
    )


@pytest.mark.parametrize(
    ("values", "may"),
    [
        ([6.225, 281], True),
        ([6.225, 7.31], False),
        ([6.225, 2810], False),
        ([0.125, 3], False),
        ([6.5, 3], False),
        ([6.2251, 3], False),
        ([1, 2], False),
    ],
)
def test_numbers_that_pandas_read_may_have_had_thousands(values, may):
    assert may_have_thousands(np.array(values, float)) == may


@pytest.mark.parametrize(
    ("rows", "told"), [(["6.225", "281"], True), (["6.225", "281", "7.5"], False), (["6.2", "281"], False)]
)
def test_a_table_with_commas_tells_of_thousands_behind_a_point(tmp_path, rows, told):
    (tmp_path / "t.csv").write_text("\n".join(["image,p", *(f"a.jpg,{row}" for row in rows)]))
    assert ("p" in tables.read_table(tmp_path / "t.csv").attrs["notes"]) == told


@given(
    st.lists(st.floats(-1e9, 1e9).map(lambda x: round(x, 2)), min_size=2, max_size=20),
    st.sampled_from(
        [
            ("{:,.2f}", ",", "."),
            ("{:,.2f}", "\u00a0", ","),
            ("{:,.2f}", "'", "."),
            ("{:,.2f}", "\u202f", ","),
            ("{:,.2f}", ".", ","),
        ]
    ),
    st.sampled_from(["", " kg", "%", "\u20ac"]),
    st.booleans(),
)
def test_what_is_written_with_marks_is_read_back(values, style, unit, minus):
    form, thousands, decimal = style
    cells = [form.format(v).replace(",", "T").replace(".", decimal).replace("T", thousands) + unit for v in values]
    cells = [cell.replace("-", "\u2212") for cell in cells] if minus else cells
    read = read_numbers(pd.Series(cells), Marks(";", ","))
    np.testing.assert_allclose(read.cells.astype(float), values)
    assert read.unit == unit.strip()


@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_no_text_breaks_the_reader_and_all_cells_are_kept(cells):
    read = read_numbers(pd.Series(cells, dtype=object), Marks(","))
    assert len(read.cells) == len(cells)
    for before, after in zip(cells, read.cells, strict=True):
        assert after == before or isinstance(after, float)


@pytest.mark.parametrize("cell", [b"\xff\xd8", {"a": 1}, [1, 2], None, True])
def test_objects_are_left_alone(cell):
    assert len(read_numbers(pd.Series([cell, "x"], dtype=object), Marks()).cells) == 2


def test_words_from_row_1000_on_do_not_hide_numbers(tmp_path):
    cells = ["unknown"] * 2000 + [f"{i} kg" for i in range(2000)]
    read = read_numbers(pd.Series(cells), Marks(","))
    assert read.cells.iloc[-1] == 1999 and read.unit == "kg"


# in a training


def write(folder, cells, name="t.csv"):
    (folder / name).write_text(
        "\n".join(["image;weight", *(f"{i}.jpg;{cell}" for i, cell in enumerate(cells))]), encoding="utf-8"
    )
    for i in range(len(cells)):
        (folder / f"{i}.jpg").write_bytes(b"x")
    return folder / name


def test_the_unit_of_the_cells_is_the_targets_unless_another_is_named(tmp_path):
    table = write(tmp_path, [f"{i},5 kg" for i in range(20)])
    assert own_table.table_task(table, ["weight"]).targets[0].unit == "kg"
    assert own_table.table_task(table, ["weight"], units={"weight": "lb"}).targets[0].unit == "lb"
    assert own_table.table_task(table).targets[0].unit == "kg"  # whole numbers with a unit are no ids


def test_numbers_in_another_unit_are_told(tmp_path, caplog):
    table, task = write(tmp_path, [f"{i} g" for i in range(20)]), Task("t", (Number("weight", ("weight",), unit="kg"),))
    labels.read_labels(table, task)
    assert [r.getMessage() for r in caplog.records if "is in g, and weight in kg" in r.getMessage()]
    caplog.clear()
    labels.read_labels(write(tmp_path, [f"{i} kg" for i in range(20)]), task)
    assert not any("and weight in" in r.getMessage() for r in caplog.records)


@pytest.mark.parametrize(("words", "level"), [(2, "leave out"), (3, "stop")])
def test_more_than_a_tenth_unreadable_stops_and_shows_three(tmp_path, words, level):
    cells = [*map(str, range(20 - words)), *["<5", "~30", "12-14", "old"][:words], *["?", "-", "", "n.d."] * 3]
    table = write(tmp_path, cells)
    found = [
        i
        for i in label_issues(labels.read_rows(table, Task("t", (Number("weight", ("weight",)),))))
        if i.code == "word"
    ]
    assert [i.level for i in found] == [level]
    if level == "stop":
        assert "no number in 3 of 20 cells of weight: row 19 '<5', row 20 '~30', row 21 '12-14'" in found[0].describe()


def test_words_for_missing_are_missing(tmp_path):
    read = labels.read_rows(
        write(tmp_path, ["5", "?", "-", "Missing", "n.d.", "<5"]), Task("t", (Number("weight", ("weight",)),))
    )
    assert read.states.ravel().tolist() == [
        0,
        labels.MISSING,
        labels.MISSING,
        labels.MISSING,
        labels.MISSING,
        labels.WORD,
    ]


def test_a_huge_cell_is_one_short_line(tmp_path):
    pixels = " ".join(["17"] * 96 * 96)
    (tmp_path / "a.csv").write_text(f"x,Image\n1,{pixels}\n2,{pixels}\n")
    (tmp_path / "b.csv").write_text(f"image,x\n/9j/{'A' * 5000},2\n")
    (tmp_path / "c.csv").write_text(f"image,x\n{'?' * 5000},2\n")
    for name, told in (
        ("a.csv", r"9,216 pixels \(96x96\)"),
        ("b.csv", "JPEG images in base64"),
        ("c.csv", "5,000 char"),
    ):
        with pytest.raises(ImgregError, match=told) as e:
            own_table.table_task(tmp_path / name, ["x"])
        assert len(str(e.value)) < 600
        with pytest.raises(ImgregError, match=told):
            labels.read_labels(tmp_path / name, Task("t", (Number("x", ("x",)),)))


def test_images_in_a_parquet_file_are_told(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"image": [{"bytes": b"\xff\xd8", "path": None}], "x": [1]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(ImgregError, match="the bytes of images"):
        own_table.table_task(tmp_path / "t.parquet", ["x"])
