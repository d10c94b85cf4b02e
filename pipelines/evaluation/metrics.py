"""Classification metrics: scikit-learn's, under one set of names and one set of checks.

Labels are codes int[N] in 0..C-1; probabilities are float[N, C] in the same label order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from pipelines.errors import EvaluationError

Array = NDArray[Any]
SMALLEST_PROBABILITY = 1e-7  # float32 cannot tell smaller distances from 1


@dataclass(frozen=True)
class ClassScores:
    """Precision, recall and F1 of one class (0 where undefined) and its number of gold rows."""

    label: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class ReliabilityBin:
    """Rows of similar confidence: their number, mean confidence and share that is right."""

    count: int
    confidence: float
    accuracy: float


def accuracy(gold: Array, predicted: Array) -> float:
    """Share of rows whose predicted code is the gold code."""
    check_lengths(gold, predicted, "accuracy")
    return float(sk.accuracy_score(gold, predicted))


def macro_f1(gold: Array, predicted: Array) -> float:
    """Unweighted mean of F1 over the classes that occur in `gold` or `predicted`."""
    check_lengths(gold, predicted, "macro F1")
    return float(sk.f1_score(gold, predicted, average="macro", zero_division=0))


def class_scores(gold: Array, predicted: Array, labels: Sequence[str]) -> list[ClassScores]:
    """Precision, recall, F1 and support of every class, in label order."""
    check_lengths(gold, predicted, "per-class scores")
    columns = sk.precision_recall_fscore_support(
        gold, predicted, labels=np.arange(len(labels)), zero_division=0
    )
    return [
        ClassScores(label, float(p), float(r), float(f), int(n))
        for label, p, r, f, n in zip(labels, *columns, strict=True)
    ]


def confusion_matrix(gold: Array, predicted: Array, classes: int) -> Array:
    """Counts int64[C, C]; row: gold class, column: predicted class."""
    check_lengths(gold, predicted, "confusion matrix")
    return np.asarray(sk.confusion_matrix(gold, predicted, labels=np.arange(classes)))


def row_log_losses(gold: Array, probabilities: Array) -> Array:
    """Negative log probability of the gold class of every row, in nats, float64[N]."""
    check_lengths(gold, probabilities, "log loss")
    given = probabilities[np.arange(len(gold)), gold].astype(float)
    return np.asarray(-np.log(np.clip(given, SMALLEST_PROBABILITY, 1.0)))


def log_loss(gold: Array, probabilities: Array) -> float:
    """Mean negative log probability of the gold class, in nats; lower is better."""
    return float(row_log_losses(gold, probabilities).mean())


def brier(gold: Array, probabilities: Array) -> float:
    """Mean squared distance to the one-hot gold class, from 0 to 2 (Brier, 1950)."""
    check_lengths(gold, probabilities, "Brier score")
    given = probabilities[np.arange(len(gold)), gold].astype(float)
    squares = np.einsum("nc,nc->n", probabilities, probabilities, dtype=float)
    return float(np.mean(squares - 2 * given + 1))


def roc_auc(gold: Array, probabilities: Array) -> float:
    """Area under the ROC curve; with more than two classes, one against the rest, averaged.

    Classes that no gold row has, or that all have, cannot be ranked and are left out of the mean.

    Raises:
        EvaluationError: `gold` holds one class only.
    """
    check_lengths(gold, probabilities, "ROC AUC")
    classes = np.unique(gold)
    if len(classes) < 2:
        raise EvaluationError(
            f"ROC AUC: every row has class {classes[0]}; at least two classes are needed: score "
            "rows of other classes too, or leave this metric out"
        )
    if probabilities.shape[1] == 2:
        classes = np.array([1])
    areas = [sk.roc_auc_score(gold == code, probabilities[:, code]) for code in classes]
    return float(np.mean(areas))


def equal_mass_bins(confidence: Array, bins: int = 15) -> Array:
    """Bin number of every row, int64[N], so that bins hold equally many rows.

    Rows of equal confidence share a bin, so there may be fewer bins than asked for.
    """
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    numbers = np.searchsorted(np.unique(edges), confidence, side="left")
    return np.asarray(np.unique(numbers, return_inverse=True)[1])


def reliability_bins(confidence: Array, correct: Array, bins: int = 15) -> list[ReliabilityBin]:
    """Compare confidence with accuracy in equal-mass bins of confidence.

    Args:
        confidence: probability of the predicted class, float[N].
        correct: whether that class is right, bool[N].
        bins: number of bins asked for.
    """
    check_lengths(confidence, correct, "reliability bins")
    numbers = equal_mass_bins(confidence, bins)
    counts = np.bincount(numbers)
    means = np.bincount(numbers, weights=confidence) / counts
    shares = np.bincount(numbers, weights=correct) / counts
    return [
        ReliabilityBin(int(n), float(c), float(a))
        for n, c, a in zip(counts, means, shares, strict=True)
    ]


def expected_calibration_error(confidence: Array, correct: Array, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy over bins (Guo et al., 2017, eq. 3).

    Bins hold equally many rows rather than span equal widths: confident models leave equal-width
    bins nearly empty, and their noise would decide the value (Nixon et al., 2019).
    """
    rows = len(confidence)
    found = reliability_bins(confidence, correct, bins)
    return sum(entry.count / rows * abs(entry.confidence - entry.accuracy) for entry in found)


def check_lengths(first: Array, second: Array, metric: str) -> None:
    """Refuse two arrays of unequal length, and empty ones.

    Raises:
        EvaluationError: lengths differ or are 0.
    """
    if len(first) != len(second):
        raise EvaluationError(
            f"{metric}: {len(first)} rows against {len(second)}; both must describe the same rows: "
            "predict every row, in order"
        )
    if len(first) == 0:
        raise EvaluationError(
            f"{metric}: 0 rows; at least 1 is needed: check that the test split is not empty"
        )
