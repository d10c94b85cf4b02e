"""Fewer windows where more would cost time and tell nothing, at places that favour no hour."""

from __future__ import annotations

import math

import numpy as np

from pipelines.datasets.series import WindowRows

MOST_VALID = 4000  # windows: enough to choose by, and as many passes as there are epochs
MOST_SCORED = 500_000  # values to forecast in the test part: minutes, and 40 MB a system
FEWEST_ORIGINS = 20  # of the test part: fewer tell nothing of luck
_GOLDEN = (5**0.5 - 1) / 2


def thinned(rows: WindowRows) -> WindowRows:
    """Take one window of each of `MOST_VALID` equal stretches, at places that favour no hour."""
    if len(rows) <= MOST_VALID:
        return rows
    number = np.arange(MOST_VALID)
    places = number + number * _GOLDEN % 1.0  # multiples of it, less their whole part, are even
    return rows.select(np.unique((places * len(rows) / MOST_VALID).astype(np.int64)))


def affordable(rows: WindowRows, stride: int, season: int) -> tuple[WindowRows, tuple[str, ...]]:
    """Take every n-th origin of all series where there are more than `MOST_SCORED` values.

    Args:
        rows: windows of the test part.
        stride: steps between their origins.
        season: in steps; n shares no factor with the places in it, so that none is favoured.

    Returns:
        windows at `FEWEST_ORIGINS` moments at least, and a note if they are fewer than were given.
    """
    values = len(rows) * rows.horizon * rows.store.layout.K
    if values <= MOST_SCORED:
        return rows, ()
    stamps = rows.store.layout.frequency.time(rows.store.starts[rows.series], rows.origins)
    moments, places = np.unique(stamps, return_inverse=True)
    phases = season // math.gcd(season, stride)
    most = max(1, len(moments) // FEWEST_ORIGINS)
    fair = [n for n in range(1, most + 1) if math.gcd(n, phases) == 1]
    every = next((n for n in fair if n * MOST_SCORED >= values), fair[-1])
    if every == 1:
        return rows, ()
    note = (
        f"one of {every} test origins is taken, as all have {values:,} values to forecast, more "
        f"than {MOST_SCORED:,}; --stride {stride} takes all"
    )
    return rows.select(np.flatnonzero(places % every == 0)), (note,)
