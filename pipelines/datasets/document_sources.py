"""Find out what `DATA=` means for running text, and how its documents are reached."""

from __future__ import annotations

import importlib.util
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipelines.datasets.document_files import Selection, choose, select_files
from pipelines.datasets.document_messages import TABLES
from pipelines.datasets.document_options import DocumentOptions, RawDocument
from pipelines.datasets.document_reading import read_logs, read_texts
from pipelines.datasets.document_text import require_text
from pipelines.datasets.locate import (
    SPLIT_WORDS,
    Convention,
    Found,
    Located,
    Part,
    locate,
)
from pipelines.datasets.package_index import Progress
from pipelines.datasets.readers import format_of
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

SHAKESPEARE, C_HEADERS, PYTHON = "shakespeare", "c-headers", "python-stdlib"
_NOT_LIBRARY = ("test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__")

DocumentReader = Callable[[Remarks], Iterator[RawDocument]]
DocumentSource = Found[DocumentReader]


class _TextConvention(Convention):
    """Names the sets that are found on the machine too."""

    def built_in_names(self) -> list[str]:
        return [*super().built_in_names(), C_HEADERS, PYTHON]


_CONVENTION = _TextConvention(
    is_built_in=lambda source: source.task == "language_model",
    unit="documents",
    named="file",
    split_words={},  # test_this.py is no test text
)
_BY_NAME = replace(_CONVENTION, split_words=SPLIT_WORDS, split_in_ending=True)


@dataclass(frozen=True)
class _Installed:
    """A folder of source code that every machine with the toolkit has."""

    folder: Callable[[], Path]
    pattern: str
    language: str
    licence: str
    citation: str


def _tensorflow_headers() -> Path:
    # The package is looked up, not imported: that would take seconds.
    found = importlib.util.find_spec("tensorflow")
    places = (found.submodule_search_locations if found else None) or []
    folders = [Path(place) / "include" for place in places]
    folder = next((it for it in folders if it.is_dir()), None)
    if folder is None:
        raise DataError(
            f"{C_HEADERS}: no folder tensorflow/include among the installed packages (found "
            f"{', '.join(places) or 'no tensorflow'}); expected TensorFlow with its C++ headers; "
            "install it, or give DATA= a folder of source code"
        )
    return folder


def _standard_library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


_INSTALLED = {
    C_HEADERS: _Installed(
        _tensorflow_headers,
        "*.h,*.hpp,*.hh,*.cuh",
        "C++",
        "Apache-2.0 and, in third-party folders, other open licences",
        "C and C++ headers of the installed TensorFlow",
    ),
    PYTHON: _Installed(
        _standard_library,
        "*.py",
        "Python",
        "PSF-2.0",
        "standard library of the running Python, without its tests",
    ),
}


def built_in_document_names() -> list[str]:
    """Return the names of the built-in sets."""
    return _CONVENTION.built_in_names()


def find_document_source(
    source: str, options: DocumentOptions, folders: DataFolders, progress: Progress | None = None
) -> DocumentSource:
    """Resolve `DATA=`: a built-in name, a file, a glob or a folder.

    Raises:
        DataError: it is none of these, holds no text, or --pattern does not go with it.
    """
    if source in _INSTALLED:
        return _installed(source, options)
    located = locate(
        source,
        _CONVENTION,
        lambda folder: ([Part(folder)], []),
        [],
        folders=folders,
        progress=progress,
    )
    paths = [part.path for part in located.parts]
    lone = paths[0] if len(paths) == 1 else None
    if lone is not None and lone.is_dir():
        selection = select_files(lone, options.pattern, encoding=options.encoding)
    elif options.pattern:
        raise DataError(
            f"{source}: --pattern {options.pattern!r} chooses among the files of a folder, but "
            f"this is {'a glob' if lone is None else 'a file'}; leave it out, or give DATA= the "
            "folder"
        )
    elif lone is not None:
        _require_regular(lone)
        if format_of(lone) not in TABLES:
            require_text(lone, options.encoding)
        selection = Selection(lone, [lone])
    else:
        selection = choose(paths, _common_folder(paths), encoding=options.encoding)
    return _found(located, selection, source, options)


def _require_regular(path: Path) -> None:
    """Refuse what would be read for ever, or only once: each file is read several times."""
    if not path.is_file():
        raise DataError(
            f"{path}: neither a file nor a folder, but a pipe or device; expected text that can be "
            "read twice; write it to a file first"
        )


def _common_folder(paths: list[Path]) -> Path:
    shared = set(paths[0].parents).intersection(*(path.parents for path in paths[1:]))
    return max(shared, key=lambda folder: len(folder.parts))


def _installed(name: str, options: DocumentOptions) -> DocumentSource:
    kind = _INSTALLED[name]
    pattern = options.pattern or kind.pattern
    selection = select_files(
        kind.folder(), pattern, encoding=options.encoding, leave_out=_NOT_LIBRARY
    )
    found = _found(Located(name, []), selection, name, options)
    return replace(
        found, licence=kind.licence, citation=kind.citation, language=kind.language.lower()
    )


def _found(
    located: Located, selection: Selection, source: str, options: DocumentOptions
) -> DocumentSource:
    """Say how the files chosen are read; their contents are hashed together."""
    as_tables = _are_tables(selection, options)
    works = located.published is not None
    given = {} if as_tables else _given_splits(selection.files)
    read: DocumentReader
    if as_tables:
        read = partial(read_logs, selection, options)
    else:
        read = partial(read_texts, selection, options, given, works)
    kind = "tables" if as_tables else "works" if works else "texts"
    place = selection.root if selection.files == [selection.root] else Path(source)
    whole = replace(located, parts=[Part(place, kind=f"{kind} {','.join(given.values())}")])
    found: DocumentSource = whole.found(
        lambda _: read, lambda part: part.kind, lambda _: selection.sha256()
    )
    return replace(found, notes=selection.remarks.notes())


def _are_tables(selection: Selection, options: DocumentOptions) -> bool:
    """Tell whether rows of tables are meant, rather than their raw text."""
    if not options.text_column:
        return False
    kinds = [format_of(path) in TABLES for path in selection.files]
    if options.speaker and not any(kinds):
        raise DataError(
            f"{selection.root}: --speaker {options.speaker!r} chooses among the messages of a log, "
            f"but no file here is one ({', '.join(TABLES)}); leave it out, or give DATA= the log"
        )
    if options.speaker:
        selection.files = [it for it, kind in zip(selection.files, kinds, strict=True) if kind]
    return all(kinds) or bool(options.speaker)


def _given_splits(files: list[Path]) -> dict[Path, str]:
    """Return the split of each file, if every file is named after one and all three are there."""
    splits = {path: _BY_NAME.split_of(path) for path in files}
    named = {path: split for path, split in splits.items() if split}
    every = len(named) == len(files) and len(set(named.values())) == len(set(SPLIT_WORDS.values()))
    return named if every else {}
