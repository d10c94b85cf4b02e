"""Classical taggers that a trained network has to be held against.

Their outputs have the form of the exported model's: `tags` object[N, T] padded with "", and where
they can tell, `confidences` float32[N, T] padded with 0.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pycrfsuite
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import spans_of, tags_from_spans
from pipelines.errors import EvaluationError
from pipelines.evaluation import spans as counting
from pipelines.evaluation.tag_features import sentence_features

Array = NDArray[Any]
Outputs = dict[str, Array]
MOST_FREQUENT = "most frequent tag"
CRF = "feature CRF"
GRID = ((0.0, 1.0), (0.0, 0.1), (0.1, 0.1), (0.1, 0.01))
_FEATURES_A_WORD = 35
_log = logging.getLogger(__name__)


class Tagged(Protocol):
    """A sentence with its tags."""

    @property
    def tokens(self) -> Sequence[str]:
        """The words."""

    @property
    def tags(self) -> Sequence[str]:
        """One tag a word; spans are in BIO."""


def tag_outputs(
    tags: Sequence[Sequence[str]], confidences: Sequence[Sequence[float]] | None = None
) -> Outputs:
    """Give tags the form of the exported model's outputs, padded on the right."""
    width = max(map(len, tags), default=0)
    padded = np.full((len(tags), width), "", object)
    for row, found in enumerate(tags):
        padded[row, : len(found)] = found
    if confidences is None:
        return {"tags": padded}
    sure = np.zeros((len(tags), width), np.float32)
    for row, values in enumerate(confidences):
        sure[row, : len(values)] = values
    return {"tags": padded, "confidences": sure}


def valid_bio(tags: Sequence[str]) -> list[str]:
    """Write tags so that every span begins with B, read as conlleval reads them."""
    return tags_from_spans(spans_of(tags), len(tags))


class MostFrequentTag:
    """The most frequent training tag of every word.

    A word not seen gets the tag that words seen once have most often: new words are rare words.

    Args:
        spans: whether tags are BIO, and answers are to be valid BIO.

    Attributes:
        tags_: word -> tag.
        unknown_tag_: the tag of words not seen.
    """

    def __init__(self, *, spans: bool = False) -> None:
        self.spans = spans

    def fit(self, sentences: Iterable[Tagged]) -> MostFrequentTag:
        """Count the tags of every word and return self.

        Raises:
            EvaluationError: there is no training word.
        """
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for sentence in sentences:
            for word, tag in zip(sentence.tokens, sentence.tags, strict=True):
                counts[word][tag] += 1
        if not counts:
            raise _no_words(MOST_FREQUENT)
        self.tags_ = {word: _most_frequent(found) for word, found in counts.items()}
        rare = Counter(self.tags_[word] for word, found in counts.items() if found.total() == 1)
        self.unknown_tag_ = _most_frequent(rare or sum(counts.values(), Counter()))
        return self

    def predict(self, sentences: Iterable[Sequence[str]]) -> Outputs:
        """Tag the words of sentences."""
        tags = [[self.tags_.get(word, self.unknown_tag_) for word in words] for words in sentences]
        return tag_outputs([valid_bio(found) for found in tags] if self.spans else tags)


def _most_frequent(counts: Counter[str]) -> str:
    """Of equally frequent tags, the first in the alphabet: the order of rows must not decide."""
    return min(counts, key=lambda tag: (-counts[tag], tag))


class FeatureCrf:
    """A linear-chain CRF over the usual hand-made features (Lafferty et al., 2001), by CRFsuite.

    L1 and L2 weights are chosen on the validation split, by span F1 or word accuracy, learning from
    at most `tuning_words` words; the chosen ones then learn from the training split, or from as
    many whole sentences drawn at random as `max_work` allows, about a minute and a half on one
    core. `notes` says what was done.

    Args:
        spans: whether tags are BIO, and answers are to be valid BIO.
        grid: pairs of L1 and L2 weight.
        max_iterations: of L-BFGS.
        tuning_iterations: of L-BFGS for each entry of the grid, if fewer.
        tuning_words: bound on the words learned from for each entry of the grid.
        max_work: bound on training words × work for a word, which grows with the square of the
            number of tags.
        seed: of what is drawn.

    Attributes:
        chosen_: the L1 and L2 weight of best validation score (the first of equals).
        notes: what a reader of the report has to know, one sentence each.
        drew_a_part: whether the tagger learned from a part of the training words only.
    """

    def __init__(
        self,
        *,
        spans: bool,
        grid: Sequence[tuple[float, float]] = GRID,
        max_iterations: int = 150,
        tuning_iterations: int = 80,
        tuning_words: int = 40_000,
        max_work: float = 3e8,
        seed: int = 17,
    ) -> None:
        self.spans = spans
        self.grid = list(grid)
        self.max_iterations = max_iterations
        self.tuning_iterations = min(tuning_iterations, max_iterations)
        self.tuning_words = tuning_words
        self.max_work = max_work
        self.seed = seed
        self.notes: list[str] = []
        self.drew_a_part = False

    def fit(self, train: Sequence[Tagged], valid: Sequence[Tagged]) -> FeatureCrf:
        """Tune, learn and return self.

        Raises:
            EvaluationError: a split has no word.
        """
        started = time.monotonic()
        classes = len({tag for sentence in train for tag in sentence.tags})
        bound = int(self.max_work / (classes**2 + _FEATURES_A_WORD * classes + 1))
        drawn = self._draw(train, bound, "training")
        self.drew_a_part = len(drawn) < sum(bool(sentence.tokens) for sentence in train)
        self.chosen_ = self._tune(drawn, self._draw(valid, bound, "validation"))
        self.tagger_ = self._learn(drawn, self.chosen_, self.max_iterations)
        l1, l2 = self.chosen_
        self.notes.append(f"L1 = {l1:g}, L2 = {l2:g}, chosen on the validation split")
        _log.info("%s: learned in %.0f s", CRF, time.monotonic() - started)
        return self

    def predict(self, sentences: Iterable[Sequence[str]]) -> Outputs:
        """Tag the words of sentences, with the probability of every tag given."""
        answers = [_answer(self.tagger_, words) for words in sentences]
        tags = [found for found, _ in answers]
        sure = [values for _, values in answers]
        return tag_outputs([valid_bio(found) for found in tags] if self.spans else tags, sure)

    def _draw(self, sentences: Sequence[Tagged], words: int, split: str) -> list[Tagged]:
        """Keep all sentences, or a random part of at most so many words, in order."""
        lengths = np.array([len(sentence.tokens) for sentence in sentences], np.int64)
        if not lengths.sum():
            raise _no_words(CRF, split)
        if lengths.sum() <= words:
            return [sentence for sentence in sentences if sentence.tokens]
        order = np.random.default_rng(self.seed).permutation(len(lengths))
        count = max(1, int(np.searchsorted(np.cumsum(lengths[order]), words, side="right")))
        kept = np.zeros(len(lengths), bool)
        kept[order[:count]] = True
        self.notes.append(
            f"{lengths[kept].sum():,} of {lengths.sum():,} {split} words used, drawn at random"
        )
        pairs = zip(sentences, kept, strict=True)
        return [sentence for sentence, keep in pairs if keep and sentence.tokens]

    def _tune(self, train: Sequence[Tagged], valid: Sequence[Tagged]) -> tuple[float, float]:
        if len(self.grid) == 1:
            return self.grid[0]
        sample = self._draw_to_tune(train)
        best, chosen = -1.0, self.grid[0]
        for weights in self.grid:
            started = time.monotonic()
            value = self._value(self._learn(sample, weights, self.tuning_iterations), valid)
            name = "validation F1" if self.spans else "validation accuracy"
            _log.info(
                "%s: L1 = %g, L2 = %g: %s %.4f (%.0f s)",
                *(CRF, *weights, name, value, time.monotonic() - started),
            )
            if value > best:
                best, chosen = value, weights
        return chosen

    def _draw_to_tune(self, train: Sequence[Tagged]) -> list[Tagged]:
        notes = len(self.notes)
        sample = self._draw(train, self.tuning_words, "training")
        self.notes[notes:] = [f"{note}, for the choice" for note in self.notes[notes:]]
        return sample

    def _value(self, tagger: pycrfsuite.Tagger, valid: Sequence[Tagged]) -> float:
        """Strict span F1, or the share of words tagged rightly."""
        answers = [tagger.tag(sentence_features(sentence.tokens)) for sentence in valid]
        if self.spans:
            gold = [spans_of(sentence.tags) for sentence in valid]
            counts = counting.match_counts(gold, [spans_of(found) for found in answers])
            return float(counting.f1(counts.sum(axis=0, keepdims=True))[0])
        pairs = [
            pair
            for sentence, found in zip(valid, answers, strict=True)
            for pair in zip(sentence.tags, found, strict=True)
        ]
        return sum(wanted == found for wanted, found in pairs) / len(pairs)

    def _learn(
        self, sentences: Iterable[Tagged], weights: tuple[float, float], iterations: int
    ) -> pycrfsuite.Tagger:
        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        for sentence in sentences:
            trainer.append(sentence_features(sentence.tokens), list(sentence.tags))
        l1, l2 = weights
        trainer.set_params(
            {
                "c1": l1,
                "c2": l2,
                "max_iterations": iterations,
                "feature.possible_transitions": True,
            }
        )
        tagger = pycrfsuite.Tagger()
        # CRFsuite speaks through files only; opening one reads it whole.
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.crfsuite")
            trainer.train(path)
            tagger.open(path)
        return tagger


def _answer(tagger: pycrfsuite.Tagger, words: Sequence[str]) -> tuple[list[str], list[float]]:
    if not words:
        return [], []
    tags = tagger.tag(sentence_features(words))
    return tags, [tagger.marginal(tag, place) for place, tag in enumerate(tags)]


def _no_words(system: str, split: str = "training") -> EvaluationError:
    return EvaluationError(
        f"{system}: the {split} split holds 0 words; at least 1 is needed: check the split"
    )
