"""What a careful person would look at in pairs of texts before training on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.datasets.common_checks import (
    QUANTILE_NAMES,
    left_out_finding,
    lengths_finding,
    quantile_cells,
)
from pipelines.datasets.findings import Finding, Table
from pipelines.datasets.parallel_alignment import check_alignment
from pipelines.datasets.parallel_options import TextPair
from pipelines.datasets.parallel_text_checks import (
    near_repeats_finding,
    new_characters_finding,
    numbers_finding,
    other_translations_finding,
    pair_leakage_finding,
)
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import Splits
from pipelines.datasets.text_checks import debris_finding, script_finding, unknown_words_finding

SAMPLE_PAIRS = 50_000
SIDES = ("source", "target")
FEW_TEST_PAIRS, FEW_TRAINING_PAIRS = 500, 5_000
UNEVEN_RATIO = 2.0


@dataclass(frozen=True)
class Sample:
    """At most `SAMPLE_PAIRS` pairs of a split, evenly spaced, and its full size."""

    name: str
    rows: Sequence[TextPair]
    total: int


@dataclass(frozen=True)
class _Side:
    """One side of a pair, as checks of single texts take it."""

    text: str


def check_pairs(splits: Splits[TextPair]) -> list[Finding]:
    """Look at sizes, rows left out, lengths, leaks, repeats, numbers, characters and alignment.

    Args:
        splits: as `load_pairs` returns them; of large ones a sample is looked at.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    samples = [_sample(name, rows) for name, rows in splits.named()]
    if splits.extra is not None:
        samples.append(_sample("extra", splits.extra))
    train, test = samples[0], samples[2]
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: _sizes(samples),
        lambda: left_out_finding(splits.card, "pairs", splits.card.notes),
        lambda: pair_leakage_finding(train.rows, test.rows),
        lambda: near_repeats_finding(train.rows, test.rows),
        lambda: _lengths(samples),
        lambda: _length_ratios(samples),
        lambda: check_alignment((row.source, row.target) for row in train.rows),
        lambda: numbers_finding(train.rows),
        lambda: other_translations_finding(train.rows),
    )
    findings = [check() for check in checks]
    for side in SIDES:
        findings.append(new_characters_finding(train.rows, test.rows, side))
        findings += _text_findings(train, test, side)
    return [*findings, _examples(train)]


def _sample(name: str, rows: Rows[TextPair]) -> Sample:
    return Sample(name, list(evenly(rows, SAMPLE_PAIRS)), len(rows))


def _texts(sample: Sample, side: str) -> list[_Side]:
    return [_Side(getattr(row, side)) for row in sample.rows]


def _text_findings(train: Sample, test: Sample, side: str) -> list[Finding]:
    """Look at one side as at any text: its words, its encoding, its scripts."""
    texts = _texts(train, side)
    found = (
        unknown_words_finding(texts, _texts(test, side)),
        debris_finding(texts),
        script_finding(texts),
    )
    return [replace(it, title=f"{it.title}, {side}") for it in found]


def _words(text: str) -> int:
    return len(text.split())


def _sizes(samples: Sequence[Sample]) -> Finding:
    lines = []
    for it in samples:
        documents = len({row.document for row in it.rows if row.document})
        words = (sum(_words(getattr(row, side)) for row in it.rows) for side in SIDES)
        cells = [f"{number:,}" for number in (it.total, len(it.rows), documents, *words)]
        lines.append((it.name, *cells))
    header = ("split", "pairs", "looked at", "documents", "source words", "target words")
    train, test = samples[0].total, samples[2].total
    few = test < FEW_TEST_PAIRS or train < FEW_TRAINING_PAIRS
    detail = f"{train:,} pairs to learn from, {test:,} to be judged on"
    if few:
        detail += (
            f"; under {FEW_TEST_PAIRS:,} test pairs scores are uncertain by several points, and "
            f"under {FEW_TRAINING_PAIRS:,} training pairs little is learned"
        )
    return Finding("warning" if few else "ok", "Sizes", detail, (header, *lines))


def _lengths(samples: Sequence[Sample]) -> Finding:
    lines: list[tuple[str, ...]] = []
    words: dict[str, list[int]] = {}
    for it in samples:
        for side in SIDES:
            texts = [getattr(row, side) for row in it.rows]
            counts = {
                "words": [_words(text) for text in texts],
                "characters": list(map(len, texts)),
            }
            for unit, values in counts.items():
                lines.append((it.name, side, unit, *quantile_cells(values)))
            if side == "source":
                words[it.name] = counts["words"]
    table: Table = (("split", "side", "unit", *QUANTILE_NAMES), *lines)
    return lengths_finding(words["train"], words["test"], table, unit="words a source")


def _length_ratios(samples: Sequence[Sample]) -> Finding:
    """Compare the characters of both sides: pairs far off the rest may not be translations."""
    lines = []
    for it in samples:
        values = np.quantile(_ratios(it.rows) or [1.0], (0.01, 0.05, 0.5, 0.95, 0.99))
        lines.append((it.name, *(f"{value:.2f}" for value in values)))
    ratios = np.array(_ratios(samples[0].rows) or [1.0])
    middle = float(np.median(ratios))
    far = float(np.mean(np.abs(np.log(ratios / middle)) > np.log(UNEVEN_RATIO)))
    detail = (
        f"a target has {middle:.2f} times the characters of its source (median of train); in "
        f"{far:.1%} of the pairs over twice or under half as many"
    )
    if far > 0.05:
        detail += "; so many may be no translations of each other: look at --max-length-ratio"
    table: Table = (("split", "1%", "5%", "50%", "95%", "99%"), *lines)
    return Finding("warning" if far > 0.05 else "ok", "Length ratios", detail, table)


def _ratios(rows: Sequence[TextPair]) -> list[float]:
    return [len(row.target) / len(row.source) for row in rows]


def _examples(train: Sample) -> Finding:
    """Show training pairs, for the eye that no check replaces."""
    order = np.random.default_rng(0).permutation(len(train.rows))[:6].tolist()
    lines = [
        (row.origin, row.source[:100], row.target[:100]) for row in (train.rows[it] for it in order)
    ]
    header = ("where", "source", "target")
    return Finding("ok", "Examples", "do these fit each other?", (header, *lines))
