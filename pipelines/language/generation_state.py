"""A language model's state before and after: reading a prompt, packing into one tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.language.reading import read_prompt
from pipelines.layers.decoding import Ahead, StepOutput
from pipelines.text.vocabulary import PAD


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
        if tokens.shape[1] == 1:  # fewer operations where each costs as much as the arithmetic
            logits, after = self.layer.step(
                tf.squeeze(tokens, 1), [tf.squeeze(leaf, 1) for leaf in state]
            )
            return StepOutput(tf.expand_dims(logits, 1), [tf.expand_dims(new, 1) for new in after])
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

        Args:
            ids: BOS and the tokens of a prompt, int32 ragged [B, (T)].
        """
        read = read_prompt(self.layer, ids)
        starts = tf.cast(ids.row_starts(), tf.int32)[:, None]
        ends = tf.cast(ids.row_limits(), tf.int32)[:, None]
        places = ends - tf.range(self.history, 0, -1)
        # BOS stands first and is no part of the text.
        text = tf.gather(ids.flat_values, tf.maximum(places, 0))
        history = tf.where(places > starts, text, PAD)
        state = [leaf[:, None] for leaf in read.state]
        return Ahead(state, read.last[:, None], history[:, None])

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
