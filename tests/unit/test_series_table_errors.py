"""What is refused in tables of time series: each message names line, find, expectation, remedy."""

from __future__ import annotations

import gzip
import lzma
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.series_frequency import parse_frequency
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_store import Column, SeriesLayout
from pipelines.datasets.series_table import read_table
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

LONG = "id,ds,y,price\nb,2013-01-01,1,9\nb,2013-01-02,2,9\na,2013-01-01,5,8\na,2013-01-02,6,7\n"


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(path: Path | str, model: SeriesLayout | None = None, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        read_table(str(path), SeriesOptions(**options), folders=DataFolders(), layout=model)
    return str(caught.value)


def test_a_cell_that_is_no_number(tmp_path):
    path = write(tmp_path, "time,y\n2013-01-01,1\n2013-01-02,many\n2013-01-03,3\n")
    assert refusal(path) == (
        f"{path}:3: column 'y' reads 'many', expected a number; mend the cell, leave it empty if "
        "the value is missing, or leave the column out (--targets and --past-covariates name those "
        "to read)"
    )


def test_a_word_among_the_numbers_of_a_covariate(tmp_path):
    rows = [f"2013-01-{day:02},{day},{day * day}" for day in range(1, 9)]
    rows[4] = "2013-01-05,oops,5"
    path = write(tmp_path, "\n".join(["time,wind,y", *rows]))
    assert refusal(path).startswith(f"{path}:6: column 'wind' reads 'oops', expected a number;")


@pytest.mark.parametrize("text", ["inf", "-Infinity", "1e999"])
def test_infinite_values_name_the_line(tmp_path, text):
    path = write(tmp_path, f"time,y\n2013-01-01,1\n2013-01-02,{text}\n2013-01-03,3\n")
    assert refusal(path) == (
        f"{path}:3: column 'y' reads {text!r}, an infinite value; expected a finite number; mend "
        "it, or leave the cell empty if the value is missing"
    )


def test_decimal_commas_are_asked_for(tmp_path):
    path = write(tmp_path, "time;y\n2013-01-01;1,5\n2013-01-02;2,5\n")
    assert refusal(path) == (
        f"{path}:2: column 'y' reads '1,5', expected a number; give --decimal , if the comma marks "
        "decimals, else write numbers without commas"
    )
    few = write(tmp_path, "time;y\n2013-01-01;1\n2013-01-02;2\n2013-01-03;1,234\n")
    assert f"{few}:4: column 'y' reads '1,234', expected a number; give --decimal ," in refusal(few)


def test_a_stamp_that_is_none_names_its_line(tmp_path):
    path = write(tmp_path, "time,y\n2013-01-01,1\n\nlater,2\n2013-01-03,1\n")
    assert f"{path}:4: column 'time' reads 'later', which is no time stamp" in refusal(path)
    path = write(tmp_path, "time,y\n2013-01-01,1\n,2\n2013-01-03,1\n")
    assert f"{path}:3: no time stamp in column 'time'" in refusal(path)


def test_undecided_day_and_month(tmp_path):
    path = write(tmp_path, "date,y\n01/02/2013,1\n02/02/2013,2\n")
    assert f"{path}:2: column 'date' reads '01/02/2013': day and month" in refusal(path)
    assert "--time-format dmy" in refusal(path)


def test_a_missing_column_lists_those_there_are(tmp_path):
    path = write(tmp_path, LONG)
    assert refusal(path, targets=("prise",)) == (
        f"{path}: no column 'prise', one of the targets (--targets); did you mean 'price'?; "
        "columns found: id, ds, y, price; give one of these"
    )
    assert "no column 'when', the time column (--time-column)" in refusal(
        path, time_column=("when",)
    )


def test_a_column_of_two_roles(tmp_path):
    path = write(tmp_path, LONG)
    assert refusal(path, targets=("y",), known_covariates=("y",)) == (
        f"{path}: column 'y' is given twice, as targets and as known covariates; expected one role "
        "a column; leave it out of one of the options"
    )


def test_a_static_covariate_that_changes_names_both_lines(tmp_path):
    path = write(tmp_path, LONG)
    assert refusal(path, static_covariates=("price",)) == (
        f"{path}:5: static covariate 'price' of series 'a' has another value here than at {path}:4;"
        " expected one value a series; mend the rows, or give it as a past or known covariate"
    )


def test_a_row_without_its_series(tmp_path):
    path = write(tmp_path, LONG.replace("a,2013-01-02", ",2013-01-02"))
    assert f"{path}:5: no name in the series column 'id'; expected" in refusal(
        path, series_column="id"
    )


def test_too_many_words_that_were_asked_for(tmp_path):
    rows = [f"2013-01-01 {n // 60:02}:{n % 60:02},{n},w{n}" for n in range(60)]
    path = write(tmp_path, "\n".join(["time,y,word", *rows]))
    message = refusal(path, past_covariates=("word",))
    assert "column 'word' holds more than 50 different words ('w0', 'w1', 'w2', ...)" in message
    assert "leave it out, or give --series-column if it tells series apart" in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty; expected a header line and rows"),
        ("\n\n", ": only blank lines; expected a header line and rows"),
        ("time,y\n", ": a header (time, y) but no rows; expected one row a time stamp"),
        ("time,y,y\n2013-01-01,1,2\n", ":1: the header names column 'y' twice (columns: time"),
        ("time,y\n2013-01-01,1\n2013-01-02,1,2\n", ":3: 3 cells, expected 2 (time, y); the row"),
        ("time,y\n2013-01-01,1\n\n2013-01-02\n", ":4: 1 cells, expected 2 (time, y); the row"),
        ("2013-01-01,1\n2013-01-02,2\n", ": the first line holds time stamps ('2013-01-01', ..."),
        ("id,2013-01-01,2013-01-02\na,1,2\n", ": the first line holds time stamps ('2013-01-01'"),
        ("time,y\n2013-01-01,$1\n", ":2: column 'y' reads '$1', expected a number"),
        ("a,b\n1,2\n", ": no column of time stamps found; columns: a, b; expected one such as"),
        ("time,word\n2013-01-01,a\n", ": no column of numbers to forecast; columns: time, word"),
        ('time,y\n"2013-01-01,1\n2013-01-02,2\n', "mend"),
        (b"time,y\n2013-01-01,\xff\n", ":2: byte 0xff at offset 18 is not utf-8"),
        (b"PK\x03\x04rest", ": expected text, but this is a zip archive"),
        ("time,y\n2013-01-01,1\0\n", "NUL"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    path = write(tmp_path, content)
    assert message in refusal(path) and str(path) in refusal(path)


def test_names_and_packing_that_are_not_read(tmp_path):
    assert "unknown table format '.cvs'; did you mean '.csv'" in refusal(
        write(tmp_path, "x", "a.cvs")
    )
    assert "known: .csv, .tsv" in refusal(write(tmp_path, "x", "a.xls"))
    assert "damaged or not gzip" in refusal(write(tmp_path, "x", "a.csv.gz"))
    assert "damaged, or not compressed" in refusal(write(tmp_path, "x", "a.csv.xz"))
    assert "damaged, or not compressed" in refusal(write(tmp_path, "x", "a.csv.zip"))
    assert "not a readable parquet" in refusal(write(tmp_path, "xxxxxxxxxxxxxxx", "a.parquet"))
    cut = gzip.compress(b"time,y\n" + b"2013-01-01,1\n" * 9999)[:-20]
    assert "damaged or not gzip" in refusal(write(tmp_path, cut, "b.csv.gz"))
    cut = lzma.compress(b"time,y\n" + b"2013-01-01,1\n" * 99999)[:-40]
    assert "b.csv.xz: damaged, or not compressed" in refusal(write(tmp_path, cut, "b.csv.xz"))
    packed = lzma.compress(b"time,y\n2013-01-01,\xff\n")
    assert "c.csv.xz: not utf-8 text" in refusal(write(tmp_path, packed, "c.csv.xz"))
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "x")
        archive.writestr("b.csv", "x")
    assert "two.zip: 2 files in the archive (a.csv, b.csv); expected one table" in refusal(
        tmp_path / "two.zip"
    )


def test_folders_without_tables_and_paths_without_files(tmp_path):
    write(tmp_path, "x", "in/notes.doc")
    assert "no tables in this folder: it holds notes.doc; expected .csv" in refusal(tmp_path / "in")
    assert "no such file" in refusal(tmp_path / "gone.csv")
    assert "did you mean 'sunspots'" in refusal("sunspot")


def test_a_file_without_a_column_of_the_first(tmp_path):
    write(tmp_path, "time,y\n2013-01-01,1\n", "in/a.csv")
    path = write(tmp_path, "time,yy\n2013-01-02,1\n", "in/b.csv")
    assert refusal(tmp_path / "in") == (
        f"{path}: no column 'y', which a.csv has; did you mean 'yy'?; columns found: time, yy; "
        "expected the same columns in all files; add it, or give the files one by one"
    )


def test_a_fault_in_the_second_file_names_it(tmp_path):
    write(tmp_path, "time,y\n2013-01-01,1\n", "in/a.csv")
    path = write(tmp_path, "time,y\n2013-01-02,1\n2013-01-03,?!\n", "in/b.csv")
    assert refusal(tmp_path / "in").startswith(f"{path}:3: column 'y' reads '?!', expected")


def test_wide_tables_have_no_static_covariates(tmp_path):
    path = write(tmp_path, "date,s1,s2\n2013-01-01,1,2\n")
    assert "a table in wide layout has neither a series column nor static" in refusal(
        path, layout="wide", static_covariates=("s2",)
    )
    assert "no column of numbers beside the time stamps" in refusal(
        write(tmp_path, "date,a\n2013-01-01,x\n"), layout="wide"
    )


def test_columns_that_a_trained_model_needs(tmp_path):
    model = SeriesLayout(
        (Column("y", "target"), Column("wind", "past", ("N",)), Column("sale", "known")),
        (Column("region", "static", ("north",)),),
        parse_frequency("h"),
    )
    full = "time,y,wind,sale,region\n2013-01-01,1,N,0,north\n"
    for name, message in {
        "y": "no column 'y', one of the targets of the model; columns found",
        "wind": "no column 'wind', one of the past covariates of the model; ",
        "sale": "no column 'sale', one of the known covariates of the model; ",
        "region": "no column 'region', one of the static covariates of the model; ",
    }.items():
        path = write(tmp_path, full.replace(name, "other"))
        assert message in refusal(path, model) and "add the column" in refusal(path, model)
    path = write(tmp_path, full.replace("sale", "other"))
    assert refusal(path, model).endswith(
        "add the column, with its values for the steps to forecast, too"
    )
    path = write(tmp_path, full.replace(",0,", ",none at all,"))
    assert f"{path}:2: column 'sale' reads 'none at all', expected a number" in refusal(path, model)


def test_the_next_file_lacks_a_column_found_at_training(tmp_path):
    path = write(tmp_path, LONG)
    trained = read_table(str(path), SeriesOptions(), folders=DataFolders())
    model = SeriesLayout(trained.columns, trained.statics, parse_frequency("D"))
    for name, what in {
        "ds": "no column 'ds', the time column of the model",
        "id": "no column 'id', the series column of the model",
        "price": "no column 'price', one of the past covariates of the model",
    }.items():
        write(tmp_path, LONG.replace(name, "other", 1), "b.csv")
        options = {it: getattr(trained.options, it) for it in ("time_column", "series_column")}
        options |= {it: getattr(trained.options, it) for it in ("targets", "past_covariates")}
        message = refusal(tmp_path / "b.csv", model, **options)
        assert what in message and message.endswith("add the column")


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_a_refusal(tmp_path_factory, content):
    path = write(tmp_path_factory.mktemp("t"), b"time,y\n" + content)
    try:
        read_table(str(path), SeriesOptions(), folders=DataFolders())
    except DataError as error:
        assert str(path) in str(error)
