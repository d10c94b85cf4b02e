from itertools import pairwise

import numpy as np
import pytest

from pipelines.datasets.series import Column, Frequency, SeriesLayout, SeriesStore, WindowRows
from pipelines.datasets.series_clock import to_wall
from pipelines.errors import EvaluationError
from pipelines.evaluation import (
    series_boosting,
    series_features,
    series_naive,
    series_statistical,
)
from pipelines.evaluation.backtest import LEVELS, backtest_of, mase_scales, values_at
from pipelines.evaluation.forecasting import score_forecasts
from pipelines.evaluation.series_baselines import BOOSTING, baselines_of
from pipelines.evaluation.series_boosting import Form, LagBoosting, between
from pipelines.evaluation.series_climate import Climatology
from pipelines.evaluation.series_features import feature_table
from pipelines.evaluation.series_naive import (
    CLIMATE,
    DRIFT,
    LAST,
    LONG,
    SEASONAL,
    carried_forward,
    drift,
    naive_outputs,
    repeat_last,
    seasonal_naive,
)
from pipelines.evaluation.series_residuals import StepResiduals
from pipelines.evaluation.series_statistical import ETS, MSTL, THETA, statistical_outputs

HOUR = 3600
HOURLY = Frequency("second", HOUR, "h")
DAILY = Frequency("second", 24 * HOUR, "D")
MONTHLY = Frequency("month", 1, "MS")
NAN = np.nan


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    """Seconds instead of minutes; forecasts are then rough."""
    monkeypatch.setattr(series_boosting, "ITERATIONS", 32)
    monkeypatch.setattr(series_boosting, "PAIRS", 3000)
    monkeypatch.setattr(series_boosting, "FEWEST_PAIRS", 500)
    monkeypatch.setattr(series_boosting, "TUNING_WINDOWS", 20)


def store_of(*series, frequency=HOURLY, past=0, known=0, categories=(), zone=""):
    roles = ["target"] * (np.shape(series[0])[-1] - past - known) + ["past"] * past
    columns = tuple(
        Column(f"c{number}", role, categories if role == "past" else ())
        for number, role in enumerate(roles + ["known"] * known)
    )
    layout = SeriesLayout(columns, (), frequency, zone)
    return SeriesStore.of(layout, {f"s{n}": (0, values) for n, values in enumerate(series)})


def split(store, history, horizon, *, stride=1):
    """Train, validation and test windows, cut at 60 and 80 % of the first series' steps."""
    count = int(store.offsets[1])
    edges = [0, int(0.6 * count), int(0.8 * count), count]
    parts = []
    for first, limit in pairwise(edges):
        start = max(first - 1, history - 1)
        origins = np.arange(start, limit - horizon, stride)
        series = np.repeat(np.arange(len(store)), len(origins))
        span = tuple(int(store.layout.frequency.time(0, edge)) for edge in (first, limit))
        rows = np.tile(origins, len(store))
        parts.append(WindowRows(store, series, rows, history=history, horizon=horizon, span=span))
    return parts


def waves(count=600, seed=1, noise=1.0, level=20.0):
    random = np.random.default_rng(seed)
    steps = np.arange(count)
    return (level + 5 * np.sin(2 * np.pi * steps / 24) + noise * random.normal(size=count))[:, None]


def test_the_last_observed_value_is_repeated():
    history = np.array([[1.0, 2.0, NAN], [NAN, NAN, NAN]])[..., None]
    found = repeat_last(history, 2)[..., 0]
    assert found[0].tolist() == [2.0, 2.0]
    assert np.isnan(found[1]).all()


def test_the_season_is_repeated_from_its_last_observed_place():
    history = np.array([[9.0, 1, 2, 3, 4, NAN, 6]])[..., None]
    assert seasonal_naive(history, 4, 3)[0, :, 0].tolist() == [4.0, 2.0, 6.0, 4.0]
    assert seasonal_naive(history, 2, 8)[0, :, 0].tolist() == [6.0, 6.0]


def test_drift_goes_on_from_what_was_observed():
    history = np.array([[NAN, 1.0, 5.0, 4.0, NAN]])[..., None]
    assert drift(history, 2)[0, :, 0].tolist() == [4 + 1.5 * 2, 4 + 1.5 * 3]
    assert drift(np.array([[[3.0]]]), 2)[0, :, 0].tolist() == [3.0, 3.0]


def test_carrying_forward_never_looks_ahead():
    found = carried_forward(np.array([[NAN, 1.0, NAN, 3.0]]))[0]
    assert np.isnan(found[0]) and found[1:].tolist() == [1.0, 1.0, 3.0]


def test_values_outside_a_series_are_missing_and_no_neighbours():
    store = store_of(np.arange(5.0)[:, None], 10 + np.arange(5.0)[:, None])
    rows = WindowRows(store, [0, 1, 1], [4, 0, 4], history=2, horizon=2)
    found = values_at(store.values, rows, np.arange(-1, 3))[..., 0]
    np.testing.assert_array_equal(found, [[3, 4, NAN, NAN], [NAN, 10, 11, 12], [13, 14, NAN, NAN]])


def test_the_scale_is_the_seasonal_change_of_the_training_part_alone():
    values = np.array([1.0, 5, 2, NAN, 5, 6, 1000, 2000, 3000, 4000])[:, None]
    train, _, test = split(store_of(values, frequency=DAILY), 2, 1)
    # Pairs two days apart within the first six: 1-2, 2-5 and no others without a gap but none.
    assert mase_scales(train, 2)["s0"] == pytest.approx((1 + 3) / 2)
    assert np.isnan(mase_scales(train, 7)["s0"]).all()
    found = backtest_of(test, {"s0": np.array([2.0])}, season=2)
    assert found.scale.tolist() == [[2.0]] * len(test)
    assert found.actual[0, 0, 0] == 3000 and found.history[0, :, 0].tolist() == [1000, 2000]
    assert np.isnan(backtest_of(test, {}).scale).all()


def test_places_in_the_season_are_by_the_clock():
    values = np.tile(np.arange(24.0), 20)[:, None]
    train, _, test = split(store_of(values), 24, 24, stride=7)
    points = Climatology(24).fit(train).points(test)
    np.testing.assert_allclose(points[..., 0], backtest_of(test, {}).actual[..., 0])
    months = np.tile(np.arange(12.0), 10)[:, None]
    train, _, test = split(store_of(months, frequency=MONTHLY), 12, 12)
    points = Climatology(12).fit(train).points(test)
    np.testing.assert_allclose(points[..., 0], backtest_of(test, {}).actual[..., 0])


def test_what_is_usual_follows_the_clock_through_daylight_saving():
    zone, hours = "Europe/Rome", np.arange(24 * 300)  # from January into autumn
    local = to_wall(hours * HOUR, zone) // HOUR % 24
    train, _, test = split(store_of(local[:, None].astype(float), zone=zone), 24, 24, stride=24)
    points = Climatology(24).fit(train).points(test)
    np.testing.assert_allclose(points[..., 0], backtest_of(test, {}).actual[..., 0])


def test_spread_is_each_series_own_or_shared_in_scale():
    random = np.random.default_rng(1)
    store = store_of(np.zeros((900, 1)), np.zeros((900, 1)))
    rows = WindowRows(store, [0] * 800 + [1] * 50, [5] * 850, history=2, horizon=1)
    scale = np.where(rows.series == 0, 1.0, 10.0)[:, None]
    residuals = (random.normal(3.0, 1.0, size=850) * scale[:, 0])[:, None, None]
    spread = StepResiduals(LEVELS).fit(rows, residuals, scale)
    assert list(spread.own_) == [0]
    found = spread.outputs(rows, np.zeros((850, 1, 1)), scale)
    own, shared = found["quantiles"][0, 0, 0], found["quantiles"][849, 0, 0]
    assert own == pytest.approx(np.quantile(residuals[:800], LEVELS))
    assert shared == pytest.approx(10 * np.quantile(residuals / scale[..., None], LEVELS))
    assert found["mean"][0, 0, 0] == pytest.approx(residuals[:800].mean())


def test_a_step_never_observed_is_an_error():
    values = np.full((60, 1), NAN)
    train, _, test = split(store_of(values), 4, 2)
    with pytest.raises(EvaluationError, match="observed in none; expected one at least: give a"):
        naive_outputs(train, test, LEVELS, 24)


def test_plain_rules_cover_and_fill_missing_windows():
    values = waves(1500)
    values[-80:-40] = NAN
    train, _, test = split(store_of(values), 168, 6)
    found = naive_outputs(train, test, LEVELS, 24)
    assert list(found) == [LAST, SEASONAL, LONG.format(168), DRIFT, CLIMATE]
    scores = score_forecasts(backtest_of(test, mase_scales(train)), found[CLIMATE], found)
    coverage = next(score for score in scores if score.name == "coverage_80")
    for entry in coverage.baselines.values():
        assert entry.value == pytest.approx(0.8, abs=0.1)


def planted(values, test):
    """The same series with everything after the last origin replaced, and those windows."""
    changed = np.array(values)
    last = int(test.origins[-1])
    changed[last + 1 :] = 1e6
    store = store_of(changed, past=1)
    one = {"history": test.history, "horizon": test.horizon, "span": test.span}
    return [WindowRows(each, [0], [last], **one) for each in (test.store, store)]


def test_no_baseline_sees_beyond_the_origin():
    random = np.random.default_rng(2)
    values = waves(500)
    # A covariate that holds the target a day ahead would win, if it were read ahead.
    leak = np.roll(values, -24, axis=0) + 0.01 * random.normal(size=values.shape)
    values = np.hstack([values, leak])
    train, valid, test = split(store_of(values, past=1), 48, 24)
    clean, spoilt = planted(values, test)
    settings = {"levels": LEVELS, "season": 24, "seed": 1}
    first, second = (baselines_of(train, valid, rows, **settings) for rows in (clean, spoilt))
    assert BOOSTING in first and ETS in first
    for name in first:
        for key in ("mean", "quantiles"):
            np.testing.assert_array_equal(first[name][key], second[name][key], err_msg=name)


def test_nothing_is_learned_from_validation_and_test_targets():
    values = waves(500)
    changed = values.copy()
    train, _, test = split(store_of(values), 48, 24)
    changed[300:] = changed[300:] * 3 + 100
    spoilt, _, _ = split(store_of(changed), 48, 24)
    nothing = train[:0]
    settings = {"levels": LEVELS, "season": 24, "seed": 1}
    found = [baselines_of(rows, nothing, test[:3], **settings) for rows in (train, spoilt)]
    for name in found[0]:
        for key in ("mean", "quantiles"):
            np.testing.assert_allclose(found[0][name][key], found[1][name][key], err_msg=name)


def test_boosting_beats_plain_rules_where_a_covariate_tells():
    random = np.random.default_rng(3)
    cause = random.normal(size=900)
    target = waves(900, noise=0.1)[:, 0] + 4 * cause
    store = store_of(np.column_stack([target, cause]), known=1)
    train, valid, test = split(store, 48, 6)
    model = LagBoosting(24, LEVELS, 1).fit(train, valid)
    found = naive_outputs(train, test, LEVELS, 24)
    scores = score_forecasts(backtest_of(test, mase_scales(train)), model.predict(test), found)
    for entry in scores[0].baselines.values():
        assert entry.value > 1.5 * scores[0].value and entry.p_value < 0.01


def test_boosting_learns_words_of_any_order():
    random = np.random.default_rng(3)
    words = random.integers(0, 6, 400)
    target = np.roll(np.array([3.0, 0, 2, 0, 3, 1])[words], 1)
    target[0] = 0
    store = store_of(np.column_stack([target, words]), past=1, categories=tuple("abcdef"))
    rows = WindowRows(store, [0], [50], history=10, horizon=1)
    table = feature_table(rows, 5, scaled=False)
    assert table.categorical.sum() == 1
    assert table.values[0, 0, table.categorical] == words[50]
    train, valid, test = split(store, 10, 1)
    found = LagBoosting(5, LEVELS, 1).fit(train, valid).predict(test)
    assert (
        np.abs(found["quantiles"][:, 0, 0, 4] - backtest_of(test, {}).actual[:, 0, 0]).mean() < 0.3
    )


@pytest.mark.parametrize("size", [1e9, 1e-9])
def test_boosting_does_not_depend_on_the_unit(size):
    found = []
    for scale in (1.0, size):
        train, valid, test = split(store_of(waves(400) * scale), 48, 4)
        found.append(LagBoosting(24, LEVELS, 1).fit(train, valid).predict(test)["mean"] / scale)
    assert np.abs(found[0] - found[1]).mean() < 0.5  # a wave is 10 high


def test_one_model_for_many_short_series_and_two_targets(monkeypatch):
    monkeypatch.setattr(series_statistical, "MOST_SERIES", 3)
    series = []
    for number in range(12):
        wave = waves(60, seed=number) * 10.0 ** (number % 4)
        series.append(np.hstack([wave, wave[::-1]]))
    train, valid, test = split(store_of(*series, frequency=DAILY), 14, 3)
    found = baselines_of(train, valid, test, levels=(0.1, 0.25, 0.5, 0.9), season=7, seed=1)
    assert any(name.startswith(f"{ETS} (") and "else seasonal naive" in name for name in found)
    scores = score_forecasts(
        backtest_of(test, mase_scales(train), (0.1, 0.25, 0.5, 0.9)), found[BOOSTING], found
    )
    assert np.isfinite([score.value for score in scores]).all()


def test_statistical_models_run_up_to_the_origin_and_say_what_they_left_out(monkeypatch):
    values = waves(700, noise=0.2)
    values[400:404] = NAN
    train, _, test = split(store_of(values), 48, 24)
    naive = naive_outputs(train, test, LEVELS, 24)
    monkeypatch.setattr(series_statistical, "MOST_ROWS", 10)
    found = statistical_outputs(train, test, LEVELS, 24, instead=naive[SEASONAL], seed=1)
    name = f"{THETA} (10 of {len(test):,} rows, else seasonal naive)"
    assert name in found
    drawn = np.any(found[name]["mean"] != naive[SEASONAL]["mean"], axis=(1, 2))
    assert drawn.sum() == 10
    actual = backtest_of(test, {}).actual
    assert np.nanmean(np.abs(found[name]["mean"] - actual)[drawn]) < 1.0


@pytest.mark.parametrize("values", [np.full((200, 1), 7.0), np.full((200, 1), 0.0)])
def test_a_constant_series_is_forecast_as_it_is(values):
    train, valid, test = split(store_of(values), 48, 4)
    found = baselines_of(train, valid, test, levels=LEVELS, season=24, seed=1)
    for name, outputs in found.items():
        np.testing.assert_allclose(outputs["mean"], values[0, 0], atol=1e-6, err_msg=name)


def test_forms_go_there_and_back():
    values, anchor = np.array([0.0, 1.0, 500.0]), np.array([3.0, 0.0, 20.0])
    for form in (Form(0.0, False), Form(0.0, True), Form(2.0, False), Form(2.0, True)):
        there = form.learned(values, anchor)
        assert form.restored(there, anchor) == pytest.approx(values)


def test_levels_between_and_beyond_the_fitted():
    fitted = np.array([1.0, 3.0, 4.0])
    found = between(fitted, (0.1, 0.5, 0.9), (0.05, 0.1, 0.3, 0.9, 0.98))
    assert found == pytest.approx([0.75, 1.0, 2.0, 4.0, 4.2])


def test_a_year_of_minutes_is_not_looked_back_upon(monkeypatch):
    minutes = Frequency("second", 60, "min")
    train, _, test = split(store_of(waves(9000), frequency=minutes), 60, 30, stride=7)
    naive = naive_outputs(train, test, LEVELS, 1440)
    seen = []

    class Told:
        def fit(self, past):
            seen.append(len(past))
            return self

        def forward(self, past, h, level):
            seen.append(len(past))
            ends = {f"{side}-{it}": np.zeros(h) for side in ("lo", "hi") for it in level}
            return {"mean": np.zeros(h)} | ends

    monkeypatch.setattr(series_statistical, "_models", lambda *_: {ETS: Told})
    found = statistical_outputs(train, test, LEVELS, 1440, instead=naive[SEASONAL], seed=1)
    assert max(seen) == 3 * 1440
    assert list(found) == [ETS]


def test_a_forecast_that_explodes_has_failed(monkeypatch):
    train, _, test = split(store_of(waves(600)), 48, 6)
    naive = naive_outputs(train, test, LEVELS, 24)[SEASONAL]

    class Exploding:
        def fit(self, past):
            return self

        def forward(self, past, h, level):
            ends = {f"{side}-{it}": np.full(h, 1e40) for side in ("lo", "hi") for it in level}
            return {"mean": np.zeros(h)} | ends

    monkeypatch.setattr(series_statistical, "_models", lambda *_: {ETS: Exploding})
    found = statistical_outputs(train, test, LEVELS, 24, instead=naive, seed=1)
    for outputs in found.values():
        np.testing.assert_array_equal(outputs["quantiles"], naive["quantiles"])


def test_work_on_many_targets_is_bounded(monkeypatch):
    random = np.random.default_rng(1)
    wide = [waves(300) + random.normal(size=(300, 30)) for _ in range(5)]
    _, _, test = split(store_of(*wide), 48, 4)
    monkeypatch.setattr(series_statistical, "MOST_STEPS", 30 * 48 * 10)
    rows = series_statistical.drawn_rows(test, random, 48)
    assert len(rows) == 10
    assert len(np.unique(test.series[rows])) == 2, "60 fits are two series of thirty targets"


def test_a_week_is_no_season_of_days(monkeypatch):
    train, _, test = split(store_of(*[waves(100)] * 3), 48, 6)
    naive = naive_outputs(train, test, LEVELS, 24)
    found = statistical_outputs(train, test, LEVELS, 24, instead=naive[SEASONAL], seed=1)
    assert not any("168" in name for name in found)


def test_of_many_targets_some_are_boosted_each_from_its_own_past(monkeypatch):
    monkeypatch.setattr(series_boosting, "MOST_TARGETS", 2)
    random = np.random.default_rng(2)
    values = np.hstack([waves(300, seed=n, level=20 + 10 * n) for n in range(6)])
    train, valid, test = split(store_of(values + random.normal(size=values.shape)), 30, 4)
    table = feature_table(test[:5], 24, scaled=False)
    for target in (0, 3):
        recent = table.values[:, 0][:, table.owner == target]
        np.testing.assert_allclose(
            recent[:, 0], values_at(test.store.values, test[:5], [0])[:, 0, target]
        )
        assert np.nanmax(np.abs(recent - (20 + 10 * target))) < 12, "no other target's past"
    assert table.used(3).sum() < 0.4 * len(table.owner)
    naive = naive_outputs(train, test, LEVELS, 24)[SEASONAL]
    model = LagBoosting(24, LEVELS, 1).fit(train, valid)
    found = model.predict(test, naive)
    same = (found["mean"] == naive["mean"]).all(axis=(0, 1))
    assert same.tolist() == [False, True, True, True, True, False]
    assert model.partly == " (2 of 6 targets, else seasonal naive)"
    actual = backtest_of(test, {}).actual
    for target in (0, 5):
        error = np.abs(found["mean"] - actual)[..., target].mean()
        assert error < 0.9 * np.abs(actual[..., target] - actual[..., target].mean()).mean()


def test_features_are_made_a_bounded_number_at_a_time(monkeypatch):
    _, _, test = split(store_of(waves(2000)), 48, 4)
    width = feature_table(test[:1], 24, scaled=True).values.shape[-1]
    monkeypatch.setattr(series_features, "CHUNK_VALUES", 10 * 4 * width)
    assert series_features.chunk_of(test, 24) == 10


def test_residuals_of_many_targets_are_measured_at_fewer_origins(monkeypatch):
    monkeypatch.setattr(series_naive, "TRAIN_VALUES", 250 * 52 * 3)
    wide = np.hstack([waves(700, seed=n) for n in range(3)])
    train, _, test = split(store_of(wide), 48, 4)
    fitted = []
    fit = StepResiduals.fit

    def told(spread, rows, *rest):
        fitted.append(len(rows))
        return fit(spread, rows, *rest)

    monkeypatch.setattr(StepResiduals, "fit", told)
    naive_outputs(train, test, LEVELS, 24)
    assert len(train) > 250
    assert set(fitted) == {250}


def test_two_seasons_are_taken_apart_only_for_few_forecasts():
    few, many = (series_statistical._models(24, count, 168) for count in (300, 301))
    assert f"{MSTL}, seasons 24 and 168" in few
    assert MSTL in many
