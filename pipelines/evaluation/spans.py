"""Spans found against spans wanted, counted by sentence so that sentences can be resampled.

Strict counts follow the conlleval program (Tjong Kim Sang & De Meulder, 2003): a span counts only
with its exact tokens and its type. The four looser readings are nervaluate's (SemEval 2013 task 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from nervaluate.entities import Entity
from nervaluate.strategies import (
    EntityTypeEvaluation,
    EvaluationStrategy,
    ExactEvaluation,
    PartialEvaluation,
    StrictEvaluation,
)
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import Span

Array = NDArray[Any]
Sentence = Sequence[Span]
STRATEGIES: dict[str, EvaluationStrategy] = {
    "strict": StrictEvaluation(),
    "exact": ExactEvaluation(),
    "partial": PartialEvaluation(),
    "type": EntityTypeEvaluation(),
}
OUTCOMES = ("correct", "incorrect", "partial", "missed", "spurious")


def match_counts(gold: Sequence[Sentence], predicted: Sequence[Sentence]) -> Array:
    """Count per sentence the spans that are right, predicted and gold, int64[N, 3]."""
    rows = [
        (len(set(wanted) & set(found)), len(found), len(wanted))
        for wanted, found in zip(gold, predicted, strict=True)
    ]
    return np.array(rows, np.int64).reshape(-1, 3)


def match_counts_by(
    gold: Sequence[Sentence], predicted: Sequence[Sentence], types: Sequence[str]
) -> Array:
    """Count right, predicted and gold spans per sentence and type, int64[N, 3, C]."""
    codes = {name: code for code, name in enumerate(types)}
    counts = np.zeros((len(gold), 3, len(types)), np.int64)
    for row, (wanted, found) in enumerate(zip(gold, predicted, strict=True)):
        for place, spans in enumerate((set(wanted) & set(found), found, wanted)):
            for span in spans:
                counts[row, place, codes[span.type]] += 1
    return counts


def outcome_counts(gold: Sequence[Sentence], predicted: Sequence[Sentence], strategy: str) -> Array:
    """Count nervaluate's outcomes per sentence, int64[N, 5], in the order of `OUTCOMES`.

    Args:
        gold: spans of every sentence.
        predicted: spans of the same sentences.
        strategy: "strict" (tokens and type), "exact" (tokens), "partial" (tokens, half a point for
            an overlap) or "type" (type, and an overlap).
    """
    judge = STRATEGIES[strategy]
    rows = np.zeros((len(gold), len(OUTCOMES)), np.int64)
    for row, (wanted, found) in enumerate(zip(gold, predicted, strict=True)):
        if wanted or found:
            result, _ = judge.evaluate(_entities(wanted), _entities(found), [])
            rows[row] = [getattr(result, name) for name in OUTCOMES]
    return rows


def outcome_sums(outcomes: Array) -> Array:
    """Turn outcomes [N, 5] into points, answers and gold spans, float64[N, 3]."""
    correct, incorrect, partial, missed, spurious = np.asarray(outcomes, float).T
    seen = correct + incorrect + partial
    return np.column_stack([correct + 0.5 * partial, seen + spurious, seen + missed])


def precision(totals: Array) -> Array:
    """Right spans over predicted spans, from totals [R, 3] or [R, 3, C]; 0 where none is."""
    return ratio(totals[:, 0], totals[:, 1])


def recall(totals: Array) -> Array:
    """Right spans over gold spans, from totals [R, 3] or [R, 3, C]; 0 where there is none."""
    return ratio(totals[:, 0], totals[:, 2])


def f1(totals: Array) -> Array:
    """Harmonic mean of precision and recall from totals [R, 3] or [R, 3, C]; 0 where undefined."""
    return ratio(2 * totals[:, 0], totals[:, 1] + totals[:, 2])


def macro_f1(totals: Array) -> Array:
    """Mean of F1 over the types that occur, from totals [R, 3 * C] to float64[R]."""
    shaped = totals.reshape(len(totals), 3, -1)
    present = (shaped[:, 1] + shaped[:, 2] > 0).sum(axis=1)
    return ratio(f1(shaped).sum(axis=1), present)


def ratio(part: Array, whole: Array) -> Array:
    """Divide, with 0 where `whole` is 0."""
    whole = np.asarray(whole, float)
    return np.divide(part, whole, out=np.zeros_like(whole), where=whole > 0)


def span_types(*systems: Iterable[Sentence]) -> list[str]:
    """Return the types that any of the systems uses, sorted."""
    return sorted({span.type for system in systems for spans in system for span in spans})


def _entities(spans: Sentence) -> list[Entity]:
    return [Entity(label=span.type, start=span.start, end=span.limit - 1) for span in spans]
