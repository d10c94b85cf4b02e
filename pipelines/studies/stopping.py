"""When a ladder of models stops, and which rung is chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pipelines.evaluation.scores import Better

PATIENCE = 2  # rungs without gain before the ladder ends


def noise(rungs: Sequence[Sequence[float]]) -> float:
    """Return the standard deviation over seeds, pooled over all rungs; 0 with one seed each."""
    spread = [np.var(values, ddof=1) * (len(values) - 1) for values in rungs if len(values) > 1]
    freedom = sum(len(values) - 1 for values in rungs)
    return math.sqrt(sum(spread) / freedom) if freedom else 0.0


def chosen_rung(rungs: Sequence[Sequence[float]], better: Better) -> int:
    """Return the smallest rung that no later one betters by more than a standard error.

    This is the rule of one standard error (Breiman et al., 1984, sec. 3.4.3), of the difference of
    two means over seeds: of models that cannot be told apart, the smallest.

    Args:
        rungs: validation values of each rung, smallest model first, one a seed; at least one rung.
        better: which way they improve.
    """
    sign = 1.0 if better == "higher" else -1.0
    deviation, chosen = noise(rungs), 0
    for place in range(1, len(rungs)):
        new, old = rungs[place], rungs[chosen]
        gain = sign * (float(np.mean(new)) - float(np.mean(old)))
        error = deviation * math.sqrt(1 / len(new) + 1 / len(old))
        # Means of equal numbers may differ in the last digit.
        if gain > error + 1e-12 * max(1.0, abs(float(np.mean(old)))):
            chosen = place
    return chosen


def has_stopped(rungs: Sequence[Sequence[float]], better: Better, *, patience: int) -> bool:
    """Tell whether the last `patience` rungs brought no gain over the chosen one."""
    return bool(rungs) and len(rungs) - 1 - chosen_rung(rungs, better) >= patience
