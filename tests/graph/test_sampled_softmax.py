import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.sampled_softmax import SampledSoftmaxLoss

RNG = np.random.default_rng(0)
V, H = 30, 6
STATES = RNG.normal(size=(2, 5, H)).astype("float32")
TARGETS = np.array([[0, 0, 1, 2, 29], [3, 0, 7, 7, 15]], "int32")
MATRIX = RNG.normal(size=(V, H)).astype("float32")
BIAS = RNG.normal(size=V).astype("float32")


def by_hand(states=STATES, matrix=MATRIX, bias=BIAS):
    scores = states @ matrix.T + bias
    total = np.log(np.exp(scores).sum(-1))
    return total - np.take_along_axis(scores, TARGETS[..., None], -1)[..., 0]


def with_gradients(layer, training):
    variables = [tf.Variable(value) for value in (STATES, MATRIX, BIAS)]

    @tf.function(autograph=False)
    def step():
        with tf.GradientTape() as tape:
            states, matrix, bias = variables
            loss = layer(tf.convert_to_tensor(states), TARGETS, matrix, bias, training=training)
        return loss, [tf.convert_to_tensor(g) for g in tape.gradient(loss, variables)]

    return step


def test_evaluation_is_exact():
    loss = SampledSoftmaxLoss(3)(STATES, TARGETS, MATRIX, BIAS)
    np.testing.assert_allclose(loss, by_hand(), atol=1e-5)


def test_tokens_are_drawn_by_their_stated_chances():
    ids, log_chance = SampledSoftmaxLoss(200_000, seed=1).draw(V)
    ids, chance = ops.convert_to_numpy(ids), np.exp(ops.convert_to_numpy(log_chance))
    counts = np.bincount(ids, minlength=V) / len(ids)
    expected = np.log1p(1 / np.arange(1, V + 1)) / np.log(V + 1)
    assert expected.sum() == pytest.approx(1)
    np.testing.assert_allclose(counts, expected, atol=0.003)
    np.testing.assert_allclose(chance, expected[ids], rtol=1e-4)


def test_loss_and_gradients_approach_the_exact_ones():
    """Targets are drawn often here: only without accidental hits can the two agree."""
    exact_loss, exact = with_gradients(SampledSoftmaxLoss(1), False)()
    loss, gradients = with_gradients(SampledSoftmaxLoss(100_000, seed=2), True)()
    np.testing.assert_allclose(loss, exact_loss, atol=0.02)
    for ours, theirs in zip(gradients, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_the_estimated_sum_is_right_on_average_however_few_are_drawn():
    step = with_gradients(SampledSoftmaxLoss(8, seed=3), True)
    own = np.take_along_axis(STATES @ MATRIX.T + BIAS, TARGETS[..., None], -1)[..., 0]
    sums = np.exp([step()[0].numpy() + own for _ in range(1500)])
    error = sums.std(0) / np.sqrt(len(sums))
    assert (np.abs(sums.mean(0) - np.exp(by_hand() + own)) < 4 * error + 1e-3).all()


def test_gradients_over_many_draws_approach_the_exact_ones():
    _, exact = with_gradients(SampledSoftmaxLoss(1), False)()
    step = with_gradients(SampledSoftmaxLoss(3000, seed=4), True)
    mean = [np.mean(part, 0) for part in zip(*(step()[1] for _ in range(100)), strict=True)]
    for ours, theirs in zip(mean, exact, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=0.03)


def test_training_never_scores_the_whole_vocabulary():
    size = 123_457
    layer = SampledSoftmaxLoss(16)
    matrix, bias = tf.Variable(tf.zeros([size, H])), tf.Variable(tf.zeros([size]))

    @tf.function(autograph=False)
    def step(states, targets):
        with tf.GradientTape() as tape:
            loss = layer(states, targets, matrix, bias, training=True)
        return tape.gradient(loss, [matrix, bias])

    graph = step.get_concrete_function(STATES, TARGETS)
    shapes = [
        tuple(o.shape) for op in graph.graph.get_operations() for o in op.outputs if o.shape.rank
    ]
    assert not [shape for shape in shapes if size in shape and shape not in {(size, H), (size,)}]
    assert all(isinstance(part, tf.IndexedSlices) for part in graph.structured_outputs)


def test_a_model_trains_through_it_and_is_rebuilt():
    layer = SampledSoftmaxLoss.from_config(SampledSoftmaxLoss(20, seed=5).get_config())
    states, targets = keras.Input((None, H)), keras.Input((None,), dtype="int32")

    class Output(keras.layers.Layer):
        def build(self, *_):
            self.matrix = self.add_weight((V, H), name="matrix")
            self.bias = self.add_weight((V,), "zeros", name="bias")
            self.loss, self.built = layer, True

        def call(self, states, targets, training=False):
            matrix, bias = (ops.convert_to_tensor(v) for v in (self.matrix, self.bias))
            return self.loss(states, targets, matrix, bias, training=training)

    model = keras.Model([states, targets], Output()(states, targets))
    model.compile(keras.optimizers.Adam(0.3), lambda _, loss: ops.mean(loss), jit_compile=False)
    before = float(ops.mean(model([STATES, TARGETS])))
    for _ in range(40):
        model.train_on_batch([STATES, TARGETS], TARGETS)
    assert float(ops.mean(model([STATES, TARGETS]))) < 0.5 * before


def test_half_precision_states_are_scored_in_full_precision():
    loss = SampledSoftmaxLoss(50)(STATES.astype("float16"), TARGETS, MATRIX, BIAS, training=True)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"


def test_no_negatives_are_refused():
    with pytest.raises(ConfigError, match=r"negatives=0, expected at least 1; leave the layer"):
        SampledSoftmaxLoss(0)
