import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from utilsforecast import losses

from pipelines.datasets.series_clock import to_wall
from pipelines.errors import EvaluationError
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation.backtest import LEVELS, Backtest, seasonal_change
from pipelines.evaluation.forecasting import score_forecasts

HOUR = 3600


def backtest_of(actual, *, scale=1.0, spacing=None, series=None, levels=LEVELS, targets=None):
    """A back-test of hourly values [N, H, K] whose origins are `spacing` hours apart."""
    rows, horizon, count = actual.shape
    series = np.zeros(rows, np.int64) if series is None else series
    first = np.arange(rows) * (spacing or horizon)
    return Backtest(
        series=series,
        names=[f"s{number}" for number in range(int(series.max(initial=0)) + 1)],
        times=(first[:, None] + np.arange(horizon)) * HOUR,
        actual=actual,
        history=np.zeros((rows, 4, count)),
        scale=np.full((rows, count), scale, float),
        targets=targets or tuple(f"t{number}" for number in range(count)),
        units=("kg",) * count,
        levels=levels,
        season=24,
        frequency="h",
        step_name="hour",
    )


def normal_outputs(mean, spread, levels=LEVELS):
    mean = np.asarray(mean, float)
    return {"mean": mean, "quantiles": mean[..., None] + spread * norm.ppf(levels)}


def named(scores):
    return {score.name: score for score in scores}


@st.composite
def frames(draw):
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    series, steps = draw(st.integers(1, 4)), draw(st.integers(1, 12))
    size = 10.0 ** draw(st.integers(-3, 6))
    actual = random.normal(size=(series, steps, 1)) * size
    actual[random.random(actual.shape) < 0.1] = 0.0
    quantiles = np.sort(random.normal(size=(series, steps, 1, len(LEVELS))) * size, axis=-1)
    past = random.normal(size=(series, 30)) * size
    return actual, quantiles, past


def long_frame(actual, quantiles):
    series, steps, _ = actual.shape
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(series), steps),
            "ds": np.tile(np.arange(100, 100 + steps), series),
            "cutoff": 99,
            "y": actual.ravel(),
            "m": quantiles[..., 4].ravel(),
            "m-lo-80": quantiles[..., 0].ravel(),
            "m-hi-80": quantiles[..., -1].ravel(),
        }
    )
    for place, level in enumerate(LEVELS):
        frame[f"q{level}"] = quantiles[..., place].ravel()
    return frame


@given(frames())
def test_figures_agree_with_utilsforecast(case):
    actual, quantiles, _ = case
    frame = long_frame(actual, quantiles)
    median = metrics.at_level(quantiles, LEVELS, 0.5)
    # Series are equally long here, so the mean over values is the mean over series.
    plain = frame.drop(columns="cutoff")
    for ours, theirs in (
        (metrics.mae, losses.mae),
        (metrics.smape, losses.smape),
    ):
        assert ours(actual, median) == pytest.approx(theirs(plain, ["m"])["m"].mean(), rel=1e-9)
    each = losses.rmse(plain, ["m"])["m"]
    assert metrics.rmse(actual, median) == pytest.approx(np.sqrt((each**2).mean()), rel=1e-9)
    models = {"m": [f"q{level}" for level in LEVELS]}
    loss = losses.mqloss(plain, models, quantiles=np.array(LEVELS))["m"].mean()
    assert metrics.crps(actual, quantiles, LEVELS) == pytest.approx(2 * loss, rel=1e-9)
    share = losses.coverage(plain, ["m"], 80)["m"].mean()
    assert metrics.coverage(actual, quantiles[..., 0], quantiles[..., -1]) == pytest.approx(share)


@given(frames())
def test_mase_and_weighted_quantile_loss_agree_with_utilsforecast(case):
    actual, quantiles, past = case
    plain = long_frame(actual, quantiles).drop(columns="cutoff")
    train = pd.DataFrame(
        {
            "unique_id": np.repeat(np.arange(len(past)), past.shape[1]),
            "ds": np.tile(np.arange(past.shape[1]), len(past)),
            "y": past.ravel(),
        }
    )
    scale = np.concatenate([seasonal_change(series[:, None], 7)[None] for series in past])
    found = metrics.mase(actual, metrics.at_level(quantiles, LEVELS, 0.5), scale)
    theirs = losses.mase(plain, ["m"], seasonality=7, train_df=train)["m"]
    assert found == pytest.approx(theirs.mean(), rel=1e-6)
    if len(actual) == 1 and np.abs(actual).sum() > 0:
        models = {"m": [f"q{level}" for level in LEVELS]}
        theirs = losses.scaled_crps(plain, models, quantiles=np.array(LEVELS))["m"].iloc[0]
        ours = metrics.weighted_quantile_loss(actual, quantiles, LEVELS)
        assert ours == pytest.approx(theirs, rel=1e-6)


def test_samples_and_many_quantiles_both_near_the_closed_form_of_a_normal():
    # Gneiting & Raftery (2007): CRPS of N(0, 1) at y.
    y = np.array([[[-1.3]], [[0.0]], [[2.1]]])
    exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
    levels = (np.arange(2000) + 0.5) / 2000
    quantiles = np.broadcast_to(norm.ppf(levels), (3, 1, 1, 2000))
    assert metrics.crps_of_quantiles(y, quantiles, levels) == pytest.approx(exact, abs=1e-3)
    assert metrics.crps_of_samples(y, quantiles) == pytest.approx(exact, abs=1e-3)


def test_score_of_two_samples_by_hand():
    # |1 - 2| and |4 - 2| average 1.5; half the mean distance of all pairs, 3 / 4, comes off.
    assert metrics.crps_of_samples(np.array([2.0]), np.array([[4.0, 1.0]]))[0] == pytest.approx(
        0.75
    )


def test_missing_actual_values_count_nowhere():
    actual = np.array([[[1.0], [np.nan]], [[3.0], [5.0]]])
    point = np.array([[[2.0], [99.0]], [[3.0], [9.0]]])
    assert metrics.mae(actual, point) == pytest.approx(5 / 3)
    losses_ = metrics.absolute_error(actual, point)
    assert metrics.by_step(losses_) == pytest.approx([0.5, 4.0])
    assert metrics.by_group(losses_, np.array([0, 1]), 3)[:2] == pytest.approx([1.0, 2.0])
    assert np.isnan(metrics.by_group(losses_, np.array([0, 1]), 3)[2])
    assert metrics.coverage(actual, point - 1, point + 1) == pytest.approx(2 / 3)
    assert metrics.mean(metrics.interval_width(actual, point, point + 2)) == 2


def test_groups_by_hour_and_weekday():
    monday = 4 * 86_400  # 1970-01-05
    assert metrics.weekdays([0, monday, monday + 86_399, monday + 6 * 86_400]).tolist() == [
        3,
        0,
        0,
        6,
    ]
    assert metrics.hours([0, 3_599, 3_600, 86_400 + 23 * HOUR]).tolist() == [0, 0, 1, 23]
    losses_ = np.arange(6.0).reshape(2, 3, 1)
    hours = np.array([[0, 1, 2], [1, 2, 0]])
    assert metrics.by_group(losses_, hours, 3) == pytest.approx([2.5, 2.0, 3.0])


def test_clocks_jump_with_daylight_saving():
    spring = int(pd.Timestamp("2024-03-31 00:00").timestamp())
    shown = to_wall(np.array([[spring, spring + HOUR]]), "Europe/Berlin") - spring
    assert shown.tolist() == [[HOUR, 3 * HOUR]]


def test_a_level_between_two_is_interpolated_and_outer_ones_bound():
    quantiles = np.array([10.0, 20.0, 40.0])
    assert metrics.at_level(quantiles, (0.2, 0.4, 0.8), 0.5) == pytest.approx(25.0)
    assert metrics.at_level(quantiles, (0.2, 0.4, 0.8), 0.4) == 20.0
    assert metrics.at_level(quantiles, (0.2, 0.4, 0.8), 0.05) == 10.0


def test_central_intervals_need_both_tails():
    assert metrics.central_intervals((0.05, 0.1, 0.5, 0.9)) == [(0.8, 1, 3)]


def test_scores_of_a_calibrated_forecast():
    random = np.random.default_rng(3)
    actual = random.normal(size=(400, 6, 1))
    outputs = normal_outputs(np.zeros_like(actual), 1.0)
    wide = normal_outputs(np.zeros_like(actual) + 0.5, 3.0)
    scores = named(score_forecasts(backtest_of(actual, scale=2.0), outputs, {"wide": wide}))
    assert list(scores) == [
        "mase", "crps", "mae", "rmse", "smape", "wql", "coverage_80", "width_80",
    ]  # fmt: skip
    assert scores["mae"].value == pytest.approx(np.sqrt(2 / np.pi), abs=0.03)
    assert scores["mase"].value == pytest.approx(scores["mae"].value / 2)
    assert scores["rmse"].value == pytest.approx(1, abs=0.05)
    share = scores["coverage_80"]
    assert (share.value, share.target, share.better) == (
        pytest.approx(0.8, abs=0.02),
        0.8,
        "target",
    )
    assert scores["width_80"].value == pytest.approx(2 * norm.ppf(0.9))
    assert scores["crps"].unit == scores["mae"].unit == scores["width_80"].unit == "kg"
    assert scores["mase"].unit == "" and scores["mase"].counted == "values"
    for name in ("crps", "mae", "rmse"):
        entry = scores[name].baselines["wide"]
        assert entry.low <= entry.difference <= entry.high < 0 and entry.p_value < 0.001
        assert entry.value + entry.difference == pytest.approx(scores[name].value)
        assert scores[name].low < scores[name].value < scores[name].high
    nearer = share.baselines["wide"]
    assert nearer.difference < 0 and nearer.p_value < 0.01


def test_series_without_a_scale_are_left_out_of_mase_alone():
    actual = np.random.default_rng(1).normal(size=(40, 2, 1))
    test = backtest_of(actual)
    test.scale[:20] = 0
    test.scale[20:25] = np.nan
    scores = named(score_forecasts(test, normal_outputs(np.zeros_like(actual), 1.0), {}))
    assert scores["mase"].count == 30 and scores["mae"].count == 80
    assert scores["mase"].value == pytest.approx(np.abs(actual[25:]).mean())


def test_several_targets_state_units_one_by_one():
    actual = np.random.default_rng(1).normal(size=(30, 2, 2)) * [1.0, 1000.0]
    test = backtest_of(actual, targets=("load", "a_b"))
    scores = named(score_forecasts(test, normal_outputs(np.zeros_like(actual), 1.0), {}))
    assert {"mae: load", "mae: a_b", "crps: a_b", "mase", "wql", "coverage_80"} <= set(scores)
    assert "mae" not in scores
    assert scores["mae: a_b"].value == pytest.approx(np.abs(actual[..., 1]).mean())


def test_scores_do_not_depend_on_the_unit():
    actual = np.random.default_rng(1).normal(10, 1, size=(50, 3, 1))
    outputs = normal_outputs(np.full_like(actual, 10.0), 1.0)
    for size in (1e9, 1e-9):
        test = backtest_of(actual * size, scale=size)
        scaled = {name: values * size for name, values in outputs.items()}
        large, plain = (
            named(score_forecasts(*pair, {"same": pair[1]}))
            for pair in ((test, scaled), (backtest_of(actual), outputs))
        )
        for name in ("mase", "smape", "wql", "coverage_80"):
            assert large[name].value == pytest.approx(plain[name].value, rel=1e-6)
            assert large[name].low == pytest.approx(plain[name].low, rel=1e-6)
        assert large["crps"].value == pytest.approx(plain["crps"].value * size, rel=1e-6)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda o: o.pop("mean"), "model: outputs hold .* not 'mean'.*check the serve signature"),
        (lambda o: o.update(mean=o["mean"][:1]), r"shape \(1, 2, 1\); expected \(3, 2, 1\)"),
        (
            lambda o: o["quantiles"].__setitem__((1, 0, 0, 3), np.nan),
            "'quantiles' of row 2, step 1 is not a finite number .1 of 54.*missing",
        ),
        (
            lambda o: o["quantiles"].__setitem__((2, 1, 0, 4), -9.0),
            "row 3, step 2 cross: level 0.5 lies below level 0.4.*sort them",
        ),
    ],
)
def test_outputs_that_do_not_fit(change, words):
    actual = np.zeros((3, 2, 1))
    outputs = normal_outputs(actual.copy(), 1.0)
    change(outputs)
    with pytest.raises(EvaluationError, match=words):
        score_forecasts(backtest_of(actual), outputs, {})


def test_nothing_observed_is_an_error():
    actual = np.full((3, 2, 1), np.nan)
    outputs = normal_outputs(np.zeros_like(actual), 1.0)
    with pytest.raises(EvaluationError, match="t0: none of 6 values to forecast is observed"):
        score_forecasts(backtest_of(actual), outputs, {})
