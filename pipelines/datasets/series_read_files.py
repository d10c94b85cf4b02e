"""Read tables of time series in blocks, as text: csv, tsv and parquet, plain or compressed.

Blocks are columns, not rows, so two million rows take seconds; lines are counted only if asked for.
"""

from __future__ import annotations

import csv
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipelines.datasets.readers import MAX_FIELD_CHARACTERS, PARQUET
from pipelines.datasets.series_options import DELIMITER_NAMES, SeriesOptions
from pipelines.datasets.text_files import (
    describe_missing,
    open_bytes,
    open_text,
    reading_errors,
    wrong_encoding,
)
from pipelines.errors import DataError, did_you_mean

TEXT = (".csv", ".tsv", ".tab", ".txt")
PACKED = (".gz", ".xz", ".zip")
FORMATS = TEXT + PARQUET
BLOCK_BYTES = 8 << 20
BLOCK_ROWS = 1 << 16
Block = dict[str, pa.Array]


class TableFile:
    """One table: its column names at once, its cells in blocks, its line numbers on demand.

    Args:
        path: .csv, .tsv, .tab, .txt or .parquet, each also as .gz, .xz or .zip (of one file).
        options: encoding, delimiter and decimal mark.

    Raises:
        DataError: the file is absent, empty, not a table, or names a column twice.
    """

    def __init__(self, path: Path, options: SeriesOptions) -> None:
        if not path.is_file():
            raise DataError(describe_missing(path))
        if path.stat().st_size == 0:
            raise DataError(f"{path}: the file is empty; expected a header line and rows")
        self.path, self.options = path, options
        self.is_parquet = _format(path) in PARQUET
        self._header_lines = 0
        with self._reading():
            self.names = self._parquet_names() if self.is_parquet else self._text_names()

    def blocks(self, names: Sequence[str]) -> Iterator[Block]:
        """Yield the cells of some columns, a block of rows at a time.

        Text cells are strings as written; of parquet, cells are of the column's own type.

        Raises:
            DataError: a row has more or fewer cells than the header, or cannot be read.
        """
        with self._reading():
            blocks = self._parquet_blocks(names) if self.is_parquet else self._text_blocks(names)
            for batch in blocks:
                columns = zip(batch.schema.names, batch.columns, strict=True)
                yield {name: _plain(column) for name, column in columns}

    def place(self, row: int) -> str:
        """Name file and line of a row, counted from 0."""
        line = row + 1 if self.is_parquet else int(self._lines[row])
        return f"{self.path}:{line}"

    @cached_property
    def _lines(self) -> npt.NDArray[np.int64]:
        """Line on which each row starts; blank lines and broken cells make it irregular."""
        return np.fromiter((line for line, _ in self._records()), np.int64)

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """Yield line and cells of each row below the header, by a slower and stricter reader."""
        csv.field_size_limit(MAX_FIELD_CHARACTERS)
        with _opened_text(self.path, self.options.encoding) as stream:
            reader = csv.reader(stream, delimiter=self.delimiter, strict=True)
            line = 1
            try:
                for row in reader:
                    if row and line > self._header_lines:
                        yield line, row
                    line = reader.line_num + 1
            except csv.Error as error:
                raise DataError(
                    f"{self.path}:{line}: cannot split this row into cells: {error}; a quote is "
                    "probably not closed: mend the row"
                ) from error

    def _text_names(self) -> list[str]:
        with _opened_text(self.path, self.options.encoding) as stream:
            first = next((line for line in stream if line.strip()), "")
        if not first:
            raise DataError(f"{self.path}: only blank lines; expected a header line and rows")
        self.delimiter = _delimiter(self.path, first, self.options)
        with _opened_text(self.path, self.options.encoding) as stream:
            reader = csv.reader(stream, delimiter=self.delimiter)
            header = next(row for row in reader if any(cell.strip() for cell in row))
            self._header_lines = reader.line_num
        return self._checked(header)

    def _parquet_names(self) -> list[str]:
        import pyarrow.parquet as pq

        with _unpacked(self.path) as stream, pq.ParquetFile(stream) as table:
            return self._checked(table.schema_arrow.names)

    def _checked(self, header: Sequence[str]) -> list[str]:
        names = [name.strip() or f"column {number}" for number, name in enumerate(header, 1)]
        twice = [name for number, name in enumerate(names) if name in names[:number]]
        if twice:
            raise DataError(
                f"{self.path}:{max(self._header_lines, 1)}: the header names column {twice[0]!r} "
                f"twice (columns: {', '.join(names)[:200]}); give each column its own name"
            )
        return names

    def _text_blocks(self, names: Sequence[str]) -> Iterator[Any]:
        import pyarrow.csv as pv

        if not names:
            return
        with _opened(self.path) as stream:
            try:
                yield from pv.open_csv(
                    stream,
                    read_options=pv.ReadOptions(
                        use_threads=False,
                        block_size=BLOCK_BYTES,
                        skip_rows=self._header_lines,
                        column_names=self.names,
                        encoding=self.options.encoding,
                    ),
                    parse_options=pv.ParseOptions(
                        delimiter=self.delimiter, newlines_in_values=False
                    ),
                    convert_options=pv.ConvertOptions(
                        column_types=dict.fromkeys(self.names, pa.string()),
                        include_columns=list(names),
                        strings_can_be_null=False,
                    ),
                )
            except pa.ArrowInvalid as error:
                if "Empty CSV" not in str(error):
                    raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> DataError:
        """Find the line that the fast reader stumbled over."""
        width = len(self.names)
        try:
            for line, row in self._records():
                if len(row) != width:
                    return DataError(
                        f"{self.path}:{line}: {len(row)} cells, expected {width} "
                        f"({', '.join(self.names)[:200]}); the row reads "
                        f"{self.delimiter.join(row)[:80]!r}; mend the row, or give --delimiter"
                    )
        except UnicodeError as wrong:
            return self._wrong_encoding(wrong)
        return DataError(
            f"{self.path}: cannot be read as a table ({str(error)[:120]}); expected one row a line "
            "and no line ends inside cells; mend it, or write it as parquet"
        )

    def _parquet_blocks(self, names: Sequence[str]) -> Iterator[Any]:
        import pyarrow.parquet as pq

        with _unpacked(self.path) as stream, pq.ParquetFile(stream) as table:
            yield from table.iter_batches(batch_size=BLOCK_ROWS, columns=list(names))

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Say plainly what is wrong with a file that cannot be read."""
        try:
            if self.path.suffix.lower() in (".xz", ".zip"):
                yield
            else:
                with reading_errors(self.path, self.options.encoding):
                    yield
        except (lzma.LZMAError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise DataError(
                f"{self.path}: damaged, or not compressed as its name says ({error}); copy it again"
            ) from error
        except UnicodeError as error:
            raise self._wrong_encoding(error) from error
        except pa.ArrowInvalid as error:
            raise DataError(
                f"{self.path}: not a readable parquet file ({str(error)[:120]}); write it again, "
                "or give csv"
            ) from error

    def _wrong_encoding(self, error: UnicodeError) -> DataError:
        encoding = self.options.encoding
        if self.path.suffix.lower() in (".xz", ".zip"):  # the line needs the unpacked file
            return DataError(f"{self.path}: not {encoding} text ({error}); give --encoding")
        return wrong_encoding(self.path, encoding, error)


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _format(path: Path) -> str:
    """Return the extension that tells a table's format, whatever it is packed in.

    Raises:
        DataError: it is none that is read.
    """
    name = Path(path.name.lower())
    kind = Path(name.stem).suffix if name.suffix in PACKED else name.suffix
    if kind not in FORMATS and name.suffix == ".zip":
        kind = ".csv"
    if kind not in FORMATS:
        raise DataError(
            f"{path}: unknown table format {kind or path.name!r}{did_you_mean(kind, FORMATS)}; "
            f"known: {', '.join(FORMATS)}, each also with {', '.join(PACKED)}"
        )
    return kind


def is_table(path: Path) -> bool:
    """Tell whether a file's name is that of a table that can be read."""
    try:
        return path.is_file() and not path.name.startswith(".") and bool(_format(path))
    except DataError:
        return False


def _delimiter(path: Path, first: str, options: SeriesOptions) -> str:
    """Choose the character that splits the header most often, outside quotes."""
    if options.delimiter:
        return DELIMITER_NAMES.get(options.delimiter, options.delimiter)
    if _format(path) in (".tsv", ".tab"):
        return "\t"
    unquoted = "".join(first.split('"')[::2])
    return max(",\t;|", key=unquoted.count)


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file's bytes, unpacked.

    Raises:
        DataError: a zip archive holds no file or several.
    """
    kind = path.suffix.lower()
    if kind == ".xz":
        with lzma.open(path, "rb") as packed:
            yield packed
    elif kind == ".zip":
        with zipfile.ZipFile(path) as archive:
            members = [it for it in archive.namelist() if not it.endswith("/")]
            if len(members) != 1:
                raise DataError(
                    f"{path}: {len(members)} files in the archive ({', '.join(members)[:120]}); "
                    "expected one table; unpack it and give the folder"
                )
            with archive.open(members[0]) as member:
                yield member
    else:
        with open_bytes(path) as stream:
            yield stream


@contextmanager
def _opened_text(path: Path, encoding: str) -> Iterator[IO[str]]:
    if path.suffix.lower() not in (".xz", ".zip"):
        with open_text(path, encoding) as stream:
            yield stream
        return
    name = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    with _opened(path) as packed, io.TextIOWrapper(packed, name, newline="") as stream:
        yield stream


@contextmanager
def _unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Yield a seekable stream, as parquet needs one."""
    if path.suffix.lower() not in PACKED:
        with path.open("rb") as stream:
            yield stream
        return
    with _opened(path) as packed:
        yield cast(IO[bytes], io.BytesIO(packed.read()))
