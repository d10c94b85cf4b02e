import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from pipelines.layers.sequence_losses import (
    SmoothedCrossEntropy,
    TokenAccuracy,
    TokenPerplexity,
    token_losses,
)


def case(lengths, size, seed):
    draws = np.random.default_rng(seed)
    shape = (len(lengths), max(lengths))
    targets = draws.integers(1, size, shape)
    targets[np.arange(shape[1]) >= np.array(lengths)[:, None]] = 0
    return targets.astype("int32"), (3 * draws.normal(size=(*shape, size))).astype("float32")


def log_probabilities(logits):
    logits = logits.astype("float64")
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def one_hot_loss(targets, logits, smoothing):
    """The textbook's formula, per step."""
    size = logits.shape[-1]
    wanted = (1 - smoothing) * np.eye(size)[targets] + smoothing / size
    return -(wanted * log_probabilities(logits)).sum(-1)


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    size=st.integers(2, 9),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    seed=st.integers(0, 99),
)
def test_the_loss_is_the_one_hot_formula_over_real_tokens(lengths, size, smoothing, seed):
    targets, logits = case(lengths, size, seed)
    expected = one_hot_loss(targets, logits, smoothing)[targets != 0].mean()
    found = float(SmoothedCrossEntropy(smoothing)(targets, logits))
    assert found == pytest.approx(expected, rel=1e-5)
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    real = targets != 0
    assert found == pytest.approx(
        float(theirs(np.eye(size)[targets[real]], logits[real])), rel=1e-4
    )


def test_row_weights_multiply_rows():
    targets, logits = case([2, 4], 5, 0)
    rows = [one_hot_loss(targets, logits, 0.1)[n][targets[n] != 0].sum() for n in range(2)]
    found = float(SmoothedCrossEntropy(0.1)(targets, logits, np.array([1.0, 0.5])))
    assert found == pytest.approx((rows[0] + 0.5 * rows[1]) / 6, rel=1e-5)


def test_the_gradient_is_the_difference_of_distributions():
    import tensorflow as tf

    targets, logits = case([2, 4], 5, 1)
    given = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(given)
        loss = SmoothedCrossEntropy(0.2)(targets, given)
    wanted = 0.8 * np.eye(5)[targets] + 0.04
    expected = (np.exp(log_probabilities(logits)) - wanted) * (targets != 0)[..., None] / 6
    np.testing.assert_allclose(tape.gradient(loss, given), expected, atol=1e-6)


def test_metrics_leave_padding_out_and_add_up():
    perplexity, accuracy = TokenPerplexity(), TokenAccuracy()
    assert (float(perplexity.result()), float(accuracy.result())) == (1.0, 0.0)
    nats, hits = [], []
    for lengths, weights in (([3, 1], None), ([5, 2, 4], np.array([1.0, 0.0, 1.0]))):
        targets, logits = case(lengths, 6, len(lengths))
        perplexity.update_state(targets, logits, weights)
        accuracy.update_state(targets, logits, weights)
        counted = (targets != 0) & (np.ones(len(lengths)) if weights is None else weights)[
            :, None
        ].astype(bool)
        nats.append(one_hot_loss(targets, logits, 0)[counted])
        hits.append((logits.argmax(-1) == targets)[counted])
    expected = np.exp(np.concatenate(nats).mean())
    assert float(perplexity.result()) == pytest.approx(expected, rel=1e-5)
    assert float(accuracy.result()) == pytest.approx(np.concatenate(hits).mean())
    perplexity.reset_state()
    assert float(perplexity.result()) == 1.0


def test_half_precision_logits_lose_nothing_more():
    targets, logits = case([2, 4], 5, 1)
    half = logits.astype("float16")
    found = np.array(token_losses(targets, half, 0.1))
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, one_hot_loss(targets, half.astype("float32"), 0.1), rtol=1e-5)


def test_losses_survive_saving():
    loss = SmoothedCrossEntropy(0.3)
    copy = keras.losses.deserialize(keras.losses.serialize(loss))
    assert copy.get_config() == loss.get_config()
    assert TokenPerplexity.from_config(TokenPerplexity().get_config()).name == "perplexity"


def test_impossible_smoothing_is_refused():
    with pytest.raises(ConfigError, match=r"label-smoothing is 1.5; it must be in \[0, 1\)"):
        SmoothedCrossEntropy(1.5)
