"""Every quantity against the sum, or the maximum, over all paths written out."""

import itertools
from typing import NamedTuple

import keras
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras import ops
from scipy.special import log_softmax, logsumexp

from pipelines.layers.crf import CRF, log_normalizer, negative_log_likelihood, path_score
from pipelines.layers.crf_decoding import marginals, n_best, path_confidences, viterbi
from pipelines.layers.tag_constraints import Constraints, allowed_transitions

BIO = ("O", "B-a", "I-a", "B-b", "I-b")
numpy = ops.convert_to_numpy


class Case(NamedTuple):
    """A batch, the layer that scores it, and all legal paths of each row with their scores."""

    potentials: np.ndarray
    lengths: list[int]
    paths: list[dict[tuple[int, ...], float]]

    def log_probabilities(self, row):
        """Paths by falling log-probability."""
        total = logsumexp(list(self.paths[row].values()))
        return sorted(((score - total, path) for path, score in self.paths[row].items()))[::-1]


def written_out(layer, emissions, length):
    """Score every legal path of one row, in float64."""
    tags = emissions.shape[-1]
    weights = [np.array(weight, float) for weight in layer.get_weights()]
    moves, start, end = weights or (np.zeros((tags, tags)), np.zeros(tags), np.zeros(tags))
    emissions = emissions if weights else log_softmax(emissions.astype(float), -1)
    legal = [np.array(part) for part in layer.constraints or (True, True, True)]
    first, inner, last = (
        np.where(mask, score, -np.inf)
        for mask, score in zip(legal, (start, moves, end), strict=True)
    )
    scores = {
        path: first[path[0]]
        + last[path[-1]]
        + sum(emissions[range(length), path], start=0.0)
        + sum(inner[i, j] for i, j in itertools.pairwise(path))
        for path in itertools.product(range(tags), repeat=length)
    }
    return {path: score for path, score in scores.items() if score > -np.inf}


def make_case(lengths, tags, *, constraints=None, learned=True, scale=1.0, extra=0, seed=0):
    random = np.random.default_rng(seed)
    layer = CRF(constraints, learned=learned)
    emissions = random.normal(size=(len(lengths), max(lengths), tags)) * scale
    layer.build(emissions.shape)
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    padded = np.pad(emissions, ((0, 0), (0, extra), (0, 0)), constant_values=77.0)
    mask = np.arange(padded.shape[1]) < np.array(lengths)[:, None]
    potentials = numpy(layer(padded.astype("float32"), mask=mask))
    paths = [
        written_out(layer, emissions[row].astype("float32"), length)
        for row, length in enumerate(lengths)
    ]
    return Case(potentials, lengths, paths)


@st.composite
def cases(draw):
    tags = draw(st.integers(1, 4))
    constraints = None
    if draw(st.booleans()):
        random = np.random.default_rng(draw(st.integers(0, 99)))
        parts = [random.random(shape) < 0.5 for shape in ((tags,), (tags, tags), (tags,))]
        for part in parts:
            part[(0,) * part.ndim] = True  # so that some sequence of every length is legal
        constraints = Constraints(*(part.tolist() for part in parts))
    lengths = draw(st.lists(st.integers(1, 5), min_size=1, max_size=3))
    return make_case(
        lengths, tags, constraints=constraints, learned=draw(st.booleans()),
        extra=draw(st.integers(0, 2)), seed=draw(st.integers(0, 99)),
    )  # fmt: skip


@given(cases())
@example(make_case([1], 1))
@example(make_case([1, 1], 3, learned=False))
@settings(max_examples=25, deadline=None)
def test_the_normalizer_and_the_marginals_sum_over_all_paths(case):
    totals, tags = numpy(log_normalizer(case.potentials)), numpy(marginals(case.potentials))
    for row, length in enumerate(case.lengths):
        scores = list(case.paths[row].values())
        assert totals[row] == pytest.approx(logsumexp(scores), abs=1e-4)
        expected = np.zeros((length, tags.shape[-1]))
        for log_probability, path in case.log_probabilities(row):
            expected[range(length), path] += np.exp(log_probability)
        np.testing.assert_allclose(tags[row, :length], expected, atol=1e-5)


@given(cases(), st.integers(1, 7))
@example(make_case([1], 1), 2)
@example(make_case([3, 1], 1, extra=2), 1)
@settings(max_examples=25, deadline=None)
def test_the_best_paths_and_their_probabilities(case, n):
    best, log_probability = map(numpy, viterbi(case.potentials))
    ranked, probabilities = map(numpy, n_best(case.potentials, n))
    np.testing.assert_array_equal(ranked[:, 0], best)
    for row, length in enumerate(case.lengths):
        expected = case.log_probabilities(row)
        assert tuple(best[row, :length]) == expected[0][1]
        assert log_probability[row] == pytest.approx(expected[0][0], abs=1e-4)
        for rank in range(n):
            absent = rank >= len(expected)
            chance, path = expected[0] if absent else expected[rank]
            assert tuple(ranked[row, rank, :length]) == path
            wanted = 0 if absent else np.exp(chance)
            assert probabilities[row, rank] == pytest.approx(wanted, abs=1e-5)


@given(cases(), st.data())
@settings(max_examples=25, deadline=None)
def test_the_probability_of_a_stretch_of_a_path(case, data):
    chosen = [data.draw(st.sampled_from(sorted(paths))) for paths in case.paths]
    tags = np.full(case.potentials.shape[:2], -1, "int32")
    for row, path in enumerate(chosen):
        tags[row, : len(path)] = path
    left, right = map(numpy, path_confidences(case.potentials, tags))
    surprise = numpy(negative_log_likelihood(tags, case.potentials))
    np.testing.assert_allclose(
        left[:, -1] + right[:, -1],
        [left[row, length - 1] + right[row, length - 1] for row, length in enumerate(case.lengths)],
        atol=1e-6,
    )  # padding repeats the last real token
    scores = numpy(path_score(case.potentials, tags))
    for row, path in enumerate(chosen):
        known = case.log_probabilities(row)
        assert scores[row] == pytest.approx(case.paths[row][path], abs=1e-4)
        assert surprise[row] == pytest.approx(-dict(map(reversed, known))[path], abs=1e-4)
        for i, j in itertools.combinations_with_replacement(range(len(path)), 2):
            agreeing = [p for p, other in known if other[i : j + 1] == path[i : j + 1]]
            expected = np.exp(agreeing).sum()
            assert np.exp(left[row, i] + right[row, j]) == pytest.approx(expected, abs=1e-5)


def test_padding_and_batch_mates_change_nothing():
    short, long = (make_case([4, 1, 3], 3, extra=extra, seed=5).potentials for extra in (0, 6))
    for quantity in (log_normalizer, lambda p: viterbi(p)[1], lambda p: n_best(p, 3)[1]):
        np.testing.assert_allclose(quantity(short), quantity(long), rtol=1e-6)
        np.testing.assert_allclose(quantity(long[1:2]), quantity(long)[1:2], atol=1e-6)
    for steps in (marginals, lambda p: viterbi(p)[0]):
        np.testing.assert_array_equal(numpy(steps(short)), numpy(steps(long))[:, :4])
        np.testing.assert_array_equal(numpy(steps(short[1:2, :1]))[0], numpy(steps(long))[1, :1])


def test_the_gradient_is_the_slope():
    case = make_case([4, 2], 3, constraints=allowed_transitions(("O", "B", "I"), "bio"), seed=3)
    tags = np.array([path for _, path in (case.log_probabilities(0)[2], (0, (1, 2, -1, -1)))])
    where = np.argwhere(case.potentials > -1e29)
    gradient = gradient_of(lambda p: ops.sum(negative_log_likelihood(tags, p)), case.potentials)
    for place in map(tuple, where):
        values = []
        for step in (0.05, -0.05):
            moved = case.potentials.copy()
            moved[place] += step
            values.append(float(ops.sum(negative_log_likelihood(tags, moved))))
        assert gradient[place] == pytest.approx((values[0] - values[1]) / 0.1, abs=3e-4), place
    assert (gradient[case.potentials <= -1e29] == 0).all()


def gradient_of(function, values):
    import tensorflow as tf

    values = tf.convert_to_tensor(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = function(values)
    return tape.gradient(result, values).numpy()


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("learned", [True, False])
def test_an_illegal_sequence_never_comes_out(scale, learned):
    import tensorflow as tf

    rules = allowed_transitions(BIO, "bio")
    layer = CRF(rules, learned=learned)
    random = np.random.default_rng(1)
    emissions = tf.constant(random.normal(size=(40, 9, 5)) * scale, "float32")
    mask = np.arange(9) < random.integers(1, 10, 40)[:, None]
    with tf.GradientTape() as tape:
        tape.watch(emissions)
        potentials = layer(emissions, mask=mask)
        best, log_probability = viterbi(potentials)
        loss = negative_log_likelihood(best, potentials)
    gradient = tape.gradient(loss, emissions)
    ranked, probabilities = map(numpy, n_best(potentials, 4))
    for row, path in itertools.product(range(40), range(4)):
        tags = ranked[row, path][mask[row]]
        assert rules.start[tags[0]]
        assert all(rules.transitions[i][j] for i, j in itertools.pairwise(tags))
    left, right = path_confidences(potentials, best)
    answers = (log_probability, loss, gradient, probabilities, marginals(potentials), left, right)
    for answer in answers:
        assert np.isfinite(numpy(answer)).all()


def test_softmax_without_constraints_has_the_cross_entropy_as_its_likelihood():
    random = np.random.default_rng(2)
    emissions = random.normal(size=(2, 6, 4)).astype("float32")
    tags = random.integers(0, 4, (2, 6))
    layer = CRF(learned=False)
    expected = ops.sum(
        keras.losses.sparse_categorical_crossentropy(tags, emissions, from_logits=True), axis=1
    )
    likelihood = negative_log_likelihood(tags, layer(emissions))
    np.testing.assert_allclose(likelihood, expected, rtol=1e-5)
    assert layer.weights == []


def test_ten_thousand_tokens_keep_their_digits():
    """One long row of blocks that do not depend on one another is their product."""
    case = make_case([6], 4, seed=8, learned=False, scale=2.0)
    import tensorflow as tf

    block, count = case.potentials, 1700
    inner = np.broadcast_to(block[:, :1, :1], (1, 1, 4, 4))  # forgets the tag before
    later = np.concatenate([inner, block[:, 1:]], 1)
    long = np.concatenate([block, *[later] * (count - 1)], 1)
    tags, log_probability = tf.function(viterbi, autograph=False)(long)
    once, of_one = viterbi(block)
    np.testing.assert_array_equal(numpy(tags)[0], np.tile(numpy(once)[0], count))
    assert float(log_probability[0]) == pytest.approx(float(of_one[0]) * count, rel=1e-5)
    every = numpy(tf.function(marginals, autograph=False)(long)).reshape(count, 6, 4)
    np.testing.assert_allclose(every, np.broadcast_to(marginals(block), every.shape), atol=1e-5)
    left, right = map(numpy, tf.function(path_confidences, autograph=False)(long, tags))
    (one_left, one_right) = map(numpy, path_confidences(block, once))
    stretch = (left[0, :-5] + right[0, 5:])[::6]
    np.testing.assert_allclose(stretch, one_left[0, 0] + one_right[0, 5], atol=5e-3)
