from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.series import Column
from pipelines.datasets.series_clock import to_utc, to_wall
from pipelines.datasets.series_grid import MERGED, NEVER_OBSERVED, OFF_GRID, lay_on_grid
from pipelines.datasets.series_options import SeriesOptions
from pipelines.errors import ConfigError, DataError
from tests.unit.series_tables import raw_table, stamp, stamps

NAN = float("nan")


def lay(tmp_path, table, **options):
    return lay_on_grid(table, SeriesOptions(**options), tmp_path)


def values(grid, number=0):
    return grid.store.series(number)[:, 0].tolist()


def noted(grid, words):
    return any(words in note for note in grid.notes)


@given(st.data())
def test_rows_of_a_regular_grid_come_back_with_gaps_at_the_others(tmp_path_factory, data):
    step = data.draw(st.sampled_from(["1h", "15m", "1D", "7D", "1M", "3M"]))
    count = data.draw(st.integers(30, 60))
    full = stamps("2019-03", count, step)
    # Most rows stay, so that the frequency can be seen.
    gone = data.draw(st.sets(st.integers(0, count - 1), max_size=count // 6))
    kept = np.array([n for n in range(count) if n not in gone])
    table = raw_table(full[kept], kept.astype(float))
    grid = lay(tmp_path_factory.mktemp("grid"), table)
    expected = np.full(count, np.nan)
    expected[kept] = kept
    first, last = kept[0], kept[-1]
    np.testing.assert_array_equal(values(grid), expected[first : last + 1])
    assert grid.store.starts[0] == full[first]
    assert grid.store.times(0, 0, last + 1 - first).tolist() == full[first : last + 1].tolist()
    missing = last + 1 - first - len(kept)
    assert noted(grid, f"{missing:,} of {last + 1 - first:,} steps" if missing else "no gaps")
    assert grid.dropped == {}


FOUND = {name: name for name in ("h", "D", "W-SUN", "MS", "ME", "QS", "QE-DEC", "YS", "10min")}
FOUND |= {"28D": "4W-TUE", "QE-DEC": "QE", "YE": "YE"}


@pytest.mark.parametrize(("freq", "name"), FOUND.items())
def test_the_frequency_is_found(tmp_path, freq, name):
    times = pd.date_range("2019-01-01", periods=24, freq=freq).to_numpy().astype("M8[s]")
    grid = lay(tmp_path, raw_table(times.astype(np.int64)))
    assert grid.store.layout.frequency.name == name
    assert len(values(grid)) == 24
    assert noted(grid, f"frequency {name} (found): 100.0% of the rows are")


def test_stamps_inside_a_month_stand_for_it(tmp_path):
    times = [f"2020-{month:02}-15" for month in range(1, 13)]
    grid = lay(tmp_path, raw_table(times))
    assert grid.store.layout.frequency.name == "MS"
    assert grid.store.starts.tolist() == [stamp("2020-01-01")]
    assert noted(grid, "12 stamps inside a month are taken for its start")


def test_business_days_are_days_with_missing_weekends(tmp_path):
    times = pd.bdate_range("2020-01-06", periods=20).to_numpy().astype("M8[s]").astype(np.int64)
    grid = lay(tmp_path, raw_table(times))
    assert grid.store.layout.frequency.name == "D"
    assert np.isnan(values(grid)).sum() == 6
    assert noted(grid, "no row is of a weekend: business days")


def test_series_of_unequal_begin_and_length_share_a_frequency(tmp_path):
    times = np.concatenate([stamps("2020-01-01", 5), stamps("2020-03-01", 3)])
    grid = lay(tmp_path, raw_table(times, series=[0] * 5 + [1] * 3))
    assert [values(grid, n) for n in (0, 1)] == [[0, 1, 2, 3, 4], [5, 6, 7]]
    assert grid.store.starts.tolist() == [stamp("2020-01-01"), stamp("2020-03-01")]


def test_interleaved_series_are_told_apart(tmp_path):
    times = np.repeat(stamps("2020-01-01", 4), 2)
    grid = lay(tmp_path, raw_table(times, series=[0, 1] * 4))
    assert [values(grid, n) for n in (0, 1)] == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_a_second_row_of_a_stamp_is_an_error_that_names_both_lines(tmp_path):
    times = ["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 01:00", "2020-01-01 02:00"]
    message = (
        r"t.csv:4: a second row for 2020-01-01 01:00 of series 's0', after t.csv:3 "
        r"\(1 such rows\); expected one row a stamp; choose .*--aggregate mean, .*--series-column"
    )
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times))


@pytest.mark.parametrize(
    ("how", "expected"),
    [("mean", 3), ("sum", 6), ("first", 1), ("last", 5), ("min", 1), ("max", 5)],
)
def test_rows_of_a_stamp_are_merged_by_option(tmp_path, how, expected):
    times = ["2020-01-01 00:00", *["2020-01-01 01:00"] * 3, "2020-01-01 02:00"]
    columns = (Column("y", "target"), Column("wind", "past", ("N", "S")))
    table = raw_table(times, [[0, 0], [1, 1], [NAN, 0], [5, 0], [7, NAN]], columns=columns)
    grid = lay(tmp_path, table, aggregate=how)
    assert values(grid) == [0, expected, 7]
    assert grid.store.series(0)[1, 1] == (0 if how == "last" else 1), "words are not added up"
    assert grid.dropped == {MERGED: 2}
    assert noted(grid, f"2 rows merged into others of the same stamp by {how}, the first at")


def test_rows_of_a_later_series_are_merged_too(tmp_path):
    times = np.concatenate([stamps("2020-01-01", 4), np.repeat(stamps("2020-01-01", 3), 2)])
    table = raw_table(times, series=[0] * 4 + [1] * 6)
    grid = lay(tmp_path, table, aggregate="sum")
    assert [values(grid, n) for n in (0, 1)] == [[0, 1, 2, 3], [9, 13, 17]]


def test_merging_nothing_but_missing_values_gives_a_missing_value(tmp_path):
    times = ["2020-01-01 00:00", *["2020-01-01 01:00"] * 2, "2020-01-01 02:00"]
    for how in ("mean", "sum", "first", "last", "min", "max"):
        (tmp_path / how).mkdir()
        grid = lay(tmp_path / how, raw_table(times, [0, NAN, NAN, 2]), aggregate=how)
        np.testing.assert_array_equal(values(grid), [0, NAN, 2])


def test_time_that_goes_back_is_an_error_that_names_both_lines(tmp_path):
    times = ["2020-01-01 00:00", "2020-01-01 02:00", "2020-01-01 01:00"]
    message = (
        r"t.csv:4: time goes back from 2020-01-01 02:00 \(t.csv:3\) to 2020-01-01 01:00 in series "
        r"'s0' \(1 such rows\); expected the rows of a series in order of time; sort the file"
    )
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times))


def test_mixed_frequencies_between_series_are_an_error(tmp_path):
    times = np.concatenate([stamps("2020-01-01", 200), stamps("2020-01-01", 20, "1D")])
    message = (
        r"t.csv:202 and t.csv:203: rows of series 's1' are mostly 24 hours apart|"
        r"rows of series 's1' are mostly 1 day apart \(100% of them\), but most series have h "
        r"\(1 hour\); expected one frequency, nothing is resampled"
    )
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times, series=[0] * 200 + [1] * 20))


def test_a_coarser_stretch_within_a_series_is_an_error(tmp_path):
    times = np.concatenate([stamps("2020-01-01", 100), stamps("2020-01-06", 50, "6h")])
    message = r"t.csv:\d+ to t.csv:151: \d+ rows of series 's0' are 6 hours apart, others 1 hour"
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times))


def test_a_finer_stretch_within_a_series_is_an_error(tmp_path):
    times = np.concatenate([stamps("2020-01-01", 100), stamps("2020-01-06", 50, "10m")])
    message = r"rows lie between two steps of the frequency h.*expected one frequency.*finer --freq"
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times))


def test_a_few_rows_off_the_grid_are_left_out_and_counted(tmp_path):
    times = stamps("2020-01-01", 300)
    times[150] += 600
    grid = lay(tmp_path, raw_table(times))
    assert grid.dropped == {OFF_GRID: 1}
    assert noted(grid, "1 rows between two steps left out, the first t.csv:152")
    assert np.isnan(values(grid)[150])


def test_the_first_row_may_be_the_odd_one(tmp_path):
    times = stamps("2020-01-01", 300)
    times[0] += 600
    grid = lay(tmp_path, raw_table(times))
    assert (len(values(grid)), grid.dropped) == (299, {OFF_GRID: 1})


def test_a_given_frequency_is_checked(tmp_path):
    times = stamps("2020-01-01", 50, "1D")
    assert lay(tmp_path, raw_table(times), frequency="D").store.layout.frequency.name == "D"
    message = r"mostly 1 day apart \(100% of them\), but --frequency h was given \(1 hour\)"
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times), frequency="h")
    with pytest.raises(DataError, match=r"nothing is resampled"):
        lay(tmp_path, raw_table(stamps("2020-01-01", 50)), frequency="D")


def test_a_single_row_has_no_frequency_of_its_own(tmp_path):
    with pytest.raises(DataError, match=r"no series has two rows.*give --frequency, such as h"):
        lay(tmp_path, raw_table(["2020-01-01"]))
    assert values(lay(tmp_path, raw_table(["2020-01-01"]), frequency="D")) == [0]


def test_a_wild_stamp_is_an_error_not_a_huge_grid(tmp_path):
    times = stamps("2020-01-01", 500)
    times[-1] = stamp("2999-01-01")
    message = r"t.csv:501: the stamp 2999-01-01 is far from the one before.*mend the stamp"
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times))


def test_a_number_too_large_is_an_error(tmp_path):
    message = r"t.csv:3: 1e\+39 in column 'y'; expected a number of at most 3.4e38; leave the cell"
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(stamps("2020-01-01", 3), [0, 1e39, 2]))


@pytest.mark.parametrize("scale", [1e9, 1e-9])
def test_units_of_any_size_keep_their_digits(tmp_path, scale):
    grid = lay(tmp_path, raw_table(stamps("2020-01-01", 9), np.arange(9) * scale))
    np.testing.assert_allclose(values(grid), np.arange(9) * scale, rtol=1e-6)


def test_series_without_a_target_are_left_out_or_an_error(tmp_path):
    times = np.tile(stamps("2020-01-01", 4), 2)
    table = raw_table(times, [NAN] * 4 + [1, 2, 3, 4], series=[0] * 4 + [1] * 4)
    grid = lay(tmp_path, table)
    assert grid.store.names == ["s1"]
    assert grid.dropped == {NEVER_OBSERVED: 4}
    assert noted(grid, "1 series without any value of 'y' left out: 's0'")
    with pytest.raises(DataError, match=r"t.csv:2: no row has a value of 'y'.*--targets"):
        lay(tmp_path, raw_table(stamps("2020-01-01", 4), [NAN] * 4))


def test_an_empty_table_is_an_error(tmp_path):
    with pytest.raises(DataError, match="holds no rows; expected at least one"):
        lay(tmp_path, raw_table([], np.zeros((0, 1)), names=["s0"]))


# Clocks: in Berlin, 2021-03-28 02:00 to 03:00 does not exist, 2021-10-31 02:00 to 03:00 is twice.


def berlin(first, count, minutes=60):
    """Return what a clock in Berlin shows."""
    utc = pd.date_range(first, periods=count, freq=f"{minutes}min", tz="UTC")
    return utc.tz_convert("Europe/Berlin").tz_localize(None).to_numpy().astype("M8[s]").astype(int)


@pytest.mark.parametrize("minutes", [15, 60])
def test_local_time_has_no_gap_in_spring_and_no_repeat_in_autumn(tmp_path, minutes):
    times = berlin("2021-01-01", 365 * 24 * 60 // minutes, minutes)
    grid = lay(tmp_path, raw_table(times), time_zone="Europe/Berlin")
    assert values(grid) == list(range(len(times)))
    assert grid.store.starts[0] == stamp("2021-01-01")
    assert grid.store.layout.time_zone == "Europe/Berlin"
    assert noted(grid, "no gaps")
    assert noted(grid, f"{2 * 60 // minutes} stamps in hours that the clock shows twice")


def test_the_repeated_hour_is_told_apart_in_each_series(tmp_path):
    times = np.tile(berlin("2021-10-30 12:00", 24), 2)
    order = np.argsort(np.tile(np.arange(24), 2), kind="stable")  # interleaved
    table = raw_table(times[order], np.tile(np.arange(24), 2)[order], series=[0, 1] * 24)
    grid = lay(tmp_path, table, time_zone="Europe/Berlin")
    assert values(grid, 0) == values(grid, 1) == list(range(24))


def test_a_repeated_hour_that_stands_once_is_taken_for_summer_time(tmp_path):
    times = np.delete(berlin("2021-10-30 12:00", 24), 13)
    grid = lay(tmp_path, raw_table(times), time_zone="Europe/Berlin")
    assert noted(grid, "1 hours were run through once and taken for summer time")
    assert np.isnan(values(grid)).sum() == 1


def test_a_time_the_clock_never_showed_is_an_error(tmp_path):
    times = stamps("2021-03-27", 48)
    message = (
        r"t.csv:28: 2021-03-28 02:00 does not exist in Europe/Berlin: clocks were put forward past "
        r"it \(1 such rows\); expected local times; .*give that as --time-zone"
    )
    with pytest.raises(DataError, match=message):
        lay(tmp_path, raw_table(times), time_zone="Europe/Berlin")


@pytest.mark.parametrize("minutes", [15, 60])
def test_without_a_zone_the_repeated_hour_is_recognised(tmp_path, minutes):
    times = berlin("2021-09-01", 90 * 24 * 60 // minutes, minutes)
    with pytest.raises(DataError, match=r"nights on which clocks are put back.*give --time-zone"):
        lay(tmp_path, raw_table(times))


def test_a_merged_hour_is_noted_as_daylight_saving(tmp_path):
    grid = lay(tmp_path, raw_table(berlin("2021-09-01", 2000)), aggregate="mean")
    assert noted(grid, "nights on which clocks are put back: give --time-zone instead")


def test_a_wild_stamp_is_named_with_a_zone_too(tmp_path):
    times = stamps("2020-01-01", 500)
    times[-1] = stamp("9999-12-31")
    with pytest.raises(DataError, match="is far from the one before"):
        lay(tmp_path, raw_table(times), time_zone="Europe/Berlin")


def test_without_a_zone_the_missing_hour_is_noted(tmp_path):
    times = np.unique(berlin("2018-01-01", 4 * 365 * 24))
    grid = lay(tmp_path, raw_table(times))
    assert noted(grid, "an hour is missing in one Sunday night a year (2018-03-25 02:00, 2019-")


def test_days_are_wall_clock_even_with_a_zone(tmp_path):
    local = pd.date_range("2021-03-20", periods=20, tz="Europe/Berlin")
    utc = local.tz_convert("UTC").tz_localize(None).to_numpy().astype("M8[s]").astype(int)
    grid = lay(tmp_path, raw_table(utc, aware=True), time_zone="Europe/Berlin")
    assert (grid.store.layout.frequency.name, grid.store.layout.time_zone) == ("D", "")
    assert grid.store.starts[0] == stamp("2021-03-20")


def test_offsets_without_a_zone_are_utc(tmp_path):
    grid = lay(tmp_path, raw_table(stamps("2021-03-28", 9), aware=True))
    assert grid.store.layout.time_zone == "UTC"
    assert noted(grid, "stamps carry offsets from UTC")


def test_an_unknown_zone_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'Europe/Berln': no such time zone.*did you mean 'Eu"):
        lay(tmp_path, raw_table(stamps("2021-03-28", 9)), time_zone="Europe/Berln")


ZONES = ["Europe/Berlin", "America/Chicago", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]
ZONES += ["America/Sao_Paulo", "Africa/Casablanca"]


@given(st.sampled_from(ZONES), st.integers(0, 1_700_000_000), st.sampled_from([900, 3600]))
def test_local_time_goes_to_utc_and_back(zone, first, step):
    utc = first // step * step + np.arange(3000) * step
    wall = to_wall(utc, zone)
    places = np.zeros(len(utc), np.int32)
    assert to_utc(wall, places, zone, str)[0].tolist() == utc.tolist()
    expected = pd.Timestamp(int(utc[1234]), unit="s", tz=ZoneInfo(zone)).tz_localize(None)
    assert expected == pd.Timestamp(int(wall[1234]), unit="s")


def test_many_short_series_are_laid_in_seconds(tmp_path):
    times = np.tile(stamps("2015-01-01", 60, "1M"), 5000)
    grid = lay(tmp_path, raw_table(times, series=np.repeat(np.arange(5000), 60)))
    assert len(grid.store) == 5000
    assert values(grid, 4999) == list(range(4999 * 60, 5000 * 60))
