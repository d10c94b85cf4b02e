"""Forecast what follows a table of recent values."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.datasets.series import Window, WindowRows
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.standard_input import as_file
from pipelines.errors import ConfigError
from pipelines.evaluation.forecasting_metrics import at_level
from pipelines.export.loading import load_served
from pipelines.padding import concatenate_padded
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.predict_options import ForecastOptions

REQUEST_ROWS = 256


def serve_inputs(examples: Sequence[Window]) -> dict[str, list[Any]]:
    """Return the raw inputs of `serve` for windows."""
    inputs: dict[str, list[Any]] = {
        "history": [example.history.tolist() for example in examples],
        "time": [example.time for example in examples],
    }
    if examples[0].known.shape[-1]:
        inputs["known"] = [example.known.tolist() for example in examples]
    if len(examples[0].static):
        inputs["static"] = [example.static.tolist() for example in examples]
    return inputs


def predict_table(artifacts: SeriesArtifacts, version: Path, options: ForecastOptions) -> int:
    """Write the forecasts of every series of a table as csv, and draw them if asked to.

    Raises:
        DataError: the table cannot be read, or lacks a column or known values of the future.
        ConfigError: a level lies outside those of the model.
    """
    from pipelines.datasets.series_sources import recent_windows
    from pipelines.series.forecast_table import plot_forecasts, require_picture, write_forecasts

    levels = wanted_levels(options.quantiles, artifacts.levels)
    if options.plot is not None:
        require_picture(options.plot)
    reading = artifacts.reading(SeriesOptions())
    with as_file(options.file) as path:
        rows = recent_windows(path, artifacts.layout, reading)
    outputs = _served(rows, version)
    every = outputs["quantiles"]
    outputs["median"] = at_level(every, artifacts.levels, 0.5)
    asked = outputs | {"quantiles": quantiles_at(every, artifacts.levels, levels)}
    write_forecasts(sys.stdout, rows, asked, levels)
    if options.plot is not None:
        plot_forecasts(options.plot, rows, outputs, artifacts.levels)
    return 0


def _served(rows: WindowRows, version: Path) -> dict[str, np.ndarray]:
    model = load_served(version)
    parts = [model.call(serve_inputs(chunk)) for chunk in rows.chunks(REQUEST_ROWS)]
    return {name: concatenate_padded([part[name] for part in parts]) for name in parts[0]}


def wanted_levels(wanted: Sequence[float], known: Sequence[float]) -> tuple[float, ...]:
    """Return the levels to print: those asked for, or the model's.

    Raises:
        ConfigError: one lies outside the model's, where nothing was learned.
    """
    outside = [level for level in wanted if not known[0] <= level <= known[-1]]
    if outside:
        raise ConfigError(
            f"option --quantiles asks for {outside}; this model knows levels from {known[0]:g} to "
            f"{known[-1]:g}: ask for levels between, or train with others (--quantiles of train)"
        )
    return tuple(sorted(set(wanted))) or tuple(known)


def quantiles_at(
    quantiles: np.ndarray, known: Sequence[float], wanted: Sequence[float]
) -> np.ndarray:
    """Interpolate quantiles [..., Q] linearly between known levels: [..., len(wanted)]."""
    return np.stack([at_level(quantiles, known, level) for level in wanted], axis=-1)
