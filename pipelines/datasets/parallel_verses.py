"""The built-in set of aligned verses: versions in the public domain, in five languages."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.parallel_verse_text import Verse, mended
from pipelines.datasets.remarks import Remarks
from pipelines.errors import DataError, did_you_mean

SET_NAME = "verses"
EXTRA = "extra"  # the split of pairs that are kept only if their chapter is one of train
_TABLE = "bible(bbName, bNumber, cNumber, vNumber, vText)"
_SELECT = """SELECT bNumber, cNumber, vNumber, vText FROM bible WHERE bbName = ?
             ORDER BY bNumber, cNumber, vNumber"""


@dataclass(frozen=True)
class Version:
    """A translation that may be read.

    Args:
        name: what the options call it.
        key: its name in the database.
        language: code.
        title: for people.
        capitals: whether its chapters begin with words in capitals.
        lost_sign: whether its soft hyphens stand for inverted exclamation marks.
    """

    name: str
    key: str
    language: str
    title: str
    capitals: bool = False
    lost_sign: bool = False


# Of each language the first is the default. Other keys of the database are in copyright, or it is
# not known that they are not: nothing but these can be read.
VERSIONS = (
    Version("world-english", "4", "en", "World English Bible"),
    Version("king-james", "k", "en", "King James Version, 1769"),
    Version("basic-english", "3", "en", "Bible in Basic English, 1949"),
    Version("segond", "l", "fr", "Segond, 1910"),
    Version("ostervald", "o", "fr", "Ostervald"),
    Version("reina-valera", "v", "es", "Reina-Valera, 1909", capitals=True, lost_sign=True),
    Version("diodati", "d", "it", "Diodati, 1649", capitals=True),
    Version("elberfelder", "e", "de", "Elberfelder, 1932"),
)


@dataclass(frozen=True)
class VersePair:
    """Two versions to be laid side by side; `extra` where one is not the main one."""

    source: Version
    target: Version
    extra: bool = False


def chosen_pairs(options: ParallelOptions) -> tuple[VersePair, ...]:
    """Return the main pair of versions, then one for each extra version.

    An extra version is paired with the main version of the other language.

    Raises:
        DataError: a language or version is unknown, or both sides are the same version.
    """
    source = _version(options.source_language, options.source_version, "source")
    target = _version(options.target_language, options.target_version, "target")
    if source == target:
        raise DataError(
            f"{SET_NAME}: source and target are both {source.name!r} ({source.language}); expected "
            f"two versions; give another --target-language or --target-version; {_there_are()}"
        )
    pairs = [VersePair(source, target)]
    for name in dict.fromkeys(options.extra_versions):
        extra = _named(name, "--extra-versions")
        if extra in (source, target):
            continue
        if extra.language not in (source.language, target.language):
            raise DataError(
                f"{SET_NAME}: extra version {name!r} is {extra.language}, expected "
                f"{source.language} or {target.language}; {_there_are()}"
            )
        if extra.language == source.language:
            pairs.append(VersePair(extra, target, extra=True))
        else:
            pairs.append(VersePair(source, extra, extra=True))
    return tuple(pairs)


def _version(language: str, name: str, side: str) -> Version:
    known = list(dict.fromkeys(version.language for version in VERSIONS))
    if language not in known:
        raise DataError(
            f"{SET_NAME}: no text in the {side} language {language!r}"
            f"{did_you_mean(language, known)}; expected one of {', '.join(known)}; give "
            f"--{side}-language one of these, or DATA= pairs of your own"
        )
    if not name:
        return next(version for version in VERSIONS if version.language == language)
    version = _named(name, f"--{side}-version")
    if version.language != language:
        raise DataError(
            f"{SET_NAME}: the {side} version {name!r} is {version.language}, but "
            f"--{side}-language is {language}; {_there_are()}"
        )
    return version


def _named(name: str, option: str) -> Version:
    for version in VERSIONS:
        if version.name == name:
            return version
    names = [version.name for version in VERSIONS]
    raise DataError(
        f"{SET_NAME}: no version {name!r}{did_you_mean(name, names)}; {_there_are()}; give "
        f"{option} one of these"
    )


def _there_are() -> str:
    shown = ", ".join(f"{version.name} ({version.language})" for version in VERSIONS)
    return f"there are {shown}"


def read_verses(path: Path, options: ParallelOptions, remarks: Remarks) -> Iterator[RawPair]:
    """Yield the verses of two versions side by side, then those of the extra versions.

    A document is a chapter. A verse without words in one version has an empty side.

    Raises:
        DataError: as `chosen_pairs`, or the database is damaged or lacks a version.
    """
    pairs = chosen_pairs(options)
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            books = _book_names(database)
            for pair in pairs:
                yield from _side_by_side(database, path, pair, books, remarks)
    except sqlite3.Error as error:
        raise DataError(
            f"{path}: cannot be read as a database of verses ({error}); expected the table "
            f"{_TABLE}; delete the folder {path.parent} to have it made anew"
        ) from error


def _book_names(database: sqlite3.Connection) -> dict[int, str]:
    """Return number of a book -> short name.

    The names are English for every pair of languages, so that the split, which is drawn by the
    names of documents, is the same for all.
    """
    query = "SELECT bNumber, bsName FROM bibleRef WHERE bbName = ?"
    return dict(database.execute(query, (VERSIONS[0].key,)).fetchall())


def _verses(database: sqlite3.Connection, path: Path, version: Version) -> Iterator[Verse]:
    rows = (Verse(*row) for row in database.execute(_SELECT, (version.key,)))
    first = next(rows, None)
    if first is None:
        raise DataError(
            f"{path}: holds no verse of {version.title} (key {version.key!r}); expected all "
            f"versions; delete the folder {path.parent} to have it made anew, or choose another "
            "version"
        )

    def whole() -> Iterator[Verse]:
        yield first
        yield from rows

    return mended(whole(), capitals=version.capitals, lost_sign=version.lost_sign)


def _side_by_side(
    database: sqlite3.Connection,
    path: Path,
    pair: VersePair,
    books: dict[int, str],
    remarks: Remarks,
) -> Iterator[RawPair]:
    targets = {verse[:3]: verse.text for verse in _verses(database, path, pair.target)}
    for verse in _verses(database, path, pair.source):
        text = targets.pop(verse[:3], None)
        document = f"{books.get(verse.book, verse.book)} {verse.chapter}"
        origin = f"{SET_NAME} {document}:{verse.number}"
        if text is None:
            remarks.add(f"verse(s) that {pair.target.title} lacks, left out", origin)
            continue
        split = EXTRA if pair.extra else None
        yield RawPair(verse.text, text, document, origin, split)
    for book, chapter, number in targets:
        place = f"{SET_NAME} {books.get(book, book)} {chapter}:{number}"
        remarks.add(f"verse(s) that {pair.source.title} lacks, left out", place)
