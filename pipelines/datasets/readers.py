"""Stream rows out of csv, tsv, jsonl and parquet files, plain or gzipped, in bounded memory.

Every fault is reported with the file and the line on which the row starts.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.datasets.text_files import describe_missing, open_text, reading_errors, unzipped
from pipelines.errors import DataError, did_you_mean

Value = str | int | float | bool | None
MAX_FIELD_CHARACTERS = 1 << 24  # a longer field is a quote that was never closed
DELIMITED = (".csv", ".tsv", ".tab", ".txt")
JSON_LINES = (".jsonl", ".ndjson", ".json")
PARQUET = (".parquet", ".pq")
FORMATS = DELIMITED + JSON_LINES + PARQUET
_SAMPLE_CHARACTERS = 1 << 18


class Record(NamedTuple):
    """One row: the file, the line it starts on (parquet: row number; from 1), and its fields."""

    path: Path
    line: int
    fields: dict[str, Value]


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """How to read files that do not say it themselves.

    Args:
        encoding: of text files; a byte-order mark is skipped.
        header: whether the first line of csv and tsv names the columns; else they are called by
            their number, from "1".
        delimiter: of csv and txt; empty means to find it in the first line.
        quotes: "auto" finds out whether fields are quoted, "yes" and "no" decide it.
    """

    encoding: str = "utf-8"
    header: bool = True
    delimiter: str = ""
    quotes: str = "auto"


def format_of(path: Path) -> str:
    """Return the extension that tells a file's format, without `.gz`, in lower case."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def read_records(path: Path, options: ReadOptions | None = None) -> Iterator[Record]:
    """Yield the rows of one file.

    Args:
        path: .csv, .tsv, .tab, .txt (delimited), .jsonl, .ndjson or .parquet, each also as .gz.
        options: encoding, header, delimiter, quoting.

    Raises:
        DataError: the file is absent, empty, binary, of another encoding or format, or a row has
            more or fewer fields than the header; the message names file and line.
    """
    options = options or ReadOptions()
    if not path.is_file():
        raise DataError(describe_missing(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty; expected a header line and rows")
    kind = format_of(path)
    with reading_errors(path, options.encoding):
        if kind in PARQUET:
            yield from _read_parquet(path)
        elif kind in JSON_LINES:
            yield from _read_json_lines(path, options)
        elif kind in DELIMITED:
            yield from _read_delimited(path, options)
        else:
            raise DataError(
                f"{path}: unknown file format {kind or path.name!r}{did_you_mean(kind, FORMATS)}; "
                f"known: {', '.join(FORMATS)}, each also with .gz"
            )


def _read_delimited(path: Path, options: ReadOptions) -> Iterator[Record]:
    with open_text(path, options.encoding) as stream:
        sample = stream.read(_SAMPLE_CHARACTERS)
    delimiter = options.delimiter or _delimiter(path, sample)
    quoted = options.quotes == "yes" or (
        options.quotes == "auto" and _fields_are_quoted(sample, delimiter)
    )
    csv.field_size_limit(MAX_FIELD_CHARACTERS)
    with open_text(path, options.encoding) as stream:
        reader = csv.reader(
            without_nul(path, stream),
            delimiter=delimiter,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            quotechar='"' if quoted else None,
            strict=True,
        )
        yield from _rows(path, reader, options.header)


def without_nul(path: Path, stream: Iterable[str]) -> Iterator[str]:
    """Pass lines on; a NUL is what a damaged disk or a cut binary file leaves in text."""
    for number, line in enumerate(stream, start=1):
        if "\0" in line:
            raise DataError(
                f"{path}:{number}: a NUL character at column {line.index(chr(0)) + 1}, expected "
                "text; the file is damaged here, or is not in this --encoding: mend the line"
            )
        yield line


def _rows(path: Path, reader: Any, header: bool) -> Iterator[Record]:
    """Yield records from a csv reader, checking the number of fields in each row."""
    names: list[str] = []
    line = 1
    try:
        for row in reader:
            if not names:
                names = row and _column_names(path, line, row, header)
                header_row = header
            elif len(row) != len(names) and row:
                raise _ragged(path, line, row, names)
            else:
                header_row = False
            if row and not header_row:
                yield Record(path, line, dict(zip(names, row, strict=True)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path}:{line}: cannot split this row into fields: {error}; a quote is probably not "
            'closed, or not doubled inside a quoted field (""); mend the row, or give --quotes no '
            "if quotes are ordinary characters"
        ) from error
    if not names:
        raise DataError(f"{path}: the file holds only blank lines; expected a header and rows")


def _column_names(path: Path, line: int, row: list[str], header: bool) -> list[str]:
    if not header:
        return [str(number) for number in range(1, len(row) + 1)]
    names = [name.strip() for name in row]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"{path}:{line}: the header names column {twice[0]!r} twice (columns: {names}); give "
            "each column its own name, or give --no-header if this line is a row"
        )
    return names


def _ragged(path: Path, line: int, row: list[str], names: list[str]) -> DataError:
    shown = " | ".join(row)[:80]
    return DataError(
        f"{path}:{line}: {len(row)} fields, expected {len(names)} ({', '.join(names)[:200]}); "
        f"the row reads {shown!r}; quote fields that hold the delimiter, or give --delimiter"
    )


def _delimiter(path: Path, sample: str) -> str:
    """Choose the character that splits the first line most often, outside quotes."""
    if format_of(path) in (".tsv", ".tab"):
        return "\t"
    first = next((line for line in sample.splitlines() if line.strip()), "")
    unquoted = "".join(first.split('"')[::2])
    return max(",\t;|", key=unquoted.count)


def _fields_are_quoted(sample: str, delimiter: str) -> bool:
    """Tell whether double quotes enclose fields, or are ordinary characters as in many tsv files.

    The sample decides: fields are quoted unless a strict reader stumbles over it before its last
    row, which the sample may cut.
    """
    if delimiter != "\t" or '"' not in sample:
        return True
    lines = sample.splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    widths = set()
    try:
        for row in reader:
            if reader.line_num < len(lines):
                widths.add(len(row))
    except csv.Error:
        return reader.line_num >= len(lines) and len(lines) > 1 and len(sample) > 1 << 17
    return len(widths - {0}) <= 1


def _read_json_lines(path: Path, options: ReadOptions) -> Iterator[Record]:
    with open_text(path, options.encoding) as stream:
        for line, text in enumerate(stream, start=1):
            if text.isspace():
                continue
            try:
                fields = json.loads(text)
            except ValueError as error:
                raise _bad_json(path, line, str(error)) from error
            if not isinstance(fields, dict):
                raise _bad_json(path, line, f"found {type(fields).__name__} {text.strip()[:40]!r}")
            yield Record(path, line, fields)


def _bad_json(path: Path, line: int, found: str) -> DataError:
    return DataError(
        f"{path}:{line}: not a JSON object: {found}; expected one object a line, such as "
        '{"text": "...", "label": "..."}; write a JSON array as one line an element'
    )


def _read_parquet(path: Path) -> Iterator[Record]:
    # Imported here: pyarrow.parquet takes longer to import than a small csv takes to read.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with unzipped(path) as stream, pq.ParquetFile(stream) as table:
            row = 0
            for batch in table.iter_batches(batch_size=4096):
                for fields in batch.to_pylist():
                    row += 1
                    yield Record(path, row, fields)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"{path}: not a readable parquet file ({str(error)[:120]}); write it again, or give "
            "csv or jsonl"
        ) from error


def is_missing(value: Value) -> bool:
    """Tell whether a field holds nothing: None, NaN, or only white space."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, float) and math.isnan(value))
