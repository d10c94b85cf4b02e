import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from pipelines.errors import EvaluationError
from pipelines.evaluation import metrics

GOLD = np.array([0, 0, 1, 1, 1, 2])
SAID = np.array([0, 1, 1, 1, 0, 1])
PROBABILITIES = np.array(
    [
        [0.7, 0.2, 0.1],
        [0.3, 0.6, 0.1],
        [0.1, 0.8, 0.1],
        [0.2, 0.5, 0.3],
        [0.5, 0.4, 0.1],
        [0.1, 0.6, 0.3],
    ]
)


def test_scores_by_hand():
    assert metrics.accuracy(GOLD, SAID) == pytest.approx(3 / 6)
    # F1: class 0 1/2, class 1 2*2/(3+4), class 2 never answered.
    assert metrics.macro_f1(GOLD, SAID) == pytest.approx((1 / 2 + 4 / 7 + 0) / 3)


def test_class_scores_by_hand():
    zero, one, two = metrics.class_scores(GOLD, SAID, ["a", "b", "c"])
    assert (zero.label, zero.precision, zero.recall, zero.support) == ("a", 0.5, 0.5, 2)
    assert (one.precision, one.recall) == (pytest.approx(2 / 4), pytest.approx(2 / 3))
    assert (two.precision, two.recall, two.f1, two.support) == (0, 0, 0, 1)


def test_confusion_rows_are_gold():
    matrix = metrics.confusion_matrix(GOLD, SAID, 3)
    assert matrix.tolist() == [[1, 1, 0], [1, 2, 0], [0, 1, 0]]


def test_probability_scores_agree_with_scikit_learn():
    assert metrics.log_loss(GOLD, PROBABILITIES) == pytest.approx(sk.log_loss(GOLD, PROBABILITIES))
    onehot = np.eye(3)[GOLD]
    expected = ((PROBABILITIES - onehot) ** 2).sum(axis=1).mean()
    assert metrics.brier(GOLD, PROBABILITIES) == pytest.approx(expected)
    area = sk.roc_auc_score(GOLD, PROBABILITIES, multi_class="ovr")
    assert metrics.roc_auc(GOLD, PROBABILITIES) == pytest.approx(area)


def test_certain_and_wrong_costs_much_but_not_infinitely():
    losses = metrics.row_log_losses(np.array([0]), np.array([[0.0, 1.0]]))
    assert losses[0] == pytest.approx(-np.log(1e-7))


def test_binary_area_ranks_by_the_second_class():
    gold = np.array([0, 0, 1, 1])
    second = np.array([0.1, 0.4, 0.35, 0.8])
    probabilities = np.column_stack([1 - second, second])
    assert metrics.roc_auc(gold, probabilities) == pytest.approx(0.75)


def test_area_leaves_out_classes_without_rows():
    gold = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]])
    assert metrics.roc_auc(gold, probabilities) == 1.0


def test_calibration_error_by_hand():
    confidence = np.array([0.6] * 10 + [0.9] * 10)
    correct = np.array([True] * 5 + [False] * 5 + [True] * 9 + [False])
    bins = metrics.reliability_bins(confidence, correct)
    assert [(b.count, round(b.accuracy, 6)) for b in bins] == [(10, 0.5), (10, 0.9)]
    assert metrics.expected_calibration_error(confidence, correct) == pytest.approx(0.05)


@given(
    st.lists(st.floats(0, 1, width=32), min_size=1, max_size=300),
    st.integers(1, 20),
)
@settings(max_examples=80, deadline=None)
def test_bins_cover_all_rows_in_order_and_keep_equal_values_together(values, bins):
    confidence = np.array(values)
    numbers = metrics.equal_mass_bins(confidence, bins)
    assert numbers.max() < bins
    assert set(numbers) == set(range(numbers.max() + 1))
    order = np.argsort(confidence, kind="stable")
    assert (np.diff(numbers[order]) >= 0).all()
    for value in np.unique(confidence):
        assert len(set(numbers[confidence == value])) == 1


def test_bins_hold_equally_many_rows():
    numbers = metrics.equal_mass_bins(np.random.default_rng(1).random(1500), 15)
    assert np.bincount(numbers).tolist() == [100] * 15


@pytest.mark.parametrize(
    "measure",
    [
        metrics.accuracy,
        metrics.macro_f1,
        lambda gold, said: metrics.class_scores(gold, said, ["a", "b"]),
        lambda gold, said: metrics.confusion_matrix(gold, said, 2),
        lambda gold, said: metrics.log_loss(gold, said),
        lambda gold, said: metrics.brier(gold, said),
        lambda gold, said: metrics.roc_auc(gold, said),
        lambda gold, said: metrics.reliability_bins(gold, said),
    ],
)
def test_lengths_are_checked_everywhere(measure):
    with pytest.raises(EvaluationError, match=r"2 rows against 3.*predict every row, in order"):
        measure(np.zeros(2, int), np.zeros(3, int))
    with pytest.raises(EvaluationError, match=r"0 rows; at least 1.*not empty"):
        measure(np.zeros(0, int), np.zeros(0, int))


def test_area_of_one_class_says_so():
    with pytest.raises(EvaluationError, match=r"every row has class 1; at least two.*score"):
        metrics.roc_auc(np.array([1, 1]), np.array([[0.5, 0.5], [0.4, 0.6]]))
