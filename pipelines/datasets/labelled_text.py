"""Labelled text from any source: counted, de-duplicated, split, and cached on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.datasets.label_scan import LabelledText, LabelScan
from pipelines.datasets.labelled_rows import LabelledTextOptions
from pipelines.datasets.labelled_sources import TextSource, find_text_source
from pipelines.datasets.package_index import Progress
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import SPLIT_NAMES, DataCard, Splits, first_rows
from pipelines.datasets.storage import DataFolders, new_folder
from pipelines.errors import DataError

READER_VERSION = 1  # raise it when the same files would give other rows
__all__ = ["LabelledText", "LabelledTextOptions", "load_labelled_text", "load_rows_to_score"]
_log = logging.getLogger(__name__)


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
    fingerprint = _fingerprint(found, options)
    folder = folders.cache / f"{found.name[:60]}-{fingerprint}"
    splits = _from_cache(folder)
    if splits is None:
        with new_folder(folder) as partial:
            _prepare(found, options, source, fingerprint, partial)
        splits = _from_cache(folder)
    if splits is None:
        raise DataError(f"{folder}: prepared rows cannot be read back; delete the folder")
    card = dataclasses.replace(splits.card, source=source, files=dict(found.files))
    return dataclasses.replace(splits, card=card)


def _fingerprint(found: TextSource, options: LabelledTextOptions) -> str:
    """Hash what the rows depend on: reader, options, seed and contents, but not the file's path."""
    settings = dataclasses.replace(options, valid_file="", test_file="")
    identity = [READER_VERSION, dataclasses.asdict(settings), found.layout, [*found.files.values()]]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


def _from_cache(folder: Path) -> Splits[LabelledText] | None:
    """Return prepared rows; None if there are none, or they are damaged."""
    try:
        card = DataCard.from_json(json.loads((folder / "card.json").read_text(encoding="utf-8")))
        with np.load(folder / "splits.npz") as stored:
            train, valid, test = (
                Rows(LabelledText, folder / "rows.arrow", stored[name]) for name in SPLIT_NAMES
            )
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowInvalid):
        return None
    return Splits(train, valid, test, card)


def _prepare(
    found: TextSource,
    options: LabelledTextOptions,
    source: str,
    fingerprint: str,
    folder: Path,
) -> None:
    """Write rows.arrow, splits.npz and card.json into `folder`."""
    scan = LabelScan()
    raw_rows = itertools.chain.from_iterable(stream() for stream in found.streams)
    Rows.of(LabelledText, scan.examples(raw_rows, options.seed), folder / "rows.arrow")
    placement = scan.placement(source)
    train, valid, test = placement.rows
    np.savez(folder / "splits.npz", train=train, valid=valid, test=test)
    card = _card(
        found,
        source,
        fingerprint,
        counts={name: len(rows) for name, rows in zip(SPLIT_NAMES, placement.rows, strict=True)},
        label_counts=scan.label_counts(placement),
        dropped=dict(sorted({**scan.dropped, **placement.dropped}.items())),
        notes=(*found.notes, *scan.notes(), *placement.notes),
    )
    (folder / "card.json").write_text(
        json.dumps(card.to_json(), indent=1, ensure_ascii=False), encoding="utf-8"
    )
    _log.info("read %s: %s; left out: %s", source, dict(card.counts), dict(card.dropped) or "none")


def _card(found: TextSource, source: str, fingerprint: str, **counted: Any) -> DataCard:
    """Say where rows come from, and what was counted while reading them."""
    return DataCard(
        source=source,
        licence=found.licence,
        citation=found.citation,
        language=found.language,
        files=dict(found.files),
        fingerprint=fingerprint,
        **counted,
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
    scan = LabelScan()
    raw_rows = itertools.chain.from_iterable(stream() for stream in found.streams)
    fingerprint = _fingerprint(found, options)
    folder = folders.cache / f"{found.name[:60]}-to-score-{fingerprint}"
    with new_folder(folder) as partial:
        examples = scan.examples(raw_rows, options.seed)
        Rows.of(LabelledText, examples, partial / "rows.arrow")
        scan.require_labels(labels, source)
    rows = Rows(LabelledText, folder / "rows.arrow")
    distinct = first_rows(scan.keys)
    repeats = {"duplicate text": len(rows) - len(distinct)} if len(distinct) < len(rows) else {}
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
