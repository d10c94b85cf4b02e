"""Load time series: to train on, to be scored on, or to forecast what follows them."""

from __future__ import annotations

import dataclasses
import json
import logging
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.datasets.package_index import Progress
from pipelines.datasets.prepared import fingerprint
from pipelines.datasets.series import Window, WindowRows
from pipelines.datasets.series_clock import describe_time
from pipelines.datasets.series_grid import Grid, lay_on_grid
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_presets import with_preset
from pipelines.datasets.series_split import WindowShape, all_windows, split_windows
from pipelines.datasets.series_store import SeriesLayout, SeriesStore
from pipelines.datasets.series_table import READER_VERSION, SeriesSource, find_series, read_found
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.storage import DataFolders, new_folder
from pipelines.errors import DataError

GRID_VERSION = 1  # part of the cache's key: raise it when the same rows give another store
# A store knows none of these.
_OF_WINDOWS = ("horizon", "history", "gap", "stride", "history_from", "season", "impute")
_USUALLY = 0.5  # a covariate with values in less of the history may lack some ahead too
_log = logging.getLogger(__name__)


def load_series(
    source: str,
    options: SeriesOptions,
    *,
    folders: DataFolders,
    progress: Progress | None = None,
) -> Splits[Window]:
    """Return windows over series split by time; what was read is kept in the cache.

    Args:
        source: a built-in name, a file, a glob or a folder.
        options: how to read it, and how long windows are.
        folders: where fetched and prepared data are kept.
        progress: told of a download a few times a second.

    Raises:
        DataError: the source cannot be read, its calendar is none, or it is too short.
        ConfigError: an option cannot be.
    """
    found = find_series(source, folders=folders, progress=progress)
    options, _ = with_preset(found.streams[0].preset, options)
    grid = _prepared(found, options, folders)
    windows = split_windows(grid.store, options)
    parts = {"train": windows.train, "valid": windows.valid, "test": windows.test}
    card = _card(
        source,
        found,
        counts={name: len(rows) for name, rows in parts.items()},
        dropped={**grid.dropped, **windows.dropped},
        notes=(*grid.notes, *windows.notes),
        fingerprint=_fingerprint(found, asdict(options)),
    )
    _log.info("read %s: %s; left out: %s", source, dict(card.counts), dict(card.dropped) or "none")
    return Splits(windows.train, windows.valid, windows.test, card)


def load_series_to_score(
    source: str, layout: SeriesLayout, options: SeriesOptions, *, folders: DataFolders
) -> Splits[Window]:
    """Return windows over all of a source as the test split; train and valid are empty.

    Args:
        source: a built-in name, a file, a glob or a folder.
        layout: of the trained model; the source must have its columns.
        options: how to read it; history and horizon are the model's.
        folders: where fetched data are kept.

    Raises:
        DataError: a column is missing, the frequency is another, or no window can be cut.
    """
    found = find_series(source, folders=folders)
    options, _ = with_preset(found.streams[0].preset, options)
    grid = _as_trained(found, layout, options)
    rows, left_out = all_windows(grid.store, options)
    card = _card(
        source,
        found,
        counts={"test": len(rows)},
        dropped={**grid.dropped, **left_out},
        notes=grid.notes,
        fingerprint=_fingerprint(found, [asdict(options), layout.to_json()]),
    )
    nothing = rows.select(np.zeros(0, np.int64))
    return Splits(nothing, nothing, rows, card)


def recent_windows(path: Path, layout: SeriesLayout, options: SeriesOptions) -> WindowRows:
    """Return one window a series, whose history ends with its last observed target.

    Known covariates of the horizon come from rows of the same file whose target cells are empty.

    Args:
        path: of a table with the columns the model was trained on.
        layout: of the trained model.
        options: how to read it; history and horizon are the model's.

    Raises:
        DataError: a column or a known value ahead is missing, or a history holds too little.
    """
    found = find_series(str(path), folders=DataFolders())
    grid = _as_trained(found, layout, options)
    for note in grid.notes:
        _log.info("%s: %s", path, note)
    store, shape = grid.store, WindowShape.of(options, layout.frequency)
    targets = (store.series(number)[:, : layout.K] for number in range(len(store)))
    observed = [np.asarray(~np.isnan(values).all(axis=1)) for values in targets]
    origins = np.array([int(np.flatnonzero(it)[-1]) for it in observed], np.int64)
    for number, origin in enumerate(origins.tolist()):
        seen = int(observed[number][max(0, origin + 1 - shape.history) : origin + 1].sum())
        if seen < shape.least_observed:
            raise _too_little(path, store.names[number], seen, shape)
        _check_known(path, store, number, origin, shape)
    series = np.arange(len(store))
    return WindowRows(store, series, origins, history=shape.history, horizon=shape.horizon)


def _too_little(path: Path, name: str, seen: int, shape: WindowShape) -> DataError:
    return DataError(
        f"{path}: series {name!r} has a value to forecast in {seen:,} of its last {shape.history} "
        f"steps; expected at least {shape.least_observed}, better all {shape.history}; give "
        "earlier rows too, or leave the series out"
    )


def _check_known(
    path: Path, store: SeriesStore, number: int, origin: int, shape: WindowShape
) -> None:
    """Refuse a horizon whose known covariates are not given."""
    layout, limit = store.layout, origin + 1 + shape.horizon
    if not layout.G:
        return
    values = store.values[store.offsets[number] : store.offsets[number + 1], layout.K + layout.P :]
    usual = ~np.isnan(values[max(0, origin + 1 - shape.history) : origin + 1])
    ahead = np.full((shape.horizon, layout.G), np.nan, np.float32)
    given = values[origin + 1 : limit]
    ahead[: len(given)] = given
    absent = np.isnan(ahead) & (usual.mean(axis=0) > _USUALLY)
    absent[len(given) :] = True
    if not absent.any():
        return
    steps = absent.any(axis=1)
    first = int(steps.argmax())
    columns = [repr(layout.known[n]) for n in np.flatnonzero(absent[first])]
    times = [describe_time(it) for it in store.times(number, origin + 1, limit)]
    zone = " (UTC)" if layout.time_zone else ""
    raise DataError(
        f"{path}: series {store.names[number]!r} has no value of {', '.join(columns)} for "
        f"{times[first]}{zone} ({steps.sum()} of {shape.horizon} steps ahead lack one); expected "
        f"known covariates for every step from {times[0]} to {times[-1]}{zone}; add rows for these "
        "steps, with empty cells of what is to be forecast"
    )


def _as_trained(found: SeriesSource, layout: SeriesLayout, options: SeriesOptions) -> Grid:
    """Read a source the way a model's training data was read; the store is held in memory.

    Raises:
        DataError: a column is missing, or stamps are of another kind.
    """
    table = read_found(found, options, layout)
    zone = options.time_zone or layout.time_zone
    options = dataclasses.replace(
        table.options, frequency=layout.frequency.name, time_zone=zone, season=options.season
    )
    with tempfile.TemporaryDirectory() as folder:
        grid = lay_on_grid(table, options, Path(folder), trained=True)
        store = _in_memory(grid.store)
    read = store.layout
    if (read.frequency.count, read.time_zone) != (layout.frequency.count, layout.time_zone):
        raise DataError(
            f"{table.place(0)}: stamps every {read.frequency.step_name} in time zone "
            f"{read.time_zone or 'none'!r}; expected, as in training, every "
            f"{layout.frequency.step_name} in time zone {layout.time_zone or 'none'!r}; write the "
            "stamps as in the training table, or train anew with --time-zone"
        )
    dropped = {**table.dropped, **grid.dropped}
    store = dataclasses.replace(store, layout=dataclasses.replace(layout, frequency=read.frequency))
    return Grid(store, dropped, (*table.notes, *grid.notes))


def _in_memory(store: SeriesStore) -> SeriesStore:
    return dataclasses.replace(store, values=np.array(store.values))


def _prepared(found: SeriesSource, options: SeriesOptions, folders: DataFolders) -> Grid:
    """Return the store in the cache; where there is none, or a damaged one, make it."""
    settings = {name: it for name, it in asdict(options).items() if name not in _OF_WINDOWS}
    folder = folders.cache / f"{found.name[:60]}-series-{_fingerprint(found, settings)}"
    grid = _read_back(folder)
    if grid is None:
        with new_folder(folder) as partial:
            _write(found, options, partial)
        grid = _read_back(folder)
    if grid is None:
        raise DataError(f"{folder}: prepared series cannot be read back; delete the folder")
    return grid


def _write(found: SeriesSource, options: SeriesOptions, folder: Path) -> None:
    table = read_found(found, options)
    grid = lay_on_grid(table, table.options, folder)
    content = {
        "dropped": {**table.dropped, **grid.dropped},
        "notes": [*table.notes, *grid.notes],
        "reading": {n: it for n, it in asdict(table.options).items() if n not in _OF_WINDOWS},
    }
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "card.json").write_text(text, encoding="utf-8")


def _read_back(folder: Path) -> Grid | None:
    """Return a prepared store; None if there is none, or it is damaged."""
    try:
        content = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        store = SeriesStore.open(folder)
        store = dataclasses.replace(store, reading=content["reading"])
        return Grid(store, content["dropped"], tuple(content["notes"]))
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None


def _fingerprint(found: SeriesSource, settings: Any) -> str:
    return fingerprint(["series", READER_VERSION, GRID_VERSION], {"settings": settings}, found)


def _card(source: str, found: SeriesSource, **content: Any) -> DataCard:
    return DataCard(
        source=source,
        licence=found.licence,
        citation=found.citation,
        language=found.language,
        files=dict(found.files),
        **content,
    )
