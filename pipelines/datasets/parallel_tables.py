"""Pairs in the rows of csv, tsv, jsonl and parquet files, and which columns hold them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pipelines.datasets.locate import SPLIT_WORDS
from pipelines.datasets.parallel_languages import columns_of_language
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.readers import (
    DELIMITED,
    ReadOptions,
    Record,
    format_of,
    read_records,
)
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.tagged_records import DOCUMENT_KEYS
from pipelines.datasets.text_files import describe_missing, open_text, reading_errors
from pipelines.errors import DataError, did_you_mean

USUAL_COLUMNS = (
    ("source", "target"),
    ("src", "tgt"),
    ("source_text", "target_text"),
    ("src_text", "tgt_text"),
    ("source_sentence", "target_sentence"),
    ("text", "translation"),
    ("sentence", "translation"),
    ("input", "output"),
)
_OTHER_NAMES = frozenset((*DOCUMENT_KEYS, "id", "split", "score", "label", "url", "licence"))
_GROUP = "translation"  # the key of Hugging Face's rows: {"translation": {"en": ..., "fr": ...}}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN = 30


@dataclass(frozen=True)
class _Columns:
    """Where a row holds its two texts, and what else it says."""

    source: str
    target: str
    split: str | None
    document: str | None


def read_pair_table(path: Path, options: ParallelOptions, remarks: Remarks) -> Iterator[RawPair]:
    """Yield the pairs of a csv, tsv, jsonl or parquet file, also .gz.

    The columns are those asked for, else those named after the languages, else a usual pair of
    names such as source and target. Without a header line, columns 1 and 2 are taken, and more are
    ignored. A column `split` and a column `document` are used.

    Args:
        path: the file.
        options: columns (a name, or a number from 1), languages, encoding.
        remarks: told of rows that lack a column.

    Raises:
        DataError: the file cannot be read, columns are not found or ambiguous, or a field is no
            text; the message lists the columns there are.
    """
    reading, numbered = _read_options(path, options)
    records = read_records(path, reading)
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: no rows below the header; expected at least one")
    columns = _columns(first, options, numbered=numbered)
    for record in chain((first,), records):
        yield _pair(record, columns, remarks)


def _read_options(path: Path, options: ParallelOptions) -> tuple[ReadOptions, bool]:
    """Say how to read the file, and whether its columns are called by their numbers."""
    encoding = options.encoding or "utf-8"
    reading = ReadOptions(encoding=encoding, delimiter=options.delimiter)
    if format_of(path) not in DELIMITED:
        return reading, False
    if not path.is_file():
        raise DataError(describe_missing(path))
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        line = next((line for line in stream if not line.isspace()), "")
    if format_of(path) == ".txt" and "\t" not in line:
        raise DataError(
            f"{path}: one text file without tabs, expected two texts a line; for two files of one "
            "text a line, give both as DATA=A,B"
        )
    if format_of(path) == ".txt":
        reading = ReadOptions(encoding=encoding, delimiter="\t")
    headless = replace(reading, header=False)
    fields = next(read_records(path, headless)).fields.values()
    if _is_header([str(field).strip() for field in fields], options):
        return reading, False
    return headless, True


def _is_header(fields: Sequence[str], options: ParallelOptions) -> bool:
    """Tell whether a table's first line names its columns, or is a pair already."""
    asked = (options.source_column, options.target_column)
    if any(it and not it.isdecimal() for it in asked):
        return True
    usual = _OTHER_NAMES.union(*USUAL_COLUMNS)
    if any(field.casefold() in usual for field in fields):
        return True
    languages = (options.source_language, options.target_language)
    if any(columns_of_language(fields, it) for it in languages if _are_short(fields)):
        return True
    # Numbers asked for settle what single words leave open: a header, or a pair of a word list.
    return not any(asked) and all(_NAME.fullmatch(it) and it == it.lower() for it in fields)


def _are_short(fields: Sequence[str]) -> bool:
    """Names of columns are a few words without full stops; sentences hold "en" and "fr" too."""
    return all(len(field) <= 40 and not re.search(r"[.!?,;]", field) for field in fields)


def _columns(first: Record, options: ParallelOptions, *, numbered: bool) -> _Columns:
    names = _names(first)
    where = str(first.path)
    if options.source_column or options.target_column:
        source = _asked(names, options.source_column, "source", where, numbered)
        target = _asked(names, options.target_column, "target", where, numbered)
    elif numbered:
        if len(names) < 2:
            raise _no_columns(where, names, options)
        source, target = names[:2]
    else:
        source, target = _found(names, options, where)
    if source == target:
        raise DataError(
            f"{where}: source and target are both column {source!r}; columns found: "
            f"{_shown(names)}; give --source-column and --target-column two of them"
        )
    split = str(first.fields.get("split", "")).strip().casefold()
    document = next((key for key in DOCUMENT_KEYS if key in names), None)
    return _Columns(source, target, "split" if split in SPLIT_WORDS else None, document)


def _names(record: Record) -> list[str]:
    """Return the columns of a row; those within `translation` are called translation/en."""
    names: list[str] = []
    for name, value in record.fields.items():
        inner: Any = value
        nested = isinstance(inner, Mapping)
        names += [f"{name}/{key}" for key in inner] if nested else [name]
    return names


def _asked(names: list[str], wanted: str, side: str, where: str, numbered: bool) -> str:
    """Return the column asked for by name or by number."""
    if wanted in names:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    nested = f"{_GROUP}/{wanted}"
    if nested in names:
        return nested
    if not wanted:
        raise DataError(
            f"{where}: one column was named, the {side} column was not; columns found: "
            f"{_shown(names)}; give --{side}-column too"
        )
    kind = " (the first line is no header)" if numbered else ""
    raise DataError(
        f"{where}: no {side} column {wanted!r}{did_you_mean(wanted, names)}; columns found: "
        f"{_shown(names)}{kind}; give --{side}-column one of them"
    )


def _found(names: list[str], options: ParallelOptions, where: str) -> tuple[str, str]:
    """Return the columns named after the languages, else the one usual pair of names."""
    inner = [it.removeprefix(f"{_GROUP}/") for it in names if it.startswith(f"{_GROUP}/")]
    prefix = f"{_GROUP}/" if inner else ""
    pool = inner or names
    languages = (options.source_language, options.target_language)
    sides = [columns_of_language(pool, language) for language in languages]
    if all(len(side) == 1 for side in sides):
        return prefix + sides[0][0], prefix + sides[1][0]
    for side, language in zip(sides, languages, strict=True):
        if len(side) > 1:
            raise _ambiguous(where, f"several columns look like {language}: {_shown(side)}", names)
    folded = {name.strip().casefold(): name for name in reversed(names)}
    pairs = [pair for pair in USUAL_COLUMNS if all(name in folded for name in pair)]
    if len(pairs) > 1:
        shown = " or ".join(f"{a!r} and {b!r}" for a, b in pairs)
        raise _ambiguous(where, f"several pairs of columns would do: {shown}", names)
    if not pairs:
        raise _no_columns(where, names, options)
    source, target = pairs[0]
    return folded[source], folded[target]


def _ambiguous(where: str, what: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"{where}: {what}; columns found: {_shown(names)}; give --source-column and --target-column"
    )


def _no_columns(where: str, names: Sequence[str], options: ParallelOptions) -> DataError:
    usual = ", ".join(f"{a} and {b}" for a, b in USUAL_COLUMNS[:3])
    return DataError(
        f"{where}: no columns for {options.source_language} and {options.target_language}; columns "
        f"found: {_shown(names)}; looked for names of these languages, {usual}; give "
        "--source-column and --target-column (1 and 2 if the first line is a pair), or "
        "--source-language and --target-language"
    )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:60]) for name in names[:_SHOWN])


def _pair(record: Record, columns: _Columns, remarks: Remarks) -> RawPair:
    place = f"{record.path}:{record.line}"
    texts = [_text(record, it, place, remarks) for it in (columns.source, columns.target)]
    document = record.fields.get(columns.document) if columns.document else None
    split = _split_name(record, columns.split, place) if columns.split else None
    return RawPair(texts[0], texts[1], "" if document is None else str(document), place, split)


def _text(record: Record, name: str, place: str, remarks: Remarks) -> str:
    value: Any = record.fields
    for part in (name,) if name in record.fields else name.split("/", 1):
        value = value.get(part) if isinstance(value, Mapping) else None
    if value is None:
        remarks.add(f"row(s) without a text in {name!r}, taken as empty", place)
        return ""
    if isinstance(value, str | int | float):
        return str(value)
    raise DataError(
        f"{place}: {name!r} holds a {type(value).__name__} ({str(value)[:60]}), expected a text; "
        "give --source-column and --target-column columns of texts"
    )


def _split_name(record: Record, column: str, place: str) -> str:
    value = str(record.fields.get(column)).strip().casefold()
    if value not in SPLIT_WORDS:
        raise DataError(
            f"{place}: split {value!r} in column {column!r}{did_you_mean(value, SPLIT_WORDS)}; "
            f"expected one of {', '.join(SPLIT_WORDS)}; mend the row, or rename the column to "
            "split by seed"
        )
    return SPLIT_WORDS[value]
