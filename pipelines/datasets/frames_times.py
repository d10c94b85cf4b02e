"""Read the times of frames: their rate, irregular steps, and where a recording was interrupted."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.datasets.frames_reading import Clock, Place
from pipelines.datasets.series_read_times import as_text
from pipelines.errors import DataError

Seconds = npt.NDArray[np.float64]
IRREGULAR = 0.5  # of the usual step: what is further from it is no jitter
GAP_SECONDS, GAP_STEPS = 1.0, 10.0  # steps longer than both interrupt a recording
_COUNTS = ((1e17, 1e-9), (1e14, 1e-6), (1e11, 1e-3))  # since 1970: ns, us, ms; below: seconds


def read_times(name: str, cells: pa.Array, place: Place) -> Seconds:
    """Return times in seconds, float64[N]: of numbers, time stamps as text, or parquet's own.

    Numbers are seconds; those as large as milliseconds (micro-, nanoseconds) since 1970 are these.

    Args:
        name: of the column.
        cells: as read.
        place: row -> file:line.

    Raises:
        DataError: a cell is empty or no time; the message names file and line.
    """
    if pa.types.is_temporal(cells.type) and not pa.types.is_time(cells.type):
        unit = pc.cast(cells, pa.timestamp("ns", getattr(cells.type, "tz", None)), safe=False)
        since = np.array(pc.cast(pc.cast(unit, pa.int64()), pa.float64())) * 1e-9
        return _required(name, since, pc.fill_null(pc.cast(cells, pa.string()), ""), place)
    texts = as_text(cells)
    numbers = pd.to_numeric(pd.Series(texts.to_numpy(zero_copy_only=False)), errors="coerce")
    seconds: Seconds = numbers.to_numpy(np.float64)
    if not len(seconds):
        return seconds
    if 2 * np.isnan(seconds).sum() > len(seconds):
        return _required(name, _stamps(texts), texts, place)
    # Seconds of an epoch need doubles; counted from the first, no digit of a step is lost.
    largest = float(np.nanmax(np.abs(seconds)))
    scale = next((unit for least, unit in _COUNTS if largest > least), 1.0)
    return _required(name, seconds * scale, texts, place)


def _stamps(texts: pa.Array) -> Seconds:
    column = pd.Series(texts.to_numpy(zero_copy_only=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        stamps = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
        if stamps.isna().all():
            stamps = pd.to_datetime(column, errors="coerce", utc=True)
    counted = (stamps - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
    return np.asarray(counted, np.float64)


def _required(name: str, seconds: Seconds, texts: pa.Array, place: Place) -> Seconds:
    bad = ~np.isfinite(seconds)
    if bad.any():
        row = int(np.argmax(bad))
        raise DataError(
            f"{place(row)}: time column {name!r} reads {texts[row].as_py()[:40]!r}; expected "
            "seconds such as 0.02, or a time stamp such as 2024-05-17 12:00:00.020, in every row; "
            "mend the row, or drop --time-column and give --rate"
        )
    return seconds


def clock_of(seconds: Seconds, place: Place) -> tuple[Clock | None, list[int]]:
    """Look at the times of one stream.

    Args:
        seconds: of its frames.
        place: frame -> file:line.

    Returns:
        what they tell, None of less than two frames or of no duration; and the frames that begin a
        recording, the first 0.

    Raises:
        DataError: time goes back.
    """
    steps = np.diff(seconds)
    if (steps < 0).any():
        frame = int(np.argmax(steps < 0)) + 1
        raise DataError(
            f"{place(frame)}: time goes back from {seconds[frame - 1]:.6g} to {seconds[frame]:.6g} "
            "s; expected the frames of a stream in the order of time; sort the rows, or give "
            "--stream-column if another recording begins here"
        )
    if not len(steps) or seconds[-1] <= seconds[0]:
        return None, [0]
    median = float(np.median(steps))
    usual = median or float(steps.mean())  # coarse stamps repeat, and tell the mean rate alone
    gaps = np.flatnonzero(steps > max(GAP_SECONDS, GAP_STEPS * usual))
    irregular = int((np.abs(steps - usual) > IRREGULAR * usual).sum()) if median else 0
    rate = float(f"{1.0 / usual:.6g}")
    clock = Clock(rate, len(steps), irregular, len(gaps), float(steps.max()))
    return clock, [0, *(gaps + 1).tolist()]


def clock_notes(clocks: Sequence[Clock]) -> list[str]:
    """Say in words what is irregular in the times of all streams."""
    steps = sum(clock.steps for clock in clocks)
    irregular = sum(clock.irregular for clock in clocks)
    gaps = sum(clock.gaps for clock in clocks)
    notes = []
    if irregular:
        notes.append(
            f"time: {irregular:,} of {steps:,} steps ({irregular / steps:.2%}) are irregular, over "
            f"half a usual step from it; the longest is {max(it.longest for it in clocks):.3g} s; "
            "frames are taken as they come, none is interpolated"
        )
    if gaps:
        notes.append(
            f"time: {gaps:,} gaps of over a second and {GAP_STEPS:g} steps; a recording ends at "
            "each"
        )
    rates = sorted(clock.rate for clock in clocks)
    if rates and rates[-1] > 1.05 * rates[0]:
        notes.append(
            f"time: the rate differs between streams, {rates[0]:g} to {rates[-1]:g} Hz; a model "
            "sees frames, not seconds: bring all to one rate first"
        )
    return notes
