"""Read the needed columns of all files, each block into numbers, and the stamps of all rows."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_read_cells import Cells, Kind, Place
from pipelines.datasets.series_read_files import TableFile
from pipelines.datasets.series_read_roles import Roles
from pipelines.datasets.series_read_times import Times, as_text, read_times
from pipelines.datasets.series_store import Column, SeriesLayout
from pipelines.errors import DataError, did_you_mean

IntArray = npt.NDArray[np.int64]


@dataclass
class Places:
    """Where rows stand in files.

    Args:
        files: in the order they were read.
        starts: number of each file's first row among those of all files.
        source: of each row, its number among those of all files; None: the same.
    """

    files: list[TableFile] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    source: IntArray | None = None

    def place(self, row: int) -> str:
        """Name file and line of a row."""
        read = row if self.source is None else int(self.source[row])
        number = bisect.bisect_right(self.starts, read) - 1
        return self.files[number].place(read - self.starts[number])


@dataclass
class Ids:
    """Names of series and the number of each row's, in the order of appearance."""

    name: str
    place: Place
    numbers: dict[str, int] = field(default_factory=dict)
    blocks: list[npt.NDArray[np.int32]] = field(default_factory=list)
    rows: int = 0

    def add(self, cells: pa.Array) -> None:
        """Take the next block of rows.

        Raises:
            DataError: a row names no series.
        """
        coded = as_text(cells).dictionary_encode()
        codes, words = np.asarray(coded.indices), coded.dictionary.to_pylist()
        if "" in words:
            row = self.rows + int(np.argmax(codes == words.index("")))
            raise DataError(
                f"{self.place(row)}: no name in the series column {self.name!r}; expected which "
                "series the row is of; write it, or remove the row"
            )
        known = [self.numbers.setdefault(word, len(self.numbers)) for word in words]
        self.blocks.append(np.array(known, np.int32)[codes])
        self.rows += len(codes)


@dataclass(frozen=True)
class ReadRows:
    """All rows of all files, N of them.

    Args:
        times: their stamps.
        ids: their series, if a column tells; else without blocks.
        cells: column -> values.
        places: lines of rows.
        bounds: number of the first row of each file, then N.
    """

    times: Times
    ids: Ids
    cells: dict[str, Cells]
    places: Places
    bounds: list[int]


def read_rows(
    files: Sequence[TableFile], roles: Roles, options: SeriesOptions, layout: SeriesLayout | None
) -> ReadRows:
    """Read the columns that have a role.

    Raises:
        DataError: a cell or a stamp cannot be read, a file has other columns, or all are empty.
        ConfigError: the time format is none.
    """
    places = Places()
    columns = {it.name: it for it in (*layout.columns, *layout.statics)} if layout else {}
    cells = {
        name: _cells(name, roles, options, columns.get(name) if layout else None, places)
        for name in roles.values
    }
    ids = Ids(roles.series, places.place)
    stamps: dict[str, list[pa.Array]] = {name: [] for name in roles.time}
    total = 0
    for file in files:
        _require_columns(file, roles, files[0])
        places.files.append(file)
        places.starts.append(total)
        for block in file.blocks(roles.needed):
            for name, column in cells.items():
                column.add(block[name])
            for name, parts in stamps.items():
                parts.append(block[name])
            if roles.series:
                ids.add(block[roles.series])
            total += len(block[roles.time[0]])
    joined = {name: _joined(parts) for name, parts in stamps.items()}
    times = read_times(joined, options.time_format, places.place)
    return ReadRows(times, ids, cells, places, [*places.starts, total])


def _cells(
    name: str, roles: Roles, options: SeriesOptions, column: Column | None, places: Places
) -> Cells:
    """Prepare to read a column: as a trained model has it, or as its cells turn out to be."""
    is_target = name in roles.targets
    kind: Kind = "number" if is_target else ""
    if column is not None:
        kind = "word" if column.categories else "number"
    return Cells(
        name,
        kind,
        places.place,
        decimal=options.decimal,
        fixed=column.categories if column else (),
        required=not (roles.chosen and name in roles.past),
    )


def _require_columns(file: TableFile, roles: Roles, first: TableFile) -> None:
    for name in roles.needed:
        if name not in file.names:
            raise DataError(
                f"{file.path}: no column {name!r}, which {first.path.name} has"
                f"{did_you_mean(name, file.names)}; columns found: {', '.join(file.names)[:300]}; "
                "expected the same columns in all files; add it, or give the files one by one"
            )


def _joined(parts: Sequence[pa.Array]) -> pa.Array:
    """Put blocks of stamps together, as text if files differ in how they hold them."""
    if len({part.type for part in parts}) > 1:
        parts = [as_text(part) for part in parts]
    return pa.concat_arrays(parts) if parts else pa.array([], pa.string())
