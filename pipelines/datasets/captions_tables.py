"""Captions in the rows of csv, tsv, txt, jsonl and parquet files, quoted or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pipelines.datasets.captions_folder import IMAGE_NAME
from pipelines.datasets.captions_options import CaptionOptions, RawCaptions
from pipelines.datasets.locate import SPLIT_WORDS
from pipelines.datasets.readers import (
    DELIMITED,
    ReadOptions,
    Record,
    format_of,
    is_missing,
    read_records,
    without_nul,
)
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.text_files import describe_missing, open_text, reading_errors
from pipelines.errors import DataError, did_you_mean

IMAGE_COLUMNS = (
    "image",
    "file_name",
    "filename",
    "image_name",
    "image_file",
    "image_path",
    "file",
    "path",
    "img",
    "name",
    "image_id",
)
CAPTION_COLUMNS = (
    "captions",
    "caption",
    "caption_text",
    "text",
    "comment",
    "sentences",
    "sentence",
    "description",
    "raw",
)
RESTVAL = "restval"  # what Karpathy left of COCO's validation images, to be trained on
SPLITS = {**SPLIT_WORDS, RESTVAL: "train"}
_USUAL = (IMAGE_COLUMNS, CAPTION_COLUMNS)
NO_CAPTION = "row(s) without a caption or an image, left out"
TOKEN = ".token"  # of Flickr30k: an image and a caption with a tab between them
_ROW_SHARE = 0.5  # a file of which fewer lines are rows is none


@dataclass(frozen=True)
class _Columns:
    """Where a row names its image, its caption and its split."""

    image: str
    caption: str
    split: str | None


def read_caption_table(
    path: Path,
    options: CaptionOptions,
    remarks: Remarks,
    rows: Iterator[Record] | None = None,
) -> Iterator[RawCaptions]:
    """Yield the captions of a csv, tsv, txt, jsonl or parquet file, also .gz.

    Columns are those asked for, else those of a usual name such as image and caption. A first line
    that names an image is a row: column 1 is then the image, the last the caption, as in
    Flickr8k.token.txt. Captions that hold the delimiter need no quotes if they come last. Of jsonl,
    and of a cell that is a JSON list, several captions are read at once. A column `split` is used.

    Args:
        path: the file.
        options: columns (a name, or a number from 1), delimiter, encoding.
        remarks: told of rows left out.
        rows: of the file, if they were read already.

    Raises:
        DataError: the file cannot be read, columns are not found, or a caption is no text.
    """
    records, numbered = (rows, False) if rows else _records(path, options, remarks)
    first = next(records, None)
    if first is None:
        raise DataError(f"{path}: no rows below the header; expected at least one")
    columns = _columns(first, options, numbered=numbered)
    for record in chain((first,), records):
        place = f"{record.path}:{record.line}"
        captions = captions_in(record.fields.get(columns.caption), place, columns.caption)
        image = record.fields.get(columns.image)
        if is_missing(image) or not captions:
            remarks.add(NO_CAPTION, place)
            continue
        split = None if columns.split is None else split_name(record, columns.split)
        yield RawCaptions(str(image).strip(), captions, place, split)


def _records(
    path: Path, options: CaptionOptions, remarks: Remarks
) -> tuple[Iterator[Record], bool]:
    """Return the rows, and whether their columns are called by numbers."""
    reading = ReadOptions(encoding=options.encoding, delimiter=options.delimiter)
    if not path.is_file():
        raise DataError(describe_missing(path))
    if format_of(path) == TOKEN:
        reading = replace(reading, delimiter="\t", header=False)
        return _loose_rows(path, reading, ["1", "2"], remarks), True
    if format_of(path) not in DELIMITED:
        return read_records(path, reading), False
    first = _first_line(path, options.encoding)
    if not reading.delimiter and "\t" in first:
        reading = replace(reading, delimiter="\t")
    elif not reading.delimiter and format_of(path) == ".txt":
        reading = replace(reading, delimiter=max(",;|", key=first.count))
    header = next(read_records(path, replace(reading, header=False)), None)
    fields = [str(it).strip() for it in header.fields.values()] if header else []
    numbered = any(IMAGE_NAME.fullmatch(it) for it in fields)
    reading = replace(reading, header=not numbered)
    if _may_be_loose(fields, options, numbered=numbered) and not (
        _is_regular(path, reading) and (not numbered or len(fields) == 2)
    ):
        names = ["1", "2"] if numbered else fields
        reading = replace(reading, delimiter=reading.delimiter or max(",;|", key=first.count))
        return _loose_rows(path, reading, names, remarks), numbered
    return read_records(path, reading), numbered


def _may_be_loose(fields: Sequence[str], options: CaptionOptions, *, numbered: bool) -> bool:
    """Tell whether the caption is the last field, so that it may hold delimiters."""
    if numbered:
        return not options.caption_column
    last = fields[-1] if fields else ""
    return options.caption_column in ("", last) and last.casefold() not in IMAGE_COLUMNS


def _first_line(path: Path, encoding: str) -> str:
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        return next((line for line in stream if not line.isspace()), "")


def _is_regular(path: Path, reading: ReadOptions) -> bool:
    """Tell whether every row has as many fields as the first, as a strict reader sees it."""
    rows = read_records(path, reading)
    while True:
        try:
            if next(rows, None) is None:
                return True
        except DataError:
            return False


def _loose_rows(
    path: Path, reading: ReadOptions, names: list[str], remarks: Remarks
) -> Iterator[Record]:
    """Yield a row a line; whatever stands behind the last but one delimiter is the caption."""
    good = bad = 0
    encoding, delimiter = reading.encoding, reading.delimiter
    with reading_errors(path, encoding), open_text(path, encoding) as stream:
        for line, text in enumerate(without_nul(path, stream), start=1):
            if text.isspace() or (line == 1 and reading.header):
                continue
            fields = text.rstrip("\r\n").split(delimiter, len(names) - 1)
            if len(fields) < len(names):
                bad += 1
                remarks.add(NO_CAPTION, f"{path}:{line}")
                continue
            good += 1
            cells = (_unquoted(it) for it in fields)
            yield Record(path, line, dict(zip(names, cells, strict=True)))
    if bad > _ROW_SHARE * (good + bad):
        raise DataError(
            f"{path}: {bad:,} of {good + bad:,} lines have fewer fields than the {len(names)} of "
            f"the first ({', '.join(names)}), split by {delimiter!r}; expected an image and a "
            "caption a line; give --delimiter"
        )


def _unquoted(field: str) -> str:
    field = field.strip()
    if len(field) > 1 and field[0] == field[-1] == '"':
        return field[1:-1].replace('""', '"')
    return field


def _columns(first: Record, options: CaptionOptions, *, numbered: bool) -> _Columns:
    names, where = list(first.fields), str(first.path)
    named = str(first.fields.get("split")).strip().casefold()
    split = "split" if named in SPLITS else None
    image_usual, caption_usual = (("1",), (names[-1],)) if numbered else _USUAL
    image = _column(names, options.image_column, image_usual, "image", where)
    free = [it for it in caption_usual if it != image]
    caption = _column(names, options.caption_column, free, "caption", where)
    if image == caption:
        raise DataError(
            f"{where}: image and caption are both column {image!r}; columns found: "
            f"{_shown(names)}; give --image-column and --caption-column two of them"
        )
    return _Columns(image, caption, split)


def _column(names: Sequence[str], wanted: str, usual: Sequence[str], what: str, where: str) -> str:
    """Return the column asked for, else the first of a usual name."""
    if wanted:
        return _asked(names, wanted, what, where)
    by_folded = {name.strip().casefold(): name for name in reversed(names)}
    for name in usual:
        if name in by_folded:
            return by_folded[name]
    raise DataError(
        f"{where}: no column for the {what}; columns found: {_shown(names)}; looked for "
        f"{', '.join(usual)}; give --{what}-column one of them"
    )


def _asked(names: Sequence[str], wanted: str, what: str, where: str) -> str:
    """Return the column asked for by name or by number."""
    if wanted in names:
        return wanted
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return names[int(wanted) - 1]
    raise DataError(
        f"{where}: no {what} column {wanted!r}{did_you_mean(wanted, names)}; columns found: "
        f"{_shown(names)}; give --{what}-column one of them"
    )


def _shown(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:60]) for name in names[:30])


def captions_in(value: Any, place: str, column: str) -> tuple[str, ...]:
    """Return the captions of a field: a text, a list of texts or of {"raw": text}, or JSON of it.

    Args:
        value: the field.
        place: where it is, named in messages.
        column: what it is called.

    Raises:
        DataError: it holds something else.
    """
    if isinstance(value, str) and value.startswith("[") and value.endswith("]"):
        value = _json_list(value) or value
    values = value if isinstance(value, list | tuple) else [value]
    texts = [it.get("raw", it.get("caption")) if isinstance(it, dict) else it for it in values]
    for text in texts:
        if text is not None and not isinstance(text, str | int | float):
            raise DataError(
                f"{place}: {column!r} holds a {type(text).__name__} ({str(text)[:60]}), expected a "
                "text or a list of texts; give --caption-column another column"
            )
    return tuple(str(it) for it in texts if not is_missing(it))


def _json_list(text: str) -> list[Any] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, list) and all(isinstance(it, str) for it in found) else None


def split_name(record: Record, column: str) -> str:
    """Return the split a row names.

    Raises:
        DataError: there is none of that name.
    """
    value = str(record.fields.get(column)).strip().casefold()
    if value not in SPLITS:
        raise DataError(
            f"{record.path}:{record.line}: split {value!r} in column {column!r}"
            f"{did_you_mean(value, SPLITS)}; expected one of "
            f"{', '.join(SPLITS)}; mend the row, or rename the column to split by seed"
        )
    return SPLITS[value]
