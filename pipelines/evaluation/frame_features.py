"""What a window around a frame tells of it: the columns that classical systems learn from.

Every column is a statistic of one channel, or of two, in a window that is centred on the frame or,
for causal systems, ends at it. Windows are cut short at both ends of a stream. Statistics come from
running totals, so that their cost does not grow with the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

Array = NDArray[Any]
MOST_DETAILED = 12  # channels; of more, only means and deviations are taken
MOST_CHANNELS = 100  # of more, some are taken, evenly spaced
BLOCK_FRAMES = 20_000  # described at a time: bounds memory
_MOST_PAIRED = 8  # channels whose pairs are correlated
_SAMPLED = 32  # values of a window from which quantiles are read
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_LAGS = (0.02, 0.05, 0.1, 0.2)  # of a window: how alike it is to itself moved by that share
_SMALLEST = 1e-9


@dataclass(frozen=True)
class Scale:
    """Mean and deviation of every channel over the training streams, float64[K] each."""

    mean: Array
    deviation: Array

    @classmethod
    def of(cls, streams: Sequence[Array]) -> Scale:
        """Measure streams [T, K]; NaN does not count, a channel that is never seen is 0."""
        counts = sum((~np.isnan(values)).sum(axis=0) for values in streams)
        totals = sum(np.nansum(values, axis=0, dtype=float) for values in streams)
        mean = totals / np.maximum(counts, 1)
        squares = sum(np.nansum((values - mean) ** 2, axis=0) for values in streams)
        deviation = np.sqrt(squares / np.maximum(counts, 1))
        return cls(np.asarray(mean), np.where(deviation > 0, deviation, 1.0))

    def apply(self, values: Array) -> Array:
        """Return scaled values float64[T, K]; a gap holds what was last seen before it, else 0."""
        kept = np.unique(np.linspace(0, len(self.mean) - 1, MOST_CHANNELS).astype(int))
        scaled = (_filled(values, self.mean) - self.mean) / self.deviation
        return scaled[:, kept] if len(self.mean) > MOST_CHANNELS else scaled


def _filled(values: Array, mean: Array) -> Array:
    missing = np.isnan(values)
    if not missing.any():
        return np.asarray(values, float)
    frames = np.arange(len(values))[:, None]
    last = np.maximum.accumulate(np.where(missing, -1, frames), axis=0)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.asarray(np.where(last < 0, mean, found), float)


def feature_blocks(
    scaled: Array, windows: Sequence[int], frames: Array, *, causal: bool
) -> Iterator[Array]:
    """Yield what `window_features` returns, some frames of one stream at a time."""
    margin = 2 * max(windows)  # covers the window and the lag of its likeness to itself
    for first in range(0, len(frames), BLOCK_FRAMES):
        wanted = frames[first : first + BLOCK_FRAMES]
        start = max(0, int(wanted[0]) - margin)
        near = scaled[start : int(wanted[-1]) + margin + 1]
        yield window_features(near, windows, wanted - start, causal=causal)


def window_features(scaled: Array, windows: Sequence[int], frames: Array, *, causal: bool) -> Array:
    """Describe frames of one stream by what surrounds them.

    Args:
        scaled: the stream, float64[T, K], without NaN.
        windows: lengths in frames, rising.
        frames: which frames are described, int64[M].
        causal: windows end at their frame; otherwise it is their middle.

    Returns:
        float32[M, C]; C depends on K and the number of windows alone.
    """
    signals = with_norms(scaled)
    columns: list[Array] = [signals[frames]]
    for length in windows:
        window = _Window(signals, length, causal, frames)
        columns += window.plain()
        if scaled.shape[1] <= MOST_DETAILED:
            columns += window.detailed()
            columns += window.correlations(scaled.shape[1])
    return np.hstack([column.astype(np.float32) for column in columns])


def with_norms(scaled: Array) -> Array:
    """Add the length of every three channels in turn, which no rotation of a sensor changes."""
    channels = scaled.shape[1]
    if channels % 3 or channels > MOST_DETAILED:
        return scaled
    norms = np.sqrt((scaled.reshape(len(scaled), -1, 3) ** 2).sum(axis=2))
    return np.hstack([scaled, norms])


class _Window:
    """Statistics of one length of window at the wanted frames; totals are made once."""

    def __init__(self, signals: Array, length: int, causal: bool, frames: Array) -> None:
        self.signals, self.length, self.frames = signals, length, frames
        self.after = 0 if causal else length - 1 - length // 2
        self.starts = np.maximum(frames + self.after + 1 - length, 0)
        self.limits = np.minimum(frames + self.after + 1, len(signals))
        self.counts = (self.limits - self.starts)[:, None]
        self.means = self.mean(signals)
        variances = np.maximum(self.mean(signals**2) - self.means**2, 0.0)
        self.deviations = np.sqrt(variances)

    def mean(self, values: Array) -> Array:
        """Average values [T, C] over every wanted window, [M, C]."""
        totals = np.vstack([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        return np.asarray((totals[self.limits] - totals[self.starts]) / self.counts)

    def plain(self) -> list[Array]:
        """Mean and deviation."""
        return [self.means, self.deviations]

    def detailed(self) -> list[Array]:
        """Ends, range, steps, turns, likeness to itself a little later, and quantiles."""
        low, high = self._ends()
        steps = np.vstack([np.zeros((1, self.signals.shape[1])), np.diff(self.signals, axis=0)])
        turned = steps[1:] * steps[:-1] < 0
        turns = np.vstack([np.zeros((1, self.signals.shape[1])), turned])
        return [
            low,
            high,
            high - low,
            self.mean(np.abs(steps)),
            self.mean(turns),
            *self._likeness(),
            *self._quantiles(),
        ]

    def _ends(self) -> tuple[Array, Array]:
        # A filter of size n and origin o sees n // 2 + o frames before its place.
        origin = self.length - 1 - self.after - self.length // 2
        settings = {"size": self.length, "axis": 0, "mode": "nearest", "origin": origin}
        low = minimum_filter1d(self.signals, **settings)
        high = maximum_filter1d(self.signals, **settings)
        return low[self.frames], high[self.frames]

    def _likeness(self) -> Iterator[Array]:
        """Autocorrelation at shares of the window: what repeats at which pace."""
        spread = np.maximum(self.deviations**2, _SMALLEST)
        for lag in sorted({max(1, round(share * self.length)) for share in _LAGS}):
            late = np.zeros_like(self.signals)
            late[lag:] = self.signals[lag:] * self.signals[: len(self.signals) - lag]
            yield np.clip((self.mean(late) - self.means**2) / spread, -2.0, 2.0)

    def _quantiles(self) -> Iterator[Array]:
        places = np.linspace(0, 1, min(_SAMPLED, self.length))
        inside = self.starts[:, None] + (places * (self.counts - 1)).astype(np.int64)
        for channel in range(self.signals.shape[1]):
            ordered = np.sort(self.signals[:, channel].astype(np.float32)[inside], axis=1)
            wanted = [round(share * (inside.shape[1] - 1)) for share in _QUANTILES]
            yield ordered[:, wanted]

    def correlations(self, channels: int) -> list[Array]:
        """Correlate the first channels by pairs."""
        found = []
        for one, other in combinations(range(min(channels, _MOST_PAIRED)), 2):
            product = self.mean((self.signals[:, one] * self.signals[:, other])[:, None])[:, 0]
            spread = self.deviations[:, one] * self.deviations[:, other]
            moved = product - self.means[:, one] * self.means[:, other]
            found.append(np.clip(moved / np.maximum(spread, _SMALLEST), -1.0, 1.0))
        return [np.column_stack(found)] if found else []
