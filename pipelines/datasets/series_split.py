"""Windows to learn from, to choose by and to be judged on, one after the other in time."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.datasets.series import WindowRows
from pipelines.datasets.series_clock import describe_time
from pipelines.datasets.series_frequency import Frequency, IntArray
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_store import SeriesStore
from pipelines.datasets.series_thinning import affordable, thinned
from pipelines.errors import DataError

TRAIN_SHARE, VALID_SHARE = 0.7, 0.15
LONG_PART = 4  # times history and horizon: then histories stay inside their part
OBSERVED_SHARE, OBSERVED_STEPS = 0.25, 2  # of a history, or there is nothing to forecast from
NO_TARGET = "windows without any value in their horizon"
NO_HISTORY = "windows with values in less than a quarter of their history"


@dataclass(frozen=True)
class WindowShape:
    """How long windows are, and how far apart.

    Args:
        history: steps T.
        horizon: steps H.
        gap: steps between the targets of two parts; None: the horizon, if parts are long enough.
        stride: steps between two origins of the test part.
        season: steps of a season.
    """

    history: int
    horizon: int
    gap: int | None
    stride: int
    season: int

    @classmethod
    def of(cls, options: SeriesOptions, frequency: Frequency) -> WindowShape:
        """Take what the user gave; what was not given follows from the frequency."""
        horizon = frequency.default_horizon() if options.horizon is None else options.horizon
        history = frequency.default_history() if options.history is None else options.history
        stride = max(1, horizon // 4) if options.stride is None else options.stride
        season = frequency.season() if options.season is None else options.season
        return cls(history, horizon, options.gap, stride, season)

    @property
    def least_observed(self) -> int:
        """How many steps of a history need a target value."""
        return min(self.history, max(OBSERVED_STEPS, math.ceil(OBSERVED_SHARE * self.history)))


@dataclass(frozen=True)
class WindowSplits:
    """Windows of each part, how many were left out and why, and what a reader should know."""

    train: WindowRows
    valid: WindowRows
    test: WindowRows
    dropped: dict[str, int]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Parts:
    """Stamps that cut time in three, and how targets and histories keep to them."""

    first: int
    valid: int
    test: int
    limit: int
    gap: int
    inside: bool  # whether histories of valid and test stay inside their part


def split_windows(store: SeriesStore, options: SeriesOptions) -> WindowSplits:
    """Cut all series at the same stamps into 70 % train, 15 % valid and 15 % test.

    Shares are of steps with a value to forecast; short series have parts as long as a gap and a
    horizon. A training window lies wholly before the first cut; targets of valid and test begin
    `gap` steps after their cut and lie wholly in their part. Training origins are every step,
    those of test every `stride` steps, of valid some thousands. If no stride is given, a test part
    of very many values is scored at fewer origins.

    Raises:
        DataError: the series are too short for a window in each part.
    """
    shape = WindowShape.of(options, store.layout.frequency)
    candidates = _Candidates(store, shape)
    parts = _cut(candidates, options)
    frequency = store.layout.frequency
    ahead = [int(frequency.time(cut, parts.gap)) for cut in (parts.valid, parts.test)]
    history_from = (parts.valid, parts.test) if parts.inside else (None, None)
    train = candidates.windows((parts.first, parts.valid), None, 1)
    valid = candidates.windows((ahead[0], parts.test), history_from[0], 1)
    test = candidates.windows((ahead[1], parts.limit), history_from[1], shape.stride)
    valid = thinned(valid)
    fewer: tuple[str, ...] = ()
    if options.stride is None:
        test, fewer = affordable(test, shape.stride, shape.season)
    for name, rows in (("train", train), ("validation", valid), ("test", test)):
        if not len(rows):
            raise candidates.too_short(f"no window for the {name} part")
    notes = (*_notes(candidates, parts, (train, valid, test)), *fewer)
    dropped = {name: count for name, count in candidates.left_out.items() if count}
    return WindowSplits(train, valid, test, dropped, notes)


def all_windows(store: SeriesStore, options: SeriesOptions) -> tuple[WindowRows, dict[str, int]]:
    """Return the windows at every `stride` steps of all series, and how many were left out.

    Raises:
        DataError: there is none.
    """
    candidates = _Candidates(store, WindowShape.of(options, store.layout.frequency))
    rows = candidates.windows((candidates.first, candidates.limit), None, candidates.shape.stride)
    if not len(rows):
        raise candidates.too_short("no window to score")
    return rows, {name: count for name, count in candidates.left_out.items() if count}


class _Candidates:
    """Origins of a store, and which of them have something to learn from and to be judged by."""

    def __init__(self, store: SeriesStore, shape: WindowShape) -> None:
        self.store, self.shape = store, shape
        self.left_out: Counter[str] = Counter()
        self.lengths = np.diff(store.offsets)
        frequency = store.layout.frequency
        self.first = int(store.starts.min())
        self.limit = int(frequency.time(store.starts, self.lengths).max())
        self._observed = _running_count(store)

    @property
    def observed(self) -> int:
        """Steps with a target value."""
        return int(self._observed[-1])

    def step_of(self, time: int) -> IntArray:
        """Return each series' first step at or after a stamp, int64[S]; it may lie outside."""
        steps = np.ceil(self.store.layout.frequency.index(time, self.store.starts))
        return steps.astype(np.int64)

    def observed_before(self, time: int) -> int:
        """Count steps with a target value before a stamp."""
        steps = np.clip(self.step_of(time), 0, self.lengths)
        offsets = self.store.offsets[:-1]
        return int((self._observed[offsets + steps] - self._observed[offsets]).sum())

    def windows(self, span: tuple[int, int], history_from: int | None, stride: int) -> WindowRows:
        """Return windows whose targets lie within a span of stamps.

        Args:
            span: the first stamp, and the first after the last.
            history_from: stamp before which a history must not reach, if any.
            stride: steps between two origins, counted from the one before the span.
        """
        anchor = self.step_of(span[0]) - 1
        low = np.maximum(anchor, 0)
        if history_from is not None:
            bound = self.step_of(history_from)
            low = np.where(bound > 0, np.maximum(low, bound + self.shape.history - 1), low)
        low = anchor + -(-(low - anchor) // stride) * stride
        high = np.minimum(self.step_of(span[1]), self.lengths) - self.shape.horizon
        counts = np.maximum(0, -(-(high - low) // stride))
        series = np.repeat(np.arange(len(counts)), counts)
        within = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
        origins = low[series] + within * stride
        kept = self._usable(series, origins)
        shape = self.shape
        return WindowRows(
            self.store,
            series[kept],
            origins[kept],
            history=shape.history,
            horizon=shape.horizon,
            span=span,
        )

    def _usable(self, series: IntArray, origins: IntArray) -> npt.NDArray[np.bool_]:
        """Tell which windows have enough history and something to forecast, bool[M]."""
        offsets = self.store.offsets[series]
        now = self._observed[offsets + origins + 1]
        ahead = self._observed[offsets + origins + 1 + self.shape.horizon] - now
        begin = np.maximum(origins + 1 - self.shape.history, 0)
        behind = now - self._observed[offsets + begin]
        poor = behind < self.shape.least_observed
        self.left_out[NO_HISTORY] += int(poor.sum())
        self.left_out[NO_TARGET] += int((~poor & (ahead < 1)).sum())
        return np.asarray(~poor & (ahead >= 1))

    def too_short(self, what: str) -> DataError:
        """Say that series are too short for windows, in numbers."""
        shape, longest = self.shape, int(self.lengths.argmax())
        return DataError(
            f"{what}: the longest of {len(self.lengths):,} series, "
            f"{self.store.names[longest]!r}, has {self.lengths[longest]:,} steps "
            f"({self.observed:,} with a value in all series together), for a history of "
            f"{shape.history} and a horizon of {shape.horizon}; expected at least "
            f"{shape.least_observed + 3 * shape.horizon} steps; give a smaller --history or "
            "--horizon, or longer series"
        )


def _running_count(store: SeriesStore) -> npt.NDArray[np.int32]:
    """Count the steps with any target value before each row of the store, int32[N+1]."""
    counts = np.zeros(len(store.values) + 1, np.int32)
    targets = store.values[:, : store.layout.K]
    np.cumsum(~np.isnan(targets).all(axis=1), out=counts[1:])
    return counts


def _cut(candidates: _Candidates, options: SeriesOptions) -> _Parts:
    """Find the cuts: stamps of the grid of the series that begins first."""
    shape, frequency = candidates.shape, candidates.store.layout.frequency
    first = candidates.first
    total = math.ceil(frequency.index(candidates.limit, first))
    cuts = [_cut_at(candidates, share) for share in (TRAIN_SHARE, TRAIN_SHARE + VALID_SHARE)]
    valid, test = (math.ceil(frequency.index(cut, first)) for cut in cuts)
    short = min(test - valid, total - test) < 3 * shape.horizon
    gap = (0 if short else shape.horizon) if shape.gap is None else shape.gap
    test = min(test, total - gap - shape.horizon)
    valid = min(valid, test - gap - shape.horizon)
    if valid < shape.least_observed + shape.horizon:
        raise candidates.too_short("too few steps for three parts")
    shortest = min(valid, test - valid, total - test)
    auto = shortest >= LONG_PART * (shape.history + shape.horizon)
    inside = auto if options.history_from == "auto" else options.history_from == "part"
    at_valid, at_test = frequency.time(first, [valid, test]).tolist()
    return _Parts(first, at_valid, at_test, candidates.limit, gap, inside)


def _cut_at(candidates: _Candidates, share: float) -> int:
    """Return the first stamp before which this share of the observed steps lies."""
    low, high, wanted = candidates.first, candidates.limit, share * candidates.observed
    while low < high:
        middle = (low + high) // 2
        if candidates.observed_before(middle) < wanted:
            low = middle + 1
        else:
            high = middle
    return low


def _notes(
    candidates: _Candidates, parts: _Parts, rows: tuple[WindowRows, WindowRows, WindowRows]
) -> tuple[str, ...]:
    shape = candidates.shape
    spans = (
        f"{name} targets from {describe_time(it.span[0])} to before {describe_time(it.span[1])}"
        for name, it in zip(("train", "valid", "test"), rows, strict=True)
    )
    where = "stay inside their part" if parts.inside else "may reach back before their part"
    gap = f"gap of {parts.gap} between the targets of two parts"
    if shape.gap is None and not parts.gap:
        gap = "no gap between the targets of two parts, as they are short"
    padded = int((candidates.lengths < shape.history + shape.horizon).sum())
    short = f"; {padded:,} series are shorter than both together, their histories padded"
    return (
        f"windows of {shape.history} steps of history and {shape.horizon} of horizon"
        + (short if padded else ""),
        f"{'; '.join(spans)}; {gap}; histories of valid and test {where}",
    )
