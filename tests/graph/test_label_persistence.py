"""Labels that last: the chain's posteriors against sums over all sequences of labels."""

import itertools

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from pipelines.layers.crf import NEVER
from pipelines.layers.label_persistence import (
    LabelPersistence,
    fit_persistence,
    sequence_likelihood,
)

CLASSES, COST, SHARPNESS = 3, 1.3, 0.6


def layer_of(*, causal, cost=COST, sharpness=SHARPNESS):
    layer = LabelPersistence(causal=causal)
    layer.build((None, None, CLASSES + 1))
    layer.cost.assign(cost)
    layer.sharpness.assign(sharpness)
    return layer


def slow(scores, step, last):
    """Log-probability of each label of a step, given steps 0 to `last`, by enumeration."""
    said = SHARPNESS * log_softmax(scores[:, 1:], axis=-1)
    found = [[] for _ in range(CLASSES)]
    for labels in itertools.product(range(CLASSES), repeat=last + 1):
        changes = sum(one != other for one, other in itertools.pairwise(labels))
        found[labels[step]].append(
            sum(said[place, label] for place, label in enumerate(labels)) - COST * changes
        )
    return log_softmax([logsumexp(one) for one in found])


@pytest.mark.parametrize("causal", [False, True])
def test_posteriors_are_sums_over_all_sequences(causal):
    scores = np.random.default_rng(0).normal(size=(2, 6, CLASSES + 1)).astype("float32") * 3
    mask = np.arange(6) < [[6], [4]]
    found = np.array(layer_of(causal=causal)(scores, mask))
    assert (found[..., 0] == np.float32(NEVER)).all()
    for row, length in enumerate((6, 4)):
        for step in range(length):
            expected = slow(scores[row], step, step if causal else length - 1)
            np.testing.assert_allclose(found[row, step, 1:], expected, atol=1e-4)


def test_a_sequence_is_as_likely_as_its_share_of_all_sequences():
    said = log_softmax(np.random.default_rng(3).normal(size=(5, CLASSES)), axis=-1)
    paths = list(itertools.product(range(CLASSES), repeat=5))
    found = [sequence_likelihood(said, np.array(path), SHARPNESS, COST) for path in paths]
    np.testing.assert_allclose(logsumexp(found), 0, atol=1e-9)
    flat, busy = (found[paths.index(path)] for path in ((0,) * 5, (0, 1, 0, 1, 0)))
    gain = SHARPNESS * (said[[1, 3], 0] - said[[1, 3], 1]).sum()
    assert flat - busy == pytest.approx(4 * COST + gain)


def test_at_the_start_no_probability_is_changed():
    layer = layer_of(causal=False, cost=0.0, sharpness=1.0)
    scores = np.random.default_rng(1).normal(size=(1, 5, CLASSES + 1)).astype("float32")
    found = np.array(layer(scores, np.ones((1, 5), bool)))
    np.testing.assert_allclose(found[..., 1:], log_softmax(scores[..., 1:], axis=-1), atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
def test_labels_that_last_are_found_to_last_and_others_not(causal):
    rng = np.random.default_rng(2)
    lasting = np.repeat(rng.integers(1, CLASSES + 1, 12), 10)
    for labels, sticky in ((lasting, True), (rng.permutation(lasting), False)):
        scores = 1.5 * np.eye(CLASSES + 1)[labels] + rng.normal(size=(120, CLASSES + 1))
        layer = LabelPersistence(causal=causal)
        layer.build((None, None, CLASSES + 1))
        fit_persistence(layer, [(scores.astype("float32"), labels)])
        assert (float(layer.cost) > 0) == sticky
        found = np.array(layer(scores[None].astype("float32"), np.ones((1, 120), bool)))[0]
        right = (found.argmax(axis=-1) == labels).mean()
        assert right >= (scores[:, 1:].argmax(axis=-1) + 1 == labels).mean() + 0.05 * sticky
