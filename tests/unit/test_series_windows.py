import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.rows import Rows
from pipelines.datasets.series import SeriesLayout, SeriesStore, WindowRows
from pipelines.datasets.series_frequency import (
    Frequency,
    frequency_of_months,
    frequency_of_seconds,
    parse_frequency,
)
from pipelines.datasets.series_store import write_store
from pipelines.errors import ConfigError
from tests.unit.series_tables import layout, stamp, store

NAMES = ["s", "30s", "min", "15min", "h", "6h", "D", "2D", "W-SUN", "MS", "ME", "QS", "QE-DEC"]
NAMES += ["2MS", "YS-JAN", "YE-DEC", "QS-FEB", "QE-JAN", "YS-APR", "W-WED", "QE-NOV", "YE-MAR"]


@pytest.mark.parametrize("name", NAMES)
def test_a_frequency_makes_the_stamps_that_pandas_makes(name):
    expected = pd.date_range("2019-02-01", periods=30, freq=name)
    times = expected.to_numpy().astype("M8[s]").astype(np.int64)
    frequency = parse_frequency(name, int(times[0]))
    assert frequency.time(times[0], np.arange(30)).tolist() == times.tolist()
    assert frequency.index(times, times[0]).tolist() == list(range(30))
    again = pd.date_range("2019-02-01", periods=30, freq=frequency.name)  # QE-JAN is QE-OCT
    assert again.tolist() == expected.tolist()


@pytest.mark.parametrize(
    ("name", "season", "horizon", "history", "word"),
    [
        ("h", 24, 24, 168, "hour"),
        ("min", 1440, 60, 240, "minute"),
        ("15min", 96, 60, 240, "15 minutes"),
        ("D", 7, 14, 56, "day"),
        ("W", 52, 13, 104, "week"),
        ("MS", 12, 12, 36, "month"),
        ("QE", 4, 8, 24, "quarter"),
        ("YS", 1, 5, 20, "year"),
        ("s", 3600, 60, 240, "second"),
    ],
)
def test_lengths_follow_from_the_frequency(name, season, horizon, history, word):
    frequency = parse_frequency(name)
    assert frequency.season() == season
    assert (frequency.default_horizon(), frequency.default_history()) == (horizon, history)
    assert frequency.step_name == word


@pytest.mark.parametrize("name", ["fortnight", "", "0h", "h7", "-1D"])
def test_an_unknown_frequency_is_refused(name):
    with pytest.raises(ConfigError, match=r"--frequency .*not a frequency; expected .* leave it"):
        parse_frequency(name)


@given(
    st.integers(1, 100_000),
    st.integers(-4_000_000_000, 4_000_000_000),
    st.lists(st.integers(-5000, 5000), min_size=1),
)
def test_seconds_go_to_stamps_and_back(count, start, steps):
    frequency = frequency_of_seconds(count, start)
    assert frequency.index(frequency.time(start, steps), start).tolist() == steps


@given(
    st.integers(1, 24),
    st.integers(-1200, 1200),
    st.sampled_from(["start", "end"]),
    st.lists(st.integers(-500, 500), min_size=1),
)
def test_months_go_to_stamps_and_back(count, month, anchor, steps):
    start = int(Frequency("month", 1, "", anchor).time(0, month))
    frequency = frequency_of_months(count, start, anchor)
    times = frequency.time(start, steps)
    assert frequency.index(times, start).tolist() == steps
    firsts = times + (86_400 if anchor == "end" else 0)
    months = firsts.astype("M8[s]").astype("M8[M]")
    assert (months.astype("M8[s]").astype(np.int64) == firsts).all()


@given(st.integers(1, 12), st.integers(0, 30_000), st.sampled_from(["start", "end"]))
def test_a_day_inside_a_month_is_between_two_steps(count, day, anchor):
    frequency = frequency_of_months(count, 0, anchor)
    start = int(frequency.time(0, 0))
    index = float(frequency.index(day * 86_400, start))
    on_grid = int(frequency.time(start, round(index))) == day * 86_400
    assert on_grid == (index % 1 == 0)
    assert frequency.time(start, int(np.floor(index))) <= day * 86_400
    assert frequency.time(start, int(np.floor(index)) + 1) > day * 86_400


def naive(values, origin, history, horizon):
    """Cut a window by looking at each step."""
    width = values.shape[1]
    step = lambda n: values[n] if 0 <= n < len(values) else np.full(width, np.nan)  # noqa: E731
    past = [step(n) for n in range(origin - history + 1, origin + 1)]
    return np.array(past), np.array([step(n) for n in range(origin + 1, origin + 1 + horizon)])


@given(st.data())
def test_windows_equal_naive_slices(data):
    counts = {name: data.draw(st.integers(int(name == "targets"), 2)) for name in COUNTS}
    lengths = data.draw(st.lists(st.integers(1, 12), min_size=1, max_size=4))
    history, horizon = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 5))
    width = sum(counts.values())
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    blocks = [rng.normal(size=(n, width)).astype(np.float32) for n in lengths]
    pairs = data.draw(
        st.lists(
            st.integers(0, len(lengths) - 1).flatmap(
                lambda s: st.tuples(st.just(s), st.integers(0, lengths[s] - 1))
            ),
            max_size=600 if data.draw(st.booleans()) else 6,
        )
    )
    kept = store(*blocks, **counts)
    series, origins = [s for s, _ in pairs], [o for _, o in pairs]
    rows = WindowRows(kept, series, origins, history=history, horizon=horizon)
    assert len(rows) == len(list(rows)) == len(pairs)
    targets, known = counts["targets"], counts["known"]
    for (number, origin), window in zip(pairs, rows, strict=True):
        past, future = naive(blocks[number], origin, history, horizon)
        assert window.series == f"s{number}"
        assert window.time == stamp("2020-01-01") + origin * 3600
        np.testing.assert_array_equal(window.history, past)
        np.testing.assert_array_equal(window.target, future[:, :targets])
        np.testing.assert_array_equal(window.known, future[:, width - known :])


COUNTS = ("targets", "past", "known")


def test_windows_read_like_rows():
    rows = WindowRows(store(range(50)), [0] * 40, range(40), history=3, horizon=2)
    assert isinstance(rows, Rows)
    assert rows[5].time == rows[-35].time == list(rows)[5].time
    assert [it.time for it in rows[2:4]] == [rows[2].time, rows[3].time]
    assert [len(it) for it in rows.chunks(16)] == [16, 16, 8]
    chosen = rows.select(np.array([7, 1]))
    assert chosen.origins.tolist() == [1, 7]
    assert (chosen.history, chosen.horizon, chosen.span) == (3, 2, rows.span)
    with pytest.raises(IndexError, match="row 40 of 40"):
        rows[40]


def test_windows_hold_pairs_only():
    values = np.zeros((1_000_000, 1), np.float32)
    rows = WindowRows(store(values), np.zeros(900_000), range(900_000), history=500, horizon=50)
    assert rows.series.nbytes + rows.origins.nbytes < 12 * len(rows) + 1
    assert rows[899_999].history.shape == (500, 1)


def test_a_window_knows_when_its_targets_are():
    rows = WindowRows(store(range(9), frequency="MS"), [0], [1], history=2, horizon=2)
    assert rows.target_times([0]).tolist() == [[stamp("2020-03-01"), stamp("2020-04-01")]]


def test_the_part_of_a_series_ends_where_the_span_does():
    span = (stamp("2020-01-01 02:00"), stamp("2020-01-01 05:00"))
    rows = WindowRows(store(range(9)), [0], [4], history=2, horizon=1, span=span)
    assert rows.part(0).ravel().tolist() == [2, 3, 4]


def test_a_store_comes_back_from_its_folder(tmp_path):
    blocks = [np.arange(6.0).reshape(3, 2).astype(np.float32), np.ones((2, 2), np.float32)]
    given_layout = layout("D", past=1)
    written = write_store(
        tmp_path,
        given_layout,
        [("é", 0, blocks[0]), ("b", 86_400, blocks[1])],
        np.zeros((2, 0)),
    )
    again = SeriesStore.open(tmp_path)
    assert again.layout == written.layout == given_layout
    assert again.names == ["é", "b"]
    assert again.number_of("b") == 1
    np.testing.assert_array_equal(again.series(0), blocks[0])
    assert again.times(1, 0, 2).tolist() == [86_400, 172_800]
    with pytest.raises(KeyError, match="c"):
        again.number_of("c")


def test_a_layout_survives_json():
    given_layout = layout("ME", targets=2, known=1)
    copy = SeriesLayout.from_json(json.loads(json.dumps(given_layout.to_json())))
    assert copy == given_layout
    assert (copy.K, copy.P, copy.G, copy.targets) == (2, 0, 1, ("y0", "y1"))
