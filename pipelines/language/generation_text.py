"""Tokens that come in blocks, as text: at byte level no character is cut in two."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pipelines.layers.decoding.hypotheses import within
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import PAD, Vocabulary

HELD = 3  # most bytes of a character whose end is missing
_OTHER, _CONTINUATION = 0, 1


class BlockTexts:
    """Writes blocks of tokens as text that joins to the text of all tokens.

    A block may end within the bytes of a character. They are held back and come with the next
    block: the last tokens, which a caller keeps as history, tell which they are.

    Args:
        tokenizer: its level decides.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._kinds: np.ndarray | None = None
        if tokenizer.level == "byte" and tokenizer.vocabulary is not None:
            self._kinds = byte_kinds(tokenizer.vocabulary)

    def held(self, history: tf.Tensor) -> tf.Tensor:
        """Return how many of the last tokens, int32[B, H], begin a character: int32[B]."""
        held = tf.zeros_like(history[:, 0])
        if self._kinds is None:
            return held
        kinds = tf.gather(tf.constant(self._kinds), history[:, -HELD:])
        follow = tf.ones_like(held, tf.bool)
        for count in range(1, HELD + 1):
            kind = kinds[:, -count]
            held = tf.where(follow & (kind > count), count, held)
            follow &= kind == _CONTINUATION
        return held

    def write(
        self, before: tf.Tensor, tokens: tf.Tensor, lengths: tf.Tensor, after: tf.Tensor
    ) -> tf.Tensor:
        """Return the text of a block, string[B], with what was held back before it.

        Args:
            before: history before the block, int32[B, H], H at least `HELD`.
            tokens: of the block, int32[B, T].
            lengths: of the block, int32[B].
            after: history after it, int32[B, H].
        """
        if self._kinds is None:
            return self._tokenizer.detokenize(within(tokens, lengths, PAD))
        places = tf.range(HELD, 0, -1)
        kept = tf.where(places <= self.held(before)[:, None], before[:, -HELD:], PAD)
        joined = tf.concat([kept, tokens], axis=1)
        ends = HELD + lengths - self.held(after)
        return self._tokenizer.detokenize(within(joined, ends, PAD))

    def whole(self, tokens: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Return the text of tokens, int32[B, T], without a character whose end is missing."""
        if self._kinds is None:
            return self._tokenizer.detokenize(tokens)
        padded = tf.concat([tf.zeros_like(tokens[:, :1]) + tf.zeros([HELD], tf.int32), tokens], 1)
        places = lengths[:, None] + tf.range(HELD)
        last = tf.gather(padded, places, batch_dims=1)
        return self._tokenizer.detokenize(within(tokens, lengths - self.held(last), PAD))


def byte_kinds(vocabulary: Vocabulary) -> np.ndarray:
    """Tell what each token's byte is in UTF-8, int32[V].

    The number of bytes of the character it begins (2 to 4), `_CONTINUATION`, or `_OTHER`: a
    character of its own, of no character, or no byte at all.
    """
    kinds = np.zeros(len(vocabulary), np.int32)
    for value in range(0x80, 0xF5):
        token = f"<0x{value:02X}>"
        if token in vocabulary:
            kinds[vocabulary.encode_token(token)] = _kind(value)
    return kinds


def _kind(value: int) -> int:
    if value < 0xC0:
        return _CONTINUATION
    if value < 0xC2:  # would begin overlong forms, which UTF-8 forbids
        return _OTHER
    return 2 + (value >= 0xE0) + (value >= 0xF0)
