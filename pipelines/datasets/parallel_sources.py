"""Find out what `DATA=` means for pairs of texts, and how they are reached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipelines.datasets.locate import (
    SPLIT_WORDS,
    Convention,
    Found,
    Located,
    Part,
    Parts,
    locate,
)
from pipelines.datasets.package_index import Progress
from pipelines.datasets.parallel_files import find_pair_files, read_pair_files
from pipelines.datasets.parallel_gettext import GETTEXT, gettext_files, read_gettext
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.parallel_tables import read_pair_table
from pipelines.datasets.parallel_tmx import TMX, read_tmx
from pipelines.datasets.parallel_verses import SET_NAME, chosen_pairs, read_verses
from pipelines.datasets.readers import DELIMITED, FORMATS, format_of
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged_sources import MANY_FILES
from pipelines.errors import DataError

PairReader = Callable[[ParallelOptions, Remarks], Iterator[RawPair]]
PairSource = Found[PairReader]
_TABLES = tuple(kind for kind in FORMATS if kind != ".txt")  # in a folder, .txt are texts
_EXPECTED = (
    "two text files, line by line (corpus.en corpus.fr), a folder of such, a .csv, .tsv, .jsonl or "
    ".parquet with two columns, .po or .mo, .tmx"
)
_CONVENTION = Convention(
    is_built_in=lambda source: source.task == "translation",
    unit="pairs",
    named="file",
    split_words=SPLIT_WORDS,
)


@dataclass(frozen=True)
class _Piece:
    """Files that are read together, the split they are of, and their reader."""

    paths: tuple[Path, ...]
    split: str | None
    read: PairReader


def built_in_pair_names() -> list[str]:
    """Return the names of the default sets of pairs."""
    return _CONVENTION.built_in_names()


def find_pair_source(
    source: str, options: ParallelOptions, folders: DataFolders, progress: Progress | None = None
) -> PairSource:
    """Resolve `DATA=`: a built-in name, `tfds:NAME`, two files, a file, a glob or a folder.

    Raises:
        DataError: it is none of these, or an option does not go with it.
    """
    if source == SET_NAME:
        return _verses(options, folders, progress)
    _require_no_versions(source, options)
    if source.startswith("tfds:"):
        from pipelines.datasets.tfds_pairs import tfds_pair_source

        return tfds_pair_source(source.removeprefix("tfds:"), options)
    name, pieces, ignored = _pieces(source, options, folders, progress)
    for split, given in (("valid", options.valid_file), ("test", options.test_file)):
        if given:
            beside = _pieces(given, options, folders, progress)[1]
            pieces += [replace(piece, split=split) for piece in beside]
    parts = [Part(path, piece.split) for piece in pieces for path in piece.paths]
    found = Located(name, parts, ignored).found(
        lambda part: part, lambda part: format_of(part.path)
    )
    by_file = len(pieces) >= MANY_FILES
    streams = tuple(partial(_read, piece, by_file) for piece in pieces)
    return Found(
        name=found.name,
        streams=streams,
        files=found.files,
        layout=found.layout,
        notes=found.notes,
    )


def _verses(
    options: ParallelOptions, folders: DataFolders, progress: Progress | None
) -> PairSource:
    """Return the built-in set, after a look at whether it has the versions asked for."""
    if options.valid_file or options.test_file:
        raise DataError(
            f"{SET_NAME}: --valid-file and --test-file do not go with the built-in set, which is "
            "split by chapter; leave them out, or give DATA= pairs of your own"
        )
    main = chosen_pairs(options)[0]
    located = locate(
        SET_NAME, _CONVENTION, lambda _: ([], []), [], folders=folders, progress=progress
    )
    found: PairSource = located.found(
        lambda part: partial(read_verses, part.path), lambda _: SET_NAME
    )
    note = f"from {main.source.title} ({main.source.language}) to {main.target.title}"
    return replace(found, notes=(f"{note} ({main.target.language})", *found.notes))


def _require_no_versions(source: str, options: ParallelOptions) -> None:
    for name in ("source_version", "target_version", "extra_versions"):
        if getattr(options, name):
            raise DataError(
                f"{source}: --{name.replace('_', '-')} chooses among versions of a built-in set; "
                f"expected DATA={SET_NAME} with it; leave it out"
            )


def _pieces(
    source: str, options: ParallelOptions, folders: DataFolders, progress: Progress | None
) -> tuple[str, list[_Piece], list[str]]:
    """Return the name of what `source` means, what is to be read, and files left unread."""
    pairs = find_pair_files(source, options)
    if pairs:
        pieces = [
            _Piece((it.source, it.target), it.split, partial(read_pair_files, it)) for it in pairs
        ]
        return pairs[0].source.parent.name or "pairs", pieces, []
    located = locate(
        source,
        _CONVENTION,
        lambda folder: _folder_parts(folder, options),
        [],
        folders=folders,
        progress=progress,
    )
    pieces = [_Piece((it.path,), it.split, _reader(it.path)) for it in located.parts]
    return located.name, pieces, located.ignored


def _reader(path: Path) -> PairReader:
    kind = format_of(path)
    if kind in GETTEXT:
        return partial(read_gettext, path)
    if kind in TMX:
        return partial(read_tmx, path)
    if kind in FORMATS:
        return partial(read_pair_table, path)
    raise DataError(
        f"{path}: one file that ends in {kind or 'nothing known'!r}, expected {_EXPECTED}; give "
        "both files of a pair, or name the file after its format"
    )


def _folder_parts(folder: Path, options: ParallelOptions) -> Parts:
    """Take the files of the likeliest format: catalogues, then TMX, then tables."""
    catalogues = gettext_files(folder, options)
    if catalogues:
        return _CONVENTION.file_parts(catalogues)
    files = [it for it in sorted(folder.iterdir()) if it.is_file() and it.name[:1] != "."]
    for kinds in (TMX, _TABLES, DELIMITED):
        chosen = [it for it in files if format_of(it) in kinds]
        if chosen:
            parts, _ = _CONVENTION.file_parts(chosen)
            read = {part.path for part in parts}
            return parts, [it.name for it in files if it not in read]
    shown = ", ".join(it.name for it in sorted(folder.iterdir())[:6]) or "nothing"
    raise DataError(
        f"{folder}: no pairs of texts in this folder: it holds {shown}; expected {_EXPECTED}; give "
        "the file or files"
    )


def _read(
    piece: _Piece, by_file: bool, options: ParallelOptions, remarks: Remarks
) -> Iterator[RawPair]:
    """Yield the pairs of a piece; of many files, each is a document if it names none itself."""
    document = piece.paths[0].name if by_file else ""
    for raw in piece.read(options, remarks):
        yield raw._replace(split=piece.split or raw.split, document=raw.document or document)
