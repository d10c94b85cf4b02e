"""Pairs of a text and its translation from any source: cleaned, counted, split, cached on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipelines.datasets.package_index import Progress
from pipelines.datasets.parallel_options import ParallelOptions, RawPair, TextPair
from pipelines.datasets.parallel_placement import place_pairs
from pipelines.datasets.parallel_scan import PairScan
from pipelines.datasets.parallel_sources import PairSource, find_pair_source
from pipelines.datasets.prepared import Preparation, Prepared, Unsplit, fingerprint
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits, duplicate_key, replaced_test, require_shares
from pipelines.datasets.storage import DataFolders
from pipelines.errors import require

READER_VERSION = 2  # raise it when the same files would give other pairs
__all__ = [
    "ParallelOptions",
    "RawPair",
    "TextPair",
    "load_pairs",
    "load_pairs_to_score",
    "without_known_pairs",
]


def load_pairs(
    source: str,
    options: ParallelOptions | None = None,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
) -> Splits[TextPair]:
    """Read, clean, split and cache pairs of texts.

    Left out and counted are pairs with an empty side, of equal sides or of very unequal length,
    repeats, and training pairs of which a side stands in valid or test (see `place_pairs`). Texts
    that are alike without being equal, in other documents, stay.

    Args:
        source: a file, two files, a folder, a built-in name, or `tfds:NAME`.
        options: languages, columns, shares, rules, seed.
        folders: where fetched and prepared data are kept; default data/raw and data/cache.
        progress: told of a download a few times a second.

    Returns:
        the three splits, on disk, with their data card; `extra` if there are extra versions.

    Raises:
        ConfigError: an option cannot be.
        DataError: the source is absent or unreadable, holds too few pairs, or the cache cannot be
            written.
    """
    options, folders = options or ParallelOptions(), folders or DataFolders()
    require_options(options)
    found = find_pair_source(source, options, folders, progress)
    preparation = _preparation(source, found, options, folders)
    return preparation.load(lambda path: _prepare(found, options, source, path), unit="pairs")


def require_options(options: ParallelOptions) -> None:
    """Refuse values that cannot work, before any data is read.

    Raises:
        ConfigError: the message names the option.
    """
    require_shares(options.valid_share, options.test_share)
    ratio = options.max_length_ratio
    require(ratio >= 1, "max_length_ratio", ratio, "at least 1")
    for name in ("source_language", "target_language"):
        code = getattr(options, name)
        require(bool(code), name, code, "the code of a language, such as en")


def _preparation(
    source: str, found: PairSource, options: ParallelOptions, folders: DataFolders
) -> Preparation[TextPair]:
    languages = f"{options.source_language} {options.target_language}"
    found = dataclasses.replace(found, language=languages)
    key = fingerprint(("pairs", READER_VERSION), dataclasses.asdict(options), found)
    return Preparation(TextPair, source, found, key, folders.cache)


def _scan(
    found: PairSource,
    options: ParallelOptions,
    source: str,
    path: Path,
    *,
    all_as: str | None = None,
) -> PairScan:
    """Store the pairs at `path`."""
    remarks = Remarks()
    scan = PairScan(options, remarks)
    streams = (stream(options, remarks) for stream in found.streams)
    Rows.of(TextPair, scan.pairs(streams, all_as=all_as), path)
    scan.require_pairs(source)
    return scan


def _prepare(found: PairSource, options: ParallelOptions, source: str, path: Path) -> Prepared:
    scan = _scan(found, options, source, path)
    placement = place_pairs(source, scan.numbers(), options)
    further = []
    if placement.extra is not None:
        versions = ", ".join(options.extra_versions)
        further.append(f"{len(placement.extra):,} extra pairs to learn from, of {versions}")
    dropped = dict(scan.dropped)
    for reason, count in placement.dropped.items():
        dropped[reason] = dropped.get(reason, 0) + count
    return Prepared(
        placement.rows,
        {},
        dropped=dropped,
        notes=(*placement.notes, *further, *scan.remarks.notes()),
        extra=placement.extra,
    )


def load_pairs_to_score(
    source: str, options: ParallelOptions | None = None, *, folders: DataFolders | None = None
) -> Splits[TextPair]:
    """Read pairs without splitting them: all that have both sides are the test split, each once.

    Train and valid are empty.

    Args:
        source: as of `load_pairs`.
        options: as of `load_pairs`; extra versions are not read.
        folders: as of `load_pairs`.

    Raises:
        ConfigError: an option cannot be.
        DataError: the source is absent or unreadable, or holds no pair.
    """
    options, folders = options or ParallelOptions(), folders or DataFolders()
    options = dataclasses.replace(options, extra_versions=())
    require_options(options)
    found = find_pair_source(source, options, folders, None)

    def read(path: Path) -> Unsplit:
        scan = _scan(found, options, source, path, all_as="test")
        return Unsplit(scan.numbers().pairs, scan.dropped, scan.remarks.notes())

    preparation = _preparation(source, found, options, folders)
    return preparation.load_to_score(read, repeats="duplicate pair")


def without_known_pairs(rows: Splits[TextPair], training: Splits[TextPair]) -> Splits[TextPair]:
    """Leave out pairs to score of which a side stands in the train, valid or extra rows.

    Texts equal but for case, punctuation and links count as one.

    Raises:
        DataError: no pair is left.
    """
    sides = [_keys(pair) for pair in rows.test]
    wanted = {key for pair in sides for key in pair}
    seen = (training.train, training.valid, training.extra)
    known = _known_keys((split for split in seen if split is not None), wanted)
    fresh = [number for number, pair in enumerate(sides) if not known.intersection(pair)]
    kept = rows.test.select(np.array(fresh, np.int64))
    return replaced_test(rows, kept, "pair of which a side was trained on")


def _keys(pair: TextPair) -> tuple[int, int]:
    # Other seeds keep a source from counting as a target that reads alike.
    return duplicate_key(pair.source, 0), duplicate_key(pair.target, 1)


def _known_keys(splits: Iterable[Rows[TextPair]], wanted: set[int]) -> set[int]:
    """Return those keys that stand in the splits; only the keys to score are held in memory."""
    return {key for split in splits for pair in split for key in _keys(pair) if key in wanted}
