import csv
import io
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipelines.datasets.series import Column, SeriesLayout, SeriesStore, WindowRows
from pipelines.datasets.series_frequency import parse_frequency
from pipelines.errors import ConfigError
from pipelines.series.forecast_table import (
    MOST_PANELS,
    columns_of,
    fans_of,
    iso_times,
    plot_forecasts,
    require_picture,
    write_forecasts,
)

LEVELS = (0.1, 0.5, 0.9)


def stamp(text):
    return int(np.datetime64(text, "s").astype(np.int64))


def recent(frequency="h", start="2014-03-01T00", zone="", series=2, targets=("pm2.5", "ozone")):
    """The last window of each of some series of twelve steps."""
    layout = SeriesLayout(
        tuple(Column(name, "target", unit="µg") for name in targets),
        (),
        parse_frequency(frequency),
        zone,
    )
    values = np.arange(12.0 * len(targets)).reshape(12, -1)
    store = SeriesStore.of(
        layout, {f"station, {n}": (stamp(start), values + n) for n in range(series)}
    )
    return WindowRows(store, np.arange(series), np.full(series, 11), history=10, horizon=3)


def outputs_of(rows, levels=LEVELS):
    shape = (len(rows), rows.horizon, rows.store.layout.K)
    mean = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    spread = np.linspace(-1, 1, len(levels)) if len(levels) > 1 else np.zeros(1)
    return {"mean": mean, "quantiles": mean[..., None] + spread.astype(np.float32)}


def table(rows, outputs, levels=LEVELS):
    stream = io.StringIO()
    write_forecasts(stream, rows, outputs, levels)
    return list(csv.DictReader(io.StringIO(stream.getvalue())))


def test_one_line_for_every_series_step_and_target():
    rows = recent()
    lines = table(rows, outputs_of(rows))
    assert list(lines[0]) == ["series", "time", "target", "mean", "median", "q0.1", "q0.5", "q0.9"]
    assert [(line["series"], line["time"], line["target"]) for line in lines[:3]] == [
        ("station, 0", "2014-03-01T12:00:00", "pm2.5"),
        ("station, 0", "2014-03-01T12:00:00", "ozone"),
        ("station, 0", "2014-03-01T13:00:00", "pm2.5"),
    ]
    assert len(lines) == 2 * 3 * 2
    assert [float(lines[-1][name]) for name in list(lines[0])[3:]] == [11, 11, 10, 11, 12]


def test_the_median_is_there_whatever_levels_are_asked_for():
    rows = recent(series=1, targets=("y",))
    lines = table(rows, outputs_of(rows, (0.1, 0.9)), (0.1, 0.9))
    assert [float(line["median"]) for line in lines] == [0, 1, 2]
    given_medians = {**outputs_of(rows, (0.1,)), "median": np.full((1, 3, 1), 7.0)}
    assert {line["median"] for line in table(rows, given_medians, (0.1,))} == {"7"}


def test_level_names_are_as_short_as_they_can_be():
    assert columns_of((0.025, 0.5, 0.975))[-3:] == ["q0.025", "q0.5", "q0.975"]


def test_missing_forecasts_are_empty_cells():
    rows = recent(series=1, targets=("y",))
    outputs = {name: values * np.nan for name, values in outputs_of(rows).items()}
    assert [line["q0.9"] for line in table(rows, outputs)] == [""] * 3


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_values_keep_what_float32_holds(value):
    rows = recent(series=1, targets=("y",))
    outputs = {
        "mean": np.full((1, 3, 1), value, np.float32),
        "quantiles": np.full((1, 3, 1, 3), value, np.float32),
    }
    read = float(table(rows, outputs)[0]["q0.9"])
    assert np.float32(read) == np.float32(value)


@pytest.mark.parametrize(
    ("frequency", "start", "expected"),
    [
        ("D", "2014-02-17", ["2014-03-01", "2014-03-02", "2014-03-03"]),
        ("ME", "2013-02-28", ["2014-02-28", "2014-03-31", "2014-04-30"]),
        ("15min", "2014-03-01T00", ["2014-03-01T03:00:00"]),
    ],
)
def test_times_follow_the_calendar_of_the_data(frequency, start, expected):
    rows = recent(frequency, start, series=1, targets=("y",))
    times = [line["time"] for line in table(rows, outputs_of(rows))]
    assert times[: len(expected)] == expected


def test_days_stamped_at_an_hour_keep_it():
    daily = parse_frequency("D")
    assert iso_times(np.array([stamp("2014-03-01T07")]), daily) == ["2014-03-01T07:00:00"]


def test_an_hour_that_occurs_twice_is_told_apart_by_its_offset():
    stamps = stamp("2014-10-26T00") + 3600 * np.arange(3)
    assert iso_times(stamps, parse_frequency("h"), "Europe/Berlin") == [
        "2014-10-26T02:00:00+02:00",
        "2014-10-26T02:00:00+01:00",
        "2014-10-26T03:00:00+01:00",
    ]


@given(st.integers(0, 4_000_000_000))
def test_a_zoned_time_read_back_is_the_same_moment(moment):
    (text,) = iso_times(np.array([moment]), parse_frequency("min"), "America/New_York")
    assert datetime.fromisoformat(text).timestamp() == moment


def test_a_picture_is_drawn(tmp_path):
    rows = recent(zone="Europe/Berlin")
    path = tmp_path / "fan.PNG"
    plot_forecasts(path, rows, outputs_of(rows), LEVELS)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width == 1080
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    assert [entry.name for entry in tmp_path.iterdir()] == ["fan.PNG"]
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), (0.5,), (0.2, 0.7)])
def test_pictures_of_any_levels_in_any_format(tmp_path, levels):
    rows = recent(series=1, targets=("price in $ or $",))
    for ending in ("svg", "pdf"):
        path = tmp_path / f"fan.{ending}"
        plot_forecasts(path, rows, outputs_of(rows, levels), levels)
        assert path.stat().st_size > 1000


def test_fans_hold_what_was_seen_and_when():
    rows = recent(zone="Europe/Berlin", start="2014-03-01T00")
    first, second, *_ = fans_of(rows, outputs_of(rows), LEVELS)
    assert first.label == "station, 0: pm2.5 (µg)"
    assert second.name == "station, 0: ozone"
    assert first.times[0] == stamp("2014-03-01T13")  # 12:00 UTC on a clock one hour ahead
    assert first.before[-1] == stamp("2014-03-01T12")
    assert second.history.tolist() == np.arange(24.0).reshape(12, 2)[-9:, 1].tolist()


def test_of_many_series_the_first_are_drawn():
    rows = recent(series=30)
    assert len(fans_of(rows, outputs_of(rows), LEVELS)) == MOST_PANELS


def test_a_picture_that_cannot_be_written_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(ConfigError, match=r"--plot.*'forecast.gif' ends with '.gif'; expected one"):
        require_picture(tmp_path.__class__("forecast.gif"))
    with pytest.raises(ConfigError, match=r"there is no folder .*missing' to write 'x.png' to"):
        require_picture(tmp_path / "missing" / "x.png")
