"""What a language model reads of a text, and where in it tokens end: in the graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pipelines.corpus import Ragged
from pipelines.text import units
from pipelines.text.contextual import Context
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.units import Tokens

CONTEXT, PLACES = "context", "context_places"  # the features, and the inputs of the model
MOST_CHARACTERS = 4096  # of a text; a token beyond has the state at the last one read
MOST_OF_TOKEN = 100  # characters of a token that stands in a list of tokens


class _Ends(NamedTuple):
    """Where tokens end in their texts (exclusive), int32 ragged [B, (T)]: no row empty."""

    chars: tf.RaggedTensor
    bytes: tf.RaggedTensor


class ContextFeatures:
    """Numbers the characters of texts as a language model does, and says where tokens end.

    A text begins with BOS, as the language model's documents did, so place p is after p of its
    tokens. Nothing is read beyond the end of the last token.
    """

    def __init__(self, context: Context) -> None:
        self.tokenizer = Tokenizer(
            context.vocabulary,
            level=context.level,
            lowercase=False,
            keep_whitespace=context.level == "subword",
            add_bos=True,
        )

    def of_texts(
        self, texts: tf.Tensor, tokens: Tokens, max_tokens: int | None
    ) -> dict[str, tf.RaggedTensor]:
        """Return the features of texts, string[B], cut into tokens.

        Args:
            texts: as they are.
            tokens: what the receiving task's tokenizer splits them into; a text without tokens
                has one place, its start.
            max_tokens: how many of them are kept.

        Returns:
            "context" int32 [B, (C)] and "context_places" int32 [B, (T)].
        """
        kept = (tokens.char_limits[:, :max_tokens], tokens.byte_limits[:, :max_tokens])
        return self._features(units.valid_text(texts), _Ends(*map(_with_start, kept)))

    def of_tokens(self, tokens: tf.RaggedTensor) -> dict[str, tf.RaggedTensor]:
        """Return the features of tokens, string ragged [B, (T)], joined by blanks."""
        flat = units.valid_text(tokens.flat_values)
        flat = tf.strings.substr(flat, 0, MOST_OF_TOKEN, unit="UTF8_CHAR")
        short = tokens.with_flat_values(flat)
        ends = _Ends(
            _limits(short.with_flat_values(tf.strings.length(flat, unit="UTF8_CHAR"))),
            _limits(short.with_flat_values(tf.strings.length(flat))),
        )
        return self._features(tf.strings.reduce_join(short, axis=1, separator=" "), ends, None)

    def _features(
        self, texts: tf.Tensor, ends: _Ends, most: int | None = MOST_CHARACTERS
    ) -> dict[str, tf.RaggedTensor]:
        ids = self.tokenizer.encode(texts)
        places = self._places(texts, ends)
        if most is not None:
            places = places.with_flat_values(tf.minimum(places.flat_values, most))
        read = tf.reduce_max(places, axis=1) + 1
        place = tf.ragged.range(ids.row_lengths()).flat_values
        kept = place < tf.cast(tf.gather(read, ids.value_rowids()), place.dtype)
        return {CONTEXT: tf.ragged.boolean_mask(ids, ids.with_flat_values(kept)), PLACES: places}

    def _places(self, texts: tf.Tensor, ends: _Ends) -> tf.RaggedTensor:
        """Count the language model's tokens up to the end of each token, int32 [B, (T)]."""
        if self.tokenizer.level == "char":
            return ends.chars
        if self.tokenizer.level == "byte":
            return ends.bytes
        # A piece may reach beyond a token: the first that covers its last character counts.
        limits = self.tokenizer.split(texts).char_limits.to_tensor(ends.chars.dtype.max)
        wanted = ends.chars.to_tensor(0)
        found = tf.searchsorted(limits, wanted, side="left") + tf.cast(wanted > 0, tf.int32)
        return tf.RaggedTensor.from_tensor(found, lengths=ends.chars.row_lengths())

    def columns(self, features: dict[str, tf.RaggedTensor]) -> dict[str, Ragged]:
        """Return features as flat arrays, for a corpus."""
        largest = {CONTEXT: len(self.tokenizer.vocabulary or ()), PLACES: np.iinfo(np.int32).max}
        return {
            name: Ragged.of_ids(ids.flat_values, ids.row_lengths(), largest[name])
            for name, ids in features.items()
        }


def dense(features: dict[str, tf.RaggedTensor]) -> dict[str, tf.Tensor]:
    """Return features padded with 0: the inputs of the model."""
    return {name: values.to_tensor(0) for name, values in features.items()}


def _with_start(limits: tf.RaggedTensor) -> tf.RaggedTensor:
    """Give a row without tokens the place before the first."""
    empty = tf.cast(limits.row_lengths() == 0, tf.int64)
    start = tf.RaggedTensor.from_row_lengths(tf.fill([tf.reduce_sum(empty)], 0), empty)
    return tf.concat([limits, start], axis=1)


def _limits(lengths: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return where tokens of these lengths end, with a blank between two of them."""
    before = units.starts(lengths.with_flat_values(lengths.flat_values + 1))
    return before.with_flat_values(before.flat_values + lengths.flat_values)
