"""Checks of the characters of running text: which there are, which are new, which are no text."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable

from pipelines.datasets.document_options import Document
from pipelines.datasets.findings import Finding

Characters = Counter[str]
MANY_NEW = 1e-3
_PLAIN = "\n\t"
_SHOWN = 10
_ODD = {
    "Cc": "control character",
    "Cn": "not assigned",
    "Co": "private use",
    "Cf": "invisible formatting",
}


def count_characters(rows: Iterable[Document]) -> Characters:
    """Count every character of some documents."""
    counts: Characters = Counter()
    for row in rows:
        counts.update(row.text)
    return counts


def new_characters_finding(train: Characters, other: Characters, name: str) -> Finding:
    """Report the characters of a split that no training text has: no model can write them.

    Args:
        train: counts of the training split.
        other: counts of the split.
        name: of the split.
    """
    title = f"New characters, {name}"
    new = Counter({char: count for char, count in other.items() if char not in train})
    if not new:
        return Finding("ok", title, f"every {name} character is among the {len(train):,} of train")
    share = new.total() / other.total()
    detail = (
        f"{len(new):,} character(s), {new.total():,} times ({share:.4%} of {name}), are in no "
        f"training text: {', '.join(map(_shown, _most(new)))}"
    )
    if share > MANY_NEW:
        detail += "; each costs a model 20 bits and more: consider --level byte"
    return Finding("warning" if share > MANY_NEW else "note", title, detail)


def _most(counts: Characters) -> list[str]:
    return [char for char, _ in counts.most_common(_SHOWN)]


def _shown(char: str) -> str:
    return f"{char!r} (U+{ord(char):04X})"


def control_finding(rows: Iterable[Document], counts: Characters) -> Finding:
    """Report control characters, and what a wrong encoding leaves, with the first place of each.

    Args:
        rows: the documents counted.
        counts: of their characters.
    """
    odd = {char: kind for char in counts if (kind := _odd_kind(char))}
    title = "Control characters"
    if not odd:
        return Finding("ok", title, "none but line feeds and tabs")
    places = _first_places(rows, set(odd))
    total = sum(counts[char] for char in odd)
    lines = [
        (_shown(char), odd[char], f"{counts[char]:,}", places.get(char, ""))
        for char in sorted(odd, key=lambda char: -counts[char])[:_SHOWN]
    ]
    share = total / counts.total()
    detail = (
        f"{len(odd):,} different, {total:,} times ({share:.4%} of train): a model learns to write "
        "them"
    )
    grave = share > MANY_NEW or "\ufffd" in odd
    if grave:
        detail += "; were the files damaged, or read in a wrong encoding?"
    table = (("character", "kind", "times", "first"), *lines)
    return Finding("warning" if grave else "note", title, detail, table)


def _odd_kind(char: str) -> str:
    if char == "\ufffd":
        return "stands for an undecodable byte"
    return "" if char in _PLAIN else _ODD.get(unicodedata.category(char), "")


def _first_places(rows: Iterable[Document], wanted: set[str]) -> dict[str, str]:
    """Return the document and line in which each character is first."""
    places: dict[str, str] = {}
    for row in rows:
        for char in [char for char in wanted - places.keys() if char in row.text]:
            line = row.text.count("\n", 0, row.text.index(char)) + 1
            places[char] = f"{row.name}, line {line:,}"
        if len(places) == len(wanted):
            break
    return places
