import numpy as np
import pytest
from scipy import stats

from pipelines.errors import EvaluationError
from pipelines.evaluation import resampling, wording
from pipelines.evaluation.backtest import LEVELS, Backtest
from pipelines.evaluation.forecast_tests import (
    Units,
    block_weights,
    diebold_mariano,
    long_run_variance,
    resampled_totals,
    units_of,
)
from pipelines.evaluation.overview import score_table
from pipelines.evaluation.scores import Comparison, Score

HOUR = 3600


def rolling(origins, horizon=24, *, spacing=24, series=1, season=24):
    """A back-test of which only times and series matter."""
    first = np.tile(np.arange(origins) * spacing, series)
    return Backtest(
        series=np.repeat(np.arange(series), origins),
        names=[f"s{number}" for number in range(series)],
        times=(first[:, None] + np.arange(horizon)) * HOUR,
        actual=np.zeros((origins * series, horizon, 1)),
        history=np.zeros((origins * series, 2, 1)),
        scale=np.ones((origins * series, 1)),
        targets=("y",),
        units=("",),
        levels=LEVELS,
        season=season,
        frequency="h",
        step_name="hour",
    )


def moving_average(random, count, reach):
    """Noise whose values share `reach` of their parts with the next."""
    return np.convolve(random.normal(size=count + reach), np.ones(reach + 1), "valid")


def test_rows_of_one_time_are_one_unit_and_blocks_span_a_season():
    units = units_of(rolling(300, spacing=6, series=3))
    assert (units.count, units.name, units.overlap, units.block) == (300, "origins", 3, 7)
    assert units.numbers.tolist() == [*range(300)] * 3
    assert units_of(rolling(300, horizon=12, spacing=6)).block == 7  # 300 ** (1 / 3)
    assert units_of(rolling(2000, spacing=1)).block == 24
    assert units_of(rolling(300)).overlap == 0


def test_few_origins_of_many_series_are_counted_by_series():
    units = units_of(rolling(3, series=200))
    assert (units.count, units.name, units.block, units.overlap) == (200, "series", 1, 0)
    assert units_of(rolling(3, series=2)).name == "origins"


def test_one_origin_and_one_step_are_enough_to_be_a_unit():
    units = units_of(rolling(1, horizon=1))
    assert (units.count, units.block, units.overlap) == (1, 1, 0)


def test_without_overlap_it_is_nearly_a_t_test():
    gaps = np.random.default_rng(2).normal(0.3, 1.0, 12)
    # 12 values: no neighbours beyond the 2 that Newey and West's rule takes.
    variance = long_run_variance(gaps, 2) / 12
    by_hand = gaps.mean() / np.sqrt(variance) * np.sqrt((12 + 1 - 6 + 6 / 12) / 12)
    assert diebold_mariano(gaps) == pytest.approx(2 * stats.t.sf(abs(by_hand), 11))
    assert long_run_variance(gaps, 0) == pytest.approx(gaps.var())


def test_long_run_variance_by_hand():
    # Deviations -1, 0, 1: squares 2, products of neighbours 0, of the ends -1 with weight 1 / 3.
    assert long_run_variance(np.array([1.0, 2.0, 3.0]), 2) == pytest.approx((2 - 2 / 3) / 3)


@pytest.mark.parametrize("overlap", [0, 3, 11])
def test_no_difference_is_rarely_called_one(overlap):
    random = np.random.default_rng(overlap)
    found = [
        diebold_mariano(moving_average(random, 300, overlap), overlap=overlap) for _ in range(600)
    ]
    assert 0.02 <= np.mean(np.array(found) < 0.05) <= 0.1


def test_taking_overlapping_origins_for_independent_would_find_differences():
    random = np.random.default_rng(5)
    naive = [
        stats.ttest_1samp(moving_average(random, 300, 11), 0).pvalue < 0.05 for _ in range(200)
    ]
    assert np.mean(naive) > 0.4


def test_equal_and_single_losses_show_nothing():
    assert diebold_mariano(np.zeros(10)) == 1.0
    assert diebold_mariano(np.ones(1)) == 1.0
    assert diebold_mariano(np.ones(10)) == 0.0


def test_blocks_are_whole_wrap_round_and_draw_every_unit_alike():
    found = block_weights(np.random.default_rng(1), 4000, 10, 3)
    assert (found.sum(axis=1) == 9).all()
    assert found.mean(axis=0) == pytest.approx(np.full(10, 0.9), abs=0.05)
    one = block_weights(np.random.default_rng(1), 50, 4, 3)
    assert sorted(set(map(tuple, one.tolist()))) == [
        (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0),
    ]  # fmt: skip


def test_block_bootstrap_knows_of_time():
    random = np.random.default_rng(3)
    values = moving_average(random, 2000, 11)[:, None]
    blocks, single = (
        resampled_totals(values, Units(np.arange(2000), 2000, 0, block, "origins"), seed=1).std()
        for block in (40, 1)
    )
    truth = np.sqrt(long_run_variance(values[:, 0], 40) * 2000)
    assert blocks == pytest.approx(truth, rel=0.2)
    assert single < 0.5 * truth


def test_many_units_are_pooled_with_their_neighbours(monkeypatch):
    values = moving_average(np.random.default_rng(3), 1001, 5)[:, None]
    units = Units(np.arange(1001), 1001, 0, 25, "origins")
    full = resampled_totals(values, units, seed=1)
    monkeypatch.setattr(resampling, "MAX_UNITS", 300)
    pooled = resampled_totals(values, units, seed=2)
    assert pooled.std() == pytest.approx(full.std(), rel=0.15)


def test_no_units_is_an_error():
    with pytest.raises(EvaluationError, match="0 rows to resample"):
        resampled_totals(np.zeros((0, 1)), Units(np.zeros(0), 0, 0, 1, "origins"), seed=1)


def coverage(value, baseline, difference, p_value):
    entry = Comparison(value=baseline, difference=difference, low=-0.1, high=-0.01, p_value=p_value)
    return Score(
        name="coverage_80",
        value=value,
        unit="fraction",
        better="target",
        target=0.8,
        count=100,
        counted="values",
        low=0.78,
        high=0.84,
        baselines={"drift": entry},
    ).as_json()


def test_a_score_with_a_target_is_told_by_its_distance():
    score = coverage(0.81, 0.86, -0.05, 0.01)
    assert wording.verdict(score, "drift") == "better"
    assert wording.against(score, "drift") == (
        "5.0 points nearer to 0.800 than drift (0.860), p = 0.01"
    )
    worse = coverage(0.7, 0.86, 0.04, 0.01)
    assert wording.verdict(worse, "drift") == "worse"
    assert "4.0 points farther from 0.800 than drift" in wording.against(worse, "drift")
    assert wording.verdict(coverage(0.7, 0.86, 0.04, 0.2), "drift") == "undecided"
    assert "as near to 0.800 as drift" in wording.against(coverage(0.8, 0.8, 0.0, 1.0), "drift")


def test_the_table_says_what_is_best():
    score = coverage(0.81, 0.86, -0.05, 0.01)
    row = score_table([score], score).rows[0]
    assert row[0] == "coverage of the 80 % interval, best is 0.800"
    assert "−5.0 points nearer" in str(row[3])


def test_names_and_values_with_units():
    assert wording.readable("mase") == "MASE"
    assert wording.readable("crps: PM2_5") == "CRPS: PM2_5"
    assert wording.readable("width_80") == "width of the 80 % interval"
    score = {"value": 31.25, "unit": "µg/m³", "baselines": {"drift": 40.0}, "better": "lower"}
    assert wording.against(score, "drift") == "8.75 µg/m³ below drift (40.0)"
    assert wording.with_unit(-1234567.0, "W") == "−1,234,567 W"
    assert wording.difference_interval({"low": -3.0, "high": 0.5}, "W") == "−3.00 to +0.500 W"
