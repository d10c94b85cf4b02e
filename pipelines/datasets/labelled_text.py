"""Labelled text from any source: counted, de-duplicated, split, and cached on disk."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from pipelines.datasets.label_scan import LabelledText, LabelScan
from pipelines.datasets.labelled_rows import LabelledTextOptions
from pipelines.datasets.labelled_sources import TextSource, find_text_source
from pipelines.datasets.package_index import Progress
from pipelines.datasets.prepared import Preparation, Prepared, Unsplit, fingerprint
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders

READER_VERSION = 1  # raise it when the same files would give other rows
__all__ = ["LabelledText", "LabelledTextOptions", "load_labelled_text", "load_rows_to_score"]


def load_labelled_text(
    source: str,
    options: LabelledTextOptions | None = None,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
) -> Splits[LabelledText]:
    """Read, check, split and cache labelled text.

    Rows without text or label are left out and counted. Where the source has no splits, each text
    is kept once and `stratified_split` draws them. Where it has, valid and test rows stay as they
    are (so that scores compare with published ones) and training rows whose text is also there are
    left out; a split it lacks is drawn from the training rows.

    Args:
        source: a file, a glob, a folder, a built-in name, or `tfds:NAME`.
        options: columns, encoding, files of other splits, seed.
        folders: where fetched and prepared data are kept; default data/raw and data/cache.
        progress: told of a download a few times a second.

    Returns:
        the three splits, on disk, with their data card.

    Raises:
        DataError: the source is absent or unreadable, has one label only, a label in valid or test
            that training rows lack, too few rows, or the cache cannot be written.
    """
    options, folders = options or LabelledTextOptions(), folders or DataFolders()
    found = find_text_source(source, options, folders, progress)
    preparation = _preparation(source, found, options, folders)
    return preparation.load(lambda path: _prepare(found, options, source, path), unit="rows")


def _preparation(
    source: str, found: TextSource, options: LabelledTextOptions, folders: DataFolders
) -> Preparation[LabelledText]:
    key = fingerprint([READER_VERSION], dataclasses.asdict(options), found)
    return Preparation(LabelledText, source, found, key, folders.cache)


def _scan(found: TextSource, options: LabelledTextOptions, path: Path) -> LabelScan:
    """Store the labelled rows at `path`."""
    scan = LabelScan()
    rows = itertools.chain.from_iterable(stream() for stream in found.streams)
    Rows.of(LabelledText, scan.examples(rows, options.seed), path)
    return scan


def _prepare(found: TextSource, options: LabelledTextOptions, source: str, path: Path) -> Prepared:
    scan = _scan(found, options, path)
    placement = scan.placement(source)
    return Prepared(
        placement.rows,
        scan.label_counts(placement),
        dropped={**scan.dropped, **placement.dropped},
        notes=(*scan.notes(), *placement.notes),
    )


def load_rows_to_score(
    source: str,
    labels: Sequence[str],
    options: LabelledTextOptions | None = None,
    *,
    folders: DataFolders | None = None,
) -> Splits[LabelledText]:
    """Read labelled text without splitting it: all rows are the test split, each text once.

    Rows without text or label are left out and counted. Train and valid are empty.

    Raises:
        DataError: the source is absent or unreadable, holds no row, or a label is not in `labels`.
    """
    options, folders = options or LabelledTextOptions(), folders or DataFolders()
    found = find_text_source(source, options, folders, None)

    def read(path: Path) -> Unsplit:
        scan = _scan(found, options, path)
        scan.require_labels(labels, source)
        return Unsplit(scan.keys, scan.dropped, scan.notes())

    preparation = _preparation(source, found, options, folders)
    return preparation.load_to_score(read, repeats="duplicate text")
