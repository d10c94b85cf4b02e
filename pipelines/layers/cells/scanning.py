"""Linear recurrences, h_t = a_t h_{t-1} + b_t, of many steps at once."""

from __future__ import annotations

import functools
from typing import Any

import keras
from keras import ops

# Under TensorFlow `associative_scan` unrolls in Python over a length that must be known, and that
# of a batch is not. Blocks of this length are scanned in parallel and then joined one by one.
BLOCK = 16


def linear_recurrence(factors: Any, terms: Any, start: Any, *, block: int = BLOCK) -> Any:
    """Return h of every step of h_t = factors_t × h_{t-1} + terms_t.

    (a, b) then (a', b') is (a a', a' b + b'), which is associative (Blelloch, 1990, sec. 1.4). The
    gradient is a recurrence of the same kind, from the last step to the first, and is computed as
    such: nothing but the result need be kept for it.

    Args:
        factors: a, float[B, T, H], in [0, 1] of all cells here.
        terms: b, float[B, T, H].
        start: h before the first step, float[B, H].
        block: most steps scanned in parallel.

    Returns:
        float[B, T, H]; it has no second gradient.
    """

    def recurrence(factors: Any, terms: Any, start: Any) -> tuple[Any, Any]:
        # TensorFlow would otherwise also trace the gradient that is not used.
        factors, terms, start = (ops.stop_gradient(part) for part in (factors, terms, start))
        states = _states(factors, terms, start, block)

        def gradient(*args: Any, upstream: Any = None) -> tuple[Any, Any, Any]:
            given = args[0] if upstream is None else upstream
            after = ops.concatenate([factors[:, 1:], ops.zeros_like(factors[:, :1])], axis=1)
            backwards = [ops.flip(part, axis=1) for part in (after, given)]
            reached = _states(backwards[0], backwards[1], ops.zeros_like(start), block)
            reached = ops.flip(reached, axis=1)
            before = ops.concatenate([start[:, None], states[:, :-1]], axis=1)
            return reached * before, reached, reached[:, 0] * factors[:, 0]

        return states, gradient

    return ops.custom_gradient(recurrence)(factors, terms, start)


def _states(factors: Any, terms: Any, start: Any, block: int) -> Any:
    if not _may_be_traced_apart(terms):
        return _scan(factors, terms, start, block)
    states = _traced(keras.backend.standardize_dtype(terms.dtype), block)(factors, terms, start)
    return ops.reshape(states, ops.shape(terms))  # which knows more of its shape


def _may_be_traced_apart(terms: Any) -> bool:
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    # A graph of fixed shapes is made for LiteRT, which must see them within the loop, too.
    return not tf.inside_function() or None in terms.shape


@functools.cache
def _traced(dtype: str, block: int) -> Any:
    """Return the scan as a function of TensorFlow, for any shape.

    To trace the scan takes half a second, so that it is done once and not for every layer.
    """
    import tensorflow as tf

    steps, row = tf.TensorSpec((None, None, None), dtype), tf.TensorSpec((None, None), dtype)

    scan = functools.partial(_scan, block=block)
    return tf.function(scan, input_signature=[steps, steps, row], autograph=False)


def _scan(factors: Any, terms: Any, start: Any, block: int) -> Any:
    """Return the states, float[B, T, H]; block by block."""
    rows, steps, width = ops.shape(factors)
    if isinstance(steps, int):
        block = max(1, min(block, steps))
    missing = -steps % block
    count = (steps + missing) // block
    # A step with factor 1 and term 0 changes nothing.
    padded = [
        ops.concatenate([part, ops.full((rows, missing, width), filler, part.dtype)], axis=1)
        for part, filler in ((factors, 1), (terms, 0))
    ]
    split, first = (rows, count, block, width), (block, count, rows, width)
    # Flat, because strided slices of two axes cost TensorFlow a third of those of four.
    flat = [
        ops.reshape(ops.transpose(ops.reshape(part, split), (2, 1, 0, 3)), (block, -1))
        for part in padded
    ]
    factors, terms = (
        ops.reshape(part, first) for part in ops.associative_scan(_then, tuple(flat), axis=0)
    )
    states = factors * _across(factors[-1], terms[-1], start) + terms
    whole = ops.reshape(ops.transpose(states, (2, 1, 0, 3)), (rows, steps + missing, width))
    return whole[:, :steps]


def _then(first: Any, second: Any) -> Any:
    return first[0] * second[0], second[0] * first[1] + second[1]


def _across(factors: Any, terms: Any, start: Any) -> Any:
    """Return h before each of N blocks, float[N, B, H], of their factors and terms, [N, B, H]."""
    if factors.shape[0] == 1:
        return start[None]

    def step(state: Any, block: Any) -> Any:
        return block[0] * state + block[1], state

    # Stacked, because Keras' scan fails on two inputs of unknown length under TensorFlow.
    _, before = ops.scan(step, start, ops.stack([factors, terms], axis=1))
    return ops.reshape(before, ops.shape(factors))
