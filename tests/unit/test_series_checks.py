import dataclasses

import numpy as np
import pytest

from pipelines.datasets.series_checks import check_series
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_split import split_windows
from pipelines.datasets.series_value_checks import autocorrelation
from pipelines.datasets.splits import DataCard, Splits
from tests.unit.series_tables import store

NAN = float("nan")
RNG = np.random.default_rng(5)
DAILY = 10 + np.sin(np.arange(2400) * 2 * np.pi / 24) + RNG.normal(0, 0.1, 2400)


def checked(*series, notes=(), dropped=(), **counts):
    windows = split_windows(store(*series, **counts), SeriesOptions(history=24, horizon=6))
    card = DataCard(source="t.csv", notes=tuple(notes), dropped=dict(dropped))
    splits = Splits(windows.train, windows.valid, windows.test, card)
    return {finding.title: finding for finding in check_series(splits)}


def test_a_clean_series_passes():
    findings = checked(DAILY)
    assert {it.level for it in findings.values()} == {"ok"}
    assert "1 series of 2,400 steps, one hour each" in findings["Sizes"].detail
    assert [line[0] for line in findings["Sizes"].table] == ["part", "train", "valid", "test"]


def test_few_horizons_are_a_warning():
    sizes = checked(DAILY[:200])["Sizes"]
    assert sizes.level == "warning"
    assert "so few tell little: give longer series" in sizes.detail


def test_missing_values_are_counted_by_column_with_the_longest_gap():
    values = np.stack([DAILY, DAILY**2], axis=1)
    values[100:140, 0] = NAN
    values[:7, 1] = NAN
    values[-9:, 1] = NAN
    missing = checked(values, past=1)["Missing"]
    assert missing.level == "note"
    assert missing.table[1:] == (
        ("y0", "target", "40", "1.7%", "40"),
        ("p0", "past", "16", "0.7%", "9"),
    )
    values[:1000, 0] = NAN
    assert checked(values, past=1)["Missing"].level == "warning"


def test_a_gap_does_not_reach_into_the_next_series():
    first, second = DAILY.copy(), DAILY.copy()
    first[-10:] = NAN
    second[:5] = NAN
    assert checked(first, second)["Missing"].table[1][-1] == "10"


def test_constant_columns_and_series_are_reported():
    flat = np.stack([DAILY, np.full(2400, 3.0)], axis=1)
    constant = checked(flat, past=1)["Constant"]
    assert constant.level == "warning"
    assert "always the same: 'p0'; leave such columns out" in constant.detail
    found = checked(DAILY, np.full(2400, 2.0))["Constant"]
    assert "1 series whose targets never change in the training part: 's1'" in found.detail
    assert checked(np.full(2400, 2.0))["Constant"].level == "error"


def test_signs_tell_of_intermittent_series():
    sparse = np.where(RNG.random(2400) < 0.2, 3.0, 0.0)
    signs = checked(sparse)["Signs"]
    assert signs.level == "warning"
    assert "intermittent" in signs.detail
    assert checked(DAILY - 10)["Signs"].level == "note"


def test_a_shift_of_level_is_a_warning():
    moved = DAILY.copy()
    moved[-400:] += 5
    assert checked(moved)["Level shift"].level == "warning"
    louder = DAILY.copy()
    louder[-400:] = 10 + 3 * (louder[-400:] - 10)
    assert "times as large" in checked(louder)["Level shift"].detail
    assert checked(louder)["Level shift"].level == "warning"


def test_outliers_are_named_with_their_time():
    values = DAILY.copy()
    values[1000] = -999
    outliers = checked(values)["Outliers"]
    assert outliers.level == "warning"
    assert outliers.table[1] == ("s0", "y0", "2020-02-11 16:00", "-999")


def test_another_season_is_proposed():
    half_day = np.sin(np.arange(2400) * 2 * np.pi / 9) + RNG.normal(0, 0.1, 2400)
    season = checked(half_day)["Season"]
    assert season.level == "note"
    assert "consider --season 9" in season.detail
    assert "no clear one" in checked(RNG.normal(size=2400))["Season"].detail


def test_autocorrelation_is_that_of_the_definition():
    values = np.cumsum(RNG.normal(size=300))
    steps = np.arange(300)
    centred = values - np.polyval(np.polyfit(steps, values, 1), steps)
    expected = [np.mean(centred[lag:] * centred[: 300 - lag]) for lag in range(20)]
    found = autocorrelation(values, 19)
    np.testing.assert_allclose(found, np.array(expected) / expected[0], atol=1e-8)


@pytest.mark.parametrize("lag", [1, 4])
def test_a_covariate_that_tells_the_future_is_an_error(lag):
    leak = np.append(DAILY[lag:], np.zeros(lag)) * 2 + 1
    copies = checked(np.stack([DAILY, leak], axis=1), past=1)["Target copies"]
    assert copies.level == "error"
    assert f"'p0' (past) is 'y0' {lag} steps later: nobody has such values" in copies.detail


def test_a_copy_of_the_present_is_a_leak_only_if_known_ahead():
    both = np.stack([DAILY, DAILY], axis=1)
    assert checked(both, past=1)["Target copies"].level == "note"
    known = checked(both, known=1)["Target copies"]
    assert known.level == "error"
    assert "'k0' (known) is 'y0' at the same step" in known.detail


def test_a_smooth_series_is_no_leak_of_itself():
    smooth = np.sin(np.arange(2400) / 200)
    lagged = np.append(np.zeros(3), smooth[:-3])
    assert checked(np.stack([smooth, lagged], axis=1), past=1)["Target copies"].level == "ok"


def test_notes_of_the_calendar_and_what_was_left_out_are_shown():
    note = "an hour is missing in one Sunday night a year: daylight saving; give --time-zone"
    findings = checked(DAILY, notes=[note], dropped={"rows between two steps": 3})
    assert findings["Calendar"].level == "warning"
    assert findings["Left out"].table == (("reason", "count"), ("rows between two steps", "3"))


def test_series_that_are_short_or_new_are_counted():
    findings = checked(DAILY, *[DAILY[:25]] * 3)
    assert "3 series are shorter than history and horizon" in findings["Series lengths"].detail
    assert findings["Series lengths"].level == "warning"


def test_an_empty_column_is_named():
    kept = np.stack([DAILY, np.full(2400, NAN)], axis=1)
    assert "without any value: 'p0'" in checked(kept, past=1)["Missing"].detail
    assert dataclasses.is_dataclass(checked(kept, past=1)["Missing"])
