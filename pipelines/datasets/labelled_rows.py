"""Turn files of any layout into raw labelled rows: text, label, rating, split, and where from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.datasets.locate import SPLIT_WORDS, Part
from pipelines.datasets.readers import ReadOptions, Record, Value, read_records
from pipelines.datasets.text_files import reading_errors
from pipelines.errors import DataError, did_you_mean

TEXT_COLUMNS = [
    "text",
    "review",
    "sentence",
    "content",
    "tweet",
    "comment",
    "body",
    "phrase",
    "review_text",
    "review_body",
    "reviewtext",
    "message",
    "document",
    "utterance",
    "snippet",
]
LABEL_COLUMNS = [
    "label",
    "sentiment",
    "target",
    "class",
    "category",
    "polarity",
    "rating",
    "stars",
    "overall",
    "score",
    "tag",
    "labels",
]
UNLABELLED_FOLDERS = ("unsup", "unlabeled", "unlabelled")
_AIRLINES = re.compile(
    r"@(?:virginamerica|united|southwestair|jetblue|americanair|usairways|delta)\b", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True)
class LabelledTextOptions:
    """How to read labelled text; an empty name means to find it out."""

    text_column: str = ""
    """Column of the text (in jsonl, its key)."""
    label_column: str = ""
    """Column of the label (in jsonl, its key)."""
    split_column: str = ""
    """Column that says train, valid or test; none: ignore a column named split."""
    encoding: str = "utf-8"
    """Of text files, as Python names it."""
    header: bool = True
    """Whether csv and tsv files begin with the names of their columns."""
    delimiter: str = ""
    """Of csv files; empty means that the first line tells it."""
    quotes: str = "auto"
    """Whether double quotes enclose csv and tsv fields: auto, yes or no."""
    valid_file: str = ""
    """File of validation rows, beside the source."""
    test_file: str = ""
    """File of test rows, beside the source."""
    text_feature: str = ""
    """The text of a tfds: set, where the usual names do not fit."""
    label_feature: str = ""
    """The label of a tfds: set, likewise."""
    seed: int = 17
    """Draws the split where the source has none."""

    def read_options(self) -> ReadOptions:
        """Return the part of the options that `read_records` takes."""
        return ReadOptions(
            encoding=self.encoding,
            header=self.header,
            delimiter=self.delimiter,
            quotes=self.quotes,
        )


class RawRow(NamedTuple):
    """A row before any check; `line` is 0 where a file is one text."""

    path: Path
    line: int
    text: Value
    label: Value
    rating: float | None = None
    split: str | None = None


def read_part(part: Part, options: LabelledTextOptions) -> Iterator[RawRow]:
    """Yield the raw rows of one part, read as its kind says, its own split name on each.

    Raises:
        DataError: the file cannot be read, or a column cannot be found.
    """
    return PART_READERS[part.kind](part, options)


def _read_table(part: Part, options: LabelledTextOptions) -> Iterator[RawRow]:
    records = read_records(part.path, options.read_options())
    first = next(records, None)
    if first is None:
        raise DataError(f"{part.path}: no rows below the header; expected at least one")
    names = list(first.fields)
    text = pick_column(names, options.text_column, TEXT_COLUMNS, what="text", where=str(part.path))
    rest = [name for name in names if name != text]
    label = pick_column(
        rest,
        options.label_column,
        LABEL_COLUMNS,
        what="label",
        where=str(part.path),
        all_names=names,
    )
    split = None if part.split else _split_column(first, options.split_column)
    yield _raw_row(first, text, label, split, part.split)
    for record in records:
        yield _raw_row(record, text, label, split, part.split)


def _raw_row(
    record: Record, text: str, label: str, split: str | None, part_split: str | None
) -> RawRow:
    path, line, fields = record
    if split is not None:
        part_split = _split_name(record, split)
    # A JSON row may lack a key; it is then counted as a missing text or label.
    return RawRow(path, line, fields.get(text), fields.get(label), None, part_split)


def pick_column(
    names: Sequence[str],
    wanted: str,
    usual: Sequence[str],
    *,
    what: str,
    where: str,
    all_names: Sequence[str] = (),
    kind: str = "column",
) -> str:
    """Return the column that holds the text or the label.

    Args:
        names: the columns to choose among.
        wanted: the name the user gave, or empty.
        usual: names to look for, the likeliest first, in lower case.
        what: "text" or "label".
        where: the file, named in the message.
        all_names: the columns the message lists, if other than `names`.
        kind: what the columns are called: "column", or "feature".

    Raises:
        DataError: no such column; the message lists those there are and names the option.
    """
    shown = ", ".join(repr(name[:60]) for name in list(all_names or names)[:30])
    if wanted:
        if wanted in names:
            return wanted
        raise DataError(
            f"{where}: no {what} {kind} {wanted!r}{did_you_mean(wanted, names)}; {kind}s found: "
            f"{shown}; give --{what}-{kind} one of them"
        )
    folded = {name.strip().casefold(): name for name in reversed(names)}
    for candidate in usual:
        if candidate in folded:
            return folded[candidate]
    numbered = names[:1] == ["1"]
    example = "NUMBER" if numbered else "NAME"
    header = "" if numbered or kind != "column" else "; if the first line is a row, --no-header"
    raise DataError(
        f"{where}: no {kind} for the {what}; {kind}s found: {shown}; looked for "
        f"{', '.join(usual)}; give --{what}-{kind} {example}{header}"
    )


def _split_column(first: Record, wanted: str) -> str | None:
    """Return the column of split names: the one asked for, or one called "split" if it is one."""
    if wanted == "none":
        return None
    if wanted:
        if wanted in first.fields:
            return wanted
        raise DataError(
            f"{first.path}: no split column {wanted!r}{did_you_mean(wanted, first.fields)}; "
            f"columns found: {', '.join(map(repr, first.fields))}; give --split-column one of them"
        )
    found = str(first.fields.get("split", "")).strip().casefold()
    return "split" if found in SPLIT_WORDS else None


def _split_name(record: Record, column: str) -> str:
    value = str(record.fields.get(column)).strip().casefold()
    if value not in SPLIT_WORDS:
        raise DataError(
            f"{record.path}:{record.line}: split {value!r} in column {column!r}"
            f"{did_you_mean(value, SPLIT_WORDS)}; expected one of {', '.join(SPLIT_WORDS)}; mend "
            "the row, or give --split-column none to split by seed"
        )
    return SPLIT_WORDS[value]


def _read_label_folders(part: Part, options: LabelledTextOptions) -> Iterator[RawRow]:
    for folder in label_folders(part.path):
        for path in sorted(folder.glob("*.txt")):
            with reading_errors(path, options.encoding):
                text = path.read_text(encoding=options.encoding)
            yield RawRow(path, 0, text.removeprefix("\ufeff"), folder.name, None, part.split)


def label_folders(folder: Path) -> list[Path]:
    """Return the sub-folders that hold texts of one label each, sorted by name."""
    return [
        entry
        for entry in sorted(folder.iterdir())
        if entry.is_dir()
        and not entry.name.startswith(".")
        and entry.name not in UNLABELLED_FOLDERS
        and next(entry.glob("*.txt"), None) is not None
    ]


def _read_rated(part: Part, _: LabelledTextOptions) -> Iterator[RawRow]:
    """Read a set of the VADER archive: id, mean human rating in -4..4, text; no header."""
    options = ReadOptions(header=False, delimiter="\t", quotes="no")
    for path, line, fields in read_records(part.path, options):
        rating = float(fields["2"] or 0)
        label = "positive" if rating > 0 else "negative" if rating < 0 else None
        yield RawRow(path, line, fields["3"], label, rating, part.split)


def _read_tweets(part: Part, _: LabelledTextOptions) -> Iterator[RawRow]:
    for path, line, fields in read_records(part.path, ReadOptions(encoding="latin-1")):
        yield RawRow(path, line, fields["text"], fields["sentiment"], None, part.split)


def _read_airline_tweets(part: Part, options: LabelledTextOptions) -> Iterator[RawRow]:
    return (row for row in _read_tweets(part, options) if _AIRLINES.search(str(row.text)))


PART_READERS = {
    "records": _read_table,
    "folders": _read_label_folders,
    "rated": _read_rated,
    "tweets": _read_tweets,
    "tweets-airline": _read_airline_tweets,
}
