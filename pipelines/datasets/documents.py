"""Running text from any source: decoded, counted, split by document, and cached on disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from pipelines.datasets.document_options import PASSAGE, Document, DocumentOptions
from pipelines.datasets.document_passages import known_shares
from pipelines.datasets.document_placement import draw_documents
from pipelines.datasets.document_scan import DocumentScan
from pipelines.datasets.document_sources import DocumentSource, find_document_source
from pipelines.datasets.package_index import Progress
from pipelines.datasets.prepared import Preparation, Prepared, Unsplit, fingerprint
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import SPLIT_NAMES, IntArray, Splits, replaced_test, require_shares
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.text_files import codec_name
from pipelines.errors import DataError, require

READER_VERSION = 1  # raise it when the same files would give other documents
LEAST_TRAINING_CHARACTERS = 1_000
MOST_KNOWN = 0.5  # a document of which more stands in the training text is not new
__all__ = [
    "PASSAGE",
    "Document",
    "DocumentOptions",
    "load_documents",
    "load_documents_to_score",
    "without_known_documents",
]


def load_documents(
    source: str,
    options: DocumentOptions | None = None,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
) -> Splits[Document]:
    """Read, decode, split and cache documents.

    Each distinct text is kept once. Splits are drawn by document, near-copies together; files that
    are all named after train, valid and test keep their splits; of fewer than three documents each
    is cut by place into a beginning to learn from, a valid and a test part.

    Args:
        source: a text file, a folder, a glob, a jsonl or csv of messages, or a built-in name.
        options: pattern, encoding, columns, speaker, shares, seed.
        folders: where fetched and prepared data are kept; default data/raw and data/cache.
        progress: told of a download a few times a second.

    Returns:
        the three splits, on disk, with their data card.

    Raises:
        ConfigError: an option cannot be.
        DataError: the source is absent or unreadable, holds too little text, or the cache cannot be
            written.
    """
    options, folders = options or DocumentOptions(), folders or DataFolders()
    require_options(options)
    found = find_document_source(source, options, folders, progress)
    preparation = _preparation(source, found, options, folders)
    return preparation.load(lambda path: _prepare(found, options, source, path), unit="documents")


def require_options(options: DocumentOptions) -> None:
    """Refuse values that cannot work, before any data is read.

    Raises:
        ConfigError: the message names the option.
        DataError: the encoding is unknown.
    """
    require_shares(options.valid_share, options.test_share)
    most = options.max_test_characters
    require(most >= 0, "max_test_characters", most, "0 (any number) or more")
    require(
        bool(options.text_column) or not options.speaker,
        "speaker",
        options.speaker,
        "empty if --text-column is empty: messages are then read as raw text",
    )
    codec_name(options.encoding or "utf-8")


def _preparation(
    source: str, found: DocumentSource, options: DocumentOptions, folders: DataFolders
) -> Preparation[Document]:
    key = fingerprint(("documents", READER_VERSION), dataclasses.asdict(options), found)
    return Preparation(Document, source, found, key, folders.cache)


def _prepare(found: DocumentSource, options: DocumentOptions, source: str, path: Path) -> Prepared:
    scan = DocumentScan(options)
    Rows.of(Document, scan.documents(found.streams), path)
    scan.require_documents(source)
    parts = scan.given() or _drawn(scan, options)
    sizes = [int(scan.sizes()[part].sum()) for part in parts]
    _require_training(source, sizes, scan)
    characters = ", ".join(
        f"{size:,} {name}" for size, name in zip(sizes, SPLIT_NAMES, strict=True)
    )
    notes = [f"characters: {characters}", *scan.notes()]
    most = options.max_test_characters
    if 0 < most < sizes[2]:
        notes.append(
            f"the test has more than --max-test-characters {most:,}: neither a document nor a "
            "given test is cut"
        )
    return Prepared(parts, {}, dropped=scan.dropped(), notes=notes)


def _drawn(scan: DocumentScan, options: DocumentOptions) -> tuple[IntArray, IntArray, IntArray]:
    return draw_documents(scan.sizes(), scan.groups(), options)


def _require_training(source: str, sizes: list[int], scan: DocumentScan) -> None:
    if sizes[0] >= LEAST_TRAINING_CHARACTERS and min(sizes) > 0:
        return
    found = ", ".join(f"{size:,} {name}" for size, name in zip(sizes, SPLIT_NAMES, strict=True))
    raise DataError(
        f"{source}: too little text: {found} characters (left out: {scan.dropped() or 'none'}); "
        f"expected at least {LEAST_TRAINING_CHARACTERS:,} to train on, and some of each; give more "
        "text"
    )


def load_documents_to_score(
    source: str, options: DocumentOptions | None = None, *, folders: DataFolders | None = None
) -> Splits[Document]:
    """Read documents without splitting them: all are the test split, each text once.

    Train and valid are empty. Of more than `max_test_characters`, documents are drawn evenly; the
    others are counted as left out.

    Args:
        source: as of `load_documents`.
        options: as of `load_documents`.
        folders: as of `load_documents`.

    Raises:
        ConfigError: an option cannot be.
        DataError: the source is absent or unreadable, or holds no text.
    """
    options, folders = options or DocumentOptions(), folders or DataFolders()
    require_options(options)
    found = find_document_source(source, options, folders, None)
    sizes: list[int] = []

    def read(path: Path) -> Unsplit:
        scan = DocumentScan(options)
        Rows.of(Document, scan.documents(found.streams, whole=True), path)
        scan.require_documents(source)
        sizes.extend(scan.sizes().tolist())
        return Unsplit(scan.keys(), scan.dropped(), scan.notes())

    rows = _preparation(source, found, options, folders).load_to_score(
        read, repeats="duplicate document"
    )
    kept = _evenly_within(np.array(sizes, np.int64), options.max_test_characters)
    if len(kept) == len(rows.test):
        return rows
    return replaced_test(rows, rows.test.select(kept), "beyond --max-test-characters")


def _evenly_within(sizes: IntArray, most: int) -> IntArray:
    """Return evenly spaced numbers of documents, as many as have `most` characters; one at least.

    Args:
        sizes: characters of each document, int64[N].
        most: 0 for any number.
    """
    count = len(sizes)
    chosen = np.arange(count)
    while most and count > 1 and sizes[chosen].sum() > most:
        count = min(count - 1, max(1, int(count * most / sizes[chosen].sum())))
        chosen = np.linspace(0, len(sizes) - 1, count).astype(np.int64)
    return chosen


def without_known_documents(rows: Splits[Document], training: Splits[Document]) -> Splits[Document]:
    """Leave out documents to score of which over half stands in the train or valid documents.

    Raises:
        DataError: no document is left.
    """
    shares = known_shares(rows.test, (training.train, training.valid))
    kept = rows.test.select(np.flatnonzero(shares <= MOST_KNOWN))
    return replaced_test(rows, kept, "document of which over half was trained on")
