"""Linear recurrences, h_t = a_t h_{t-1} + b_t, of all steps at once."""

from __future__ import annotations

from typing import Any

from keras import ops

# Under TensorFlow `associative_scan` unrolls in Python over a length that must be known, and that
# of a batch is not. Blocks of this length are scanned in parallel and then joined one by one.
BLOCK = 32


def linear_recurrence(factors: Any, terms: Any, start: Any, *, block: int = BLOCK) -> Any:
    """Return h of every step of h_t = factors_t × h_{t-1} + terms_t.

    (a, b) then (a', b') is (a a', a' b + b'), which is associative (Blelloch, 1990, sec. 1.4).

    Args:
        factors: a, float[B, T, H], in [0, 1] of all cells here.
        terms: b, float[B, T, H].
        start: h before the first step, float[B, H].
        block: steps scanned in parallel.

    Returns:
        float[B, T, H].
    """
    steps = ops.shape(factors)[1]
    if isinstance(steps, int) and steps <= block:
        factors, terms = ops.associative_scan(_then, (factors, terms), axis=1)
        return factors * start[:, None] + terms
    rows, width = ops.shape(factors)[0], factors.shape[-1]
    missing = -steps % block
    shape = (rows, missing, width)
    # A step with factor 1 and term 0 changes nothing.
    factors = ops.concatenate([factors, ops.ones(shape, factors.dtype)], axis=1)
    terms = ops.concatenate([terms, ops.zeros(shape, terms.dtype)], axis=1)
    shape = (rows, (steps + missing) // block, block, width)
    within = (ops.reshape(factors, shape), ops.reshape(terms, shape))
    factors, terms = ops.associative_scan(_then, within, axis=2)
    before = _across(factors[:, :, -1], terms[:, :, -1], start)
    states = factors * before[:, :, None] + terms
    return ops.reshape(states, (rows, steps + missing, width))[:, :steps]


def _then(first: Any, second: Any) -> Any:
    return first[0] * second[0], second[0] * first[1] + second[1]


def _across(factors: Any, terms: Any, start: Any) -> Any:
    """Return h before every block, float[B, N, H], of the blocks' factors and terms."""
    in_order = [ops.transpose(part, (1, 0, 2)) for part in (factors, terms)]

    def step(state: Any, block: Any) -> Any:
        return block[0] * state + block[1], state

    _, before = ops.scan(step, start, tuple(in_order))
    return ops.transpose(before, (1, 0, 2))
