"""Find out what `DATA=` means for labelled text, and how its rows are reached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipelines.datasets.labelled_rows import LabelledTextOptions, RawRow, label_folders, read_part
from pipelines.datasets.locate import (
    SPLIT_WORDS,
    Convention,
    Found,
    Part,
    Parts,
    existing_sha256,
    given_parts,
    locate,
)
from pipelines.datasets.package_index import Progress
from pipelines.datasets.readers import DELIMITED, JSON_LINES, PARQUET, format_of
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

# A lone .txt file may be a table, but in a folder it is more often a readme or a text.
_TABLES = tuple(kind for kind in DELIMITED + JSON_LINES + PARQUET if kind != ".txt")
_CONVENTION = Convention(
    is_built_in=lambda source: bool(source.text),
    unit="rows",
    named="file or folder",
    split_words=SPLIT_WORDS,
)

TextSource = Found[Callable[[], Iterator[RawRow]]]


def built_in_names() -> list[str]:
    """Return the names of the default labelled-text sets."""
    return _CONVENTION.built_in_names()


def find_text_source(
    source: str,
    options: LabelledTextOptions,
    folders: DataFolders,
    progress: Progress | None = None,
) -> TextSource:
    """Resolve `DATA=`: a built-in name, `tfds:NAME`, a file, a glob or a folder.

    Raises:
        DataError: it is none of these, or a folder without labels.
    """
    if source.startswith("tfds:"):
        from pipelines.datasets.tfds_reader import tfds_text_source

        return tfds_text_source(source.removeprefix("tfds:"), options)
    given = given_parts(options.valid_file, options.test_file)
    located = locate(source, _CONVENTION, _folder_parts, given, folders=folders, progress=progress)
    return located.found(
        lambda part: partial(read_part, part, options), lambda part: part.kind, _content_sha256
    )


def _content_sha256(path: Path) -> str:
    """Hash a file; of a folder of texts, hash all names and contents together."""
    if not path.is_dir():
        return existing_sha256(path)
    digest = hashlib.sha256()
    for folder in label_folders(path):
        for text in sorted(folder.glob("*.txt")):
            digest.update(f"{folder.name}/{text.name}\0{text.stat().st_size}\0".encode())
            digest.update(text.read_bytes())
    return digest.hexdigest()


def _folder_parts(folder: Path) -> Parts:
    """Recognise train/ and test/ folders, train and test files, label folders, or plain tables."""
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    split_folders = [entry for entry in entries if entry.is_dir() and _CONVENTION.split_of(entry)]
    tables = [entry for entry in entries if entry.is_file() and format_of(entry) in _TABLES]
    if split_folders:
        parts = [part for entry in split_folders for part in _split_folder_parts(entry)]
    elif label_folders(folder):
        return [Part(folder, kind="folders")], [table.name for table in tables]
    else:
        texts = [
            entry for entry in entries if entry.suffix == ".txt" and _CONVENTION.split_of(entry)
        ]
        parts, ignored = _CONVENTION.file_parts(tables or texts)
        if parts:
            return parts, ignored
    if not parts:
        raise _no_labels(folder, entries)
    _CONVENTION.require_train(folder, parts)
    return parts, [table.name for table in tables]


def _split_folder_parts(folder: Path) -> list[Part]:
    split = _CONVENTION.split_of(folder)
    if label_folders(folder):
        return [Part(folder, split, "folders")]
    tables = [entry for entry in sorted(folder.iterdir()) if format_of(entry) in _TABLES]
    return [Part(table, split) for table in tables]


def _no_labels(folder: Path, entries: list[Path]) -> DataError:
    shown = ", ".join(entry.name for entry in entries[:6]) or "nothing"
    return DataError(
        f"{folder}: no labelled text in this folder: it holds {shown}; expected one sub-folder per "
        "label with .txt files in it, or train, valid and test files (csv, tsv, jsonl, parquet)"
    )
