from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.series_frequency import parse_frequency
from pipelines.series.calendar import Calendar, step_times
from pipelines.series.cycles import calendar_names, zone_changes

STAMPS = st.integers(-2_000_000_000, 4_000_000_000)
NAMES = ("15min", "h", "D", "W", "MS", "ME", "QS", "YS")


@given(stamps=st.lists(STAMPS, min_size=1, max_size=20), name=st.sampled_from(NAMES))
def test_steps_in_the_graph_are_those_of_the_reader(stamps, name):
    frequency = parse_frequency(name)
    on_grid = frequency.time(np.array(stamps), np.zeros(len(stamps), int))
    steps = np.arange(-30, 30)
    expected = np.stack([frequency.time(stamp, steps) for stamp in on_grid])
    np.testing.assert_array_equal(step_times(frequency, on_grid, steps), expected)


@given(stamps=st.lists(STAMPS, min_size=1, max_size=20))
def test_phases_are_those_of_the_date(stamps):
    calendar = Calendar(parse_frequency("D"))
    dates = [datetime.fromtimestamp(stamp, UTC) for stamp in stamps]
    local = tf.constant(stamps, tf.int64)
    week = [(date.weekday() * 86400 + date.hour * 3600 + date.minute * 60 + date.second) / 604800
            for date in dates]  # fmt: skip
    np.testing.assert_allclose(calendar._phase("week", local), week, atol=1e-6)
    year = [(date - datetime(date.year, 1, 1, tzinfo=UTC)).total_seconds() / (366 * 86400)
            for date in dates]  # fmt: skip
    np.testing.assert_allclose(calendar._phase("year", local), year, atol=1e-6)
    firsts = np.array([date.day - 1 for date in dates])
    assert (np.floor(np.asarray(calendar._phase("month", local)) * 31.01) >= 0).all()
    np.testing.assert_array_equal(np.asarray(calendar._phase("month", local)) == 0, firsts == 0)


def test_the_clock_of_a_zone_is_that_of_the_database():
    zone = ZoneInfo("Europe/Berlin")
    calendar = Calendar(parse_frequency("h"), zone_changes("Europe/Berlin"))
    stamps = np.random.default_rng(0).integers(0, 2_500_000_000, 500)
    around = [datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)]
    stamps = np.append(stamps, [int(day.timestamp()) + gap for day in around for gap in (-1, 0, 1)])
    expected = [
        stamp + datetime.fromtimestamp(int(stamp), UTC).astimezone(zone).utcoffset().total_seconds()
        for stamp in stamps
    ]
    np.testing.assert_array_equal(calendar.local(tf.constant(stamps)), expected)


@pytest.mark.parametrize("name", NAMES)
def test_features_have_names_and_differ_within_a_season(name):
    frequency = parse_frequency(name)
    times = step_times(frequency, [0], np.arange(frequency.season()))
    features = np.asarray(Calendar(frequency)(times))[0]
    assert features.shape == (frequency.season(), len(calendar_names(frequency)))
    assert np.isfinite(features).all()
    assert len(np.unique(features.round(5), axis=0)) == frequency.season()
