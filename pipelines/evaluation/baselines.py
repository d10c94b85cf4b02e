"""Classical systems that a trained network has to be held against.

Their outputs have the keys, shapes and label order of the exported model's: `label` object[N],
`probability` float32[N] (of that label) and `probabilities` float32[N, C].
"""

from __future__ import annotations

import heapq
import random
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from pipelines.errors import EvaluationError
from pipelines.evaluation.words import WORD

Array = NDArray[Any]
Outputs = dict[str, Array]
MAJORITY = "majority class"
MUCH_TEXT = 4_000_000  # characters
TFIDF = "TF-IDF + logistic regression"


def majority_class(train_labels: Iterable[str], *, labels: Sequence[str], count: int) -> Outputs:
    """Answer the most frequent training label `count` times, with the training shares.

    Raises:
        EvaluationError: there is no training label.
    """
    frequencies = Counter(train_labels)
    total = sum(frequencies[label] for label in labels)
    if total == 0:
        raise EvaluationError(
            f"majority class: no training row has any of the labels {list(labels)}; at least one "
            "is needed: check the training split"
        )
    shares = np.array([frequencies[label] / total for label in labels], np.float32)
    return outputs_of(np.broadcast_to(shares, (count, len(labels))), labels)


def outputs_of(probabilities: Array, labels: Sequence[str]) -> Outputs:
    """Give probabilities [N, C] the form of the exported model's outputs."""
    names = np.array(list(labels), object)
    best = probabilities.argmax(axis=1)
    return {
        "label": names[best],
        "probability": probabilities[np.arange(len(best)), best].astype(np.float32),
        "probabilities": np.ascontiguousarray(probabilities, np.float32),
    }


class TfidfLogisticRegression:
    """Words and word pairs by TF-IDF, then logistic regression tuned on the validation split.

    Sublinear term frequency, lower-casing by Unicode, one-letter words kept: on short opinions this
    is the system to beat (Wang & Manning, 2012, make the case for bigrams). Memory is bounded by
    drawing at most `max_rows` rows and `max_characters` characters of text at random; `notes`
    says so when it happened.

    Attributes:
        chosen_c_: inverse regularisation of best validation accuracy (the smallest of equals).
        notes: what a reader of the report has to know, one sentence each.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        grid: Sequence[float] = (0.3, 1.0, 3.0, 10.0, 30.0),
        max_rows: int = 100_000,
        max_characters: int = 30_000_000,
        seed: int = 17,
    ) -> None:
        self.labels = list(labels)
        self.grid = sorted(grid)
        self.max_rows = max_rows
        self.max_characters = max_characters
        self.seed = seed
        self.notes: list[str] = []

    def fit(
        self, train: Iterable[tuple[str, str]], valid: Iterable[tuple[str, str]]
    ) -> TfidfLogisticRegression:
        """Learn from streams of (text, label) and return self.

        Raises:
            EvaluationError: a split is empty, holds an unknown label, or training has one label.
        """
        texts, codes = self._draw(train, "training")
        if len(np.unique(codes)) < 2:
            raise EvaluationError(
                f"{TFIDF}: all {len(codes)} training rows have the label "
                f"{self.labels[codes[0]]!r}; at least two labels are needed: check the split"
            )
        # Of much text most n-grams occur once: they fill memory and say nothing about other rows.
        much = sum(map(len, texts)) > MUCH_TEXT
        self.vectorizer_ = TfidfVectorizer(
            ngram_range=(1, 2),
            min_df=2 if much else 1,
            sublinear_tf=True,
            token_pattern=WORD,
            dtype=np.float32,
        )
        features = self.vectorizer_.fit_transform(texts)
        valid_texts, valid_codes = self._draw(valid, "validation")
        self._tune(features, codes, self.vectorizer_.transform(valid_texts), valid_codes)
        return self

    def predict(self, texts: Iterable[str], *, chunk_rows: int = 4096) -> Outputs:
        """Label a stream of texts, holding one chunk of features at a time."""
        chunks = [self._probabilities(chunk) for chunk in _chunks(texts, chunk_rows)]
        empty = np.zeros((0, len(self.labels)), np.float32)
        return outputs_of(np.concatenate([empty, *chunks]), self.labels)

    def _probabilities(self, texts: list[str]) -> Array:
        known = self.model_.predict_proba(self.vectorizer_.transform(texts))
        # A label that the drawn rows do not hold keeps probability 0.
        probabilities = np.zeros((len(texts), len(self.labels)), np.float32)
        probabilities[:, self.model_.classes_] = known
        return probabilities

    def _tune(
        self, train: sparse.csr_matrix, codes: Array, valid: sparse.csr_matrix, valid_codes: Array
    ) -> None:
        # Warm starts from weak to strong make the whole grid cost little more than its last fit.
        model = LogisticRegression(warm_start=True, max_iter=300, random_state=self.seed)
        self.validation_accuracy_: dict[float, float] = {}
        best = -1.0
        for c in self.grid:
            with warnings.catch_warnings():
                # Weights short of the optimum are judged on validation like any other.
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.set_params(C=c).fit(train, codes)
            score = float(np.mean(model.predict(valid) == valid_codes))
            self.validation_accuracy_[c] = score
            if score > best:
                best, self.chosen_c_ = score, c
                weights = model.coef_.copy(), model.intercept_.copy()
        model.coef_, model.intercept_ = weights
        self.model_ = model
        self.notes.append(f"C = {self.chosen_c_:g}, chosen on the validation split")

    def _draw(self, rows: Iterable[tuple[str, str]], split: str) -> tuple[list[str], Array]:
        """Keep a uniform sample of the stream within the bounds, in the stream's order."""
        codes = {label: code for code, label in enumerate(self.labels)}
        sample = _Sample(self.max_rows, self.max_characters, self.seed)
        for text, label in rows:
            if label not in codes:
                raise EvaluationError(
                    f"{TFIDF}: {split} row {sample.seen + 1} has the label {label!r}; expected one "
                    f"of {self.labels}: correct the row, or give all labels"
                )
            sample.add(text, codes[label])
        if not sample.seen:
            raise EvaluationError(
                f"{TFIDF}: the {split} split has 0 rows; at least 1 is needed: check the split"
            )
        texts, kept = sample.rows()
        if len(texts) < sample.seen:
            self.notes.append(
                f"{len(texts):,} of {sample.seen:,} {split} rows used, drawn at random"
            )
        return texts, kept


class _Sample:
    """Rows of a stream in random order, up to the first that would exceed a bound.

    Each row draws a key and the smallest keys stay; no more than the bounds is ever held.
    """

    def __init__(self, max_rows: int, max_characters: int, seed: int) -> None:
        self._random = random.Random(seed)  # faster than NumPy for one number at a time
        self._max_rows, self._max_characters = max_rows, max_characters
        self._heap: list[tuple[float, int, str, int]] = []  # the largest key first, negated
        self._characters = 0
        self._limit = 1.0
        self.seen = 0

    def add(self, text: str, code: int) -> None:
        """Offer the next row of the stream."""
        key = self._random.random()
        self.seen += 1
        if key >= self._limit:
            return
        heapq.heappush(self._heap, (-key, self.seen, text, code))
        self._characters += len(text)
        while len(self._heap) > 1 and self._exceeds():
            dropped, _, text, _ = heapq.heappop(self._heap)
            # What comes later must not take a place that an earlier, smaller key has lost.
            self._limit = -dropped
            self._characters -= len(text)

    def _exceeds(self) -> bool:
        return len(self._heap) > self._max_rows or self._characters > self._max_characters

    def rows(self) -> tuple[list[str], Array]:
        """Return the kept texts and their codes int64[M]."""
        kept = sorted(self._heap, key=lambda entry: entry[1])
        return [entry[2] for entry in kept], np.array([entry[3] for entry in kept])


def _chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    stream = iter(texts)
    while chunk := list(islice(stream, size)):
        yield chunk
