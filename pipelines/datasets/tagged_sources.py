"""Find out what `DATA=` means for tagged sentences, and how they are reached."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pipelines.datasets.conllu import looks_like_conllu, read_conllu
from pipelines.datasets.labelled_rows import SPLIT_WORDS
from pipelines.datasets.labelled_sources import matching_paths
from pipelines.datasets.package_index import Progress
from pipelines.datasets.readers import JSON_LINES, PARQUET, format_of
from pipelines.datasets.sources import fetch, load_catalogue
from pipelines.datasets.storage import DataFolders, file_sha256
from pipelines.datasets.tagged_files import read_columns, text_lines
from pipelines.datasets.tagged_options import RawSentence, Reading, TaggedOptions
from pipelines.datasets.tagged_records import read_tagged_records
from pipelines.datasets.text_files import describe_missing
from pipelines.errors import DataError, did_you_mean

CONLLU = (".conllu", ".conllup")
COLUMNS = (".conll", ".conll03", ".iob", ".iob2", ".bio", ".bio2", ".bioes", ".bilou", ".bmes")
_KINDS = (CONLLU, COLUMNS, (".train", ".testa", ".testb", ".dev", ".test"), JSON_LINES + PARQUET)
_TABLES = ((".tsv", ".tab"), (".txt", ""))  # read in a folder only if nothing above is there
_SPLITS = {**SPLIT_WORDS, "testa": "valid", "testb": "test"}
MANY_FILES = 10  # so many files without documents inside are taken for one document each

Stream = Callable[[Reading], Iterator[RawSentence]]


@dataclass(frozen=True)
class TaggedSource:
    """Tagged sentences that can be read, and what identifies them.

    Args:
        name: of the cache folder.
        streams: one reader a file, or a split of a `tfds:` set.
        files: path -> sha256.
        layout: tells apart equal files read in different ways.
        licence: as published.
        citation: as published.
        language: space-separated codes.
        notes: what a reader of a score should know.
    """

    name: str
    streams: tuple[Stream, ...]
    files: Mapping[str, str]
    layout: str
    licence: str = ""
    citation: str = ""
    language: str = ""
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Part:
    """One file and the split its name tells."""

    path: Path
    split: str | None = None


def built_in_tagged_names() -> list[str]:
    """Return the names of the default tagged sets."""
    return [name for name, it in load_catalogue().items() if it.task in ("pos", "ner")]


def find_tagged_source(
    source: str, options: TaggedOptions, folders: DataFolders, progress: Progress | None = None
) -> TaggedSource:
    """Resolve `DATA=`: a built-in name, `tfds:NAME`, a file, a glob or a folder.

    Raises:
        DataError: it is none of these, or a folder without tagged files.
    """
    if source.startswith("tfds:"):
        from pipelines.datasets.tfds_reader import tfds_tagged_source

        return tfds_tagged_source(source.removeprefix("tfds:"), options)
    built_in = load_catalogue().get(source)
    if built_in is None or source not in built_in_tagged_names():
        parts, ignored = _parts_of_path(source)
        name = Path(source.rstrip("/*")).name.split(".")[0]
        notes = (f"not read: {', '.join(ignored[:10])}",) if ignored else ()
        return _of_parts(name, parts, options, notes=notes)
    members = fetch(built_in, folders.raw, progress=progress)
    return _of_parts(
        source,
        [Part(path) for path in members.values()],
        options,
        licence=built_in.licence,
        citation=built_in.citation,
        language=built_in.language,
    )


def _of_parts(
    name: str,
    parts: list[Part],
    options: TaggedOptions,
    *,
    licence: str = "",
    citation: str = "",
    language: str = "",
    notes: tuple[str, ...] = (),
) -> TaggedSource:
    given = (("valid", options.valid_file), ("test", options.test_file))
    parts = parts + [Part(Path(path).expanduser(), split) for split, path in given if path]
    many = len(parts) >= MANY_FILES
    return TaggedSource(
        name=re.sub(r"[^\w-]+", "-", name) or "data",
        streams=tuple(partial(read_part, part, by_file=many) for part in parts),
        files={str(part.path): _sha256(part.path) for part in parts},
        layout=" ".join(f"{format_of(part.path)}:{part.split}" for part in parts),
        licence=licence,
        citation=citation,
        language=language,
        notes=notes,
    )


def read_part(part: Part, reading: Reading, *, by_file: bool = False) -> Iterator[RawSentence]:
    """Yield the sentences of one file, its split on each.

    Args:
        part: the file.
        reading: options, kind of tags, remarks.
        by_file: take the file for one document where it names none itself.

    Raises:
        DataError: the file cannot be read as tagged sentences.
    """
    document = part.path.name if by_file else ""
    for raw in _reader(part.path, reading.options)(part.path, reading):
        yield raw._replace(split=part.split, document=raw.document or document)


def _reader(path: Path, options: TaggedOptions) -> Callable[[Path, Reading], Iterator[RawSentence]]:
    kind = format_of(path)
    if kind in CONLLU:
        return read_conllu
    if kind in JSON_LINES + PARQUET:
        return read_tagged_records
    if options.delimiter or options.token_column or options.tag_column:
        return read_columns
    if kind == ".csv":
        raise DataError(
            f"{path}: a csv table, expected tagged sentences: one word and its tag a line in "
            "columns, CoNLL-U, jsonl or parquet; give --delimiter , if it is one word a line with "
            "blank lines between sentences"
        )
    lines = text_lines(path, options.encoding)
    return read_conllu if looks_like_conllu(lines) else read_columns


def _sha256(path: Path) -> str:
    if not path.is_file():
        raise DataError(describe_missing(path))
    return file_sha256(path)


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
    names = built_in_tagged_names()
    raise DataError(
        f"{describe_missing(path)}; nor is it a built-in set ({', '.join(names)}) or tfds:NAME"
        f"{did_you_mean(source, names)}"
    )


def _folder_parts(folder: Path) -> tuple[list[Part], list[str]]:
    """Take the files of the likeliest format: releases hold raw text and readmes beside them."""
    files = [it for it in sorted(folder.iterdir()) if it.is_file() and it.name[:1] != "."]
    for kinds in _KINDS + _TABLES:
        chosen = [it for it in files if format_of(it) in kinds]
        if kinds in _TABLES:
            chosen = [it for it in chosen if split_of(it)]
        if chosen:
            parts, _ = _file_parts(chosen)
            read = {part.path for part in parts}
            return parts, [it.name for it in files if it not in read]
    shown = ", ".join(it.name for it in sorted(folder.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{folder}: no tagged sentences in this folder: it holds {shown}; expected files such as "
        "train.conllu, dev.conllu and test.conllu, or .conll, .jsonl, .parquet; give the file"
    )


def _file_parts(files: list[Path]) -> tuple[list[Part], list[str]]:
    """Use the files named after a split if there are such, else all of them."""
    splits = {path: split_of(path) for path in files}
    if not any(splits.values()) or len(files) == 1:
        return [Part(path) for path in files], []
    parts = [Part(path, split) for path, split in splits.items() if split]
    if not any(part.split == "train" for part in parts):
        found = ", ".join(part.path.name for part in parts[:5])
        raise DataError(
            f"{files[0].parent}: no training sentences: found {found}; expected also a file named "
            "train; give the one file as DATA= to split it by seed"
        )
    return parts, [path.name for path, split in splits.items() if not split]


def split_of(path: Path) -> str | None:
    """Read the split from a name: `eng.testa` is valid, `xx-ud-train.conllu` is train."""
    words = re.split(r"[^a-z]+", path.name.lower())
    splits = {_SPLITS[word] for word in words if word in _SPLITS}
    return splits.pop() if len(splits) == 1 else None
