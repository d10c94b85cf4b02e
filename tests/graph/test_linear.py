import numpy as np
import pytest
from keras import ops
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression

from pipelines.corpus import Ragged
from pipelines.layers.linear import Blend, NgramLinear, fit_blend, fit_linear

BUCKETS = 12
RNG = np.random.default_rng(1)


def documents(count=60):
    rows = [RNG.choice(np.arange(1, BUCKETS + 1), size=RNG.integers(1, 6), replace=False)
            for _ in range(count)]  # fmt: skip
    return Ragged(np.concatenate(rows), np.array([len(row) for row in rows]))


def padded(ids):
    rows = np.split(ids.values, np.cumsum(ids.lengths)[:-1])
    return np.array([np.pad(row, (0, 6 - len(row))) for row in rows], np.int32)


def counts_of(ids):
    matrix = np.zeros((len(ids.lengths), BUCKETS + 1))
    matrix[np.repeat(np.arange(len(ids.lengths)), ids.lengths), ids.values] = 1
    return matrix


def built(classes):
    layer = NgramLinear(BUCKETS, classes)
    layer.build((None, None))
    return layer


@pytest.mark.parametrize("classes", [2, 3])
def test_the_layer_scores_as_scikit_learns_tfidf_and_logistic_regression(classes):
    ids = documents()
    labels = RNG.integers(0, classes, 60)
    layer = built(classes)
    fit_linear([layer], [ids], np.eye(classes)[labels], np.ones(60), penalty=3.0, seed=0)
    scores = ops.convert_to_numpy(layer(padded(ids)))
    features = TfidfTransformer().fit_transform(counts_of(ids))
    for label in range(classes):
        reference = LogisticRegression(C=3.0, solver="liblinear", random_state=0)
        reference.fit(features, labels == label)
        expected = reference.decision_function(features)
        measured = scores[:, label] * (2 if classes == 2 else 1)
        np.testing.assert_allclose(measured, expected, atol=2e-3)


def test_a_soft_target_counts_as_both_answers():
    ids = Ragged(np.array([1, 1, 2]), np.array([1, 1, 1]))
    layer = built(2)
    soft = np.array([[0.25, 0.75], [0.25, 0.75], [0.9, 0.1]])
    fit_linear([layer], [ids], soft, np.ones(3), penalty=1e4, seed=0)
    scores = ops.convert_to_numpy(layer(np.array([[1], [2]], np.int32)))
    np.testing.assert_allclose(softmax(scores, axis=1), [[0.25, 0.75], [0.9, 0.1]], atol=0.01)


def test_padding_weighs_nothing():
    layer = built(2)
    layer.set_weights([RNG.normal(size=weight.shape) for weight in layer.get_weights()])
    weights = layer.get_weights()
    weights[0][0] = 0
    layer.set_weights(weights)
    short, long = layer(np.array([[3, 5]])), layer(np.array([[3, 5, 0, 0]]))
    np.testing.assert_allclose(short, long, atol=1e-6)


def test_the_blend_finds_the_system_that_is_right():
    labels = RNG.integers(0, 2, 400)
    signal = np.eye(2)[labels] * 2 - 1 + RNG.normal(size=(400, 2))
    blend = Blend(2)
    blend.build([(None, 2), (None, 2)])
    fit_blend(blend, [RNG.normal(size=(400, 2)), signal], labels)
    noise_weight, signal_weight = blend.get_weights()[0]
    assert noise_weight < 0.2 < 0.8 < signal_weight


def test_a_handful_of_rows_cannot_decide_the_blend():
    blend = Blend(2)
    blend.build([(None, 2), (None, 2)])
    wrong = [np.array([[9.0, 0.0]]), np.array([[0.0, 9.0]])]
    fit_blend(blend, wrong, np.array([1]))
    assert (blend.get_weights()[0] > 0.3).all()
