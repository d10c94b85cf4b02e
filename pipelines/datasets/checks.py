"""What a careful person would look at in labelled text before training on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.common_checks import (
    QUANTILE_NAMES,
    half_width,
    label_table,
    leakage_finding,
    left_out_finding,
    lengths_finding,
    quantile_cells,
    spelling_finding,
)
from pipelines.datasets.findings import Finding, Level, Table
from pipelines.datasets.label_scan import LONG_TEXT_CHARACTERS, LabelledText
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits, duplicate_key
from pipelines.datasets.text_checks import (
    debris_finding,
    revealing_tokens_finding,
    script_finding,
    short_texts_finding,
    unknown_words_finding,
)

SAMPLE_ROWS = 200_000
FEW_ROWS_A_LABEL = 20


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
        # Labels such as "A+" and "A-" differ in their sign alone.
        lambda: spelling_finding(counts["train"], "label", meaningful="+-"),
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
    margin = half_width(0.8, test)  # 0.8 is the usual place of an accuracy
    detail = f"on {test:,} test rows an accuracy near 0.8 is known to within ±{margin:.3f}"
    few = test < 200 or samples[0].total < 500
    return Finding("warning" if few else "ok", "Sizes", detail, table)


def _labels(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    train = counts["train"]
    total = sum(train.values()) or 1
    first = max(train, key=train.__getitem__)
    largest, smallest = train[first], min(train.values())
    ratio = largest / max(smallest, 1)
    detail = (
        f"{len(train)} labels; the largest has {ratio:.1f} times the rows of the smallest; always "
        f"answering {first!r} is right in {largest / total:.1%} of the training rows"
    )
    level: Level = "warning" if ratio > 10 else "note" if ratio > 3 else "ok"
    return Finding(level, "Labels", detail, label_table(counts, "label", most=30))


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


def _left_out(card: DataCard) -> Finding:
    if not any(card.dropped.values()):
        notes = "; ".join(card.notes)
        return Finding("note" if notes else "ok", "Rows left out", notes or "none")
    return left_out_finding(
        card,
        "rows",
        card.notes,
        conflict="duplicate text with another label",
        meaning="repeat a text under another label, so people disagree there",
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
    alike = int(near.sum())
    return leakage_finding("texts", alike=alike, equal=same, looked=looked, first=first)


def _keys(rows: Sequence[LabelledText]) -> np.ndarray:
    return np.fromiter((duplicate_key(row.text, 0) for row in rows), np.uint64, len(rows))


def _lengths(samples: Sequence[Sample]) -> Finding:
    words = {it.name: [len(row.text.split()) for row in it.rows] for it in samples}
    lines = []
    for it in samples:
        characters = [len(row.text) for row in it.rows]
        lines.append((it.name, "words", *quantile_cells(words[it.name])))
        lines.append((it.name, "characters", *quantile_cells(characters)))
    table = (("split", "unit", *QUANTILE_NAMES), *lines)
    return lengths_finding(words["train"], words["test"], table, unit="words")


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
