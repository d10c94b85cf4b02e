"""Read documents from tables: a text a row, or one speaker's messages of a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.datasets.document_options import DocumentOptions, RawDocument
from pipelines.datasets.document_text import HEAD, marked_encoding, with_line_feeds
from pipelines.datasets.readers import JSON_LINES, PARQUET, ReadOptions, Record, read_records
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import open_bytes, reading_errors
from pipelines.errors import DataError, did_you_mean

TABLES = (*JSON_LINES, *PARQUET, ".csv", ".tsv", ".tab")
_SHOWN = 10


def read_rows(
    path: Path, name: str, options: DocumentOptions, remarks: Remarks
) -> Iterator[RawDocument]:
    """Yield a document a row.

    Args:
        path: .jsonl, .csv, .tsv or .parquet, each also as .gz.
        name: of the file.
        options: column of the text, encoding.
        remarks: told of rows without text.

    Raises:
        DataError: the file cannot be read, or has no such column.
    """
    for record in _records(path, options):
        if options.speaker_column in record.fields:
            remarks.add("row(s) with a speaker, each a document: see --speaker", str(path))
        text = _text(record, options, remarks)
        if text:
            place = f"{path}:{record.line}"
            yield RawDocument(text, f"{name}:{record.line}", place)


def read_speaker(
    paths: Sequence[Path], options: DocumentOptions, remarks: Remarks
) -> Iterator[RawDocument]:
    """Yield, of each log, what one speaker wrote: in order, a line feed between two messages.

    Args:
        paths: of tables, as of `read_rows`.
        options: columns, speaker, encoding.
        remarks: told of the messages.

    Raises:
        DataError: a log cannot be read or lacks a column, or the speaker is in none.
    """
    speakers: Counter[str] = Counter()
    for path in paths:
        messages = []
        for record in _records(path, options):
            speaker = str(_field(record, options.speaker_column, "speaker"))
            speakers[speaker] += 1
            if speaker == options.speaker:
                messages += [text] if (text := _text(record, options, remarks)) else []
        if messages:
            remarks.add(f"message(s) of {options.speaker!r}", str(path), len(messages))
            yield RawDocument("\n".join(messages), options.speaker, str(path))
    if options.speaker not in speakers:
        raise _no_speaker(paths[0], options, speakers)


def _no_speaker(path: Path, options: DocumentOptions, speakers: Counter[str]) -> DataError:
    found = ", ".join(f"{who!r} ({count:,})" for who, count in speakers.most_common(_SHOWN))
    more = f" and {len(speakers) - _SHOWN:,} more" if len(speakers) > _SHOWN else ""
    return DataError(
        f"{path}: no message of speaker {options.speaker!r} in column {options.speaker_column!r}"
        f"{did_you_mean(options.speaker, speakers)}; found {found or 'no message'}{more}; give "
        "--speaker one of them"
    )


def _records(path: Path, options: DocumentOptions) -> Iterator[Record]:
    with reading_errors(path, "utf-8"), open_bytes(path) as stream:
        encoding = marked_encoding(stream.read(HEAD)) or options.encoding or "utf-8"
    return read_records(path, ReadOptions(encoding=encoding.removesuffix("-sig")))


def _field(record: Record, column: str, option: str) -> object:
    """Return the value of a column.

    Raises:
        DataError: the row has no such column.
    """
    if column not in record.fields:
        known = list(record.fields)
        raise DataError(
            f"{record.path}:{record.line}: no column {column!r}{did_you_mean(column, known)}; "
            f"found: {', '.join(map(repr, known))}; give --{option}-column one of them"
        )
    return record.fields[column]


def _text(record: Record, options: DocumentOptions, remarks: Remarks) -> str:
    """Return the text of a row; "" if it has none."""
    place = f"{record.path}:{record.line}"
    value = _field(record, options.text_column, "text")
    if value is None or (isinstance(value, str) and not value.strip()):
        remarks.add("row(s) without text, left out", place)
        return ""
    if not isinstance(value, str):
        raise DataError(
            f"{place}: column {options.text_column!r} holds {type(value).__name__} "
            f"{str(value)[:40]!r}, expected text; give --text-column another of "
            f"{', '.join(map(repr, record.fields))}"
        )
    # JSON can hold half a surrogate pair, which no text file can.
    text = value.encode("utf-8", "replace").decode() if not value.isascii() else value
    return with_line_feeds(text, place, remarks)
