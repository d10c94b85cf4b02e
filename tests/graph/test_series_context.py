import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.layers.blended_start import BlendedStart
from pipelines.layers.series_context import (
    RecentValues,
    SeasonalLags,
    lag_count,
    recent_places,
    recent_stretches,
)

SIZES = {"length": st.integers(1, 40), "season": st.integers(1, 15), "horizon": st.integers(1, 20)}


def window(length, targets=2):
    return np.arange(length * targets, dtype=np.float32).reshape(1, length, targets)


@given(**SIZES)
def test_a_lag_is_a_whole_number_of_seasons_before_its_step(length, season, horizon):
    count = lag_count(length, season)
    layer = SeasonalLags(season, horizon)
    values = window(length)
    found = np.asarray(layer(values))
    assert found.shape == layer.compute_output_shape(values.shape)
    count = lag_count(length, season)
    assert found.shape == (1, horizon, count, 2)
    for step, lag in np.ndindex(horizon, count):
        ahead = length + step  # its place, counted from the window's first step
        place = ahead - season * -(-(step + 1) // season) - season * lag
        assert 0 <= place < length, "nothing beyond the window, nothing from its other end"
        np.testing.assert_array_equal(found[0, step, lag], values[0, place])


def test_a_window_shorter_than_its_season_has_no_lag_but_rows():
    assert np.asarray(SeasonalLags(6, 2)(window(5))).shape == (1, 2, 0, 2)


def test_no_more_seasons_are_looked_back_than_a_week_of_days():
    assert [lag_count(length, 24) for length in (23, 24, 71, 168, 500)] == [0, 1, 2, 7, 7]


@given(length=st.integers(1, 30), places=st.lists(st.integers(0, 40), max_size=4),
       means=st.lists(st.integers(1, 40), max_size=4))  # fmt: skip
def test_recent_values_are_those_at_the_end(length, places, means):
    places, means = [0, *places], [1, *means]
    values = window(length)
    expected = [values[:, length - 1 - place] for place in places if place < length]
    expected += [values[:, length - size :].mean(axis=1) for size in means if size <= length]
    found = RecentValues(places, means)(values)
    np.testing.assert_allclose(found, np.concatenate(expected, axis=-1), rtol=1e-6)


@given(st.integers(1, 2000))
def test_places_go_back_ever_faster_and_within_the_season(length):
    places = recent_places(length)
    assert places[0] == 0
    assert len(places) <= 11
    assert all(place < length for place in places[1:])
    steps = np.diff(places)
    assert (steps >= 1).all()
    assert (np.diff(steps) >= 0).all()


@given(st.integers(1, 500), st.integers(1, 200))
def test_stretches_fit_the_window_and_rise(length, season):
    stretches = recent_stretches(length, season)
    assert all(1 < size <= length for size in stretches)
    assert stretches == sorted(set(stretches))
    assert length == 1 or length in stretches


def case(rows=600, horizon=2, count=3, targets=2, seed=0):
    """Candidates and a calendar of one feature, 1 or -1."""
    rng = np.random.default_rng(seed)
    candidates = rng.normal(size=(rows, horizon, count, targets)).astype(np.float32)
    return candidates, rng.choice([-1.0, 1.0], size=(rows, horizon, 1)).astype(np.float32)


def fitted(candidates, calendar, targets):
    layer = BlendedStart()
    layer(candidates, calendar)
    layer.fit(candidates, calendar, targets)
    assert not layer.trainable_variables, "gradient descent leaves them"
    return [np.asarray(it) for it in layer(candidates, calendar)]


def test_the_first_candidate_counts_alone_before_anything_is_learned():
    candidates, calendar = case()
    start, spread = BlendedStart()(candidates, calendar)
    np.testing.assert_allclose(start, candidates[:, :, 0], rtol=1e-6)
    np.testing.assert_array_equal(spread, np.ones((600, 2, 2)))


def test_fitting_finds_the_weights_of_each_step_and_target():
    candidates, calendar = case()
    weights = np.random.default_rng(1).normal(size=(2, 3, 2))
    noise = np.random.default_rng(2).normal(0, 0.1, (600, 2, 2))
    truth = (candidates * weights).sum(axis=2)
    wanted = truth + noise
    wanted[::5, 1] = np.nan
    start, spread = fitted(candidates, calendar, wanted)
    assert np.abs(start - truth).max() < 0.2
    np.testing.assert_allclose(spread, 0.1, atol=0.03)


def test_fitting_finds_which_candidate_to_trust_on_which_day():
    candidates, calendar = case()
    truth = np.where(calendar > 0, candidates[:, :, 0], candidates[:, :, 1])
    start, spread = fitted(candidates, calendar, truth)
    assert np.abs(start - truth).max() < 0.2
    assert spread.max() < 0.1


def test_too_few_rows_keep_what_there_is():
    candidates, calendar = case(rows=6)
    start, spread = fitted(candidates, calendar, candidates[:, :, 1])
    np.testing.assert_allclose(start, candidates[:, :, 0], rtol=1e-6)
    assert np.isfinite(spread).all()


def test_candidates_that_say_the_same_or_nothing_are_no_trouble():
    candidates, calendar = case()
    candidates[:] = candidates[:, :, :1]
    start, spread = fitted(candidates, calendar, 0.5 * candidates[:, :, 0])
    np.testing.assert_allclose(start, 0.5 * candidates[:, :, 0], atol=0.05)
    start, spread = fitted(candidates * 0, calendar, candidates[:, :, 0] * 0)
    assert (start == 0).all()
    assert (spread > 0).all()


@pytest.mark.parametrize(
    "layer", [SeasonalLags(6, 3), RecentValues([0, 2], [3])], ids=lambda it: type(it).__name__
)
def test_layers_survive_saving(tmp_path, layer):
    inputs = keras.Input((12, 2))
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(window(12)), model(window(12)))
