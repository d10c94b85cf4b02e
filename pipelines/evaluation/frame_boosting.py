"""Gradient boosting of frame labels on statistics of windows (scikit-learn).

The lengths of the windows follow the length of training segments, whatever the rate. Windows, the
number of trees, and how far answers are averaged for the smoothed form are chosen on validation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.classification import label_codes
from pipelines.evaluation.frame_features import Scale, feature_blocks
from pipelines.evaluation.frame_metrics import (
    OVERLAPS,
    frame_accuracy,
    overlap_f1,
    segments_of,
)

if TYPE_CHECKING:
    from pipelines.datasets.frames import FrameRows, FrameStream

Array = NDArray[Any]
BOOSTING = "gradient boosting"
# Windows to choose from, as shares of the middle length of training segments.
WINDOW_SETS = (
    (1 / 128, 1 / 32, 1 / 8),
    (1 / 64, 1 / 16, 1 / 8, 1 / 4),
    (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2),
)
SMOOTHING = (0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
LEARNED, TUNING, VALID = 10_000, 4_000, 8_000  # frames to learn, to tune and to choose with
MOST_ANSWERED = 150_000  # frames; of more, some are answered and hold until the next one
_FEWEST = 100  # frames of a rare class that thinning leaves
_SHORTEST = 3  # frames of a window
_WORK = 420_000  # trees times columns: half a minute on one core
_TREES = 120
_TOTAL_RATE = 9.0  # trees times the learning rate
_COLUMNS_A_SPLIT = 0.1
_LUCK = 0.01  # of validation accuracy
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Trees:
    """A fitted model with the windows it sees and how many of its trees are used."""

    model: Any
    windows: tuple[int, ...]
    used: int


class WindowBoosting:
    """Histogram gradient boosting on statistics of windows around, or up to, each frame.

    Attributes:
        trees_: the fitted model, its windows in frames and its number of trees.
        smoothing_: frames over which the smoothed form averages, 1 for none.
        accuracy_: on validation frames, of the windows tried.
    """

    def __init__(self, *, causal: bool, seed: int) -> None:
        self.causal, self.seed = causal, seed

    def can_learn(self, train: FrameRows) -> bool:
        """Whether the training streams hold two labels."""
        return sum(count > 0 for count in train.frames_of().values()) > 1

    def fit(self, train: FrameRows, valid: FrameRows) -> WindowBoosting:
        """Choose windows, trees and smoothing on validation streams, and return self."""
        self.classes_ = len(train.classes)
        self.scale_ = Scale.of([stream.values for stream in train])
        self.typical_ = _typical_segment(train)
        self.accuracy_: dict[tuple[int, ...], float] = {}
        windows = self._best_windows(train, valid)
        columns, codes = self._lines(train, windows, LEARNED)
        model = self._learn(columns, codes, _rounds(self.classes_, columns.shape[1]))
        self.trees_ = _Trees(model, windows, self._best_rounds(model, valid, windows))
        self.smoothing_ = self._best_smoothing(valid)
        _log.info(
            "%s: windows of %s frames, %d rounds, answers averaged over %d frames",
            *(BOOSTING, windows, self.trees_.used, self.smoothing_),
        )
        return self

    def predict(self, rows: FrameRows, most: int = MOST_ANSWERED) -> list[Array]:
        """Return the probabilities of every class for every frame, float64[T, C] a stream.

        Where there are more than `most` frames, every n-th is answered and its answer is held.
        """
        stride = max(1, -(-int(rows.lengths.sum()) // most))
        return [self._answer(stream, stride) for stream in rows]

    def smooth(self, probabilities: Sequence[Array], length: int | None = None) -> list[Array]:
        """Average probabilities [T, C] over the chosen number of frames around, or up to, each."""
        size = self.smoothing_ if length is None else length
        after = 0 if self.causal else size - 1 - size // 2
        return [_averaged(shares, size, after) for shares in probabilities]

    def _answer(self, stream: FrameStream, stride: int) -> Array:
        frames = np.arange(0, len(stream), stride)
        blocks = feature_blocks(
            self.scale_.apply(stream.values), self.trees_.windows, frames, causal=self.causal
        )
        found = [_stage(self.trees_.model, block, self.trees_.used) for block in blocks]
        answers = np.zeros((len(frames), self.classes_))
        if found:
            answers[:, self.trees_.model.classes_] = np.concatenate(found)
        return np.repeat(answers, stride, axis=0)[: len(stream)]

    def _lines(self, rows: FrameRows, windows: Sequence[int], most: int) -> tuple[Array, Array]:
        """Describe evenly spaced frames of every class: columns [M, C] and codes int64[M]."""
        columns, codes = [], []
        labels = [_codes_of(stream, rows.classes) for stream in rows]
        for stream, gold, frames in zip(rows, labels, _thinned(labels, most), strict=True):
            if len(frames):
                scaled = self.scale_.apply(stream.values)
                columns += list(feature_blocks(scaled, windows, frames, causal=self.causal))
                codes.append(gold[frames])
        return np.concatenate(columns), np.concatenate(codes)

    def _learn(self, columns: Array, codes: Array, rounds: int) -> Any:
        from sklearn.ensemble import HistGradientBoostingClassifier

        model = HistGradientBoostingClassifier(
            learning_rate=min(0.3, _TOTAL_RATE / rounds),
            max_iter=rounds,
            max_features=_COLUMNS_A_SPLIT,
            min_samples_leaf=int(np.clip(len(codes) // 200, 1, 20)),
            early_stopping=False,
            random_state=self.seed,
        )
        return _quick(lambda lines: model.fit(lines, codes), columns)

    def _best_windows(self, train: FrameRows, valid: FrameRows) -> tuple[int, ...]:
        """Return the set of windows with the best validation accuracy of small models."""
        sets = list(dict.fromkeys(_lengths(shares, self.typical_) for shares in WINDOW_SETS))
        if len(sets) == 1 or not valid.lengths.sum():
            return sets[0]
        for windows in sets:
            columns, codes = self._lines(train, windows, TUNING)
            model = self._learn(columns, codes, _rounds(self.classes_, columns.shape[1]) // 3)
            columns, codes = self._lines(valid, windows, VALID)
            self.accuracy_[windows] = float(np.mean(_quick(model.predict, columns) == codes))
            _log.info("%s: windows %s: %.4f", BOOSTING, windows, self.accuracy_[windows])
        return max(sets, key=lambda windows: self.accuracy_[windows])

    def _best_rounds(self, model: Any, valid: FrameRows, windows: Sequence[int]) -> int:
        """Return the most rounds whose validation accuracy is about the best, in eighths.

        Few streams tell small gains of early stopping from luck, and more trees are steadier.
        """
        rounds = int(model.n_iter_)
        if not valid.lengths.sum():
            return rounds
        columns, codes = self._lines(valid, windows, VALID)
        tried = sorted({max(1, rounds * part // 8) for part in range(2, 9)})
        stages = _quick(lambda lines: list(model.staged_predict(lines)), columns)
        right = np.array([np.mean(stages[count - 1] == codes) for count in tried])
        return tried[int(np.flatnonzero(right >= right.max() - _LUCK)[-1])]

    def _best_smoothing(self, valid: FrameRows) -> int:
        """Return over how many frames averaging is best on validation, of frames and segments."""
        if not valid.lengths.sum():
            return max(1, round(self.typical_ / 16))
        gold = [_codes_of(stream, valid.classes) for stream in valid]
        plain = self.predict(valid, VALID)
        sizes = sorted({max(1, round(share * self.typical_)) for share in SMOOTHING})

        def quality(size: int) -> float:
            said = [shares.argmax(axis=1) for shares in self.smooth(plain, size)]
            accuracy = frame_accuracy(np.concatenate(gold), np.concatenate(said))
            return accuracy + overlap_f1(gold, said, OVERLAPS[-1])

        return max(sizes, key=quality)


def _codes_of(stream: FrameStream, classes: Sequence[str]) -> Array:
    return label_codes(stream.labels, classes, f"{BOOSTING}: labels of {stream.name!r}")


def _typical_segment(rows: FrameRows) -> float:
    """Middle length of the segments, each counted by its frames."""
    lengths = [np.diff([*segments_of(s.labels).starts, len(s)]) for s in rows if len(s)]
    every = np.sort(np.concatenate(lengths))
    return float(every[np.searchsorted(np.cumsum(every), every.sum() / 2)])


def _lengths(shares: Sequence[float], typical: float) -> tuple[int, ...]:
    """Windows in frames, each at least two frames longer than the one before."""
    found: list[int] = []
    for share in shares:
        shortest = found[-1] + 2 if found else _SHORTEST
        found.append(max(shortest, round(share * typical)))
    return tuple(found)


def _thinned(labels: Sequence[Array], most: int) -> list[Array]:
    """Keep about `most` frames, evenly spaced in every class; of rare ones, all or a hundred."""
    starts = np.cumsum([0, *map(len, labels)])
    flat = np.concatenate([*labels, np.zeros(0, np.int64)])
    share = min(1.0, most / max(len(flat), 1))
    kept = []
    for code in np.unique(flat):
        places = np.flatnonzero(flat == code)
        count = min(len(places), max(_FEWEST, round(share * len(places))))
        kept.append(places[np.linspace(0, len(places) - 1, count).astype(np.int64)])
    chosen = np.sort(np.concatenate([*kept, np.zeros(0, np.int64)]))
    edges = np.searchsorted(chosen, starts)
    return [chosen[edges[n] : edges[n + 1]] - starts[n] for n in range(len(labels))]


def _rounds(classes: int, columns: int) -> int:
    """Rounds of trees, one a class, that the time allows."""
    return int(np.clip(_WORK // (max(classes, 2) * columns), 24, _TREES))


def _stage(model: Any, columns: Array, used: int) -> Array:
    """Probabilities after the first `used` rounds, float64[M, C]."""

    def last(lines: Array) -> Array:
        found = islice(model.staged_predict_proba(lines), used - 1, used)
        return np.asarray(next(found))

    return np.asarray(_quick(last, columns))


def _quick(call: Callable[[Array], Any], columns: Array) -> Any:
    """Call a model on one thread: two on a busy machine wait for each other many times as long."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        return call(columns)


def _averaged(shares: Array, size: int, after: int) -> Array:
    """Average [T, C] over windows of `size` frames that reach `after` frames ahead."""
    totals = np.vstack([np.zeros((1, shares.shape[1])), np.cumsum(shares, axis=0)])
    frames = np.arange(len(shares))
    starts = np.maximum(frames + after + 1 - size, 0)
    limits = np.minimum(frames + after + 1, len(shares))
    return np.asarray((totals[limits] - totals[starts]) / (limits - starts)[:, None])
