"""Tagged sentences from any source: converted, counted, split, and cached on disk."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipelines.datasets.package_index import Progress
from pipelines.datasets.placement import TEST, VALID, Placement
from pipelines.datasets.prepared import Preparation, Prepared, Unsplit, fingerprint
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import SPLIT_NAMES, Splits
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tag_scan import TagScan
from pipelines.datasets.tag_schemes import spans_of
from pipelines.datasets.tagged_options import Reading, TaggedOptions, TaggedSentence
from pipelines.datasets.tagged_placement import place_sentences
from pipelines.datasets.tagged_sources import TaggedSource, find_tagged_source
from pipelines.errors import did_you_mean

READER_VERSION = 1  # raise it when the same files would give other sentences
__all__ = ["TaggedOptions", "TaggedSentence", "load_tagged", "load_tagged_to_score"]


def load_tagged(
    source: str,
    options: TaggedOptions | None = None,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
    spans: bool,
) -> Splits[TaggedSentence]:
    """Read, check, split and cache tagged sentences.

    Given valid and test sentences stay as they are, and training sentences that are also there are
    left out; a split that is not given is drawn by document where documents are known, else by
    sentence, each distinct sentence once (see `place_sentences`).

    Args:
        source: a file, a glob, a folder, a built-in name, or `tfds:NAME`.
        options: columns, scheme, encoding, files of other splits, seed.
        folders: where fetched and prepared data are kept; default data/raw and data/cache.
        progress: told of a download a few times a second.
        spans: whether tags mark spans (BIO, IOB1, BIOES or plain types): they become BIO, and every
            repair is counted on the data card.

    Returns:
        the three splits, on disk, with their data card; its `label_counts` are words by tag, or
        spans by type.

    Raises:
        DataError: the source is absent or unreadable, holds too few sentences, or the cache cannot
            be written.
    """
    options, folders = options or TaggedOptions(), folders or DataFolders()
    found = find_tagged_source(source, options, folders, progress)
    reading = Reading(options, spans, Remarks())
    preparation = _preparation(source, found, reading, folders)
    return preparation.load(lambda path: _prepare(found, reading, source, path), unit="sentences")


def _preparation(
    source: str, found: TaggedSource, reading: Reading, folders: DataFolders
) -> Preparation[TaggedSentence]:
    reader = ("tagged", READER_VERSION, reading.spans)
    key = fingerprint(reader, dataclasses.asdict(reading.options), found)
    return Preparation(TaggedSentence, source, found, key, folders.cache)


def _scan(
    found: TaggedSource, reading: Reading, source: str, path: Path
) -> tuple[TagScan, Rows[TaggedSentence]]:
    """Store the tagged sentences at `path`."""
    scan = TagScan(reading)
    streams = (stream(reading) for stream in found.streams)
    rows = Rows.of(TaggedSentence, scan.sentences(streams), path)
    scan.require_sentences(source)
    return scan, rows


def _prepare(found: TaggedSource, reading: Reading, source: str, path: Path) -> Prepared:
    scan, rows = _scan(found, reading, source, path)
    placement = place_sentences(source, scan.numbers(), reading.options.seed)
    labels, words = _count(rows, placement, reading.spans)
    return Prepared(
        placement.rows,
        labels,
        dropped={**scan.dropped, **placement.dropped},
        notes=(
            f"words: {', '.join(f'{count:,} {name}' for name, count in words.items())}",
            *placement.notes,
            *scan.notes(),
            *_absent_notes(labels, scan),
        ),
    )


def _count(
    rows: Rows[TaggedSentence], placement: Placement, spans: bool
) -> tuple[dict[str, dict[str, int]], dict[str, int]]:
    """Return split -> tag (type of span) -> words (spans), and split -> words."""
    split_of_row = np.full(len(rows), len(SPLIT_NAMES), np.int8)
    for code, part in enumerate(placement.rows):
        split_of_row[part] = code
    counts: list[Counter[str]] = [Counter() for _ in (*SPLIT_NAMES, "left out")]
    words = [0] * len(counts)
    for code, row in zip(split_of_row.tolist(), rows, strict=True):
        words[code] += len(row.tokens)
        counts[code].update((span.type for span in spans_of(row.tags)) if spans else row.tags)
    labels = sorted(set().union(*counts[:-1]))
    named = zip(SPLIT_NAMES, counts, strict=False)
    by_label = {name: {label: found[label] for label in labels} for name, found in named}
    return by_label, dict(zip(SPLIT_NAMES, words, strict=False))


def _absent_notes(labels: dict[str, dict[str, int]], scan: TagScan) -> list[str]:
    """Name the tags of valid and test that no training sentence has: often a slip of the pen."""
    known = [label for label, count in labels["train"].items() if count]
    notes = []
    for code, split in ((VALID, "valid"), (TEST, "test")):
        for label, count in labels[split].items():
            if count and not labels["train"][label]:
                place = scan.place_of_label(label, code)
                notes.append(
                    f"{label!r} stands in {split} ({count:,}) but in no training sentence"
                    f"{place and f': {place}'}{did_you_mean(label, known)}"
                )
    return notes


def load_tagged_to_score(
    source: str,
    tags: Sequence[str],
    options: TaggedOptions | None = None,
    *,
    folders: DataFolders | None = None,
    spans: bool,
) -> Splits[TaggedSentence]:
    """Read tagged sentences without splitting them: all are the test split, each once.

    Train and valid are empty.

    Args:
        source: as of `load_tagged`.
        tags: those the model knows; of spans, types count, not letters.
        options: as of `load_tagged`.
        folders: as of `load_tagged`.
        spans: as of `load_tagged`.

    Raises:
        DataError: the source is absent or unreadable, holds no sentence, or a tag is not in `tags`.
    """
    options, folders = options or TaggedOptions(), folders or DataFolders()
    found = find_tagged_source(source, options, folders, None)
    reading = Reading(options, spans, Remarks())

    def read(path: Path) -> Unsplit:
        scan, _ = _scan(found, reading, source, path)
        scan.require_tags(tags)
        return Unsplit(scan.numbers().exact, scan.dropped, scan.notes())

    preparation = _preparation(source, found, reading, folders)
    return preparation.load_to_score(read, repeats="duplicate sentence")
