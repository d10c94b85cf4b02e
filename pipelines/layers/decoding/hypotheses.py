"""K hypotheses a row: widening, reordering and writing them, and the loop that carries them.

No `slice_update`: under TensorFlow it is an XLA operation, which an export must not hold.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import keras
from keras import ops, tree

from pipelines.errors import ConfigError
from pipelines.layers.decoding.settings import DecodingSettings

NEVER = -1e30  # the score of what cannot be; finite, so that no difference of two is NaN

Carry = TypeVar("Carry")


def loop(carry: Carry, going: Callable[[Carry], Any], advance: Callable[[Carry], Carry]) -> Carry:
    """Repeat `advance` while `going`; a carry is any nested structure of tensors.

    Every tensor keeps the dtype and static shape it starts with, whatever a step makes of it.
    """
    first = [ops.convert_to_tensor(leaf) for leaf in tree.flatten(carry)]

    def packed(leaves: Any) -> Carry:
        return tree.pack_sequence_as(carry, list(leaves))

    def body(*leaves: Any) -> list[Any]:
        after = tree.flatten(advance(packed(leaves)))
        return [_like(leaf, start) for leaf, start in zip(after, first, strict=True)]

    return packed(ops.while_loop(lambda *leaves: going(packed(leaves)), body, first))


def _like(leaf: Any, start: Any) -> Any:
    leaf = ops.cast(leaf, start.dtype)
    return leaf if leaf.shape == start.shape else ops.reshape(leaf, ops.shape(start))


def widen(state: Any, count: int) -> Any:
    """Copy leaves [B, 1, ...] to [B, K, ...]."""
    return tree.map_structure(lambda leaf: ops.repeat(leaf, count, axis=1), state)


def chosen(values: Any, places: Any) -> Any:
    """Return values[b, places[b, j]], [B, J, ...].

    Args:
        values: [B, N, ...].
        places: int32[B, J], in [0, N).
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # One operation, where the rest takes a dozen, and a search does this a dozen times a step.
        return tf.gather(values, places, batch_dims=1)
    shape = ops.shape(values)
    rows = ops.arange(shape[0], dtype="int32")[:, None] * shape[1]
    return ops.take(ops.reshape(values, (-1, *shape[2:])), places + rows, axis=0)


def reorder(state: Any, parents: Any) -> Any:
    """Return each hypothesis's state as its parent's: every leaf is gathered along axis 1."""
    return tree.map_structure(lambda leaf: chosen(leaf, parents), state)


def write(tokens: Any, position: Any, new: Any, where: Any = True) -> Any:
    """Return tokens int32[B, K, T] with `new` int32[B, K] at one position, where bool[B, K]."""
    here = ops.arange(ops.shape(tokens)[-1], dtype="int32") == position
    if where is not True:
        here = ops.logical_and(here, where[:, :, None])
    return ops.where(here, new[:, :, None], tokens)


def within(tokens: Any, lengths: Any, padding: int = 0) -> Any:
    """Return tokens int32[..., T] with padding from `lengths` int32[...] on."""
    positions = ops.arange(ops.shape(tokens)[-1], dtype="int32")
    return ops.where(positions < lengths[..., None], tokens, padding)


def row_limits(limits: Any, settings: DecodingSettings) -> tuple[Any, Any]:
    """Return the limits, int32[B] and at least 0, and T, the longest a hypothesis can get.

    Raises:
        ConfigError: under JAX, `limits` is traced and no `max_length` set.
    """
    limits = ops.maximum(ops.cast(ops.convert_to_tensor(limits), "int32"), 0)
    if settings.max_length is not None:
        return ops.minimum(limits, settings.max_length), settings.max_length
    longest = ops.max(limits, initial=1)
    return limits, int(_known(longest)) if keras.backend.backend() == "jax" else longest


def _known(longest: Any) -> Any:
    from jax.errors import ConcretizationTypeError

    try:
        return int(longest)
    except ConcretizationTypeError as error:
        raise ConfigError(
            "decoding setting 'max_length': got None with limits traced by JAX, expected a "
            "number (shapes are static there); set max_length to the largest limit"
        ) from error


def first_tokens(start: Any, limits: Any, count: int, settings: DecodingSettings) -> Any:
    """Return the token each hypothesis goes on from, int32[B, K]."""
    if start is None:
        start = ops.full_like(limits, settings.start)
    return ops.repeat(ops.cast(start, "int32")[:, None], count, axis=1)
