"""Read a table of time series, long or wide, one file or several, into columns of numbers.

Rows stay in the order of the files; nothing is sorted, aggregated or filled here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.datasets.locate import Convention, Found, Parts, locate
from pipelines.datasets.package_index import Progress
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_presets import with_preset
from pipelines.datasets.series_read_assemble import assemble, with_units
from pipelines.datasets.series_read_files import TableFile, is_table
from pipelines.datasets.series_read_roles import choose_roles
from pipelines.datasets.series_read_rows import Places, read_rows
from pipelines.datasets.series_read_sample import Sample
from pipelines.datasets.series_store import Column, SeriesLayout
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

READER_VERSION = 1  # part of the cache's key: raise it when the same file gives another table
SAMPLE_ROWS = 20_000
_CONVENTION = Convention(
    is_built_in=lambda source: source.task == "forecasting",
    unit="series",
    named="file",
    split_words={},  # series are split by time, whatever their files are called
)


@dataclass(frozen=True)
class SeriesFile:
    """A file to read, and the built-in set it is, if any."""

    path: Path
    preset: str = ""


SeriesSource = Found[SeriesFile]


@dataclass(frozen=True)
class RawTable:
    """Time series as written: N rows in the order of the files.

    Args:
        columns: targets, past and known covariates, F of them.
        statics: covariates of one value a series.
        names: of the S series.
        series: number of each row's series, int32[N].
        times: stamps, seconds since 1970, UTC if `aware`, else wall clock as written; int64[N].
        aware: whether stamps carried offsets from UTC.
        values: numbers and codes of words, NaN where missing, float64[N, F].
        static: of each series, float64[S, statics].
        places: tells the line of a row.
        options: those given, with every choice made here filled in: reading another file with them
            makes the same choices.
        notes: what was chosen and found.
        dropped: reason -> rows left out.
    """

    columns: tuple[Column, ...]
    statics: tuple[Column, ...]
    names: list[str]
    series: npt.NDArray[np.int32]
    times: npt.NDArray[np.int64]
    aware: bool
    values: npt.NDArray[np.float64]
    static: npt.NDArray[np.float64]
    places: Places
    options: SeriesOptions
    notes: tuple[str, ...]
    dropped: Mapping[str, int]

    def place(self, row: int) -> str:
        """Name file and line of a row, as file:line (parquet: row, from 1)."""
        return self.places.place(row)


def built_in_series_names() -> list[str]:
    """Return the names of the default sets of time series."""
    return _CONVENTION.built_in_names()


def find_series(
    source: str, *, folders: DataFolders, progress: Progress | None = None
) -> SeriesSource:
    """Resolve `DATA=`: a built-in name, a file, a glob or a folder; and hash the files.

    Raises:
        DataError: it is none of these, or a folder without tables.
    """
    located = locate(source, _CONVENTION, _folder_parts, [], folders=folders, progress=progress)
    preset = located.published.name if located.published else ""
    return located.found(lambda part: SeriesFile(part.path, preset), lambda _: preset)


def _folder_parts(folder: Path) -> Parts:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    tables = [path for path in files if is_table(path)]
    if not tables:
        shown = ", ".join(path.name for path in files[:6]) or "no file"
        raise DataError(
            f"{folder}: no tables in this folder: it holds {shown}; expected .csv, .tsv or .parquet"
            " files; give the file"
        )
    parts, ignored = _CONVENTION.file_parts(tables)
    return parts, ignored + [path.name for path in files if path not in tables]


def read_table(
    source: str,
    options: SeriesOptions,
    *,
    folders: DataFolders,
    progress: Progress | None = None,
    layout: SeriesLayout | None = None,
) -> RawTable:
    """Find and read time series.

    Args:
        source: the `DATA=` given.
        options: what the user knows of the table.
        folders: where default sets are kept.
        progress: told of a download a few times a second.
        layout: of a trained model, whose columns and words are to be read; None finds them out.

    Raises:
        DataError: as `find_series` and `read_found`.
    """
    return read_found(find_series(source, folders=folders, progress=progress), options, layout)


def read_found(
    found: SeriesSource, options: SeriesOptions, layout: SeriesLayout | None = None
) -> RawTable:
    """Read the files of a source.

    Raises:
        DataError: a file cannot be read, a column is missing, or a cell holds what it should not.
        ConfigError: an option cannot be.
    """
    options, preset = with_preset(found.streams[0].preset, options)
    files = [TableFile(it.path, options) for it in found.streams]
    roles = choose_roles(_sample(files, options), options, layout)
    rows = read_rows(files, roles, options, layout)
    table = assemble(rows, roles, options, layout, found.name)
    measured = table.measured
    # Arrow keeps the memory of cells long gone, several times that of the numbers.
    pa.default_memory_pool().release_unused()
    return RawTable(
        columns=with_units(measured.columns, preset.units),
        statics=with_units(table.statics, preset.units),
        names=measured.names,
        series=measured.series,
        times=measured.times,
        aware=rows.times.aware,
        values=measured.values,
        static=table.static,
        places=measured.places,
        options=table.options,
        notes=(*found.notes, *preset.notes, *roles.notes, *rows.times.notes, *table.notes),
        dropped=measured.dropped,
    )


def _sample(files: Sequence[TableFile], options: SeriesOptions) -> Sample:
    """Look at the first rows of the first file that has any."""
    for file in files:
        block = next(file.blocks(file.names), None)
        if block is not None and len(next(iter(block.values()))):
            cells = {name: column[:SAMPLE_ROWS] for name, column in block.items()}
            return Sample.of(file.path, cells, options)
    raise DataError(
        f"{files[0].path}: a header ({', '.join(files[0].names)[:200]}) but no rows; expected one "
        "row a time stamp; give a file with rows"
    )
