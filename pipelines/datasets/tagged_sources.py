"""Find out what `DATA=` means for tagged sentences, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from pipelines.datasets.conllu import looks_like_conllu, read_conllu
from pipelines.datasets.locate import (
    SPLIT_WORDS,
    Convention,
    Found,
    Part,
    Parts,
    given_parts,
    locate,
)
from pipelines.datasets.package_index import Progress
from pipelines.datasets.readers import JSON_LINES, PARQUET, format_of
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged_files import read_columns, text_lines
from pipelines.datasets.tagged_options import RawSentence, Reading, TaggedOptions
from pipelines.datasets.tagged_records import read_tagged_records
from pipelines.errors import DataError

CONLLU = (".conllu", ".conllup")
COLUMNS = (".conll", ".conll03", ".iob", ".iob2", ".bio", ".bio2", ".bioes", ".bilou", ".bmes")
_KINDS = (CONLLU, COLUMNS, (".train", ".testa", ".testb", ".dev", ".test"), JSON_LINES + PARQUET)
_TABLES = ((".tsv", ".tab"), (".txt", ""))  # read in a folder only if nothing above is there
MANY_FILES = 10  # so many files without documents inside are taken for one document each
_CONVENTION = Convention(
    is_built_in=lambda source: source.task in ("pos", "ner"),
    unit="sentences",
    named="file",
    split_words={**SPLIT_WORDS, "testa": "valid", "testb": "test"},
    split_in_ending=True,
)

TaggedSource = Found[Callable[[Reading], Iterator[RawSentence]]]


def built_in_tagged_names() -> list[str]:
    """Return the names of the default tagged sets."""
    return _CONVENTION.built_in_names()


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
    given = given_parts(options.valid_file, options.test_file)
    located = locate(source, _CONVENTION, _folder_parts, given, folders=folders, progress=progress)
    many = len(located.parts) >= MANY_FILES
    return located.found(
        lambda part: partial(read_part, part, by_file=many), lambda part: format_of(part.path)
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


def _folder_parts(folder: Path) -> Parts:
    """Take the files of the likeliest format: releases hold raw text and readmes beside them."""
    files = [it for it in sorted(folder.iterdir()) if it.is_file() and it.name[:1] != "."]
    for kinds in _KINDS + _TABLES:
        chosen = [it for it in files if format_of(it) in kinds]
        if kinds in _TABLES:
            chosen = [it for it in chosen if split_of(it)]
        if chosen:
            parts, _ = _CONVENTION.file_parts(chosen)
            read = {part.path for part in parts}
            return parts, [it.name for it in files if it not in read]
    shown = ", ".join(it.name for it in sorted(folder.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{folder}: no tagged sentences in this folder: it holds {shown}; expected files such as "
        "train.conllu, dev.conllu and test.conllu, or .conll, .jsonl, .parquet; give the file"
    )


def split_of(path: Path) -> str | None:
    """Read the split from a name: `eng.testa` is valid, `xx-ud-train.conllu` is train."""
    return _CONVENTION.split_of(path)
