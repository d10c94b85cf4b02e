"""Files of time series: formats and packing, several at once, presets, and a model's next file."""

from __future__ import annotations

import gzip
import lzma
import zipfile
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.datasets.series_frequency import parse_frequency
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_presets import PRESETS, with_preset
from pipelines.datasets.series_store import SeriesLayout
from pipelines.datasets.series_table import (
    RawTable,
    built_in_series_names,
    find_series,
    read_table,
)
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError

HOURLY = "time,y,wind\n2013-01-01 00:00,1,N\n2013-01-01 01:00,2,S\n2013-01-01 02:00,4,N\n"
WIDE = "date,s1,s2\n2013-01-01,1,\n2013-01-02,2,5\n2013-01-03,,\n2013-01-04,4,6\n2013-01-05,5,\n"


def write(folder: Path, content: str | bytes, name: str = "a.csv") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path: Path | str, model: SeriesLayout | None = None, **options: object) -> RawTable:
    return read_table(str(path), SeriesOptions(**options), folders=DataFolders(), layout=model)


def layout_of(table: RawTable) -> SeriesLayout:
    return SeriesLayout(table.columns, table.statics, parse_frequency("h"))


def days(table: RawTable) -> list[str]:
    return [str(it) for it in table.times.astype("M8[s]").astype("M8[D]")]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.csv.gz", gzip.compress),
        ("a.csv.xz", lzma.compress),
        ("a.tsv", lambda raw: raw.replace(b",", b"\t")),
        ("a.txt", lambda raw: raw.replace(b",", b";")),
        ("b.csv", lambda raw: b"\xef\xbb\xbf" + raw.replace(b"\n", b"\r\n")),
        ("c.csv", lambda raw: b"\n" + raw.replace(b"\n", b"\r")[:-1]),
        (
            "d.csv",
            lambda raw: b"\n".join(
                b'"' + it.replace(b",", b'","') + b'"' for it in raw.splitlines()
            ),
        ),
    ],
)
def test_ways_of_writing_and_packing_a_table(tmp_path, name, pack):
    table = read(write(tmp_path, pack(HOURLY.encode()), name))
    assert table.values.tolist() == [[1, 0], [2, 1], [4, 0]]
    assert [it.name for it in table.columns] == ["y", "wind"]


def test_a_zipped_table(tmp_path):
    path = tmp_path / "a.csv.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inside.csv", HOURLY)
    assert read(path).values.tolist() == [[1, 0], [2, 1], [4, 0]]


def test_another_encoding_and_delimiter(tmp_path):
    path = write(tmp_path, "Zeit#Größe\n2013-01-01#1,5\n2013-01-02#2\n".encode("latin-1"))
    table = read(path, encoding="latin-1", delimiter="#", decimal=",")
    assert table.columns[0].name == "Größe" and table.values.tolist() == [[1.5], [2.0]]


def test_a_parquet_table(tmp_path):
    stamps = [datetime(2013, 1, 1, hour) for hour in range(3)]
    cells = {
        "at": pa.array(stamps, pa.timestamp("us", "UTC")),
        "y": pa.array([1, None, 3], pa.int16()),
        "ok": [True, False, None],
        "kind": pa.array(["a", "b", "a"]).dictionary_encode(),
    }
    pq.write_table(pa.table(cells), tmp_path / "a.parquet")
    table = read(tmp_path / "a.parquet")
    assert table.aware and [it.name for it in table.columns] == ["y", "ok", "kind"]
    np.testing.assert_array_equal(table.values, [[1, 1, 0], [np.nan, 0, 1], [3, np.nan, 0]])
    assert table.place(2).endswith("a.parquet:3")


def test_files_that_overlap_are_a_series_each(tmp_path):
    write(tmp_path, "t,v\n2013-01-01,1\n2013-01-02,2\n".replace("t,", "time,"), "in/oslo.csv")
    write(tmp_path, "time,v\n2013-01-02,5\n2013-01-03,6\n", "in/rome.csv")
    write(tmp_path, "read me", "in/README.md")
    for source in (tmp_path / "in", tmp_path / "in" / "*.csv"):
        table = read(source)
        assert table.names == ["oslo", "rome"] and table.series.tolist() == [0, 0, 1, 1]
        assert table.place(2).endswith("rome.csv:2")
    assert "not read: README.md" in read(tmp_path / "in").notes


def test_files_that_follow_one_another_are_one_series_in_order_of_time(tmp_path):
    write(tmp_path, "time,v\n2013-02-01,3\n2013-02-02,4\n", "in/feb-train.csv")
    write(tmp_path, "v,time\n1,2013-01-01\n2,2013-01-02\n", "in/jan.csv")
    write(tmp_path, "time,v\n", "in/empty.csv")
    table = read(tmp_path / "in")
    assert table.names == ["in"] and table.values[:, 0].tolist() == [1, 2, 3, 4]
    assert table.place(0).endswith("jan.csv:2") and table.place(3).endswith("feb-train.csv:3")
    assert "2 files that follow one another in time: read as one" in table.notes


def test_wide_files_that_follow_one_another_are_joined(tmp_path):
    write(tmp_path, "time,s1,s2\n2013-02-01,3,30\n", "in/b.csv")
    write(tmp_path, "time,s1,s2\n2013-03-01,4,40\n", "in/a.csv")
    table = read(tmp_path / "in")
    assert table.values[:, 0].tolist() == [3, 4, 30, 40] and table.names == ["s1", "s2"]
    assert table.place(3).endswith("a.csv:2")


def test_found_options_read_the_next_file_alike(tmp_path):
    first = write(tmp_path, "d,y,kind\n13/01/2013,1,a\n14/01/2013,2,b\n".replace("d,", "date,"))
    table = read(first)
    assert table.options.time_format == "dmy" and table.options.targets == ("y",)
    recent = write(tmp_path, "kind,date,y\nb,01/02/2013,3\nc,02/02/2013,\n", "b.csv")
    again = read_table(str(recent), table.options, folders=DataFolders(), layout=layout_of(table))
    assert days(again) == ["2013-02-01", "2013-02-02"]
    np.testing.assert_array_equal(again.values, [[3, 1], [np.nan, np.nan]])
    assert again.columns == table.columns
    assert any(
        "1 cells of column 'kind' hold words that the model has not seen" in note
        for note in again.notes
    )


def test_a_trained_model_keeps_columns_that_look_useless(tmp_path):
    trained = read(write(tmp_path, HOURLY))
    path = write(tmp_path, "time,y,wind\n2013-01-01,1,S\n2013-01-02,1,S\n", "b.csv")
    table = read_table(str(path), trained.options, folders=DataFolders(), layout=layout_of(trained))
    assert table.values.tolist() == [[1, 1], [1, 1]]


def test_a_wide_model_takes_other_series(tmp_path):
    trained = read(write(tmp_path, WIDE))
    path = write(tmp_path, "date,s2,s3\n2013-01-01,1,2\n2013-01-02,1,2\n", "b.csv")
    table = read_table(str(path), trained.options, folders=DataFolders(), layout=layout_of(trained))
    assert table.names == ["s2", "s3"]


def test_lines_are_right_after_blank_lines_and_quoted_cells(tmp_path):
    path = write(tmp_path, '\ntime,y\n\n2013-01-01,1\n\n\n"2013-01-02",2\n')
    assert read(path).place(1).endswith("a.csv:7")


def test_a_preset_fills_in_what_the_user_leaves_open():
    options, preset = with_preset("beijing-air", SeriesOptions())
    assert options.targets == ("pm2.5",) and options.time_column[0] == "year"
    assert "options of the set 'beijing-air': time_column year month" in preset.notes[0]
    options, _ = with_preset("beijing-air", SeriesOptions(targets=("TEMP",)))
    assert options.targets == ("TEMP",) and options.past_covariates == ("auto",)
    options, _ = with_preset("metro-traffic", SeriesOptions(aggregate="mean"))
    assert options.aggregate == "mean"
    options, _ = with_preset("metro-traffic", SeriesOptions(known_covariates=("temp",)))
    assert "temp" not in options.past_covariates
    once, first = with_preset("sunspots", SeriesOptions())
    assert with_preset("sunspots", once) == (once, first)
    own = SeriesOptions(horizon=3)
    assert with_preset("", own)[0] is own


def test_every_built_in_set_has_a_preset():
    assert set(built_in_series_names()) == set(PRESETS)
    asked = {"metro-traffic", "household-power", "electricity", "bike-sharing", "sunspots"}
    assert asked <= set(PRESETS)


def test_equal_files_have_equal_contents_wherever_they_are(tmp_path):
    one = find_series(str(write(tmp_path, HOURLY)), folders=DataFolders())
    other = find_series(str(write(tmp_path, HOURLY, "b.csv")), folders=DataFolders())
    assert [*one.files.values()] == [*other.files.values()] and one.layout == other.layout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"horizon": 0}, "option --horizon is 0; it must be at least 1"),
        ({"gap": -1}, "option --gap is -1; it must be at least 0"),
        ({"decimal": ";"}, "option --decimal is ';'; it must be '.' or ','"),
        ({"delimiter": "||"}, "option --delimiter is '||'; it must be one character"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        SeriesOptions(**options)
    assert message in str(caught.value)
