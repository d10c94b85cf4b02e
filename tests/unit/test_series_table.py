"""Tables of time series: layouts, roles, kinds of cells; what is found is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets import series_read_files
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_store import SeriesLayout
from pipelines.datasets.series_table import (
    RawTable,
    read_table,
)
from pipelines.datasets.storage import DataFolders

HOURLY = "time,y,wind\n2013-01-01 00:00,1,N\n2013-01-01 01:00,2,S\n2013-01-01 02:00,4,N\n"
LONG = (
    "id,ds,y,price,region\n"
    "b,2013-01-01,1,9,north\nb,2013-01-02,2,8,north\n"
    "a,2013-01-01,5,9,south\na,2013-01-02,6,7,south\n"
)
WIDE = "date,s1,s2\n2013-01-01,1,\n2013-01-02,2,5\n2013-01-03,,\n2013-01-04,4,6\n2013-01-05,5,\n"


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path | str, model: SeriesLayout | None = None, **options: object) -> RawTable:
    return read_table(str(path), SeriesOptions(**options), folders=DataFolders(), layout=model)


def days(table: RawTable) -> list[str]:
    return [str(it) for it in table.times.astype("M8[s]").astype("M8[D]")]


def test_one_series_with_a_covariate_of_words(tmp_path):
    table = read(write(tmp_path, HOURLY))
    assert [(it.name, it.role, it.categories) for it in table.columns] == [
        ("y", "target", ()),
        ("wind", "past", ("N", "S")),
    ]
    assert table.names == ["a"] and table.series.tolist() == [0, 0, 0]
    assert table.values.tolist() == [[1, 0], [2, 1], [4, 0]]
    assert table.times[1] - table.times[0] == 3600 and not table.aware
    assert [table.place(row)[-7:] for row in range(3)] == ["a.csv:2", "a.csv:3", "a.csv:4"]
    said = " / ".join(table.notes)
    assert "stamps are taken from 'time'" in said and "target is 'y', by its name" in said
    assert "past covariates are all other columns: wind" in said


def test_a_long_table_of_several_series(tmp_path):
    table = read(write(tmp_path, LONG))
    assert table.names == ["b", "a"] and table.series.tolist() == [0, 0, 1, 1]
    assert [it.name for it in table.columns] == ["y", "price"]
    assert [it.name for it in table.statics] == ["region"]  # constant in each series
    assert table.static.tolist() == [[0], [1]] and table.statics[0].categories[1] == "south"
    assert "series are told apart by column 'id'" in table.notes


def test_series_of_one_row_each_are_told_apart(tmp_path):
    path = write(tmp_path, "ds,unique_id,y\n2013-01-01,a,1\n2013-01-01,b,2\n")
    assert read(path).names == ["a", "b"]
    numbered = write(tmp_path, "id,ds,y\n1,2013-01-01,1\n2,2013-01-02,2\n3,2013-01-03,5\n")
    assert read(numbered).names == ["a"] and len(read(numbered).columns) == 1


def test_a_target_without_any_value_is_read(tmp_path):
    table = read(write(tmp_path, "time,y\n2013-01-01,\n2013-01-02,NA\n"))
    assert np.isnan(table.values).all()


def test_roles_that_are_given_are_kept(tmp_path):
    table = read(
        write(tmp_path, LONG),
        targets=("price",),
        past_covariates=(),
        known_covariates=("y",),
        static_covariates=("region",),
    )
    assert [(it.name, it.role) for it in table.columns] == [("price", "target"), ("y", "known")]
    assert table.static.tolist() == [[0], [1]]


def test_a_wide_table_is_turned_round_without_its_empty_ends(tmp_path):
    table = read(write(tmp_path, WIDE))
    assert table.names == ["s1", "s2"] and table.columns[0].name == "value"
    assert table.static.shape == (2, 0)
    assert table.series.tolist() == [0] * 5 + [1] * 3
    np.testing.assert_array_equal(table.values[:, 0], [1, 2, np.nan, 4, 5, 5, np.nan, 6])
    assert days(table)[5:] == ["2013-01-02", "2013-01-03", "2013-01-04"]
    assert table.place(5).endswith("a.csv:3") and sum(table.dropped.values()) == 2
    assert any("wide layout" in note and "give --layout long" in note for note in table.notes)


def test_known_covariates_of_a_wide_table_keep_the_steps_ahead(tmp_path):
    path = write(tmp_path, "date,s1,s2,sale\n2013-01-01,1,2,0\n2013-01-02,,,1\n")
    table = read(path, layout="wide", known_covariates=("sale",))
    assert table.names == ["s1", "s2"] and table.dropped == {}
    np.testing.assert_array_equal(table.values, [[1, 0], [np.nan, 1], [2, 0], [np.nan, 1]])


def test_the_layout_can_be_given(tmp_path):
    path = write(tmp_path, WIDE)
    assert [it.name for it in read(path, layout="long").columns] == ["s2", "s1"]
    other = write(tmp_path, "date,oslo,rome,note\n2013-01-01,1,2,x\n", "b.csv")
    table = read(other, layout="wide")
    assert table.names == ["oslo", "rome"] and "columns left out, as they hold words: 'note'" in (
        table.notes
    )
    assert read(other, layout="wide", targets=("rome",)).names == ["rome"]


def test_missing_marks_and_white_space(tmp_path):
    marks = ["", "NA", "N/A", "NaN", "nan", "null", "?", "-", " ", "None"]
    rows = "".join(f"2013-01-{day:02},{mark},{mark}\n" for day, mark in enumerate(marks, 1))
    path = write(tmp_path, f"date,x,y\n{rows}2013-01-11,  a , +1.5e1 \n2013-01-12,b,-2\n")
    table = read(path)
    assert np.isnan(table.values[:9]).all() and table.values[-2:, 0].tolist() == [15, -2]
    assert table.columns[1].categories == ("None", "a", "b")  # a word, but no number


def test_a_column_is_numbers_if_the_first_that_is_there_is_one(tmp_path, monkeypatch):
    monkeypatch.setattr(series_read_files, "BLOCK_BYTES", 64)
    rows = [
        f"2013-01-{day:02},{day},{'' if day < 20 else 'w' + str(day % 2)},7" for day in range(1, 30)
    ]
    table = read(write(tmp_path, "\n".join(["date,y,late,same", *rows])))
    assert [it.name for it in table.columns] == ["y", "late"] and len(table.times) == 29
    assert table.columns[1].categories == ("w0", "w1")
    assert "column 'same' is left out: it is constant" in table.notes


def test_useless_columns_are_left_out_and_named(tmp_path):
    rows = [f"{n},2013-01-{n + 1:02},2013-02-{n + 1:02},,{n * n},c" for n in range(9)]
    path = write(tmp_path, "\n".join(["No,date,due,gone,y,word", *rows]))
    notes = read(path).notes
    for text in ("'No' is left out: it numbers the rows", "'gone' is left out: it is empty"):
        assert any(text in note for note in notes)
    assert "columns left out, as they hold time stamps: 'due'" in notes
    assert [it.name for it in read(path, past_covariates=("word", "No")).columns] == [
        "y",
        "word",
        "No",
    ]


def test_too_many_words_are_left_out_unless_asked_for(tmp_path):
    rows = [f"2013-01-01 {n // 60:02}:{n % 60:02},{n},w{n}" for n in range(60)]
    path = write(tmp_path, "\n".join(["time,y,word", *rows]))
    table = read(path)
    assert [it.name for it in table.columns] == ["y"]
    assert "column 'word' is left out: more than 50 different words" in table.notes


@pytest.mark.parametrize(
    ("header", "row", "expected"),
    [
        ("No,year,month,day,hour,v", "1,2010,1,2,3,5", ("year", "month", "day", "hour")),
        ("Date,Time,v", "16/12/2006,17:24:00,5", ("Date", "Time")),
        ("date,hour,v", "2006-12-16,17,5", ("date", "hour")),
        ("date,ts,v", "2006-12-16,2006-12-16 17:00,5", ("date",)),
        ("year,v", "1999,5", ("year",)),
        ("x,Month,v", "7,1749-01,5", ("Month",)),
        ("ts,v", "1362071109,5", ("ts",)),
    ],
)
def test_columns_that_make_a_stamp_are_found(tmp_path, header, row, expected):
    assert read(write(tmp_path, f"{header}\n{row}\n")).options.time_column == expected


def test_the_column_with_the_most_different_stamps_is_taken(tmp_path):
    path = write(
        tmp_path, "date,ts,v\n2006-12-16,2006-12-16 01:00,5\n2006-12-16,2006-12-16 02:00,6\n"
    )
    assert read(path).options.time_column == ("ts",)


def test_targets_are_found_by_name_or_place(tmp_path):
    found = {
        "time,count,temp": "count",
        "time,temp,rain": "rain",
        "time,a,Value": "Value",
    }
    for header, target in found.items():
        path = write(tmp_path, f"{header}\n2013-01-01,1,2\n2013-01-02,3,5\n")
        assert read(path).columns[0].name == target


def test_units_are_read_from_the_header(tmp_path):
    path = write(tmp_path, "time,load [kW],t (°C)\n2013-01-01,1,2\n2013-01-02,3,5\n")
    assert {it.name: it.unit for it in read(path).columns} == {"load [kW]": "kW", "t (°C)": "°C"}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.floats(allow_nan=True, allow_infinity=False)),
        min_size=1,
        max_size=40,
    )
)
def test_every_number_comes_back(tmp_path_factory, rows):
    lines = [f"s{code},2013-01-01,{value!r}" for code, value in rows]
    path = write(tmp_path_factory.mktemp("t"), "\n".join(["unique_id,ds,y", *lines]))
    table = read(path, series_column="unique_id")
    np.testing.assert_array_equal(table.values[:, 0], [value for _, value in rows])
    assert [table.names[it] for it in table.series] == [f"s{code}" for code, _ in rows]


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 3).flatmap(
        lambda width: st.lists(
            st.lists(st.none() | st.integers(-9, 9), min_size=width, max_size=width),
            min_size=1,
            max_size=12,
        )
    )
)
def test_a_wide_table_holds_what_the_long_one_does(tmp_path_factory, rows):
    folder, names = tmp_path_factory.mktemp("t"), [f"s{number}" for number in range(len(rows[0]))]
    dates = [f"2013-01-{day:02}" for day in range(1, len(rows) + 1)]
    cells = [
        (name, date, row[number])
        for number, name in enumerate(names)
        for date, row in zip(dates, rows, strict=True)
    ]
    long = ["id,date,y", *(f"{name},{date},{'' if it is None else it}" for name, date, it in cells)]
    wide = ["date," + ",".join(names)]
    wide += [
        ",".join([date, *("" if it is None else str(it) for it in row)])
        for date, row in zip(dates, rows, strict=True)
    ]
    one = read(write(folder, "\n".join(long)), series_column="id")
    other = read(write(folder, "\n".join(wide), "b.csv"), layout="wide")
    assert one.names == other.names
    assert observed(one) == observed(other)


def observed(table: RawTable) -> list[tuple[int, int, float]]:
    cells = zip(table.series.tolist(), table.times.tolist(), table.values[:, 0], strict=True)
    return [(series, time, value) for series, time, value in cells if not np.isnan(value)]
