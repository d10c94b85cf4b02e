"""A language model's state before and after: reading a prompt, packing into one tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.layers.decoding import Ahead, StepOutput
from pipelines.text.vocabulary import BOS, PAD

READ = 256  # tokens of a prompt read at once


class Reader:
    """A language model as the decoding loop wants it: states whose leaves are [B, K, ...].

    Args:
        layer: a built `LanguageModel`.
        history: H, the number of last tokens that are remembered.
    """

    def __init__(self, layer: Any, history: int) -> None:
        self.layer, self.history = layer, history
        leaves = layer.start(1)
        self._shapes = [tuple(leaf.shape[1:]) for leaf in leaves]
        self._dtypes = [tf.as_dtype(leaf.dtype) for leaf in leaves]
        self.sizes = [int(np.prod(shape)) for shape in self._shapes]

    def step(self, tokens: tf.Tensor, state: list[tf.Tensor]) -> StepOutput:
        """Read one token of each hypothesis; see `Step`."""
        shape = tf.shape(tokens)
        flat = [tf.reshape(leaf, [-1, *own]) for leaf, own in zip(state, self._shapes, strict=True)]
        logits, after = self.layer.step(tf.reshape(tokens, [-1]), flat)
        back = [
            tf.reshape(leaf, [shape[0], shape[1], *own])
            for leaf, own in zip(after, self._shapes, strict=True)
        ]
        return StepOutput(tf.reshape(logits, [shape[0], shape[1], logits.shape[-1]]), back)

    def read(self, ids: tf.RaggedTensor) -> Ahead:
        """Read prompts up to their last token, which the first step reads.

        In blocks, so that a prompt of any length takes the memory of one; and what a row's blocks
        are hangs on its own length alone: as many of `READ` tokens as fit, then halves, quarters.

        Args:
            ids: BOS and the tokens of a prompt, int32 ragged [B, (T)].
        """
        lengths = tf.cast(ids.row_lengths(), tf.int32)
        starts = tf.cast(ids.row_starts(), tf.int32)
        flat = tf.concat([ids.flat_values, tf.fill([READ], PAD)], axis=0)
        rows = tf.shape(lengths)[0]
        state = [
            tf.ensure_shape(leaf, [None, *own])
            for leaf, own in zip(self.layer.start(rows), self._shapes, strict=True)
        ]

        def body(size: Any, done: Any, state: Any) -> Any:
            fits = lengths - 1 - done >= size
            places = (starts + done)[:, None] + tf.range(size)[None]
            # A row without such a block reads something all the same, and forgets it.
            tokens = tf.gather(flat, tf.where(fits[:, None], places, 0))
            _, after = self.layer.read(tokens, state)
            state = [
                tf.ensure_shape(_where(fits, tf.cast(new, old.dtype), old), old.shape)
                for new, old in zip(after, state, strict=True)
            ]
            done += tf.where(fits, size, 0)
            return _size_left(lengths - 1 - done, size), done, state

        nothing = tf.zeros_like(lengths)
        _, _, state = tf.while_loop(
            lambda size, *_: size > 0,
            body,
            (_size_left(lengths - 1, tf.constant(READ)), nothing, state),
            parallel_iterations=1,
        )
        places = (starts + lengths)[:, None] - tf.range(self.history, 0, -1)
        inside = places >= starts[:, None]
        history = tf.gather(flat, tf.where(inside, places, 0))
        history = tf.where(inside & (history != BOS), history, PAD)
        last = tf.gather(flat, starts + lengths - 1)
        return Ahead([leaf[:, None] for leaf in state], last[:, None], history[:, None])

    def pack(self, ahead: Ahead) -> tf.Tensor:
        """Put everything into one tensor, float32[B, W]; numbers of tokens are exact in it."""
        rows = tf.shape(ahead.last)[0]
        parts = [*ahead.state, ahead.last, ahead.history]
        sizes = [*self.sizes, 1, self.history]
        flat = [
            tf.cast(tf.reshape(part, [rows, size]), tf.float32)
            for part, size in zip(parts, sizes, strict=True)
        ]
        return tf.concat(flat, axis=1)

    def unpack(self, packed: tf.Tensor) -> Ahead:
        """Undo `pack`."""
        *leaves, last, history = tf.split(packed, [*self.sizes, 1, self.history], axis=1)
        state = [
            tf.cast(tf.reshape(leaf, [-1, 1, *shape]), dtype)
            for leaf, shape, dtype in zip(leaves, self._shapes, self._dtypes, strict=True)
        ]
        return Ahead(state, tf.cast(last, tf.int32), tf.cast(history, tf.int32)[:, None])

    @property
    def width(self) -> int:
        """W, numbers of a packed state."""
        return sum(self.sizes) + 1 + self.history


def _size_left(left: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Return the largest block, `size` or a halving of it, that fits a row; 0 if none is left."""
    most = tf.reduce_max(tf.concat([left, [0]], axis=0))
    sizes = tf.constant([READ >> shift for shift in range(READ.bit_length())] + [0])
    return tf.reduce_max(tf.where((sizes <= most) & (sizes <= size), sizes, 0))


def _where(rows: tf.Tensor, new: tf.Tensor, old: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.reshape(rows, [-1, *(1 for _ in old.shape[1:])]), new, old)
