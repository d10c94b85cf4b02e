"""Fill gaps from the past alone."""

from __future__ import annotations

import numpy as np

from pipelines.datasets.series_options import Impute
from pipelines.datasets.series_store import FloatArray


def impute(values: FloatArray, how: Impute, season: int) -> FloatArray:
    """Return values with gaps filled from earlier steps; what has no earlier value stays NaN.

    No step depends on a later one, so a window's history is the same whatever came after it.

    Args:
        values: float32[n, F]; NaN is missing.
        how: "last" carries the last value forward; "season" takes the value a season before,
            imputed itself if need be; "none" fills nothing.
        season: steps.
    """
    if how == "none" or not np.isnan(values).any():
        return values
    lag = season if how == "season" else 1
    padded = -(-len(values) // lag) * lag
    cycles = np.full((padded, values.shape[1]), np.nan, np.float32)
    cycles[: len(values)] = values
    cycles = cycles.reshape(-1, lag * values.shape[1])
    number = np.arange(len(cycles))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(cycles), 0, number), axis=0)
    filled = np.take_along_axis(cycles, last, axis=0)
    return filled.reshape(padded, values.shape[1])[: len(values)]
