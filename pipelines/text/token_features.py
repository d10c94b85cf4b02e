"""What a tagger sees of each token: its word, its characters and its casing, in the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.corpus import Ragged
from pipelines.text.clues import clues
from pipelines.text.contextual_features import ContextFeatures, dense
from pipelines.text.feature_sizes import AFFIX_BUCKETS, CLUE_BUCKETS
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.token_hashes import affixes, of_distinct
from pipelines.text.tokenizer import Tokenizer

# The first pattern that fits a whole token decides its class; 0 is padding, 1 fits nothing.
_CASINGS = (
    r"[\p{P}\p{S}]+",
    r"\PL*\p{Nd}\PL*",
    r".*\p{Nd}.*",
    r"[^\p{Lu}\p{Lt}]*",
    r"[\p{Lu}\p{Lt}]",
    r"[\p{Lu}\p{Lt}][^\p{Lu}\p{Lt}]*",
    r"[^\p{Ll}]*",
)
_NO_TOKEN = " "  # stands in a row without tokens; no token is blank


def casing(tokens: tf.Tensor) -> tf.Tensor:
    """Class the writing of tokens, string[N]: int32[N] in 1..8.

    2 marks, 3 number, 4 letters with digits, 5 no capital (also scripts without case), 6 one
    capital letter, 7 capitalised, 8 capitals only, 1 anything else, such as mixed case.
    """
    classes = tf.ones_like(tokens, tf.int32)
    for number, pattern in reversed(list(enumerate(_CASINGS, start=2))):
        fits = tf.strings.regex_full_match(tokens, f"(?s){pattern}")
        classes = tf.where(fits, number, classes)
    return classes


class TokenFeatures:
    """Turns ragged tokens into the inputs of a tagger.

    Args:
        artifacts: vocabularies and the number of characters kept of a token: of longer ones the
            head and the tail stay, for prefixes and endings tell the most.
    """

    def __init__(self, artifacts: TaggerArtifacts) -> None:
        self.words = Tokenizer(artifacts.words, lowercase=artifacts.settings["lowercase"])
        self.characters = Tokenizer(artifacts.characters, level="char", lowercase=False)
        self.width = artifacts.settings["max_characters"]
        self.habits = tf.constant(artifacts.habits)
        self.linear = artifacts.settings["linear"]
        self.context = ContextFeatures(artifacts.context) if artifacts.context else None

    @property
    def layers(self) -> tuple[Tokenizer, ...]:
        """The layers whose tables an exported graph needs."""
        return (self.words, self.characters, *([self.context.tokenizer] if self.context else []))

    def ragged(self, tokens: tf.RaggedTensor) -> dict[str, tf.RaggedTensor]:
        """Return features of tokens, string ragged [B, (T)].

        Returns:
            "words", "casing" and "habits" int32 [B, (T)], "characters" int32 [B, (T), C],
            "affixes" int32 [B, (T), A] and, where there is a linear part, "clues".
        """
        words = self.words.encode_tokens(tokens)
        flat = tokens.flat_values
        habits = words.with_flat_values(tf.gather(self.habits, words.flat_values))
        further = {"clues": clues(tokens, habits)} if self.linear else {}
        return {
            "words": words,
            "characters": tokens.with_flat_values(of_distinct(self._characters, flat)),
            "casing": tokens.with_flat_values(of_distinct(casing, flat)),
            "habits": habits,
            "affixes": tokens.with_flat_values(affixes(flat)),
            **further,
        }

    def dense(self, tokens: tf.RaggedTensor) -> dict[str, tf.Tensor]:
        """Return the features padded with 0; a row without tokens gets one unknown token."""
        empty = tf.cast(tokens.row_lengths() == 0, tf.int64)
        stand_in = tf.fill([tf.reduce_sum(empty)], _NO_TOKEN)
        filled = tf.concat([tokens, tf.RaggedTensor.from_row_lengths(stand_in, empty)], axis=1)
        return dense(self.ragged(filled) | self.in_context(filled))

    def in_context(self, tokens: tf.RaggedTensor) -> dict[str, tf.RaggedTensor]:
        """Return what the language model reads of tokens [B, (T)]; nothing if there is none."""
        return self.context.of_tokens(tokens) if self.context else {}

    def _characters(self, tokens: tf.Tensor) -> tf.Tensor:
        """Number the characters of tokens, string[N]: int32[N, C], padded with 0."""
        ids = self.characters.encode(tokens)
        place = tf.ragged.range(ids.row_lengths()).flat_values
        lengths = tf.gather(ids.row_lengths(), ids.value_rowids())
        head = self.width // 2
        kept = (place < head) | (place >= lengths - (self.width - head))
        rows = tf.boolean_mask(ids.value_rowids(), kept)
        short = tf.RaggedTensor.from_value_rowids(
            tf.boolean_mask(ids.flat_values, kept), rows, ids.nrows()
        )
        return short.to_tensor(0, shape=[None, self.width])

    def _largest(self, name: str) -> int:
        sizes = {
            "words": len(self.words.vocabulary or ()),
            "characters": len(self.characters.vocabulary or ()),
            "clues": CLUE_BUCKETS,
        }
        return sizes.get(name, AFFIX_BUCKETS)

    def encode(self, sentences: Sequence[Sequence[str]]) -> dict[str, Ragged]:
        """Return the features of a chunk of sentences as flat arrays."""
        tokens = ragged_tokens(sentences)
        lengths = np.array([len(sentence) for sentence in sentences])
        columns = {
            name: Ragged.of_ids(values.flat_values, lengths, self._largest(name))
            for name, values in self.ragged(tokens).items()
        }
        return columns | (self.context.columns(self.in_context(tokens)) if self.context else {})


def ragged_tokens(sentences: Sequence[Sequence[str]]) -> tf.RaggedTensor:
    """Return sentences as string ragged [B, (T)]."""
    flat = [token for sentence in sentences for token in sentence]
    strings = tf.constant(flat, tf.string, shape=[len(flat)])
    return tf.RaggedTensor.from_row_lengths(strings, [len(sentence) for sentence in sentences])


def unpadded(tokens: Any) -> tf.RaggedTensor:
    """Return string[B, T] without the "" that pad rows on the right."""
    return tf.RaggedTensor.from_tensor(tokens, padding="")
