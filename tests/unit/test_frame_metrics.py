from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from pipelines.errors import EvaluationError
from pipelines.evaluation.frame_metrics import (
    edit_score,
    edits,
    frame_accuracy,
    macro_f1,
    matches,
    overlap_f1,
    segments_of,
)

LABELS = st.lists(st.integers(0, 2), min_size=1, max_size=24).map(np.array)
PAIRS = st.integers(1, 24).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(0, 2), min_size=n, max_size=n).map(np.array)] * 2)
)


def slow_runs(labels):
    """Runs as (label, first, last), frame by frame."""
    runs = []
    for frame, label in enumerate(labels.tolist()):
        if runs and runs[-1][0] == label:
            runs[-1] = (label, runs[-1][1], frame)
        else:
            runs.append((label, frame, frame))
    return runs


def slow_distance(one, two):
    @lru_cache(None)
    def distance(i, j):
        if not i or not j:
            return i + j
        same = distance(i - 1, j - 1) + (one[i - 1] != two[j - 1])
        return min(same, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    return distance(len(one), len(two))


def slow_f1(gold, predicted, overlap):
    """As published: every predicted run looks at all gold runs, by sets of frames."""
    wanted, found = slow_runs(gold), slow_runs(predicted)
    taken, right = set(), 0
    for label, first, last in found:
        shares = []
        for other, start, end in wanted:
            one, two = set(range(first, last + 1)), set(range(start, end + 1))
            shares.append(len(one & two) / len(one | two) if label == other else 0.0)
        best = int(np.argmax(shares))
        if shares[best] >= overlap and best not in taken:
            taken.add(best)
            right += 1
    precision, recall = right / len(found), right / len(wanted)
    return 2 * precision * recall / (precision + recall) if right else 0.0


def test_segments_are_maximal_runs():
    found = segments_of(np.array([3, 3, 1, 1, 1, 3]))
    assert found.labels.tolist() == [3, 1, 3]
    assert found.starts.tolist() == [0, 2, 5] and found.limits.tolist() == [2, 5, 6]
    assert found.middles.tolist() == [0, 3, 5]
    assert len(segments_of(np.zeros(0, int))) == 0


@settings(max_examples=60, deadline=None)
@given(LABELS)
def test_segments_agree_with_a_walk_over_frames(labels):
    found = segments_of(labels)
    triples = zip(found.labels.tolist(), found.starts.tolist(), found.limits.tolist(), strict=True)
    assert [(label, start, limit - 1) for label, start, limit in triples] == slow_runs(labels)


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_segmental_scores_agree_with_their_definitions(pair):
    gold, predicted = pair
    one, two = [run[0] for run in slow_runs(gold)], [run[0] for run in slow_runs(predicted)]
    expected = 1 - slow_distance(tuple(one), tuple(two)) / max(len(one), len(two))
    assert edit_score([gold], [predicted]) == pytest.approx(expected)
    for overlap in (0.1, 0.25, 0.5):
        assert overlap_f1([gold], [predicted], overlap) == pytest.approx(
            slow_f1(gold, predicted, overlap)
        )


@settings(max_examples=60, deadline=None)
@given(LABELS, LABELS)
def test_marked_edits_turn_one_sequence_into_the_other(gold, predicted):
    found = edits(gold, predicted)
    assert found.distance == slow_distance(tuple(gold.tolist()), tuple(predicted.tolist()))
    kept = predicted[~found.extra]
    missed = len(gold) - len(kept)
    assert 0 <= missed <= found.wrong.sum()  # the rest of the wrong ones were renamed
    right = gold[~found.wrong].tolist()
    assert right == subsequence(kept.tolist(), right)


def subsequence(row, wanted):
    rest = iter(row)
    return [label for label in wanted if label in rest]


def test_over_segmentation_costs_segments_but_few_frames():
    gold = np.repeat([0, 1], 50)
    predicted = gold.copy()
    predicted[[10, 20, 30]] = 1
    assert frame_accuracy(gold, predicted) == 0.97
    assert edit_score([gold], [predicted]) == pytest.approx(1 - 6 / 8)
    assert overlap_f1([gold], [predicted], 0.5) == pytest.approx(2 * 1 / 10)
    assert overlap_f1([gold], [predicted], 0.1) == pytest.approx(2 * 2 / 10)


def test_a_gold_segment_is_found_once():
    gold = segments_of(np.repeat([0, 1, 0], [10, 2, 10]))
    predicted = segments_of(np.repeat([0, 1, 0, 1, 0], [5, 1, 5, 1, 10]))
    assert matches(gold, predicted, 0.3).tolist() == [0, -1, -1, 1, 2]
    assert matches(gold, predicted, 0.75).tolist() == [-1, -1, -1, -1, 2]


def test_segmental_scores_put_streams_together_as_published():
    gold = [np.repeat([0, 1], 5), np.array([0] * 10)]
    predicted = [np.repeat([0, 1], 5), np.array([1] * 10)]
    assert edit_score(gold, predicted) == 0.5  # the mean of streams
    assert overlap_f1(gold, predicted, 0.1) == pytest.approx(2 * 2 / 6)  # of all segments


def test_macro_f1_is_over_gold_classes():
    gold, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    assert macro_f1(gold, predicted) == pytest.approx((2 / 3 + 1) / 2)
    expected = f1_score(gold, predicted, labels=[0, 1], average="macro")
    assert macro_f1(gold, predicted) == pytest.approx(expected)


def test_measures_refuse_what_does_not_fit():
    with pytest.raises(EvaluationError, match="segment F1: 3 rows against 2; .*predict every row"):
        overlap_f1([np.zeros(3)], [np.zeros(2)], 0.5)
    with pytest.raises(EvaluationError, match="edit score: 1 streams against 0; .*label every"):
        edit_score([np.zeros(3)], [])
