"""A language model that learns from a text while it is judged on it.

Every window is scored first and learned from afterwards, so that no token helps to predict itself.
Two ways, alone or together: *dynamic evaluation* moves the weights by gradient descent (Mikolov et
al., 2010, sec. 2.3; Krause et al., 2018), a *neural cache* remembers states and what came after
them (Grave et al., 2017). A compressor learns as it reads too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from pipelines.layers.language_model import LanguageModel
from pipelines.row_updates import is_updated_by_rows
from pipelines.text.vocabulary import PAD

WINDOW = 64  # tokens between two updates
CACHE = 2_000  # states that the cache holds
SMALL = 1e-4  # beside the root of a sum of squares: a weight without gradients stays
AT_ONCE = 2  # rows worked on side by side: steps of one row leave processors idle


class Adaptation(NamedTuple):
    """How a model learns as it reads a row; each float32[B].

    Attributes:
        rate: how far one update goes along the gradient of the mean nats of a window, which AdaGrad
            (Duchi et al., 2011) scales for each weight by its gradients in this text; 0: none.
        decay: share of the way back to the trained weights after every update.
        share: λ, how far the cache is believed; 0: not at all.
        sharpness: θ, by which the products of states are multiplied.
    """

    rate: Any
    decay: Any
    share: Any
    sharpness: Any


class Cache(NamedTuple):
    """The last states of a row and the tokens that came after them: [N, H] and int32[N]."""

    states: tf.Tensor
    tokens: tf.Tensor


class Reader(NamedTuple):
    """What changes as a row is read: the model's state, its weights and the cache.

    `squares` are the sums of the squared gradients of every weight.
    """

    state: Any
    weights: list[tf.Tensor]
    squares: list[tf.Tensor]
    cache: Cache


def adaptive_bits(layer: LanguageModel, ids: tf.RaggedTensor, how: Adaptation) -> tf.Tensor:
    """Return the bits of every token but the first; as `token_bits`, the model moving along.

    A row begins with the trained weights and moves copies of them; the layer stays as it is.

    Args:
        layer: the language model.
        ids: rows that begin with BOS, int32 ragged [B, (T + 1)]; B may be 0.
        how: it learns.

    Returns:
        float32[B, T], 0 at padding.
    """
    count = tf.cast(ids.nrows(), tf.int32)
    written = tf.TensorArray(tf.float32, count + 1, infer_shape=False, element_shape=[None])
    written = written.write(count, tf.zeros([0]))  # without rows there is no other

    def read(row: tf.Tensor, written: tf.TensorArray) -> Any:
        own = Adaptation(*(values[row] for values in how))
        return row + 1, written.write(row, _row_bits(layer, ids[row], own))

    _, written = tf.while_loop(
        lambda row, _: row < count, read, (0, written), parallel_iterations=AT_ONCE
    )
    return tf.RaggedTensor.from_row_lengths(written.concat(), ids.row_lengths() - 1).to_tensor()


def _row_bits(layer: LanguageModel, row: tf.Tensor, how: Adaptation) -> tf.Tensor:
    """Read one row, int32[T + 1]: float32[T]; how it learns are scalars."""
    steps = tf.size(row) - 1
    blocks = (steps + WINDOW - 1) // WINDOW
    trained = [tf.convert_to_tensor(variable) for variable in _moving(layer)]
    written = tf.TensorArray(tf.float32, blocks + 1, infer_shape=False, element_shape=[None])
    written = written.write(blocks, tf.zeros([0]))

    def read(number: tf.Tensor, reader: Reader, written: Any) -> Any:
        block = row[number * WINDOW : (number + 1) * WINDOW + 1]
        nats, reader = _read_window(layer, block, reader, trained, how)
        return number + 1, reader, written.write(number, nats / math.log(2))

    empty = Cache(tf.zeros([CACHE, layer.width]), tf.fill([CACHE], PAD))
    *_, written = tf.while_loop(
        lambda number, *_: number < blocks,
        read,
        (0, Reader(layer.start(1), trained, list(map(tf.zeros_like, trained)), empty), written),
        parallel_iterations=1,
    )
    return written.concat()


def _read_window(
    layer: LanguageModel,
    block: tf.Tensor,
    reader: Reader,
    trained: Sequence[tf.Tensor],
    how: Adaptation,
) -> tuple[tf.Tensor, Reader]:
    """Score a window, int32[T + 1], then learn from it: nats float32[T] and the reader after."""
    targets, weights = block[1:], reader.weights
    places = list(zip(_moving(layer), weights, strict=True))
    with tf.GradientTape() as tape, keras.StatelessScope(state_mapping=places):
        tape.watch(weights)
        states, after = layer.states(block[None, :-1], reader.state)
        logits = layer.scores(block[None, :-1], states, reader.state)[0]
        nats = tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)
        loss = tf.reduce_mean(nats)
    moved, squares = tf.cond(
        how.rate > 0,
        lambda: _moved(reader, tape.gradient(loss, weights), trained, how),
        lambda: (list(weights), list(reader.squares)),
    )
    nats = tf.cond(
        how.share > 0,
        lambda: _with_cache(nats, states[0], targets, reader.cache, how),
        lambda: nats,
    )
    cache = _remembered(reader.cache, states[0], targets)
    return nats, Reader(after, moved, squares, cache)


def _remembered(cache: Cache, states: tf.Tensor, targets: tf.Tensor) -> Cache:
    """Put a window into the cache, and the oldest out."""
    states = tf.concat([cache.states, states], axis=0)[-CACHE:]
    tokens = tf.concat([cache.tokens, targets], axis=0)[-CACHE:]
    return Cache(
        tf.ensure_shape(states, cache.states.shape), tf.ensure_shape(tokens, cache.tokens.shape)
    )


def _moving(layer: LanguageModel) -> list[Any]:
    """Return the weights that move: tables of n-grams are too large to be copied."""
    return [weight for weight in layer.trainable_variables if not is_updated_by_rows(weight)]


def _moved(
    reader: Reader, gradients: Any, trained: Sequence[tf.Tensor], how: Adaptation
) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
    """Take a step against the gradients, and a share of the way back to the trained weights."""
    moved, squares = [], []
    for now, square, gradient, start in zip(
        reader.weights, reader.squares, gradients, trained, strict=True
    ):
        slope = tf.convert_to_tensor(gradient)
        square += tf.square(slope)
        stepped = now - how.rate * slope / (tf.sqrt(square) + SMALL)
        moved.append(stepped + how.decay * (start - stepped))
        squares.append(square)
    return moved, squares


def _with_cache(
    nats: tf.Tensor, states: tf.Tensor, targets: tf.Tensor, cache: Cache, how: Adaptation
) -> tf.Tensor:
    """Mix a window's probabilities with those of the cache, which a state enters once it is past.

    Grave et al., 2017, equation 3: a token is as likely as states like this one came before it.
    """
    steps = tf.size(targets)
    keys = tf.concat([cache.states, states], axis=0)
    tokens = tf.concat([cache.tokens, targets], axis=0)
    alike = how.sharpness * tf.matmul(states, keys, transpose_b=True)  # [T, N + T]
    past = tf.range(CACHE + steps)[None] < CACHE + tf.range(steps)[:, None]
    past &= tokens[None] != PAD
    alike = tf.where(past, alike, -1e30)
    hit = tokens[None] == targets[:, None]
    shares = tf.nn.softmax(alike)
    found = tf.reduce_sum(tf.where(hit & past, shares, 0.0), axis=1)
    known = tf.reduce_any(past, axis=1)
    share = tf.where(known, how.share, 0.0)
    return -tf.math.log((1.0 - share) * tf.exp(-nats) + share * found)
