"""Time stamps: every common way of writing them, day and month told apart, offsets, faults."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.series_read_times import Times, part_of_stamp, read_times
from pipelines.datasets.series_stamps import Stamps, read_stamps, share_of_stamps
from pipelines.errors import ConfigError, DataError


def read(*texts: str, time_format: str = "") -> Stamps:
    cells = pa.array(texts, pa.string())
    return read_stamps(cells, time_format, column="when", place=lambda row: f"a.csv:{row + 2}")


def iso(stamps: Stamps | Times) -> list[str]:
    return [str(it) for it in stamps.seconds.astype("M8[s]")]


def columns(time_format: str = "", **cells: list[object]) -> Times:
    arrays = {name: pa.array(values) for name, values in cells.items()}
    return read_times(arrays, time_format, lambda row: f"a.csv:{row + 2}")


def refusal(*texts: str, time_format: str = "") -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        read(*texts, time_format=time_format)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-02-28", "2013-02-28T00:00:00"),
        ("2013-02-28 17:05", "2013-02-28T17:05:00"),
        ("2013-02-28T17:05:09", "2013-02-28T17:05:09"),
        ("2013/2/8 7:05", "2013-02-08T07:05:00"),
        ("2013-02-28 24:00", "2013-03-01T00:00:00"),
        ("28/02/2013 17:05", "2013-02-28T17:05:00"),
        ("02/28/2013 5:05 PM", "2013-02-28T17:05:00"),
        ("02/28/2013 12:05 a.m.", "2013-02-28T00:05:00"),
        ("01.02.2013", "2013-02-01T00:00:00"),
        ("28-02-99", "1999-02-28T00:00:00"),
        ("28-02-13", "2013-02-28T00:00:00"),
        ("5-Jan-09", "2009-01-05T00:00:00"),
        ("Thu, 28 Feb 2013 17:05:09 GMT", "2013-02-28T17:05:09"),
        ("February 28, 2013", "2013-02-28T00:00:00"),
        ("Sept 2013", "2013-09-01T00:00:00"),
        ("2013 Feb", "2013-02-01T00:00:00"),
        ("2013-02", "2013-02-01T00:00:00"),
        ("02/2013", "2013-02-01T00:00:00"),
        ("1749", "1749-01-01T00:00:00"),
        ("2013Q3", "2013-07-01T00:00:00"),
        ("Q3 2013", "2013-07-01T00:00:00"),
        ("2009-W01", "2008-12-29T00:00:00"),
        ("2020-W53-7", "2021-01-03T00:00:00"),
        ("20130228", "2013-02-28T00:00:00"),
        ("20130228T170509", "2013-02-28T17:05:09"),
        ("201302281705", "2013-02-28T17:05:00"),
        ("1362071109", "2013-02-28T17:05:09"),
        ("1362071109000", "2013-02-28T17:05:09"),
        ("2013-02-28T17:05:09Z", "2013-02-28T17:05:09"),
        ("2013-02-28 17:05+05:30", "2013-02-28T11:35:00"),
        ("2013-02-28 17:05:09 -0800", "2013-03-01T01:05:09"),
    ],
)
def test_common_ways_of_writing_a_stamp(text, expected):
    assert iso(read(text)) == [expected]


def test_offsets_may_differ_and_make_stamps_aware():
    stamps = read("2013-03-31T01:30:00+01:00", "2013-03-31T03:00:00+02:00")
    assert stamps.aware and list(np.diff(stamps.seconds)) == [1800]
    assert not read("2013-03-31T01:30:00").aware
    assert read("1362071109").aware  # counted in UTC


def test_the_whole_column_tells_day_from_month():
    assert iso(read("01/02/2013", "13/02/2013"))[0] == "2013-02-01T00:00:00"
    assert iso(read("01/02/2013", "02/13/2013"))[0] == "2013-01-02T00:00:00"
    assert read("01/02/2013", "02/13/2013").forms == ("month/day/year",)
    assert iso(read("01/02/2013", time_format="dmy")) == ["2013-02-01T00:00:00"]
    assert iso(read("01/02/2013", time_format="mdy")) == ["2013-01-02T00:00:00"]


def test_undecided_day_and_month_are_refused_with_both_remedies():
    assert refusal("2013-01-01", "01/02/2013") == (
        "a.csv:3: column 'when' reads '01/02/2013': day and month cannot be told apart, as no "
        "number in the whole column is above 12; expected to be told; give --time-format dmy if "
        "the day comes first, or mdy if the month does"
    )


def test_contradicting_orders_name_both_lines():
    message = refusal("01/02/2013", "13/02/2013", "02/14/2013")
    assert "a.csv:3: column 'when' reads '13/02/2013' here, day first" in message
    assert "'02/14/2013' at a.csv:4, month first; expected one order; mend" in message


def test_a_given_order_that_does_not_fit_names_the_line():
    assert "a.csv:3: column 'when' reads '02/13/2013', which is no time stamp" in refusal(
        "01/02/2013", "02/13/2013", time_format="dmy"
    )


@pytest.mark.parametrize("text", ["yesterday", "2013-02-30", "2013-13-01", "25:00", "12", "1e5"])
def test_what_is_no_stamp_is_named_with_what_was_expected(text):
    message = refusal("2013-01-01", text)
    assert f"a.csv:3: column 'when' reads {text!r}, which is no time stamp; expected" in message
    assert message.endswith("mend the stamp, or give --time-format")


def test_an_empty_stamp_says_so():
    assert refusal("2013-01-01", "") == (
        "a.csv:3: no time stamp in column 'when'; expected one in every row; write it, or remove "
        "the row"
    )


def test_stamps_with_and_without_offset_do_not_mix():
    message = refusal("2013-01-01T00:00:00", "2013-01-01T01:00:00Z", "2013-01-01T02:00:00")
    assert "a.csv:2: column 'when' reads '2013-01-01T00:00:00' here, without an offset" in message
    assert "'2013-01-01T01:00:00Z' at a.csv:3; expected all with one, or none" in message


def test_a_given_format_is_followed():
    assert iso(read("13 02 01 05", time_format="%y %m %d %H")) == ["2013-02-01T05:00:00"]
    assert iso(read("5", "65", time_format="s")) == ["1970-01-01T00:00:05", "1970-01-01T00:01:05"]
    aware = read("2013-02-01 05:00 +0100", time_format="%Y-%m-%d %H:%M %z")
    assert aware.aware and iso(aware) == ["2013-02-01T04:00:00"]
    assert iso(read("1066-10-14", "3000-01-01", time_format="%Y-%m-%d"))[0][:4] == "1066"


def test_stamps_that_do_not_fit_the_given_format_are_named():
    assert "a.csv:3: column 'when' reads '2013', which is no time stamp; expected '%d/%m/%Y'" in (
        refusal("01/02/2013", "2013", time_format="%d/%m/%Y")
    )
    assert "a.csv:3: column 'when' reads 'x', which is no time stamp; expected ms since 1970" in (
        refusal("5", "x", time_format="ms")
    )


@pytest.mark.parametrize("time_format", ["%d/%m", "dd/mm/yyyy", "%Y %Q"])
def test_a_format_that_is_none_is_refused(time_format):
    assert f"option --time-format is {time_format!r}" in refusal("x", time_format=time_format)


def test_fractions_of_a_second_are_cut_and_counted():
    stamps = read("2013-01-01 00:00:00.75", "2013-01-01 00:00:01.0", "2013-01-01 00:00:02,5")
    assert iso(stamps)[0] == "2013-01-01T00:00:00" and stamps.cut == 2
    assert read("-0000000001500", time_format="ms").seconds[0] == -2  # floor, before 1970 too


@given(
    st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1)),
    st.sampled_from(["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d %b %Y %H:%M:%S", "%Y%m%d"]),
    st.integers(-14 * 4, 14 * 4),
)
def test_every_stamp_comes_back(stamp, written, quarters):
    text = stamp.strftime(written)
    expected = datetime.strptime(text, written).replace(tzinfo=UTC)
    assert read(text).seconds[0] == int(expected.timestamp())
    if "%H" in written:
        sign, minutes = "-" if quarters < 0 else "+", abs(quarters) * 15
        there = f"{text}{sign}{minutes // 60:02}:{minutes % 60:02}"
        moved = expected - timedelta(minutes=quarters * 15)
        assert read(there).seconds[0] == int(moved.timestamp())


@given(st.text(max_size=12))
def test_any_text_is_a_stamp_or_a_refusal(text):
    try:
        assert read(text.strip()).seconds.dtype == np.int64
    except DataError as error:
        assert str(error).startswith("a.csv:2")


def test_samples_that_look_like_stamps():
    assert share_of_stamps(pa.array(["2013-01-01", "x"]), numbers=False) == 0.5
    assert share_of_stamps(pa.array(["1999", "2000"]), numbers=False) == 0
    assert share_of_stamps(pa.array(["1999", "2000"]), numbers=True) == 1
    assert share_of_stamps(pa.array([], pa.string()), numbers=True) == 0


def test_a_date_and_a_time_make_a_stamp():
    times = columns(Date=["16/12/2006", "17/12/2006"], Time=["17:24:00", "00:00:30"])
    assert iso(times) == ["2006-12-16T17:24:00", "2006-12-17T00:00:30"]
    assert times.order == "dmy" and "Date" in times.notes[0]
    assert iso(columns(date=["2006-12-16"], hour=[24])) == ["2006-12-17T00:00:00"]
    assert columns(date=["2006-12-16"], time=["10:00Z"]).aware


def test_parts_make_a_stamp():
    times = columns(year=[2010, 2010], month=["1", "Feb"], day=[1.0, 28.0], hour=[0, 23])
    assert iso(times) == ["2010-01-01T00:00:00", "2010-02-28T23:00:00"]
    assert iso(columns(Year=["2010"], mo=["12"])) == ["2010-12-01T00:00:00"]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ({"year": [2010], "month": [2], "day": [30]}, "a.csv:2: there is no date 2010-2-30; "),
        ({"year": [2010], "month": [13]}, "column 'month' reads '13'; expected the month of a"),
        ({"year": [2010], "hour": [25]}, "column 'hour' reads '25'; expected the hour of a time"),
        ({"year": ["x"], "month": [1]}, "column 'year' reads 'x'; expected the year"),
        ({"month": [1], "day": [1]}, "have no year; give --time-column"),
        (
            {"date": ["2010-01-01"], "time": ["noon"]},
            "column 'time' reads 'noon'; expected the time of day",
        ),
    ],
)
def test_wrong_parts_are_named(cells, message):
    with pytest.raises(DataError, match=message):
        columns(**cells)


def test_columns_joined_by_a_given_format():
    times = columns("%d/%m/%Y %Hh", day=["01/02/2010"], at=["5h"])
    assert iso(times) == ["2010-02-01T05:00:00"]


def test_stamps_of_parquet_are_taken_as_they_are():
    naive = pa.array([datetime(2013, 2, 28, 17), datetime(1969, 12, 31, 23, 59, 59, 500)])
    assert iso(read_times({"t": naive}, "", str)) == ["2013-02-28T17:00:00", "1969-12-31T23:59:59"]
    aware = naive.cast(pa.timestamp("us", "Europe/Berlin"))
    assert read_times({"t": aware}, "", str).aware
    with pytest.raises(DataError, match="no time stamp in column 't'"):
        read_times({"t": pa.array([None], pa.timestamp("s"))}, "", str)


def test_names_of_parts():
    assert [part_of_stamp(it) for it in ("Year", "mo", "value")] == ["year", "month", ""]
