import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pipelines.errors import EvaluationError
from pipelines.evaluation import resampling
from pipelines.evaluation.bootstrap import (
    bootstrap_mean,
    bootstrap_statistic,
    bootstrap_sums,
    bootstrap_weighted,
    compare_means,
    compare_statistic,
    compare_sums,
    compare_weighted,
    mcnemar_p_value,
    proportion_interval,
)


def test_mean_interval_matches_the_normal_theory():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    found = bootstrap_mean(values, seed=3)
    half = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean())
    assert found.low == pytest.approx(values.mean() - half, abs=0.03)
    assert found.high == pytest.approx(values.mean() + half, abs=0.03)


def test_same_seed_same_interval_and_another_seed_another():
    values = np.random.default_rng(1).normal(size=100)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1)
    assert bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_cells_of_a_table_give_the_row_interval():
    rows = np.repeat([1.0, 0.0], [160, 40])
    by_row = bootstrap_mean(rows, seed=5, resamples=8000)
    by_cell = bootstrap_weighted(
        lambda weights: weights[:, 0] / weights.sum(axis=1),
        np.array([160, 40]),
        seed=5,
        resamples=8000,
    )
    assert by_cell.value == by_row.value == 0.8
    assert by_cell.low == pytest.approx(by_row.low, abs=0.006)
    assert by_cell.high == pytest.approx(by_row.high, abs=0.006)


def test_cells_that_happen_to_sum_to_their_number_are_not_taken_for_rows():
    found = bootstrap_weighted(
        lambda weights: weights[:, 0] / weights.sum(axis=1), np.array([2, 0]), seed=1
    )
    assert (found.low, found.high) == (1.0, 1.0)


def test_pooled_rows_give_the_interval_of_all_rows(monkeypatch):
    values = np.random.default_rng(2).exponential(size=3000)
    full = bootstrap_mean(values, seed=1)
    monkeypatch.setattr(resampling, "MAX_UNITS", 500)
    pooled = bootstrap_mean(values, seed=1)
    assert pooled.value == pytest.approx(full.value)
    assert pooled.high - pooled.low == pytest.approx(full.high - full.low, rel=0.12)


def test_documents_widen_the_interval_of_rows_that_agree_within_them():
    groups = np.repeat(np.arange(40), 25)
    values = np.random.default_rng(3).normal(size=40)[groups]
    rows = bootstrap_mean(values, seed=1)
    documents = bootstrap_mean(values, groups=groups, seed=1)
    assert documents.value == pytest.approx(rows.value)
    assert documents.high - documents.low > 3 * (rows.high - rows.low)


def test_document_numbers_need_no_order():
    groups = np.repeat(np.arange(10), 5)
    values = np.random.default_rng(3).normal(size=50)
    order = np.random.default_rng(4).permutation(50)
    sorted_rows = bootstrap_mean(values, groups=groups, seed=1)
    mixed_rows = bootstrap_mean(values[order], groups=groups[order], seed=1)
    assert mixed_rows.low == pytest.approx(sorted_rows.low)


def test_statistic_of_totals_and_of_row_numbers_agree():
    random = np.random.default_rng(5)
    sums = np.column_stack([random.integers(0, 5, 150), random.integers(5, 9, 150)])
    fast = bootstrap_sums(sums, lambda totals: totals[:, 0] / totals[:, 1], seed=1)
    slow = bootstrap_statistic(
        lambda rows: float(sums[rows, 0].sum() / sums[rows, 1].sum()), 150, seed=2
    )
    assert slow.value == pytest.approx(fast.value)
    assert slow.low == pytest.approx(fast.low, abs=0.01)
    assert slow.high == pytest.approx(fast.high, abs=0.01)


def test_centred_interval_holds_the_value_of_a_sum_of_absolute_gaps():
    gaps = np.random.default_rng(6).normal(0, 1, (200, 10))
    statistic = lambda totals: np.abs(totals).sum(axis=1)  # noqa: E731
    plain = bootstrap_sums(gaps, statistic, seed=1)
    centred = bootstrap_sums(gaps, statistic, seed=1, centred=True)
    assert centred.low < centred.value < centred.high
    assert centred.low < plain.low


def test_paired_difference_sees_what_unpaired_intervals_hide():
    random = np.random.default_rng(7)
    hard = random.normal(0, 10, 300)
    first, second = hard + 0.5 + random.normal(0, 0.5, 300), hard
    found = compare_means(first, second, seed=1)
    assert 0 < found.low < found.value < found.high
    assert found.p_value < 0.01
    assert bootstrap_mean(first, seed=1).low < second.mean()


def test_p_values_of_equal_systems_are_spread_evenly():
    below = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        first, second = random.normal(size=(2, 60))
        below += compare_means(first, second, seed=seed, resamples=400).p_value < 0.1
    assert 8 <= below <= 36  # 20 expected


def test_identical_systems_have_p_one():
    values = np.random.default_rng(8).normal(size=50)
    found = compare_means(values, values, seed=1)
    assert (found.value, found.low, found.high, found.p_value) == (0, 0, 0, 1)


def test_compare_statistic_by_document_agrees_with_totals():
    groups = np.repeat(np.arange(30), 4)
    random = np.random.default_rng(9)
    first, second = random.normal(0.3, 1, 120), random.normal(0, 1, 120)
    slow = compare_statistic(
        lambda rows: float(first[rows].mean()),
        lambda rows: float(second[rows].mean()),
        120,
        groups=groups,
        seed=1,
    )
    fast = compare_means(first, second, groups=groups, seed=2)
    assert slow.value == pytest.approx(fast.value)
    assert slow.low == pytest.approx(fast.low, abs=0.05)
    assert slow.p_value == pytest.approx(fast.p_value, abs=0.05)


def test_compare_weighted_p_value_is_near_the_exact_test():
    only_first, only_second = 30, 14
    table = np.array([100, only_first, only_second, 60])
    found = compare_weighted(
        lambda weights: weights[:, 1] / 204, lambda weights: weights[:, 2] / 204, table, seed=1
    )
    assert found.p_value == pytest.approx(mcnemar_p_value(only_first, only_second), abs=0.015)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (5, 0), (3, 9), (40, 41)])
def test_mcnemar_is_the_sign_test_on_disagreements(first, second):
    total = first + second
    expected = min(1.0, 2 * stats.binom.cdf(min(first, second), total, 0.5)) if total else 1.0
    assert mcnemar_p_value(first, second) == pytest.approx(expected)


def test_mcnemar_by_hand():
    assert mcnemar_p_value(5, 0) == pytest.approx(2 / 32)


@given(st.integers(1, 5000), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_proportion_interval_holds_its_value_and_has_width(count, share):
    hits = round(count * share)
    found = proportion_interval(hits, count)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1
    assert found.high > found.low


def test_perfect_answers_are_not_called_certain():
    assert proportion_interval(20, 20).low == pytest.approx(0.839, abs=0.001)


def test_empty_and_unequal_input_say_what_is_wrong():
    with pytest.raises(EvaluationError, match=r"0 rows to resample.*test split is not empty"):
        bootstrap_mean(np.array([]), seed=1)
    with pytest.raises(EvaluationError, match=r"3 rows against 2.*predict every test row"):
        compare_means(np.zeros(3), np.zeros(2), seed=1)
    with pytest.raises(EvaluationError, match=r"2 group numbers for 3 rows.*same length"):
        bootstrap_mean(np.zeros(3), groups=np.zeros(2), seed=1)
    with pytest.raises(EvaluationError, match=r"4 rows against 3"):
        compare_sums(np.zeros((4, 2)), np.zeros((3, 2)), lambda totals: totals[:, 0], seed=1)


def test_a_million_rows_take_little_memory_and_time():
    found = bootstrap_mean(np.random.default_rng(1).random(1_000_000), seed=1, resamples=500)
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.2887 / 1000, rel=0.1)
