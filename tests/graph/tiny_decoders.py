"""Small decoders with large weights, and what is fed to them."""

import keras
import numpy as np
import pytest
from keras import ops

from pipelines.layers.attention_decoder import AttentionDecoder
from pipelines.text.vocabulary import BOS

SIZE = 13
MODES = [
    {"attention": "dot"},
    {"attention": "additive"},
    {"attention": "none"},
    {"attention": "dot", "input_feeding": True},
    {"attention": "additive", "input_feeding": True, "tied": False},
]
NAMES = ["dot", "additive", "none", "fed", "fed-additive"]
each_mode = pytest.mark.parametrize("mode", MODES, ids=NAMES)


def numpy(value):
    return ops.convert_to_numpy(value)


def drawn(*size, seed=0):
    return np.random.default_rng(seed).normal(size=size).astype("float32")


def tokens_of(rows, steps, seed=0):
    ids = np.random.default_rng(seed).integers(4, SIZE, (rows, steps)).astype("int32")
    ids[:, 0] = BOS
    return ids


def source(rows=3, width=6, size=5):
    """Return memory, mask and summary."""
    lengths = np.resize([width, 2, 4], rows)[:, None]
    return drawn(rows, width, size), np.arange(width) < lengths, drawn(rows, 7, seed=1)


def make(mode, stack=(), **options):
    """A decoder whose weights are large: with fresh ones attention hardly differs by step."""
    settings = {"cell": "lstm", "units": 6, "depth": 2, "seed": 1} | dict(stack)
    decoder = AttentionDecoder(SIZE, embedding_size=4, stack=settings, seed=1, **mode | options)
    decoder(tokens_of(1, 2), *source(1))
    for number, weight in enumerate(decoder.trainable_variables):
        weight.assign(0.7 * drawn(*weight.shape, seed=20 + number))
    return decoder


def stepped(decoder, tokens, given):
    """Return logits [B, K, T, V] and attention of calls of `step`, for tokens [B, K, T]."""
    memory, mask, summary = given
    prepared = decoder.prepare(memory, mask, summary)
    count = tokens.shape[1]
    state = keras.tree.map_structure(
        lambda part: ops.repeat(part, count, axis=1),
        decoder.start(summary, rows=len(tokens), memory=memory),
    )
    logits, weights = [], []
    for step in range(tokens.shape[2]):
        output = decoder.step(tokens[:, :, step], state, prepared)
        state = output.state
        logits.append(numpy(output.logits))
        weights.append(None if output.attention is None else numpy(output.attention))
    whole = None if weights[0] is None else np.stack(weights, axis=2)
    return np.stack(logits, axis=2), whole
