"""Decide which text pairs are kept and in which split, from their keys alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.datasets.parallel_options import ParallelOptions
from pipelines.datasets.placement import TEST, TRAIN, VALID, Keys, Placement, draw_by_key, without
from pipelines.datasets.splits import SPLIT_NAMES, IntArray, first_rows, group_split
from pipelines.datasets.tagged_placement import FEW_DOCUMENTS
from pipelines.errors import DataError

EXTRA = 3
SPLIT_CODES = {None: -1, "train": TRAIN, "valid": VALID, "test": TEST, "extra": EXTRA}
_NAMES = {TRAIN: "training", VALID: "valid", EXTRA: "extra"}


@dataclass(frozen=True)
class PairNumbers:
    """What is known of N pairs.

    Args:
        pairs: equal for pairs equal to the letter, uint64[N].
        sources: equal for sources equal but for case, punctuation and links, uint64[N].
        targets: the same of targets, uint64[N].
        documents: index into `document_names`, int32[N].
        document_names: "" where unknown.
        splits: values of `SPLIT_CODES`, int8[N].
    """

    pairs: Keys
    sources: Keys
    targets: Keys
    documents: npt.NDArray[np.int32]
    document_names: tuple[str, ...]
    splits: npt.NDArray[np.int8]


@dataclass
class PairPlacement(Placement):
    """Row numbers of train, valid and test, and of further rows to learn from."""

    extra: IntArray | None = None


def place_pairs(source: str, numbers: PairNumbers, options: ParallelOptions) -> PairPlacement:
    """Draw the splits that were not given, and keep apart from them what may be learned from.

    Whole documents are dealt out if ten or more are named, else distinct sources, in an order drawn
    by hash. Equal pairs are kept once within a split that was drawn, and within train. Pairs of
    train whose source or target stands in valid or test, but for case and punctuation, are left
    out; so are such pairs of a drawn valid split that stand in test. Extra pairs are kept if their
    document is one of train, under the same rule.

    Args:
        source: named in messages.
        numbers: of the pairs.
        options: shares, and the seed.

    Raises:
        DataError: there are too few pairs to set some aside.
    """
    given = {split for split in (VALID, TEST) if (numbers.splits == split).any()}
    rows = {split: np.flatnonzero(numbers.splits == split) for split in given}
    rows[TRAIN] = np.flatnonzero(numbers.splits < VALID)
    placement = PairPlacement((rows[TRAIN],) * 3)
    if len(given) < 2:
        rows |= _draw(rows[TRAIN], given, numbers, options, placement)
    for split in range(3):
        if split in given:
            _note_repeats(rows[split], numbers.pairs, split, placement)
        else:
            rows[split] = _distinct(rows[split], numbers, placement)
    held_out = np.concatenate([rows[VALID], rows[TEST]])
    documents = np.setdiff1d(numbers.documents[rows[TRAIN]], numbers.documents[held_out])
    if VALID not in given:
        rows[VALID] = _apart(VALID, rows[VALID], {TEST: rows[TEST]}, numbers, placement)
    later = {split: rows[split] for split in (TEST, VALID)}
    rows[TRAIN] = _apart(TRAIN, rows[TRAIN], later, numbers, placement)
    placement.rows = (rows[TRAIN], rows[VALID], rows[TEST])
    _require_rows(source, placement)
    placement.extra = _extra(documents, later, numbers, placement)
    return placement


def _draw(
    rows: IntArray,
    given: set[int],
    numbers: PairNumbers,
    options: ParallelOptions,
    placement: Placement,
) -> dict[int, IntArray]:
    """Deal rows out to train and to the splits that were not given."""
    valid, test = (
        0.0 if split in given else share
        for split, share in ((VALID, options.valid_share), (TEST, options.test_share))
    )
    shares = (1.0 - valid - test, valid, test)
    codes = numbers.documents[rows]
    documents = np.unique(codes)
    named = all(numbers.document_names[code] for code in documents.tolist())
    if named and len(documents) >= FEW_DOCUMENTS:
        placement.notes.append(f"split by document: {len(documents):,} documents")
        parts = [rows[part] for part in _by_document(codes, numbers, options.seed, shares)]
    else:
        count = f"only {len(documents):,}" if named and len(documents) else "no"
        placement.notes.append(f"split by distinct source: the pairs name {count} document(s)")
        parts = draw_by_key(rows, numbers.sources, shares)
    return {split: part for split, part in enumerate(parts) if split not in given}


def _by_document(
    codes: npt.NDArray[np.int32],
    numbers: PairNumbers,
    seed: int,
    shares: tuple[float, float, float],
) -> list[IntArray]:
    """Deal out whole documents: each counts as one, if none is larger than half a held-out split.

    Counted so, the split depends on the documents' names alone: it is the same for every pair of
    languages, and does not change with what is left out. Else they count by their pairs, and those
    larger than a held-out split are trained on.
    """
    documents, sizes = np.unique(codes, return_counts=True)
    least = min(share for share in shares if share) * len(codes)
    if sizes.max() <= least / 2:
        return _dealt(codes, documents, numbers, seed, shares)
    small = np.flatnonzero(np.isin(codes, documents[sizes <= least]))
    held_out = len(codes) * (1.0 - shares[TRAIN])
    if len(np.unique(codes[small])) < FEW_DOCUMENTS or held_out > len(small) / 2:
        return _dealt(codes, codes, numbers, seed, shares)
    valid, test = (shares[split] * len(codes) / len(small) for split in (VALID, TEST))
    parts = _dealt(codes[small], codes[small], numbers, seed, (1.0 - valid - test, valid, test))
    chosen = [small[part] for part in parts[VALID:]]
    return [np.setdiff1d(np.arange(len(codes)), np.concatenate(chosen)), *chosen]


def _dealt(
    codes: npt.NDArray[np.int32],
    units: npt.NDArray[np.int32],
    numbers: PairNumbers,
    seed: int,
    shares: tuple[float, float, float],
) -> list[IntArray]:
    """Deal out documents by the units that name them: themselves, or each of their pairs."""
    names = [numbers.document_names[code] for code in units.tolist()]
    parts = group_split(names, seed, shares)
    return [np.flatnonzero(np.isin(codes, units[part])) for part in parts]


def _distinct(rows: IntArray, numbers: PairNumbers, placement: Placement) -> IntArray:
    """Keep the first of pairs equal to the letter; count the others."""
    kept = rows[first_rows(numbers.pairs[rows])]
    _count(placement, "duplicate pair", len(rows) - len(kept))
    return kept


def _count(placement: Placement, reason: str, rows: int) -> None:
    if rows:
        placement.dropped[reason] = placement.dropped.get(reason, 0) + rows


def _apart(
    split: int,
    rows: IntArray,
    later: Mapping[int, IntArray],
    numbers: PairNumbers,
    placement: Placement,
) -> IntArray:
    """Leave out the rows of which a side stands in one of the later splits."""
    for name, others in later.items():
        for keys, side in ((numbers.sources, "source"), (numbers.targets, "target")):
            reason = f"{_NAMES[split]} pair whose {side} stands in {SPLIT_NAMES[name]}"
            rows = without(rows, others, keys, reason, placement)
    return rows


def _extra(
    documents: npt.NDArray[np.int32],
    later: Mapping[int, IntArray],
    numbers: PairNumbers,
    placement: Placement,
) -> IntArray | None:
    """Return the extra rows of training documents, of which no side stands in valid or test."""
    rows = np.flatnonzero(numbers.splits == EXTRA)
    if not len(rows):
        return None
    kept = rows[np.isin(numbers.documents[rows], documents)]
    _count(placement, "extra pair of a document of valid or test", len(rows) - len(kept))
    return _apart(EXTRA, _distinct(kept, numbers, placement), later, numbers, placement)


def _require_rows(source: str, placement: Placement) -> None:
    """Refuse a split without pairs."""
    if min(map(len, placement.rows)):
        return
    counts = zip(SPLIT_NAMES, placement.rows, strict=True)
    found = ", ".join(f"{len(part)} {name}" for name, part in counts)
    raise DataError(
        f"{source}: too few pairs: {found} (left out: {placement.dropped or 'none'}); expected at "
        "least one each; give more, larger --valid-share and --test-share, or --valid-file and "
        "--test-file"
    )


def _note_repeats(rows: IntArray, keys: Keys, split: int, placement: Placement) -> None:
    repeats = len(rows) - len(np.unique(keys[rows]))
    if repeats:
        placement.notes.append(
            f"{repeats:,} repeated pair(s) within the given {SPLIT_NAMES[split]} split, kept"
        )
