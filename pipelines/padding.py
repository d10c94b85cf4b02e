"""Rows of unequal width, put together as one padded array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def concatenate_padded(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate over rows, padding axis 1 to the widest part.

    Args:
        parts: arrays [B, ...] that agree in all axes but the first two; strings as objects.

    Returns:
        [sum of B, ...]; the padding is "" for objects and 0 for numbers.
    """
    if parts[0].ndim < 2 or len({part.shape[1] for part in parts}) == 1:
        return np.concatenate(parts)
    return np.concatenate([widened(part, max(part.shape[1] for part in parts)) for part in parts])


def widened(array: np.ndarray, width: int) -> np.ndarray:
    """Pad axis 1 of an array [B, T, ...] to `width`, on the right."""
    missing = [(0, 0), (0, width - array.shape[1]), *[(0, 0)] * (array.ndim - 2)]
    filler = "" if array.dtype == object else 0
    return np.pad(array, missing, constant_values=filler)
