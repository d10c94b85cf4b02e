"""Read streams out of csv, tsv and parquet tables: a row is a frame, a column a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.datasets.frames_reading import (
    Clock,
    Place,
    ReadFrames,
    Wanted,
    known_word,
    listed,
    require_finite,
    require_labels,
    stem_of,
)
from pipelines.datasets.frames_streams import FrameStream, IntArray
from pipelines.datasets.frames_times import clock_of, read_times
from pipelines.datasets.series_options import SeriesOptions
from pipelines.datasets.series_read_cells import Cells, kind_of
from pipelines.datasets.series_read_files import Block, TableFile
from pipelines.datasets.series_read_times import as_text
from pipelines.errors import DataError, did_you_mean

Texts = npt.NDArray[np.object_]
SAMPLE_ROWS = 20_000  # of the first block: enough to tell numbers from words


@dataclass(frozen=True)
class Columns:
    """Which column has which role; None: no column has it.

    `left_out` are columns of words that nobody named.
    """

    channels: tuple[str, ...]
    label: str | None
    stream: str | None
    group: str | None
    time: str | None
    left_out: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """Columns read as text."""
        return tuple(dict.fromkeys(it for it in (self.label, self.stream, self.group) if it))

    @property
    def needed(self) -> tuple[str, ...]:
        """Columns to read."""
        time = (self.time,) if self.time else ()
        return tuple(dict.fromkeys((*self.channels, *self.texts, *time)))


@dataclass(frozen=True)
class _Table:
    """The N rows of a file: values float64[N, K], text columns, and times in cells."""

    values: npt.NDArray[np.float64]
    texts: dict[str, Texts]
    times: pa.Array | None
    place: Place


class _Channel(Cells):
    """A column of numbers; what is no number is named with the options of frames."""

    def _not_a_number(self, row: int, text: str) -> DataError:
        return DataError(
            f"{self.place(self._rows + row)}: channel {self.name!r} reads {text[:40]!r}; expected "
            "a number with a dot before its decimals, or an empty cell for a missing value; mend "
            "the cell, or name the columns to read by --channels"
        )


def read_table(path: Path, wanted: Wanted, *, prefix: str = "") -> ReadFrames:
    """Read the streams of one table.

    Without a stream column, the rows of each group are a stream; without a group column, too, all
    rows are. Streams keep the order of their first rows.

    Args:
        path: .csv, .tsv, .txt or .parquet, each also packed.
        wanted: options, and what a trained model needs.
        prefix: put before the names of the stream column, where several files are read.

    Raises:
        DataError: a column is missing, a cell cannot be read, or time goes back.
    """
    options = wanted.options
    file = TableFile(path, SeriesOptions(encoding=options.encoding, delimiter=options.delimiter))
    columns = _columns(file, wanted)
    table = _read(file, columns)
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is named
        values = table.values.astype(np.float32)
    require_finite(values, columns.channels, table.place)
    labels = table.texts[columns.label] if columns.label else np.full(len(values), "", object)
    require_labels(labels, wanted, table.place)
    read = ReadFrames([], columns.channels, notes=_left_out(columns))
    streams = _rows_of_streams(table, columns)
    apart = sum(bool((np.diff(rows) != 1).any()) for _, rows in streams)
    if apart:
        read.notes.append(
            f"{path.name}: rows of {apart:,} streams are not together; each keeps their order"
        )
    clocks = _clocks(table, columns, [rows for _, rows in streams])
    stem = stem_of(path)
    for (value, rows), (clock, pieces) in zip(streams, clocks, strict=True):
        if clock is not None:
            read.clocks.append(clock)
        name = stem if value is None else f"{prefix}{value}"
        group = _group(table, columns, rows, name)
        starts = np.array(pieces, np.int64)
        read.streams.append(FrameStream(name, group, values[rows], labels[rows], starts))
    return read


def _left_out(columns: Columns) -> list[str]:
    if not columns.left_out:
        return []
    return [
        f"columns of words that are not read: {listed(columns.left_out)}; --channels, "
        "--stream-column and --group-column name columns to use"
    ]


def _clocks(
    table: _Table, columns: Columns, streams: Sequence[IntArray]
) -> list[tuple[Clock | None, list[int]]]:
    """Return what the times of each stream tell, and where its recordings begin."""
    if columns.time is None or table.times is None:
        return [(None, [0])] * len(streams)
    seconds = read_times(columns.time, table.times, table.place)
    return [clock_of(seconds[rows], _placed(table.place, rows)) for rows in streams]


def _columns(file: TableFile, wanted: Wanted) -> Columns:
    """Give each column its role.

    Raises:
        DataError: a column that was named is absent, or no channel is left.
    """
    options = wanted.options
    _require_columns(file, wanted)

    def role(name: str | None) -> str | None:
        return name if name in file.names else None

    label, stream = role(options.label_column), role(options.stream_column)
    group, time = role(options.group_column), role(options.time_column)
    roles = {label, stream, group, time}
    channels, words = wanted.named, tuple[str, ...]()
    if not channels:
        channels, words = _numeric(file, [it for it in file.names if it not in roles])
    if not channels:
        raise DataError(
            f"{file.path}: no channel among the columns {listed(file.names)}; expected columns of "
            "numbers beside the label; give a table with some"
        )
    return Columns(channels, label, stream, group, time, words)


def _require_columns(file: TableFile, wanted: Wanted) -> None:
    """Refuse a table without a column that was named, or with one of two roles."""
    options = wanted.options
    roles = {
        "--label-column": options.label_column,
        "--stream-column": options.stream_column,
        "--group-column": options.group_column,
        "--time-column": options.time_column,
    }
    for option, role in roles.items():
        if role in wanted.named:
            raise DataError(
                f"{file.path}: column {role!r} is a channel and what {option} names; expected one "
                "role a column, and no channel that tells what is to be found; leave it out of "
                "--channels"
            )
        if wanted.labelled and role is not None and role not in file.names:
            raise _absent(file, role, f"give {option}")
    for name in wanted.named:
        if name not in file.names:
            raise _absent(file, name, "add it, or name other columns by --channels")


def _absent(file: TableFile, name: str, remedy: str) -> DataError:
    return DataError(
        f"{file.path}: no column {name!r}{did_you_mean(name, file.names)}; columns found: "
        f"{listed(file.names, 30)}; {remedy}"
    )


def _numeric(file: TableFile, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell columns of numbers from columns of words, by the first rows."""
    block: Block = next(file.blocks(names), {}) if names else {}
    words = tuple(
        name for name in names if name in block and kind_of(block[name][:SAMPLE_ROWS]) == "word"
    )
    return tuple(name for name in names if name not in words), words


def _read(file: TableFile, columns: Columns) -> _Table:
    """Read all rows.

    Raises:
        DataError: there are none, or a channel holds what is no number.
    """
    channels = [_Channel(name, "number", file.place) for name in columns.channels]
    texts: dict[str, list[Texts]] = {name: [] for name in columns.texts}
    times: list[pa.Array] = []
    for block in file.blocks(columns.needed):
        for channel in channels:
            channel.add(block[channel.name])
        for name, parts in texts.items():
            parts.append(_words(block[name]))
        if columns.time:
            times.append(block[columns.time])
    values = np.stack([channel.values() for channel in channels], axis=1)
    if not len(values):
        raise DataError(
            f"{file.path}: a header ({listed(file.names)}) but no rows; expected one row a frame; "
            "give a file with rows"
        )
    joined = {name: np.concatenate(parts) for name, parts in texts.items()}
    return _Table(values, joined, pa.concat_arrays(times) if times else None, file.place)


def _words(cells: pa.Array) -> Texts:
    """Return text as objects; frames of equal text share one."""
    coded = as_text(cells).dictionary_encode()
    words = np.array([known_word(word) for word in coded.dictionary.to_pylist()], object)
    return cast(Texts, words[np.asarray(coded.indices)] if len(words) else np.zeros(0, object))


def _rows_of_streams(table: _Table, columns: Columns) -> list[tuple[str | None, IntArray]]:
    """Return name and rows of each stream, in the order of its first row.

    Raises:
        DataError: a row names no stream.
    """
    column = columns.stream or columns.group
    if column is None:
        return [(None, np.arange(len(table.values)))]
    names = table.texts[column]
    _require_names(names, column, table.place)
    words, first, codes = np.unique(names.astype(str), return_index=True, return_inverse=True)
    order = np.argsort(codes, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(codes))[:-1])
    return [(str(words[number]), rows[number]) for number in np.argsort(first)]


def _require_names(names: Texts, column: str, place: Place) -> None:
    empty = names == ""
    if empty.any():
        raise DataError(
            f"{place(int(np.argmax(empty)))}: nothing in column {column!r}; expected the name of "
            "the stream or group of the frame; write it, or remove the row"
        )


def _placed(place: Place, rows: IntArray) -> Place:
    return lambda frame: place(int(rows[frame]))


def _group(table: _Table, columns: Columns, rows: IntArray, name: str) -> str:
    """Return the one group of a stream; its name where there is no group column.

    Raises:
        DataError: the group changes within the stream.
    """
    if columns.group is None:
        return name
    groups = table.texts[columns.group][rows]
    _require_names(groups, columns.group, _placed(table.place, rows))
    other = groups != groups[0]
    if other.any():
        row = int(np.argmax(other))
        raise DataError(
            f"{table.place(int(rows[row]))}: group {groups[row]!r} in stream {name!r}, which began "
            f"with group {groups[0]!r}; expected one group a stream; give --stream-column a column "
            "that tells their streams apart"
        )
    return str(groups[0])
