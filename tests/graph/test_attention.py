import keras
import numpy as np
import pytest
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers import attention as module
from pipelines.layers.attention import Attention

KINDS = ("dot", "additive")


def numpy(value):
    return ops.convert_to_numpy(value)


def drawn(*size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype("float32")


def attend(layer, queries, memory, mask=None, **options):
    context, weights = layer(queries, layer.prepare(memory), memory, mask, **options)
    return numpy(context), numpy(weights)


def sharp(kind, units=6, **options):
    """An attention whose weights differ: fresh ones weigh everything almost alike."""
    layer = Attention(kind, units=units, seed=1, **options)
    attend(layer, drawn(1, 1, 4), drawn(1, 2, 5))
    layer.set_weights([2 * drawn(*w.shape, seed=9 + n) for n, w in enumerate(layer.get_weights())])
    return layer


def by_hand(layer, queries, memory, mask):
    weights = {
        w.path.removeprefix(f"{layer.name}/"): numpy(w).astype("float64") for w in layer.weights
    }
    query = queries.astype("float64") @ weights["query/kernel"]
    key = memory.astype("float64") @ weights["key/kernel"]
    if layer.settings["kind"] == "dot":
        scores = np.einsum("bnu,bsu->bns", query, key) / np.sqrt(layer.settings["units"])
    else:
        sums = np.tanh(query[:, :, None] + key[:, None] + weights["query/bias"])
        scores = (sums @ weights["scorer"])[..., 0]
    powers = np.exp(scores - scores.max(-1, keepdims=True)) * mask[:, None]
    shares = powers / powers.sum(-1, keepdims=True)
    return shares @ memory, shares


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 8, 9, 21])
def test_attention_is_its_equation(kind, count):
    layer, queries, memory = sharp(kind), drawn(3, count, 4), drawn(3, 7, 5, seed=2)
    mask = np.arange(7) < np.array([[7], [4], [1]])
    context, weights = attend(layer, queries, memory, mask)
    wanted = by_hand(layer, queries, memory, mask)
    np.testing.assert_allclose(context, wanted[0], atol=1e-5)
    np.testing.assert_allclose(weights, wanted[1], atol=1e-5)
    assert np.ptp(weights[0], axis=-1).max() > 0.3  # the comparison is of weights that differ


@pytest.mark.parametrize("kind", KINDS)
def test_padding_has_no_weight_whatever_it_holds(kind):
    layer, queries, memory = sharp(kind), drawn(2, 3, 4), drawn(2, 7, 5)
    mask = np.arange(7) < np.array([[4], [0]])
    context, weights = attend(layer, queries, memory, mask)
    assert (weights[0, :, 4:] == 0).all()
    assert (weights[1] == 0).all()
    assert (context[1] == 0).all()
    np.testing.assert_allclose(weights[0].sum(-1), 1, atol=1e-6)
    memory[:, 4:] = 1e4
    np.testing.assert_array_equal(attend(layer, queries, memory, mask)[0][0], context[0])
    short = attend(layer, queries[:1], memory[:1, :4])[0]
    np.testing.assert_allclose(short[0], context[0], atol=1e-5)


@pytest.mark.parametrize("compiled", [False, True])
def test_blocks_of_queries_have_the_gradients_of_all_at_once(monkeypatch, compiled):
    import tensorflow as tf

    layer, memory = sharp("additive"), tf.constant(drawn(2, 7, 5))
    queries = tf.constant(drawn(2, 19, 4))
    direction = tf.constant(drawn(2, 19, 5, seed=3))

    def gradients():
        with tf.GradientTape() as tape:
            tape.watch([queries, memory])
            context, _ = layer(queries, layer.prepare(memory), memory)
            loss = tf.reduce_sum(context * direction)
        variables = [v.value for v in layer.trainable_variables]
        return tape.gradient(loss, [queries, memory, *variables])

    def run():
        return (tf.function(gradients, autograph=False) if compiled else gradients)()

    in_blocks = run()
    monkeypatch.setattr(module, "QUERY_BLOCK", 100)
    for ours, theirs in zip(in_blocks, run(), strict=True):
        assert np.abs(numpy(theirs)).max() > 1e-3
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_additive_attention_holds_no_more_than_a_block(monkeypatch):
    seen = []
    plain = module._additive_scores

    def spy(queries, keys, scorer):
        seen.append(queries.shape[1])
        return plain(queries, keys, scorer)

    monkeypatch.setattr(module, "_additive_scores", spy)
    attend(sharp("additive"), drawn(2, 30, 4), drawn(2, 7, 5))
    assert max(seen) == module.QUERY_BLOCK


def test_dropout_is_of_what_is_used_and_not_of_what_is_told():
    layer, queries, memory = sharp("dot", dropout=0.5), drawn(2, 3, 4), drawn(2, 7, 5)
    context, weights = attend(layer, queries, memory)
    noisy, same = attend(layer, queries, memory, training=True)
    np.testing.assert_array_equal(weights, same)
    assert np.abs(noisy - context).max() > 1e-3
    noise = numpy(layer.draw_noise(2, 3, 7))
    assert set(np.unique(noise)) == {0.0, 2.0}
    given = attend(layer, queries, memory, noise=noise, training=True)[0]
    np.testing.assert_allclose(given, (weights * noise) @ memory, atol=1e-5)
    assert sharp("dot").draw_noise(2, 3, 7) is None


def test_half_precision_weights_are_still_exact():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        layers = [sharp(kind) for kind in KINDS]
    finally:
        keras.config.set_dtype_policy("float32")
    mask = np.arange(7) < np.array([[4], [7]])
    for layer in layers:
        context, weights = attend(layer, drawn(2, 9, 4), drawn(2, 7, 5).astype("float16"), mask)
        assert (context.dtype, weights.dtype) == ("float16", "float32")
        assert (weights[0, :, 4:] == 0).all()
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        ConfigError, match="got kind 'cosine', expected one of dot, additive; leave"
    ):
        Attention("cosine", units=4)
