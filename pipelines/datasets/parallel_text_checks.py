"""Checks of the texts of pairs: repeats between splits, numbers, characters, other translations."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from pipelines.datasets.common_checks import leakage_finding
from pipelines.datasets.findings import Finding, Level
from pipelines.datasets.parallel_options import TextPair
from pipelines.datasets.splits import duplicate_key, normalise_for_duplicates

SHINGLE_WORDS = 5
MANY_NEAR_REPEATS = 0.1
_NUMBER = re.compile(r"\d+")


def pair_leakage_finding(train: Sequence[TextPair], test: Sequence[TextPair]) -> Finding:
    """Report test pairs whose source is a training source too, and documents in both splits."""
    exact = {row.source for row in train}
    near = {duplicate_key(row.source, 0) for row in train}
    alike = [row for row in test if duplicate_key(row.source, 0) in near]
    looked = f"{len(train):,} training and {len(test):,} test pairs"
    if alike:
        same = sum(row.source in exact for row in alike)
        first = alike[0].origin
        return leakage_finding("sources", alike=len(alike), equal=same, looked=looked, first=first)
    shared = {row.document for row in train if row.document} & {row.document for row in test}
    detail = f"no test source among the training ones ({looked})"
    if not shared:
        return Finding("ok", "Leakage", f"{detail}, and no document in both")
    return Finding(
        "note",
        "Leakage",
        f"{detail}; {len(shared):,} document(s) are in both, such as {min(shared)!r}",
    )


def near_repeats_finding(train: Sequence[TextPair], test: Sequence[TextPair]) -> Finding:
    """Report the share of test sources that are, for half or more, pieces of training sources.

    A piece is five words in a row; a shorter text is one piece.
    """
    known = np.unique(np.frombuffer(_all_shingles(train), np.int64))
    repeats: list[tuple[float, TextPair]] = []
    for row in test:
        pieces = np.fromiter(_shingles(row.source), np.int64)
        places = np.searchsorted(known, pieces).clip(max=max(len(known) - 1, 0))
        share = float((known[places] == pieces).mean()) if len(known) and len(pieces) else 0.0
        if share >= 0.5:
            repeats.append((share, row))
    part = len(repeats) / max(len(test), 1)
    detail = (
        f"{len(repeats):,} of {len(test):,} test sources ({part:.1%}) are for half or more made of "
        f"runs of {SHINGLE_WORDS} words that stand in training sources"
    )
    level: Level = "ok"
    if part > MANY_NEAR_REPEATS:
        level = "note"
        detail += "; a translation memory will do well here: compare with it"
    repeats.sort(key=lambda it: -it[0])
    lines = [(f"{share:.0%}", row.origin, row.source[:80]) for share, row in repeats[:5]]
    table = (("known", "where", "source"), *lines) if lines else ()
    return Finding(level, "Near-repeats", detail, table)


def _all_shingles(rows: Sequence[TextPair]) -> array[int]:
    found: array[int] = array("q")
    for row in rows:
        found.extend(_shingles(row.source))
    return found


def _shingles(text: str) -> Iterator[int]:
    """Yield a number for each run of five words; equal only within one process."""
    words = normalise_for_duplicates(text).split()
    if not words:
        return
    for start in range(max(len(words) - SHINGLE_WORDS, 0) + 1):
        yield hash(tuple(words[start : start + SHINGLE_WORDS]))


def new_characters_finding(
    train: Sequence[TextPair], test: Sequence[TextPair], side: str
) -> Finding:
    """Report the characters of one side of test that no training pair has on that side.

    Args:
        train: pairs to learn from.
        test: pairs to be judged on.
        side: "source" or "target".
    """
    known = set().union(*(set(getattr(row, side)) for row in train))
    new: Counter[str] = Counter()
    texts = 0
    for row in test:
        found = set(getattr(row, side)) - known
        new.update(found)
        texts += bool(found)
    title = f"Characters, {side}"
    if not new:
        return Finding("ok", title, f"every test character is among the {len(known):,} of train")
    shown = ", ".join(f"{char!r} (U+{ord(char):04X})" for char, _ in new.most_common(10))
    share = texts / max(len(test), 1)
    detail = (
        f"{len(new):,} character(s) of {texts:,} test texts ({share:.1%}) are in no training text: "
        f"{shown}"
    )
    return Finding("warning" if share > 0.01 else "note", title, detail)


def numbers_finding(rows: Sequence[TextPair]) -> Finding:
    """Report pairs whose sides hold different numbers, often a sign of pairs that do not fit."""
    with_numbers = different = 0
    lines: list[tuple[str, str, str]] = []
    for row in rows:
        source, target = _NUMBER.findall(row.source), _NUMBER.findall(row.target)
        if not source and not target:
            continue
        with_numbers += 1
        if sorted(source) != sorted(target):
            different += 1
            if len(lines) < 5:
                lines.append((row.origin, " ".join(source)[:40], " ".join(target)[:40]))
    if not with_numbers:
        return Finding("ok", "Numbers", "no pair holds a number in digits")
    share = different / with_numbers
    detail = (
        f"{different:,} of {with_numbers:,} training pairs with digits ({share:.1%}) hold other "
        "numbers on one side than on the other"
    )
    few = with_numbers < 0.01 * len(rows)
    level: Level = "ok" if not different else "note" if share < 0.2 or few else "warning"
    table = (("where", "source", "target"), *lines) if lines else ()
    return Finding(level, "Numbers", detail, table)


def other_translations_finding(rows: Sequence[TextPair]) -> Finding:
    """Report sources that are translated in several ways, which no model can all get right."""
    targets: dict[str, set[str]] = {}
    for row in rows:
        targets.setdefault(row.source, set()).add(row.target)
    several = {source: found for source, found in targets.items() if len(found) > 1}
    title = "Several translations"
    if not several:
        return Finding("ok", title, "no training source has two different targets")
    most = max(several, key=lambda source: len(several[source]))
    detail = (
        f"{len(several):,} of {len(targets):,} different training sources have more than one "
        f"target; most, {len(several[most]):,}, has {most[:60]!r}"
    )
    return Finding("note", title, detail)
