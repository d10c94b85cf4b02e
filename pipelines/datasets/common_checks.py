"""Checks that do not depend on what an example is: labels, lengths, repeats, rows left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pipelines.datasets.findings import Finding, Table
from pipelines.datasets.splits import SPLIT_NAMES, DataCard

_QUANTILES = (0.0, 0.05, 0.5, 0.95, 0.99, 1.0)
QUANTILE_NAMES = tuple(f"{quantile:.0%}" for quantile in _QUANTILES)


def half_width(share: float, count: int) -> float:
    """Return half the width of a 95 % interval of a share seen in `count` independent trials."""
    return float(1.96 * (share * (1 - share) / max(count, 1)) ** 0.5)


def label_table(counts: Mapping[str, Mapping[str, int]], name: str, most: int) -> Table:
    """List the most frequent training labels with their count in each split.

    Args:
        counts: split -> label -> count.
        name: what a label is called in the header.
        most: labels to show.
    """
    train = counts["train"]
    total = sum(train.values()) or 1
    lines = (
        (
            label,
            *(f"{counts[split].get(label, 0):,}" for split in SPLIT_NAMES),
            f"{train[label] / total:.1%}",
        )
        for label in sorted(train, key=lambda label: -train[label])[:most]
    )
    return ((name, *SPLIT_NAMES, "share of train"), *lines)


def spelling_finding(labels: Iterable[str], name: str, *, meaningful: str = "") -> Finding:
    """Report labels that are equal but for case and signs.

    Args:
        labels: all different labels.
        name: what a label is called: "label", "tag".
        meaningful: signs that tell labels apart.
    """
    spellings: dict[str, list[str]] = {}
    for label in labels:
        folded = label.casefold()
        key = "".join(char for char in folded if char.isalnum() or char in meaningful) or label
        spellings.setdefault(key, []).append(label)
    twins = [" = ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
    title = f"{name.capitalize()} spelling"
    if twins:
        detail = f"{name}s that differ in spelling only: {'; '.join(twins[:5])}; make them one"
        return Finding("warning", title, detail)
    return Finding("ok", title, f"no two {name}s differ in spelling only")


def left_out_finding(
    card: DataCard, unit: str, notes: Sequence[str], *, conflict: str = "", meaning: str = ""
) -> Finding:
    """Report how many rows reading left out, and why.

    Args:
        card: of the data.
        unit: what a row is called: "rows", "sentences".
        notes: further things to say.
        conflict: the reason under which repeats with another label are counted.
        meaning: what such repeats do, after their number.
    """
    dropped, kept = sum(card.dropped.values()), sum(card.counts.values())
    if not dropped:
        return Finding("ok", f"{unit.capitalize()} left out", "; ".join(["none", *notes]))
    share = dropped / (dropped + kept)
    conflicts = card.dropped.get(conflict, 0)
    detail = f"{dropped:,} of {dropped + kept:,} {unit} ({share:.1%})"
    if conflicts:
        detail += f"; {conflicts:,} {meaning}"
    lines = [(reason, f"{count:,}") for reason, count in card.dropped.items()]
    warn = share > 0.2 or conflicts > 0.01 * (dropped + kept)
    return Finding(
        "warning" if warn else "note",
        f"{unit.capitalize()} left out",
        "; ".join([detail, *notes]),
        (("reason", unit), *lines),
    )


def leakage_finding(unit: str, *, alike: int, equal: int, looked: str, first: str) -> Finding:
    """Report test rows that are also training rows.

    Args:
        unit: what a row is called: "texts", "sentences".
        alike: test rows that repeat a training row but for case and punctuation.
        equal: those that do to the letter.
        looked: what was looked at.
        first: where the first of them is.
    """
    detail = (
        f"{alike:,} test {unit} are also training {unit} ({equal:,} to the letter), among "
        f"{looked}; the first is {first}; leave them out of train, or scores will be too high"
    )
    return Finding("error", "Leakage", detail)


def quantile_cells(lengths: Sequence[int]) -> tuple[str, ...]:
    """Return the quantiles of `QUANTILE_NAMES` as text; of no lengths, zeros."""
    values = np.quantile(lengths or [0], _QUANTILES, method="nearest")
    return tuple(f"{int(value):,}" for value in values)


def lengths_finding(
    train: Sequence[int], test: Sequence[int], table: Table, *, unit: str
) -> Finding:
    """Compare the median length of training and test rows.

    Args:
        train: length of each training row.
        test: length of each test row.
        table: to show.
        unit: of the lengths, such as "words".
    """
    medians = [float(np.median(lengths or [0])) for lengths in (train, test)]
    detail = f"median {medians[0]:g} {unit} in train, {medians[1]:g} in test"
    differ = max(medians) > 1.5 * max(min(medians), 1)
    if differ:
        detail += "; the splits differ: they may not come from the same source"
    return Finding("warning" if differ else "ok", "Lengths", detail, table)
