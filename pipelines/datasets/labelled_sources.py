"""Find out what `DATA=` means for labelled text, and how its rows are reached."""

from __future__ import annotations

import glob
import hashlib
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.datasets.labelled_rows import (
    SPLIT_WORDS,
    LabelledTextOptions,
    Part,
    RawRow,
    label_folders,
    read_part,
)
from pipelines.datasets.package_index import Progress
from pipelines.datasets.readers import DELIMITED, JSON_LINES, PARQUET, format_of
from pipelines.datasets.sources import fetch, load_catalogue
from pipelines.datasets.storage import DataFolders, file_sha256
from pipelines.datasets.text_files import describe_missing
from pipelines.errors import DataError, did_you_mean

# A lone .txt file may be a table, but in a folder it is more often a readme or a text.
_TABLES = tuple(kind for kind in DELIMITED + JSON_LINES + PARQUET if kind != ".txt")


@dataclass(frozen=True)
class TextSource:
    """Labelled rows that can be read, and what identifies them.

    `files` maps each path to a sha256; `layout` tells apart equal files read in different ways.
    """

    name: str
    rows: Callable[[], Iterator[RawRow]]
    files: Mapping[str, str]
    layout: str
    licence: str = ""
    citation: str = ""
    language: str = ""
    notes: tuple[str, ...] = field(default=())


def built_in_names() -> list[str]:
    """Return the names of the default labelled-text sets."""
    return [name for name, source in load_catalogue().items() if source.text]


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
    built_in = load_catalogue().get(source)
    if built_in is not None and built_in.text:
        members = fetch(built_in, folders.raw, progress=progress)
        parts = [Part(path, built_in.text) for path in members.values()]
        return _of_parts(
            source,
            parts + _given_parts(options),
            options,
            licence=built_in.licence,
            citation=built_in.citation,
            language=built_in.language,
        )
    parts, ignored = _parts_of_path(source)
    notes = (f"not read: {', '.join(ignored[:10])}",) if ignored else ()
    name = Path(source.rstrip("/*")).name.split(".")[0]
    return _of_parts(name, parts + _given_parts(options), options, notes=notes)


def _of_parts(
    name: str,
    parts: list[Part],
    options: LabelledTextOptions,
    *,
    licence: str = "",
    citation: str = "",
    language: str = "",
    notes: tuple[str, ...] = (),
) -> TextSource:
    def rows() -> Iterator[RawRow]:
        for part in parts:
            yield from read_part(part, options)

    return TextSource(
        name=re.sub(r"[^\w-]+", "-", name) or "data",
        rows=rows,
        files={str(part.path): _content_sha256(part.path) for part in parts},
        layout=" ".join(f"{part.kind}:{part.split}" for part in parts),
        licence=licence,
        citation=citation,
        language=language,
        notes=notes,
    )


def _content_sha256(path: Path) -> str:
    """Hash a file; of a folder of texts, hash all names and contents together."""
    if not path.is_dir():
        if not path.is_file():
            raise DataError(describe_missing(path))
        return file_sha256(path)
    digest = hashlib.sha256()
    for folder in label_folders(path):
        for text in sorted(folder.glob("*.txt")):
            digest.update(f"{folder.name}/{text.name}\0{text.stat().st_size}\0".encode())
            digest.update(text.read_bytes())
    return digest.hexdigest()


def _given_parts(options: LabelledTextOptions) -> list[Part]:
    given = (("valid", options.valid_file), ("test", options.test_file))
    return [Part(Path(path), split=split) for split, path in given if path]


def _parts_of_path(source: str) -> tuple[list[Part], list[str]]:
    """Return the parts to read and the names of files left unread."""
    if not source:
        raise DataError("DATA= is empty; expected a file, a folder, a built-in name or tfds:NAME")
    path = Path(source).expanduser()
    if path.is_dir():
        return _folder_parts(path)
    if path.exists():
        return [Part(path)], []
    if glob.has_magic(source):
        files = [found for found in matching_paths(path) if found.is_file()]
        if not files:
            raise DataError(f"DATA={source}: no file matches this pattern; check it")
        return _file_parts(files)
    names = built_in_names()
    raise DataError(
        f"{describe_missing(path)}; nor is it a built-in set ({', '.join(names)}) or tfds:NAME"
        f"{did_you_mean(source, names)}"
    )


def matching_paths(pattern: Path) -> list[Path]:
    """Return the paths that match, sorted; the part of the pattern without `*` is a folder."""
    base = Path(*itertools.takewhile(lambda part: not glob.has_magic(part), pattern.parts))
    return sorted(base.glob(str(pattern.relative_to(base))))


def _folder_parts(folder: Path) -> tuple[list[Part], list[str]]:
    """Recognise train/ and test/ folders, train and test files, label folders, or plain tables."""
    entries = [entry for entry in sorted(folder.iterdir()) if not entry.name.startswith(".")]
    split_folders = [entry for entry in entries if entry.is_dir() and _split_of(entry)]
    tables = [entry for entry in entries if entry.is_file() and format_of(entry) in _TABLES]
    if split_folders:
        parts = [part for entry in split_folders for part in _split_folder_parts(entry)]
    elif label_folders(folder):
        return [Part(folder, "folders")], [table.name for table in tables]
    else:
        texts = [entry for entry in entries if entry.suffix == ".txt" and _split_of(entry)]
        parts, ignored = _file_parts(tables or texts)
        if parts:
            return parts, ignored
    if not parts:
        raise _no_labels(folder, entries)
    _require_train(folder, parts)
    return parts, [table.name for table in tables]


def _split_folder_parts(folder: Path) -> list[Part]:
    split = _split_of(folder)
    if label_folders(folder):
        return [Part(folder, "folders", split)]
    tables = [entry for entry in sorted(folder.iterdir()) if format_of(entry) in _TABLES]
    return [Part(table, split=split) for table in tables]


def _file_parts(files: list[Path]) -> tuple[list[Part], list[str]]:
    """Use the files named after a split if there are such, else all of them."""
    splits = {path: _split_of(path) for path in files}
    if not any(splits.values()) or len(files) == 1:
        return [Part(path) for path in files], []
    parts = [Part(path, split=split) for path, split in splits.items() if split]
    _require_train(files[0].parent, parts)
    return parts, [path.name for path, split in splits.items() if not split]


def _split_of(path: Path) -> str | None:
    """Read train, valid or test from a name such as `train-00000-of-00001.parquet`."""
    words = re.split(r"[^a-z]+", path.name.lower().split(".")[0])
    splits = {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None


def _require_train(folder: Path, parts: list[Part]) -> None:
    if not any(part.split == "train" for part in parts):
        found = ", ".join(part.path.name for part in parts[:5])
        raise DataError(
            f"{folder}: no training rows: found {found}; expected also a file or folder named "
            "train; give the one file as DATA= to split it by seed"
        )


def _no_labels(folder: Path, entries: list[Path]) -> DataError:
    shown = ", ".join(entry.name for entry in entries[:6]) or "nothing"
    return DataError(
        f"{folder}: no labelled text in this folder: it holds {shown}; expected one sub-folder per "
        "label with .txt files in it, or train, valid and test files (csv, tsv, jsonl, parquet)"
    )
