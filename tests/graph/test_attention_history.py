import keras
import numpy as np
import pytest
from keras import ops

from pipelines.errors import ConfigError
from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.layers.attention_history import AttentionHistory

MASK = np.array([[True] * 6, [True] * 4 + [False] * 2])


def drawn(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def layer_with(weights):
    layer = AttentionHistory()
    layer.build()
    for variable, value in zip(layer.weights, weights, strict=True):
        variable.assign(value)
    return layer


def softmax(scores):
    powers = np.exp(scores - scores.max())
    return powers / powers.sum()


def expected(scores, positions, taps, coverage):
    """Write the equations out, a step and a token at a time, for one row without padding."""
    steps, width = scores.shape
    weights, before, last = [], np.zeros(width), np.zeros(width)
    for step in range(steps):
        near = [scores[step, s] + positions[np.clip(s - step, -32, 32) + 32] for s in range(width)]
        first = softmax(np.array(near))
        past = [
            coverage[0] * before[s]
            + sum(taps[k + 4] * last[s - k] for k in range(-4, 5) if 0 <= s - k < width)
            for s in range(width)
        ]
        weights.append(softmax(near + np.array(past)))
        before, last = before + first, first
    return np.array(weights)


def test_weights_follow_the_equations():
    weights = [drawn(65, seed=2), drawn(9, seed=3), drawn(1, seed=4)]
    scores = drawn(1, 5, 6)
    found = layer_with(weights)(scores)
    np.testing.assert_allclose(found[0], expected(scores[0], *weights), atol=1e-5)


def test_steps_give_the_weights_of_all_steps_together():
    layer = layer_with([drawn(65, seed=2), drawn(9, seed=3), drawn(1, seed=4)])
    scores = drawn(2, 5, 6)
    together = layer(scores, MASK)
    history = layer.start(2, 6)
    for step in range(5):
        weights, history = layer.step(scores[:, step : step + 1], MASK, history)
        np.testing.assert_allclose(weights[:, 0], together[:, step], atol=1e-6)
        assert not np.any(np.asarray(weights)[1, :, 4:])


def test_a_fresh_layer_reads_from_left_to_right():
    layer = AttentionHistory()
    weights = ops.convert_to_numpy(layer(np.zeros((1, 6, 6), "float32")))[0]
    assert (weights.argmax(axis=1) == np.arange(6)).all()


def decoder_of(**options):
    decoder = AttentionDecoder(
        9, embedding_size=4, stack={"cell": "lstm", "units": 5}, seed=3, history=True, lexical=True,
        **options,
    )  # fmt: skip
    given = (drawn(2, 6, 3), MASK, drawn(2, 3, seed=5), drawn(2, 6, 4, seed=6))
    decoder(np.array([[2, 4, 5], [2, 7, 8]]), *given)
    for number, weight in enumerate(decoder.trainable_variables):
        weight.assign(0.7 * drawn(*weight.shape, seed=20 + number))
    return decoder, given


@pytest.mark.parametrize("attention", ["dot", "additive"])
def test_a_decoder_with_a_history_writes_what_it_learned(attention):
    decoder, given = decoder_of(attention=attention)
    memory, mask, summary, vectors = given
    tokens = np.random.default_rng(0).integers(2, 9, (2, 3, 5))
    state = decoder.start(summary, memory=memory)
    state = keras.tree.map_structure(lambda part: ops.repeat(part, 3, axis=1), state)
    prepared = decoder.prepare(memory, mask, summary, vectors)
    for step in range(5):
        output = decoder.step(tokens[:, :, step], state, prepared)
        state = output.state
        for k in range(3):
            whole = decoder(tokens[:, k], *given)
            np.testing.assert_allclose(output.logits[:, k], whole["logits"][:, step], atol=1e-4)
            np.testing.assert_allclose(
                output.attention[:, k], whole["attention"][:, step], atol=1e-5
            )


def test_a_lexical_decoder_reads_the_words_it_looks_at():
    decoder, (memory, mask, summary, vectors) = decoder_of()
    tokens = np.array([[2, 4, 5], [2, 7, 8]])
    outputs = decoder(tokens, memory, mask, summary, vectors)
    without = decoder(tokens, memory, mask, summary, np.zeros_like(vectors))
    gate = ops.convert_to_numpy(decoder.output_layer.gate)
    table = ops.convert_to_numpy(decoder.embedding.embeddings)
    meant = gate * (ops.convert_to_numpy(outputs["attention"]) @ vectors)
    np.testing.assert_allclose(outputs["logits"] - without["logits"], meant @ table.T, atol=1e-4)


def test_a_lexical_decoder_without_attention_is_refused():
    with pytest.raises(ConfigError, match="got lexical=True with attention='none'.*lexical=False"):
        decoder_of(attention="none")


def test_a_memory_needs_no_mask():
    stack = {"cell": "lstm", "units": 5}
    decoder = AttentionDecoder(9, embedding_size=4, stack=stack, seed=3, history=True)
    memory, tokens = drawn(2, 6, 3), np.array([[2, 4, 5], [2, 7, 8]])
    found, same = decoder(tokens, memory), decoder(tokens, memory, np.ones((2, 6), bool))
    np.testing.assert_allclose(found["logits"], same["logits"], atol=1e-6)


def test_a_history_needs_to_know_what_there_is_to_look_at():
    decoder, (_, _, summary, _) = decoder_of()
    with pytest.raises(ConfigError, match="got no memory.*start\\(..., memory=memory\\)"):
        decoder.start(summary)
