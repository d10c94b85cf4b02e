"""Forecasts as a table and as a drawing: what `predict` gives a user."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.series import WindowRows
from pipelines.datasets.series_clock import time_zone
from pipelines.datasets.series_frequency import DAY, Frequency
from pipelines.evaluation import forecasting_metrics as metrics
from pipelines.evaluation import pictures
from pipelines.evaluation.forecast_figures import Fan, fan_picture

Array = NDArray[Any]
Outputs = Mapping[str, Array]
MOST_PANELS = 6  # more are no longer read in one picture


def write_forecasts(
    stream: IO[str], rows: WindowRows, outputs: Outputs, levels: Sequence[float]
) -> None:
    """Write forecasts as csv, one line for every series, step and target.

    Columns: `series`, `time` (ISO 8601, in the data's own wall clock; where a time zone is known
    with its offset from UTC, as an hour occurs twice when clocks go back), `target`, `mean`,
    `median`, and each quantile as `q0.1`.

    Args:
        stream: text to write to.
        rows: the windows that were forecast.
        outputs: `mean` [N, H, K] and `quantiles` [N, H, K, Q]; `median` [N, H, K] if the levels do
            not tell it.
        levels: of the quantiles, rising.
    """
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns_of(levels))
    writer.writerows(table_rows(rows, outputs, levels))


def columns_of(levels: Sequence[float]) -> list[str]:
    """Return the names of the table's columns."""
    return ["series", "time", "target", "mean", "median", *(f"q{level:g}" for level in levels)]


def table_rows(rows: WindowRows, outputs: Outputs, levels: Sequence[float]) -> Iterator[list[str]]:
    """Yield the cells of every line, by series, then step, then target."""
    layout = rows.store.layout
    stamps = rows.target_times(np.arange(len(rows)))
    mean, median = np.asarray(outputs["mean"]), medians(outputs, levels)
    quantiles = np.asarray(outputs["quantiles"])
    for row in range(len(rows)):
        name = rows.store.names[rows.series[row]]
        times = iso_times(stamps[row], layout.frequency, layout.time_zone)
        for step, time in enumerate(times):
            for k, target in enumerate(layout.targets):
                values = [mean[row, step, k], median[row, step, k], *quantiles[row, step, k]]
                yield [name, time, target, *map(_cell, values)]


def medians(outputs: Outputs, levels: Sequence[float]) -> Array:
    """Return the medians, [N, H, K]: as given, or between the nearest levels."""
    if "median" in outputs:
        return np.asarray(outputs["median"])
    return metrics.at_level(np.asarray(outputs["quantiles"]), levels, 0.5)


def iso_times(stamps: Array, frequency: Frequency, zone: str = "") -> list[str]:
    """Write stamps as ISO 8601: "2014-03-01", "2014-03-01T05:00:00", with an offset in a zone.

    Args:
        stamps: wall-clock seconds, or UTC seconds where there is a zone and steps are below a day.
        frequency: of the series; days and longer steps have no time of day.
        zone: name of the time zone, "" if none is known.
    """
    if zone and frequency.is_sub_daily:
        return _zoned(stamps, zone)
    moments = np.asarray(stamps, np.int64).astype("datetime64[s]")
    # A daily series may be stamped at seven in the morning: its hour is no midnight.
    days_only = not frequency.is_sub_daily and not (np.asarray(stamps) % DAY).any()
    return np.datetime_as_string(moments, unit="D" if days_only else "s").tolist()


def _zoned(stamps: Array, zone: str) -> list[str]:
    from datetime import datetime

    clock = time_zone(zone)
    return [datetime.fromtimestamp(int(stamp), clock).isoformat() for stamp in stamps]


def _cell(value: Any) -> str:
    """Write a number with the digits that tell it from other float32, or nothing for none."""
    return str(np.float32(value)).removesuffix(".0") if np.isfinite(value) else ""


def plot_forecasts(path: Path, rows: WindowRows, outputs: Outputs, levels: Sequence[float]) -> None:
    """Draw the fans of all series and targets, the first few of them, one above the other.

    Args:
        path: of the picture; its ending chooses the format.
        rows: the windows that were forecast.
        outputs: see `write_forecasts`.
        levels: of the quantiles, rising.

    Raises:
        ConfigError: the path has no known ending, or its folder does not exist.
    """
    require_picture(path)
    fans = fans_of(rows, outputs, levels)
    pictures.write_picture(path, fan_picture(fans, pictures.picture_format(path)))


def require_picture(path: Path) -> None:
    """Check that a picture can be written to a path, before anything is computed.

    Raises:
        ConfigError: the path has no known ending, or its folder does not exist.
    """
    pictures.require_picture(path, option="--plot", example="forecast.png")


def fans_of(rows: WindowRows, outputs: Outputs, levels: Sequence[float]) -> list[Fan]:
    """Return what is drawn: of every series and target, `MOST_PANELS` at most."""
    layout = rows.store.layout
    tail = min(rows.history, max(3 * rows.horizon, 8))
    stamps = rows.target_times(np.arange(min(len(rows), MOST_PANELS)))
    several = len(rows) > 1
    fans = []
    for row, first in enumerate(stamps[:, 0].tolist()):
        steps = np.arange(-tail, rows.horizon)
        times = layout.wall_times(layout.frequency.time(first, steps))
        history = rows[row].history[-tail:, : layout.K]
        name = f"{rows.store.names[rows.series[row]]}: " if several else ""
        fans += [
            Fan(
                name=name + column.name,
                unit=column.unit,
                before=times[:tail],
                history=np.asarray(history[:, k], np.float64),
                times=times[tail:],
                quantiles=np.asarray(outputs["quantiles"][row, :, k], np.float64),
                levels=levels,
                median=np.asarray(medians(outputs, levels)[row, :, k], np.float64),
            )
            for k, column in enumerate(layout.columns[: layout.K])
        ]
    return fans[:MOST_PANELS]
