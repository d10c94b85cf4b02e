"""What a careful person would look at in labelled text before training on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.findings import Finding, Level, Table
from pipelines.datasets.label_scan import LONG_TEXT_CHARACTERS, LabelledText
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import SPLIT_NAMES, DataCard, Splits, duplicate_key
from pipelines.datasets.text_checks import (
    debris_finding,
    revealing_tokens_finding,
    script_finding,
    short_texts_finding,
    unknown_words_finding,
)

SAMPLE_ROWS = 200_000
FEW_ROWS_A_LABEL = 20
QUANTILES = (0.0, 0.05, 0.5, 0.95, 0.99, 1.0)


@dataclass(frozen=True)
class Sample:
    """At most `SAMPLE_ROWS` rows of each split, with their numbers in it and its full size."""

    name: str
    rows: Sequence[LabelledText]
    numbers: Sequence[int]
    total: int

    def where(self, index: int) -> str:
        """Name a row for the user: split and row number from 1."""
        return f"{self.name} row {self.numbers[index] + 1:,}"


def check_labelled_text(
    splits: Splits[LabelledText], *, sample_rows: int = SAMPLE_ROWS, seed: int = 17
) -> list[Finding]:
    """Look at sizes, labels, repeats, leakage, lengths, words, encoding and telltale tokens.

    Args:
        splits: as `load_labelled_text` returns them.
        sample_rows: of larger splits, a random sample of so many rows is looked at.
        seed: draws that sample.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    samples = [_sample(name, rows, sample_rows, seed) for name, rows in splits.named()]
    train, _, test = samples
    counts = splits.card.label_counts or _count_labels(samples)
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: _sizes(samples),
        lambda: _labels(counts),
        lambda: _missing_labels(counts),
        lambda: _label_spelling(counts),
        lambda: _left_out(splits.card),
        lambda: _leakage(samples),
        lambda: _lengths(samples),
        lambda: _absurd_lengths(samples),
        lambda: short_texts_finding(train.rows),
        lambda: unknown_words_finding(train.rows, test.rows),
        lambda: debris_finding(train.rows),
        lambda: script_finding(train.rows),
        lambda: revealing_tokens_finding(train.rows),
        lambda: _examples(train),
    )
    return [check() for check in checks]


def _sample(name: str, rows: Rows[LabelledText], size: int, seed: int) -> Sample:
    if len(rows) <= size:
        return Sample(name, list(rows), range(len(rows)), len(rows))
    numbers = np.sort(np.random.default_rng(seed).choice(len(rows), size, replace=False))
    return Sample(name, list(rows.select(numbers)), numbers.tolist(), len(rows))


def _count_labels(samples: Sequence[Sample]) -> dict[str, dict[str, int]]:
    labels = sorted({row.label for sample in samples for row in sample.rows})
    counts = {sample.name: dict.fromkeys(labels, 0) for sample in samples}
    for sample in samples:
        for row in sample.rows:
            counts[sample.name][row.label] += 1
    return counts


def _sizes(samples: Sequence[Sample]) -> Finding:
    total = sum(sample.total for sample in samples) or 1
    table: Table = (
        ("split", "rows", "share", "rows looked at"),
        *(
            (it.name, f"{it.total:,}", f"{it.total / total:.1%}", f"{len(it.rows):,}")
            for it in samples
        ),
    )
    test = samples[2].total
    # Half the width of a 95 % interval of a share near 0.8, the usual place of an accuracy.
    margin = 1.96 * (0.8 * 0.2 / max(test, 1)) ** 0.5
    detail = f"on {test:,} test rows an accuracy near 0.8 is known to within ±{margin:.3f}"
    few = test < 200 or samples[0].total < 500
    return Finding("warning" if few else "ok", "Sizes", detail, table)


def _labels(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    train = counts["train"]
    shown = sorted(train, key=lambda label: -train[label])[:30]
    total = sum(train.values()) or 1
    table: Table = (
        ("label", *SPLIT_NAMES, "share of train"),
        *(
            (
                label,
                *(f"{counts[split].get(label, 0):,}" for split in SPLIT_NAMES),
                f"{train[label] / total:.1%}",
            )
            for label in shown
        ),
    )
    largest, smallest = max(train.values()), min(train.values())
    ratio = largest / max(smallest, 1)
    detail = (
        f"{len(train)} labels; the largest has {ratio:.1f} times the rows of the smallest; always "
        f"answering {shown[0]!r} is right in {largest / total:.1%} of the training rows"
    )
    level: Level = "warning" if ratio > 10 else "note" if ratio > 3 else "ok"
    return Finding(level, "Labels", detail, table)


def _missing_labels(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    absent = [
        f"{label!r} in {split}"
        for split, labels in counts.items()
        for label, count in labels.items()
        if count == 0
    ]
    rare = [
        f"{label!r} ({count})"
        for label, count in counts["train"].items()
        if 0 < count < FEW_ROWS_A_LABEL
    ]
    if not absent and not rare:
        return Finding("ok", "Labels in every split", "every label is in train, valid and test")
    parts = [f"no rows of {', '.join(absent[:10])}"] if absent else []
    if rare:
        parts.append(f"fewer than {FEW_ROWS_A_LABEL} training rows of {', '.join(rare[:10])}")
    advice = "scores of these labels mean little: add rows, or merge labels"
    return Finding("warning", "Labels in every split", f"{'; '.join(parts)}; {advice}")


def _label_spelling(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    spellings: dict[str, list[str]] = {}
    for label in counts["train"]:
        key = "".join(char for char in label.casefold() if char.isalnum() or char in "+-") or label
        spellings.setdefault(key, []).append(label)
    twins = [" = ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
    if twins:
        detail = f"labels that differ in spelling only: {'; '.join(twins[:5])}; make them one"
        return Finding("warning", "Label spelling", detail)
    return Finding("ok", "Label spelling", "no two labels differ in spelling only")


def _left_out(card: DataCard) -> Finding:
    dropped, kept = sum(card.dropped.values()), sum(card.counts.values())
    notes = "; ".join(card.notes)
    if not dropped:
        return Finding("note" if notes else "ok", "Rows left out", notes or "none")
    lines = [(reason, f"{count:,}") for reason, count in card.dropped.items()]
    conflicts = card.dropped.get("duplicate text with another label", 0)
    share = dropped / (dropped + kept)
    detail = f"{dropped:,} of {dropped + kept:,} rows ({share:.1%})"
    if conflicts:
        detail += f"; {conflicts:,} repeat a text under another label, so people disagree there"
    warn = share > 0.2 or conflicts > 0.01 * (dropped + kept)
    return Finding(
        "warning" if warn else "note",
        "Rows left out",
        "; ".join(filter(None, (detail, notes))),
        (("reason", "rows"), *lines),
    )


def _leakage(samples: Sequence[Sample]) -> Finding:
    """Count test rows whose text, exactly or but for case and punctuation, is a training text."""
    train, _, test = samples
    seen = np.unique(_keys(train.rows))
    exact = {hash(row.text) for row in train.rows}
    near = np.isin(_keys(test.rows), seen)
    same = sum(hash(row.text) in exact for row in test.rows)
    looked = f"{len(train.rows):,} training and {len(test.rows):,} test rows"
    if not near.any():
        return Finding("ok", "Leakage", f"no test text among the training texts ({looked})")
    first = test.where(int(near.argmax()))
    detail = (
        f"{int(near.sum()):,} test texts are also training texts ({same:,} to the letter), among "
        f"{looked}; the first is {first}; leave them out of train, or scores will be too high"
    )
    return Finding("error", "Leakage", detail)


def _keys(rows: Sequence[LabelledText]) -> np.ndarray:
    return np.fromiter((duplicate_key(row.text, 0) for row in rows), np.uint64, len(rows))


def _lengths(samples: Sequence[Sample]) -> Finding:
    header = ("split", "unit", *(f"{quantile:.0%}" for quantile in QUANTILES))
    lines = []
    medians = {}
    for sample in samples:
        for unit, measure in (("words", _word_count), ("characters", _character_count)):
            found = np.array([measure(row) for row in sample.rows] or [0])
            values = np.quantile(found, QUANTILES, method="nearest")
            lines.append((sample.name, unit, *(f"{int(value):,}" for value in values)))
            medians[sample.name, unit] = float(np.median(found))
    train, test = medians["train", "words"], medians["test", "words"]
    detail = f"median {train:g} words in train, {test:g} in test"
    differ = max(train, test) > 1.5 * max(min(train, test), 1)
    if differ:
        detail += "; the splits differ: they may not come from the same source"
    return Finding("warning" if differ else "ok", "Lengths", detail, (header, *lines))


def _word_count(row: LabelledText) -> int:
    return len(row.text.split())


def _character_count(row: LabelledText) -> int:
    return len(row.text)


def _absurd_lengths(samples: Sequence[Sample]) -> Finding:
    """List texts that are both long and far from all others: often several rows run together."""
    found = []
    for sample in samples:
        lengths = np.array([len(row.text) for row in sample.rows] or [0])
        limit = min(max(10 * np.quantile(lengths, 0.99), 2000), LONG_TEXT_CHARACTERS)
        found += [
            (sample.where(index), f"{lengths[index]:,}", sample.rows[index].text[:60])
            for index in np.flatnonzero(lengths > limit).tolist()
        ]
    if not found:
        return Finding("ok", "Absurd lengths", "no text is far longer than the others")
    detail = f"{len(found):,} text(s) far longer than the others; did a lost quote join rows?"
    table: Table = (("where", "characters", "begins"), *found[:10])
    return Finding("warning", "Absurd lengths", detail, table)


def _examples(train: Sample) -> Finding:
    """Show two random training rows of each label, for the eye that no check replaces."""
    order = np.random.default_rng(0).permutation(len(train.rows))
    shown: dict[str, list[str]] = {}
    for index in order.tolist():
        row = train.rows[index]
        texts = shown.setdefault(row.label, [])
        if len(texts) < 2:
            texts.append(" ".join(row.text.split())[:120])
    lines = [(label, text) for label in sorted(shown)[:10] for text in shown[label]]
    return Finding("ok", "Examples", "do these labels look right?", (("label", "text"), *lines))
