import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets import series_thinning
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_split import (
    NO_HISTORY,
    NO_TARGET,
    WindowShape,
    all_windows,
    split_windows,
)
from pipelines.datasets.series_store import SeriesStore
from pipelines.errors import ConfigError, DataError
from tests.unit.series_tables import layout, stamp, store

NAN = float("nan")
SMALL = {"history": 6, "horizon": 3}


def split(kept, **options):
    return split_windows(kept, SeriesOptions(**{**SMALL, **options}))


def steps(rows):
    """Return the first and last step of targets of each window."""
    return rows.origins + 1, rows.origins + rows.horizon


@given(st.data())
def test_no_window_straddles_a_cut(data):
    lengths = data.draw(st.lists(st.integers(40, 200), min_size=1, max_size=3))
    shifts = data.draw(st.lists(st.integers(0, 30), min_size=3, max_size=3))
    options = {
        "history": data.draw(st.integers(1, 10)),
        "horizon": data.draw(st.integers(1, 5)),
        "gap": data.draw(st.sampled_from([None, 0, 1, 7])),
        "history_from": data.draw(st.sampled_from(["auto", "part", "past"])),
        "stride": data.draw(st.sampled_from([None, 1, 4])),
    }
    series = {
        f"s{n}": (3600 * shifts[n], np.arange(length)[:, None] + 1.0)
        for n, length in enumerate(lengths)
    }
    kept = SeriesStore.of(layout(), series)
    try:
        found = split(kept, **options)
    except DataError as error:
        assert "give a smaller --history or --horizon" in str(error)
        return
    parts = (found.train, found.valid, found.test)
    spans = [it.span for it in parts]
    for rows, (first, limit) in zip(parts, spans, strict=True):
        times = rows.target_times(np.arange(len(rows)))
        assert ((times >= first) & (times < limit)).all()
        assert (rows.origins >= 0).all()
        assert (rows.origins + rows.horizon < np.diff(kept.offsets)[rows.series]).all()
    gap = options["gap"] if options["gap"] is not None else 0
    for before, after in itertools.pairwise(spans):
        assert after[0] - before[1] >= 3600 * gap
    if options["history_from"] == "part":
        for rows, cut in zip(parts[1:], (spans[0][1], spans[1][1]), strict=True):
            begins = kept.starts[rows.series] + 3600 * np.maximum(
                rows.origins + 1 - rows.history, 0
            )
            assert (begins >= cut).all()


def test_parts_are_seventy_fifteen_fifteen_of_the_observed_steps():
    values = np.ones(1000)
    values[:200] = NAN  # these count for nothing
    found = split(store(values), gap=0)
    cuts = [found.train.span[1], found.valid.span[1]]
    assert [(cut - stamp("2020-01-01")) // 3600 for cut in cuts] == [760, 880]


def test_series_are_cut_at_the_same_stamps():
    kept = SeriesStore.of(
        layout(),
        {"old": (0, np.ones((1000, 1))), "late": (3600 * 500, np.ones((500, 1)))},
    )
    found = split(kept)
    for number in (0, 1):
        ends = found.train.target_times(np.flatnonzero(found.train.series == number))
        assert ends.max() == found.train.span[1] - 3600


def test_origins_are_every_step_in_train_and_every_stride_in_test():
    found = split(store(np.ones(1000)), stride=7)
    assert (np.diff(found.train.origins) == 1).all()
    assert (np.diff(found.test.origins) == 7).all()
    assert (np.diff(split(store(np.ones(1000)), horizon=8).test.origins) == 2).all()


@pytest.mark.parametrize("steps", [40_000, 320_030, 640_060])  # 1.5, 12 and 24 times too many
def test_validation_windows_are_few_and_cover_every_hour(steps):
    found = split(store(np.ones(steps, np.float32)), gap=0)
    assert 3000 < len(found.valid) <= 4000
    hours = np.bincount(found.valid.origins % 24)
    assert hours.max() < 1.2 * hours.min()


def test_a_planted_leak_is_out_of_reach():
    """A future value copied to the training part would win; no training window can see one."""
    values = np.sin(np.arange(600.0))
    found = split(store(values), gap=5, history_from="past")
    first_valid = int(steps(found.valid)[0].min())
    touched = np.concatenate(
        [np.arange(o + 1 - 6, o + 1 + 3) for o in found.train.origins.tolist()]
    )
    assert touched.max() == first_valid - 5 - 1
    spoilt = values.copy()
    spoilt[first_valid - 5 :] = 1e6
    again = split(store(spoilt), gap=5, history_from="past")
    assert again.train.origins.tolist() == found.train.origins.tolist()
    for before, after in zip(found.train, again.train, strict=True):
        np.testing.assert_array_equal(before.history, after.history)
        np.testing.assert_array_equal(before.target, after.target)
    assert np.nanmax(again.train.part(0)) <= 1


def test_windows_with_nothing_to_learn_from_are_left_out_and_counted():
    values = np.ones(400)
    values[100:130] = NAN
    found = split(store(values))
    first, last = steps(found.train)
    assert not ((first >= 100) & (last < 130)).any()
    assert found.dropped[NO_TARGET] > 0
    history = np.array([(~np.isnan(it.history)).sum() for it in found.train])
    assert history.min() == 2  # a quarter of six, but at least two
    assert found.dropped[NO_HISTORY] > 0


def test_partly_observed_horizons_stay():
    values = np.tile([1.0, NAN], 200)
    found = split(store(values))
    assert any(np.isnan(it.target).any() for it in found.train)


def test_short_series_are_padded():
    found = split(store(*[np.arange(30.0)] * 4), history=20, horizon=2)
    assert np.isnan(found.train[0].history[0, 0])
    assert "4 series" not in found.notes[0]
    found = split(store(*[np.arange(21.0)] * 4), history=20, horizon=2)
    assert "4 series are shorter than both together, their histories padded" in found.notes[0]


def test_parts_of_short_series_have_no_gap_unless_one_is_given():
    found = split(store(*[np.arange(30.0)] * 4), history=6, horizon=3)
    assert found.valid.span[0] == found.train.span[1]
    assert "no gap between the targets of two parts, as they are short" in found.notes[1]
    found = split(store(*[np.arange(30.0)] * 4), history=6, horizon=3, gap=2)
    assert found.valid.span[0] == found.train.span[1] + 2 * 3600


def test_series_too_short_are_an_error_in_numbers():
    message = (
        r"the longest of 1 series, 's0', has 10 steps \(10 with a value in all series together\), "
        r"for a history of 100 and a horizon of 5; expected at least 40 steps; give a smaller "
        r"--history or --horizon, or longer series"
    )
    with pytest.raises(DataError, match=message):
        split(store(range(10)), history=100, horizon=5)


def test_a_series_that_begins_late_is_tested_without_training():
    kept = SeriesStore.of(
        layout(), {"old": (0, np.ones((1000, 1))), "new": (3600 * 900, np.ones((100, 1)))}
    )
    found = split(kept)
    assert 1 not in found.train.series
    assert 1 in found.test.series


def test_constant_series_can_be_split():
    assert len(split(store(np.full(200, 7.0))).test)


@pytest.mark.parametrize("name", ["horizon", "history", "stride", "season"])
def test_a_length_of_zero_is_refused(name):
    with pytest.raises(ConfigError, match=f"{name}.*at least 1"):
        split(store(range(100)), **{name: 0})


def test_lengths_not_given_follow_from_the_frequency():
    shape = WindowShape.of(SeriesOptions(), layout("D").frequency)
    assert (shape.history, shape.horizon, shape.stride, shape.season) == (56, 14, 3, 7)


def test_everything_is_scored_where_nothing_is_learned():
    rows, left_out = all_windows(store(range(50)), SeriesOptions(**SMALL, stride=1))
    assert rows.origins.tolist() == list(range(1, 47))
    assert left_out == {NO_HISTORY: 1}
    with pytest.raises(DataError, match="no window to score: the longest of 1 series"):
        all_windows(store(range(3)), SeriesOptions(**SMALL))


def test_months_are_cut_at_months():
    found = split(store(range(240), frequency="MS"))
    for rows in (found.train, found.valid, found.test):
        days = np.array(rows.span).astype("M8[s]").astype("M8[D]")
        assert (days == days.astype("M8[M]").astype("M8[D]")).all()


def test_millions_of_steps_and_thousands_of_series_split_in_seconds():
    many = SeriesStore.of(
        layout("MS"), {f"s{n}": (0, np.ones((60, 1), np.float32)) for n in range(5000)}
    )
    found = split_windows(many, SeriesOptions())
    assert len(np.unique(found.train.series)) == len(np.unique(found.test.series)) == 5000


def test_a_long_test_part_is_scored_at_fewer_origins(monkeypatch):
    monkeypatch.setattr(series_thinning, "MOST_SCORED", 150)
    values = np.arange(2000.0)
    options = {"history": 8, "horizon": 4, "season": 24}
    found = split(store(values, values), **options)
    whole = split(store(values, values), **options, stride=1)
    assert len(whole.test) > 2 * 200
    assert 2 * 20 <= len(found.test) <= 2 * 26
    hours = found.test.origins[found.test.series == 0]
    assert len(set((hours % 24).tolist())) >= 20, "no hour is favoured"
    np.testing.assert_array_equal(hours, found.test.origins[found.test.series == 1])
    assert "--stride 1 takes all" in found.notes[-1]
    assert not any("test origins" in note for note in whole.notes)


def test_origins_of_short_series_are_all_scored(monkeypatch):
    monkeypatch.setattr(series_thinning, "MOST_SCORED", 100)
    few = store(*[np.arange(60.0)] * 30)
    assert len(split(few, stride=None).test) == len(split(few, stride=1).test) > 100
