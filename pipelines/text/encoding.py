"""Encode labelled texts into corpus chunks, through the layers that are exported."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.corpus import Chunk, Ragged, merge_ragged
from pipelines.text import units
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.char_ngrams import CharNgrams
from pipelines.text.classifier_config import BUCKETS
from pipelines.text.contextual_features import ContextFeatures, dense
from pipelines.text.ngrams import WordNgrams
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import UNK

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TextFeatures:
    """The in-graph features of a text: token ids, and hashed n-grams of words and characters.

    With a language model, also what it reads.
    """

    tokenizer: Tokenizer
    word_grams: WordNgrams
    char_grams: CharNgrams
    context: ContextFeatures | None = None

    cut: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, artifacts: TextArtifacts) -> TextFeatures:
        """Make the layers the artifacts describe."""
        lowercase = artifacts.settings["lowercase"]
        return cls(
            Tokenizer(artifacts.vocabulary, **artifacts.settings),
            WordNgrams(BUCKETS, lowercase=lowercase),
            CharNgrams(BUCKETS, lowercase=lowercase),
            ContextFeatures(artifacts.context) if artifacts.context else None,
        )

    @property
    def layers(self) -> tuple[Tokenizer, ...]:
        """The layers whose tables an exported graph needs."""
        return (self.tokenizer, *([self.context.tokenizer] if self.context else []))

    def grams(self, texts: Any) -> dict[str, tf.RaggedTensor]:
        """Return the n-gram ids of texts, string[B], as ragged int32 [B, (N)] by name."""
        words = units.words(texts, lowercase=self.word_grams.lowercase)
        return {
            "words": self.word_grams.encode_words(words),
            "chars": self.char_grams.encode_words(words),
        }

    def dense(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        """Return all features of texts, string[B], padded with 0: the inputs of the model."""
        grams = {name: ids.to_tensor(0) for name, ids in self.grams(texts).items()}
        return {"tokens": self.tokenizer(texts), **grams, **dense(self.in_context(texts))}

    def in_context(self, texts: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        """Return what the language model reads of texts, string[B]; nothing if there is none."""
        if self.context is None:
            return {}
        tokens = self.tokenizer.split(texts)
        return self.context.of_texts(texts, tokens, self.tokenizer.max_tokens)

    def count_cut(self, lengths: np.ndarray) -> None:
        """Count texts, and those that `max_tokens` cuts, by their whole lengths int[B]."""
        self.cut["texts"] += len(lengths)
        if self.tokenizer.max_tokens is not None:
            self.cut["cut"] += int((lengths > self.tokenizer.max_tokens).sum())

    def warn_of_cut(self, split: str) -> None:
        """Say in the log how many of the texts encoded so far were cut."""
        if self.cut["cut"]:
            _log.warning(
                "%s: %d of %d texts have more than %d tokens and were cut; --max-tokens raises it",
                split, self.cut["cut"], self.cut["texts"], self.tokenizer.max_tokens,
            )  # fmt: skip

    def encode(self, texts: Sequence[str], *, with_grams: bool) -> dict[str, Ragged]:
        """Return the features of a chunk of texts as flat arrays."""
        strings = tf.constant(list(texts), tf.string)
        ids, lengths = self.tokenizer.encode_counted(strings)
        self.count_cut(lengths.numpy())
        largest = len(self.tokenizer.vocabulary or ())
        columns = {"tokens": flat_ids(ids, largest)}
        if self.context is not None:
            columns |= self.context.columns(self.in_context(strings))
        if with_grams:
            for name, grams in self.grams(strings).items():
                columns[name] = flat_ids(grams, BUCKETS)
        return columns

    def unknown_share(self, texts: Sequence[str]) -> np.ndarray:
        """Return the share of each text's tokens that the vocabulary lacks, float[B]."""
        ids = self.tokenizer.encode(tf.constant(list(texts), tf.string))
        return np.asarray(tf.reduce_mean(tf.cast(ids == UNK, tf.float32), axis=1))


def flat_ids(ids: tf.RaggedTensor, largest: int) -> Ragged:
    """Turn ids, int32 ragged [B, (T)], none above `largest`, into a column of a corpus."""
    return Ragged.of_ids(ids.flat_values, ids.row_lengths(), largest)


def encode_together(chunks: Iterable[Chunk]) -> dict[str, Any] | None:
    """Put encoded chunks end to end, feature by feature, in memory; None if there are none."""
    parts = list(chunks)
    if not parts:
        return None
    merged: dict[str, Any] = {}
    for name, first in parts[0].items():
        columns: list[Any] = [part[name] for part in parts]
        join: Any = merge_ragged if isinstance(first, Ragged) else np.concatenate
        merged[name] = join(columns)
    return merged
