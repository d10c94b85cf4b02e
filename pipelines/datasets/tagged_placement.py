"""Decide which tagged sentences are kept and in which split, from their keys alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipelines.datasets.placement import (
    TEST,
    TRAIN,
    VALID,
    Keys,
    Placement,
    count_repeats,
    draw_by_key,
    without,
)
from pipelines.datasets.splits import FRACTIONS, SPLIT_NAMES, IntArray, group_split
from pipelines.errors import DataError

FEW_DOCUMENTS = 10  # fewer cannot be dealt out in shares near those wanted
_NAMES = {TRAIN: "training", VALID: "valid", TEST: "test"}


@dataclass(frozen=True)
class SentenceNumbers:
    """What is known of N sentences.

    Args:
        exact: equal for equal words, uint64[N].
        near: equal for words equal but for case, punctuation and links, uint64[N].
        tags: equal for equal tags, uint64[N].
        documents: index into `document_names`, int32[N].
        document_names: "" where unknown.
        splits: -1 none given, 0 train, 1 valid, 2 test, int8[N].
    """

    exact: Keys
    near: Keys
    tags: Keys
    documents: npt.NDArray[np.int32]
    document_names: tuple[str, ...]
    splits: npt.NDArray[np.int8]


def place_sentences(source: str, numbers: SentenceNumbers, seed: int) -> Placement:
    """Draw the splits that were not given, and keep those apart that were.

    Where a split is drawn, each distinct sentence is kept once, and whole documents are dealt out
    if there are ten or more; else sentences are, in an order drawn by hash. Sentences of train that
    stand in valid or test, and of valid that stand in test, to the letter or but for case and
    punctuation, are left out.

    Args:
        source: named in messages.
        numbers: of the sentences.
        seed: another seed draws another split.

    Raises:
        DataError: there are too few sentences to set some aside.
    """
    given = {split for split in (VALID, TEST) if (numbers.splits == split).any()}
    rows = {split: np.flatnonzero(numbers.splits == split) for split in given}
    rows[TRAIN] = np.flatnonzero(numbers.splits < VALID)
    placement = Placement((rows[TRAIN],) * 3)
    _separate(rows, numbers, placement)
    if len(given) < 2:
        rows[TRAIN] = _distinct(rows[TRAIN], numbers, placement)
        shares = [0.0 if split in given else FRACTIONS[split] for split in range(3)]
        shares[TRAIN] = 1.0 - shares[VALID] - shares[TEST]
        drawn = _draw(rows[TRAIN], numbers, (shares[0], shares[1], shares[2]), seed, placement)
        rows |= {split: part for split, part in enumerate(drawn) if split not in given}
        _separate(rows, numbers, placement)
    for split in sorted(given | ({TRAIN} if len(given) == 2 else set())):
        _note_repeats(rows[split], numbers.exact, split, placement)
    placement.rows = (rows[TRAIN], rows[VALID], rows[TEST])
    if min(map(len, placement.rows)) == 0:
        found = ", ".join(
            f"{len(part)} {name}" for name, part in zip(SPLIT_NAMES, placement.rows, strict=True)
        )
        raise DataError(
            f"{source}: too few sentences: {found}; expected at least one each, so ten different "
            "ones where splits are drawn; give more, or --valid-file and --test-file"
        )
    return placement


def _separate(rows: dict[int, IntArray], numbers: SentenceNumbers, placement: Placement) -> None:
    """Take out of each split, in place, what stands in a later one."""
    for split, later in ((VALID, TEST), (TRAIN, TEST), (TRAIN, VALID)):
        if split not in rows or later not in rows:
            continue
        for keys, suffix in (
            (numbers.exact, ""),
            (numbers.near, " but for case, punctuation, names or links"),
        ):
            reason = f"{_NAMES[split]} sentence also in {_NAMES[later]}{suffix}"
            rows[split] = without(rows[split], rows[later], keys, reason, placement)


def _distinct(rows: IntArray, numbers: SentenceNumbers, placement: Placement) -> IntArray:
    """Keep the first of equal sentences; count the others by whether their tags agree."""
    first = count_repeats(
        numbers.exact[rows],
        numbers.tags[rows],
        placement,
        repeat="duplicate sentence",
        conflict="duplicate sentence with other tags",
    )
    return rows[first]


def _draw(
    rows: IntArray,
    numbers: SentenceNumbers,
    shares: tuple[float, float, float],
    seed: int,
    placement: Placement,
) -> list[IntArray]:
    """Deal rows out to train, valid and test; a split of share 0 gets none."""
    codes = numbers.documents[rows]
    documents = np.unique(codes)
    named = all(numbers.document_names[code] for code in documents.tolist())
    if named and len(documents) >= FEW_DOCUMENTS:
        placement.notes.append(f"split by document: {len(documents):,} documents")
        names = [numbers.document_names[code] for code in codes.tolist()]
        return [rows[part] for part in group_split(names, seed, shares)]
    count = len(documents) if named else 0
    placement.notes.append(f"split by sentence: the source names {count or 'no'} document(s)")
    return draw_by_key(rows, numbers.near, shares)


def _note_repeats(rows: IntArray, keys: Keys, split: int, placement: Placement) -> None:
    repeats = len(rows) - len(np.unique(keys[rows]))
    if repeats:
        placement.notes.append(
            f"{repeats:,} repeated sentence(s) within the given {_NAMES[split]} split, kept"
        )
