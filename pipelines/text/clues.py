"""The features of a classical tagger, hashed in the graph, for the linear part of a tagger.

| of | features |
|---|---|
| the token | its lower case, its shape, its prefixes and suffixes of 1 to 4 characters |
| its neighbours, up to two away | their lower case and shape, or that there is none |
| capitals | the habit of the word and of both neighbours, and the habit with the shape |
"""

from __future__ import annotations

import tensorflow as tf

from pipelines.text import units
from pipelines.text.feature_sizes import CLUE_BUCKETS, CLUE_LENGTHS
from pipelines.text.token_hashes import hashed, neighbours, of_distinct, shape, sized_affixes

_SHAPE_START = 3  # characters of a shape that go with a habit


def clues(tokens: tf.RaggedTensor, habits: tf.RaggedTensor) -> tf.RaggedTensor:
    """Return the features of tokens, string ragged [B, (T)], as int32 ragged [B, (T), CLUES].

    Args:
        tokens: in their own case.
        habits: how often their words are capitalised (see `capital_habits`), int32 ragged [B, (T)].
    """
    flat = tokens.flat_values
    own = tokens.with_flat_values(of_distinct(_own, flat))
    habit = tf.strings.as_string(habits.flat_values)
    start = tf.strings.substr(shape(flat), 0, _SHAPE_START, unit="UTF8_CHAR")
    pairs = tf.strings.join([habit, start], "|")
    habit_ids = tokens.with_flat_values(hashed(habit, "habit", CLUE_BUCKETS)[:, tf.newaxis])
    parts = [
        own,
        habit_ids,
        tokens.with_flat_values(hashed(pairs, "habit and shape", CLUE_BUCKETS)[:, tf.newaxis]),
        *(neighbours(own[:, :, :2], offset, buckets=CLUE_BUCKETS) for offset in (-2, -1, 1, 2)),
        *(neighbours(habit_ids, offset, buckets=CLUE_BUCKETS) for offset in (-1, 1)),
    ]
    return tokens.with_flat_values(tf.concat([part.flat_values for part in parts], axis=1))


def _own(tokens: tf.Tensor) -> tf.Tensor:
    """Hash what a token, string[N], is by itself; the first two columns are its word and shape."""
    lowered = units.lower(tokens)
    word = hashed(lowered, "word", CLUE_BUCKETS)
    form = hashed(shape(tokens), "shape", CLUE_BUCKETS)
    affixes = sized_affixes(lowered, {"prefix": CLUE_LENGTHS, "suffix": CLUE_LENGTHS}, CLUE_BUCKETS)
    return tf.stack([word, form, *affixes], axis=1)
