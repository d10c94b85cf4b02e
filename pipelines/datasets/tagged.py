"""Tagged sentences from any source: converted, counted, split, and cached on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.datasets.package_index import Progress
from pipelines.datasets.placement import TEST, VALID, Placement
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import SPLIT_NAMES, DataCard, Splits, first_rows
from pipelines.datasets.storage import DataFolders, new_folder
from pipelines.datasets.tag_scan import TagScan
from pipelines.datasets.tag_schemes import spans_of
from pipelines.datasets.tagged_options import Reading, Remarks, TaggedOptions, TaggedSentence
from pipelines.datasets.tagged_placement import place_sentences
from pipelines.datasets.tagged_sources import TaggedSource, find_tagged_source
from pipelines.errors import DataError, did_you_mean

READER_VERSION = 1  # raise it when the same files would give other sentences
__all__ = ["TaggedOptions", "TaggedSentence", "load_tagged", "load_tagged_to_score"]
_log = logging.getLogger(__name__)


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
    fingerprint = _fingerprint(found, options, spans)
    folder = folders.cache / f"{found.name[:60]}-{fingerprint}"
    splits = _from_cache(folder)
    if splits is None:
        with new_folder(folder) as partial:
            _prepare(found, Reading(options, spans, Remarks()), source, fingerprint, partial)
        splits = _from_cache(folder)
    if splits is None:
        raise DataError(f"{folder}: prepared sentences cannot be read back; delete the folder")
    card = dataclasses.replace(splits.card, source=source, files=dict(found.files))
    return dataclasses.replace(splits, card=card)


def _fingerprint(found: TaggedSource, options: TaggedOptions, spans: bool) -> str:
    """Hash what the rows depend on: reader, options, seed and contents, but not the file's path."""
    settings = dataclasses.asdict(dataclasses.replace(options, valid_file="", test_file=""))
    identity = ["tagged", READER_VERSION, spans, settings, found.layout, [*found.files.values()]]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


def _from_cache(folder: Path) -> Splits[TaggedSentence] | None:
    """Return prepared sentences; None if there are none, or they are damaged."""
    try:
        card = DataCard.from_json(json.loads((folder / "card.json").read_text(encoding="utf-8")))
        with np.load(folder / "splits.npz") as stored:
            train, valid, test = (
                Rows(TaggedSentence, folder / "rows.arrow", stored[name]) for name in SPLIT_NAMES
            )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid):
        return None
    return Splits(train, valid, test, card)


def _prepare(
    found: TaggedSource, reading: Reading, source: str, fingerprint: str, folder: Path
) -> None:
    """Write rows.arrow, splits.npz and card.json into `folder`."""
    scan = TagScan(reading)
    streams = (stream(reading) for stream in found.streams)
    rows = Rows.of(TaggedSentence, scan.sentences(streams), folder / "rows.arrow")
    scan.require_sentences(source)
    placement = place_sentences(source, scan.numbers(), reading.options.seed)
    placed = dict(zip(SPLIT_NAMES, placement.rows, strict=True))
    train, valid, test = placement.rows
    np.savez(folder / "splits.npz", train=train, valid=valid, test=test)
    labels, words = _count(rows, placement, reading.spans)
    card = _card(
        found,
        source,
        fingerprint,
        counts={name: len(part) for name, part in placed.items()},
        label_counts=labels,
        dropped=dict(sorted({**scan.dropped, **placement.dropped}.items())),
        notes=(
            *found.notes,
            f"words: {', '.join(f'{count:,} {name}' for name, count in words.items())}",
            *placement.notes,
            *scan.notes(),
            *_absent_notes(labels, scan),
        ),
    )
    (folder / "card.json").write_text(
        json.dumps(card.to_json(), indent=1, ensure_ascii=False), encoding="utf-8"
    )
    _log.info("read %s: %s; left out: %s", source, dict(card.counts), dict(card.dropped) or "none")


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


def _card(found: TaggedSource, source: str, fingerprint: str, **counted: Any) -> DataCard:
    """Say where sentences come from, and what was counted while reading them."""
    return DataCard(
        source=source,
        licence=found.licence,
        citation=found.citation,
        language=found.language,
        files=dict(found.files),
        fingerprint=fingerprint,
        **counted,
    )


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
    scan = TagScan(reading)
    fingerprint = _fingerprint(found, options, spans)
    folder = folders.cache / f"{found.name[:60]}-to-score-{fingerprint}"
    with new_folder(folder) as partial:
        streams = (stream(reading) for stream in found.streams)
        Rows.of(TaggedSentence, scan.sentences(streams), partial / "rows.arrow")
        scan.require_sentences(source)
        scan.require_tags(tags)
    rows = Rows(TaggedSentence, folder / "rows.arrow")
    distinct = first_rows(scan.numbers().exact)
    repeats = {"duplicate sentence": len(rows) - len(distinct)} if len(distinct) < len(rows) else {}
    nothing = rows.select(np.zeros(0, np.int64))
    card = _card(
        found,
        source,
        fingerprint,
        counts={"test": len(distinct)},
        dropped=dict(sorted({**scan.dropped, **repeats}.items())),
        notes=(*found.notes, *scan.notes()),
    )
    return Splits(nothing, nothing, rows.select(distinct), card)
