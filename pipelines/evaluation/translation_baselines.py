"""Translators without a network: the nearest training pair's target, and the source as it is.

Their outputs have the exported model's form: `translation` object[N], `score` float64[N] (NaN, as
they have no probability) and `complete` bool[N].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer

from pipelines.errors import EvaluationError
from pipelines.evaluation.words import WORD

Array = NDArray[Any]
Outputs = dict[str, Array]
MEMORY = "translation memory"
COPY = "copy of the source"
_BLOCK_CELLS = 4_000_000  # similarities held at a time: 16 MB


class KnownPair(Protocol):
    """What is needed of a training pair."""

    @property
    def source(self) -> str:
        """A text."""

    @property
    def target(self) -> str:
        """Its translation."""


class TranslationMemory:
    """Returns the translation of the training source that is most like the text given.

    Likeness is the cosine of TF-IDF weights of words and word pairs, compared with every training
    source; of equally near ones the first is taken. A text that shares no word with any of them
    has no near source, and its translation is empty.

    Attributes:
        notes: what a reader of the report has to know, one sentence each.
    """

    def __init__(self, *, max_pairs: int = 200_000) -> None:
        self.max_pairs = max_pairs
        self.notes: list[str] = []

    def fit(self, train: Sequence[KnownPair], extra: Sequence[KnownPair] = ()) -> TranslationMemory:
        """Store training pairs, those of `extra` after the others, and return self.

        Of more than `max_pairs`, every second, third, ... is kept; `notes` says so.

        Raises:
            EvaluationError: no training source holds a word.
        """
        pairs = list(self._kept(train, extra))
        self.vectorizer_ = TfidfVectorizer(
            ngram_range=(1, 2), sublinear_tf=True, token_pattern=WORD, dtype=np.float32
        )
        try:
            features = self.vectorizer_.fit_transform(pair.source for pair in pairs)
        except ValueError as error:
            raise EvaluationError(
                f"{MEMORY}: none of {len(pairs):,} training sources holds a word; at least one is "
                "needed: check the training split"
            ) from error
        self.sources_ = np.array([pair.source for pair in pairs], object)
        self.targets_ = np.array([pair.target for pair in pairs], object)
        self._by_term = sparse.csr_matrix(features.T)
        return self

    def _kept(self, train: Sequence[KnownPair], extra: Sequence[KnownPair]) -> Iterator[KnownPair]:
        total = len(train) + len(extra)
        step = max(1, -(-total // self.max_pairs))
        if step > 1:
            kept = -(-total // step)
            self.notes.append(f"{kept:,} of {total:,} training pairs used, evenly spaced")
        return islice(chain(train, extra), 0, None, step)

    def predict(self, sources: Iterable[str]) -> Outputs:
        """Translate texts, holding one block of likenesses at a time.

        Returns:
            The common outputs, and `similarity` float32[N] in 0..1 with `nearest` object[N], the
            training source whose translation was taken ("" where none is like the text).
        """
        places, similarity = [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
        for block in _blocks(sources, max(1, _BLOCK_CELLS // len(self.targets_))):
            likeness = (self.vectorizer_.transform(block) @ self._by_term).toarray()
            places.append(likeness.argmax(axis=1))
            similarity.append(likeness.max(axis=1))
        nearest, near = np.concatenate(places), np.concatenate(similarity)
        return {
            **_outputs(np.where(near > 0, self.targets_[nearest], "")),
            "similarity": np.minimum(near, 1.0),
            "nearest": np.where(near > 0, self.sources_[nearest], ""),
        }


def copy_source(sources: Iterable[str]) -> Outputs:
    """Answer every text with itself: what names, numbers and shared words alone are worth."""
    return _outputs(np.array(list(sources), object))


def _outputs(translations: Array) -> Outputs:
    return {
        "translation": translations,
        "score": np.full(len(translations), np.nan),
        "complete": np.ones(len(translations), bool),
    }


def _blocks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    stream = iter(texts)
    while block := list(islice(stream, size)):
        yield block
