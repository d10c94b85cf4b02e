"""How sure a system is, held against how often it is right: a drawing and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import metrics, plots, wording
from pipelines.evaluation.bootstrap import proportion_interval
from pipelines.evaluation.sections import Block, Figure, Section, Table

Array = NDArray[Any]
CALIBRATION_BINS = 15
_NO_GAP = 0.0005  # what rounds to no difference
SAMPLED_PAIRS = 20_000_000  # simulated answers: bounds the time for large test sets


def calibration_section(
    confidence: Array,
    right: Array,
    *,
    smallest: float,
    seed: int,
    facts: Sequence[Sequence[str]] = (),
    units: str = "rows",
    note: str = "",
) -> Section:
    """Describe and draw how confidence and accuracy agree.

    Args:
        confidence: probability of each answer, float[N].
        right: whether it is right, bool[N].
        smallest: lowest confidence an answer can have, 1 / number of classes.
        seed: of the simulation of what chance alone would show.
        facts: further measures, name and value, for a table.
        units: what an answer is given for, in the plural.
        note: what else to say of these answers.
    """
    error = metrics.expected_calibration_error(confidence, right, CALIBRATION_BINS)
    chance = error_by_chance(confidence, seed)
    gap = float(confidence.mean() - right.mean())
    size = wording.difference(gap, "fraction")
    lean = f"surer than it is right, by {size}" if gap > 0 else f"less sure than right, by {size}"
    if abs(gap) < _NO_GAP:
        lean = "as sure as it is right"
    prose = (
        f"Answers are given a mean probability of {confidence.mean():.3f} and "
        f"{right.mean():.3f} of them are right: on average the model is {lean}. The mean gap "
        f"within bins of equal size (expected calibration error) is {error:.3f}; a perfectly "
        f"calibrated model would show about {chance:.3f} on these {units} by "
        "chance alone."
    )
    bins = metrics.reliability_bins(confidence, right, CALIBRATION_BINS)
    blocks: list[Block] = [_diagram(bins, smallest, units)]
    if facts:
        blocks.append(Table(columns=["measure of the probabilities", "model"], rows=facts))
    return Section("Calibration", f"{prose}\n\n{note}", blocks)


def _diagram(bins: Sequence[metrics.ReliabilityBin], smallest: float, units: str) -> Figure:
    intervals = [proportion_interval(round(b.accuracy * b.count), b.count) for b in bins]
    svg = plots.reliability_diagram(
        [b.confidence for b in bins],
        [b.accuracy for b in bins],
        [entry.low for entry in intervals],
        [entry.high for entry in intervals],
        smallest=smallest,
    )
    counts = sorted({b.count for b in bins})
    size = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    caption = (
        f"{len(bins)} bins of {size} {units} each, with 95 % intervals. Below the dashed line: "
        "surer than right."
    )
    spoken = "; ".join(f"{b.confidence:.2f} sure, {b.accuracy:.2f} right" for b in bins)
    return Figure(svg=svg, caption=caption, alt=f"Reliability diagram. {spoken}")


def error_by_chance(confidence: Array, seed: int) -> float:
    """Mean calibration error of a perfectly calibrated model with these confidences.

    Right and wrong are drawn with the stated probabilities (Bröcker & Smith, 2007).

    Args:
        confidence: probability of the answers, float[N].
        seed: of the draws.
    """
    random = np.random.default_rng(seed)
    repeats = int(np.clip(SAMPLED_PAIRS // len(confidence), 5, 200))
    bins = metrics.equal_mass_bins(confidence, CALIBRATION_BINS)
    errors = []
    for _ in range(repeats):
        gaps = confidence - (random.random(len(confidence)) < confidence)
        errors.append(np.abs(np.bincount(bins, weights=gaps)).sum() / len(confidence))
    return float(np.mean(errors))
