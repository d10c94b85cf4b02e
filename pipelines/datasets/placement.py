"""Decide which labelled rows are kept and in which split, from their keys alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipelines.datasets.splits import FRACTIONS, IntArray, first_rows, stratified_split
from pipelines.errors import DataError, did_you_mean

TRAIN, VALID, TEST = 0, 1, 2
_NAMES = {VALID: "valid", TEST: "test"}
Keys = npt.NDArray[np.uint64]
Codes = npt.NDArray[np.int32]


@dataclass
class Placement:
    """Row numbers of train, valid and test, and what was left out on the way."""

    rows: tuple[IntArray, IntArray, IntArray]
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def place_rows(
    source: str,
    names: Sequence[str],
    *,
    keys: Keys,
    labels: Codes,
    splits: npt.NDArray[np.int8],
    first_seen: Mapping[tuple[int, int], str],
) -> Placement:
    """Split rows by label and hash, or keep the splits they came with.

    Args:
        source: named in messages.
        names: label of each code.
        keys: `duplicate_key` of each text, uint64[N].
        labels: label code of each row, int32[N].
        splits: -1 none given, 0 train, 1 valid, 2 test, int8[N].
        first_seen: (split, label code) -> file:line of the first such row.

    Raises:
        DataError: valid or test rows have a label that training rows lack, or there are too few
            rows to set some aside.
    """
    given = {split for split in (VALID, TEST) if (splits == split).any()}
    _require_known_labels(names, first_seen)
    kept = {split: np.flatnonzero(splits == split) for split in given}
    train = np.flatnonzero(splits < VALID)
    placement = Placement((train, train, train))
    if given == {VALID, TEST}:
        kept[VALID] = without(kept[VALID], kept[TEST], keys, "valid row also in test", placement)
    for split in sorted(given, reverse=True):
        reason = f"training row also in {_NAMES[split]}"
        train = without(train, kept[split], keys, reason, placement)
        _note_repeats(kept[split], keys, split, placement)
    if len(train) < len(keys):  # for all rows, a copy would only cost memory
        keys, labels = keys[train], labels[train]
    # `stratified_split` leaves out the same rows.
    conflict = "duplicate text with another label"
    count_repeats(keys, labels, placement, repeat="duplicate text", conflict=conflict)
    valid_share, test_share = (0.0 if it in given else FRACTIONS[it] for it in (VALID, TEST))
    fractions = (1.0 - valid_share - test_share, valid_share, test_share)
    drawn = [train[part] for part in stratified_split(labels, keys, fractions)]
    valid, test = (kept.get(split, drawn[split]) for split in (VALID, TEST))
    placement.rows = (drawn[TRAIN], valid, test)
    _require_rows(source, placement, len(np.unique(labels)))
    return placement


def _require_known_labels(names: Sequence[str], first_seen: Mapping[tuple[int, int], str]) -> None:
    known = {names[code] for split, code in first_seen if split < VALID}
    for (split, code), place in first_seen.items():
        if split >= VALID and names[code] not in known:
            raise DataError(
                f"{place}: label {names[code]!r} of the {_NAMES[split]} rows is in no training row"
                f"{did_you_mean(names[code], known)}; training labels: "
                f"{', '.join(sorted(known)[:20])}; mend the label, or add training rows with it"
            )


def without(
    rows: IntArray, others: IntArray, keys: Keys, reason: str, placement: Placement
) -> IntArray:
    """Return the rows whose key is not among those of `others`, counting those left out."""
    shared = np.isin(keys[rows], keys[others])
    if shared.any():
        placement.dropped[reason] = placement.dropped.get(reason, 0) + int(shared.sum())
    return rows[~shared]


def draw_by_key(rows: IntArray, keys: Keys, shares: tuple[float, float, float]) -> list[IntArray]:
    """Deal rows out in the order of their keys; rows of equal key share a split.

    Args:
        rows: row numbers.
        keys: of all rows, uint64[N]; hashes, so that their order is drawn.
        shares: of train, valid and test; a split of share 0 gets none.

    Returns:
        row numbers of train, valid and test, each sorted.
    """
    order = np.argsort(keys[rows], kind="stable")
    ordered = keys[rows][order]
    parts = []
    start = 0
    for share in (shares[TEST], shares[VALID]):
        limit = min(start + round(len(rows) * share), len(rows))
        if limit > start:
            limit = int(np.searchsorted(ordered, ordered[limit - 1], side="right"))
        parts.append(np.sort(rows[order[start:limit]]))
        start = limit
    return [np.sort(rows[order[start:]]), parts[1], parts[0]]


def _note_repeats(rows: IntArray, keys: Keys, split: int, placement: Placement) -> None:
    repeats = len(rows) - len(np.unique(keys[rows]))
    if repeats:
        placement.notes.append(
            f"{repeats:,} repeated text(s) within the given {_NAMES[split]} rows, kept as they are"
        )


def count_repeats(
    keys: Keys, labels: Codes | Keys, placement: Placement, *, repeat: str, conflict: str
) -> IntArray:
    """Return the first row of each key; count the others, by whether they agree with it.

    Args:
        keys: equal for rows that count as one, [N].
        labels: equal for equal labels, [N].
        placement: told of the rows left out.
        repeat: the reason, of rows with the label of the first.
        conflict: the reason, of rows with another label.
    """
    first = first_rows(keys)
    if len(first) == len(keys):
        return first
    is_repeat = np.ones(len(keys), bool)
    is_repeat[first] = False
    ordered = first[np.argsort(keys[first])]
    kept = ordered[np.searchsorted(keys[ordered], keys[is_repeat])]
    conflicts = int((labels[kept] != labels[is_repeat]).sum())
    for reason, count in ((repeat, len(kept) - conflicts), (conflict, conflicts)):
        if count:
            placement.dropped[reason] = count
    return first


def _require_rows(source: str, placement: Placement, train_labels: int) -> None:
    """Refuse a split without rows, and training rows of one label."""
    train, valid, test = (len(rows) for rows in placement.rows)
    if min(train, valid, test) == 0 or train_labels < 2:
        raise DataError(
            f"{source}: too few rows: {train} training rows of {train_labels} label(s), {valid} "
            f"validation and {test} test rows; expected two labels or more and ten different texts "
            "a label; give more rows, or --valid-file and --test-file"
        )
