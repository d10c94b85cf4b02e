"""What a careful person would look at in running text before training on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pipelines.datasets.common_checks import left_out_finding
from pipelines.datasets.document_character_checks import (
    Characters,
    control_finding,
    count_characters,
    new_characters_finding,
)
from pipelines.datasets.document_options import Document
from pipelines.datasets.document_passages import RUN, known_shares
from pipelines.datasets.findings import Finding, Level, Table
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits

SAMPLE_CHARACTERS = 20_000_000  # of a split; some ten seconds of looking
FEW_TRAINING, FEW_TEST = 100_000, 20_000
LONG_LINE = 1_000
MINIFIED_LINE = 200  # a mean line this long is no one's typing
FEW_BLANKS = 0.08
MANY_KNOWN = 0.1
MANY_PACKED = 0.02
_SPREAD = ("shortest", "median", "longest")
_QUANTILES = (0.5, 0.99, 1.0)


@dataclass(frozen=True)
class Sample:
    """Documents of a split, evenly spaced, up to so many characters, and how many there are."""

    name: str
    rows: Sequence[Document]
    total: int


def check_documents(splits: Splits[Document]) -> list[Finding]:
    """Look at sizes, texts left out, characters, lines, passages in two splits, and odd files.

    Args:
        splits: as `load_documents` returns them; of a large training split a sample is looked at.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    samples = [_sample(name, rows) for name, rows in splits.named()]
    train, valid, test = samples
    counts = {it.name: count_characters(it.rows) for it in samples}
    return [
        _sizes(samples, counts),
        left_out_finding(splits.card, "documents", splits.card.notes),
        *(_known(it, train) for it in (test, valid)),
        *(
            new_characters_finding(counts["train"], counts[it.name], it.name)
            for it in (test, valid)
        ),
        control_finding(train.rows, counts["train"]),
        _lines(samples),
        _minified(train),
        _examples(train),
    ]


def _sample(name: str, rows: Rows[Document]) -> Sample:
    """Take every document, or every n-th if there are more characters than are looked at."""
    characters = sum(len(row.text) for row in rows)
    step = max(1, -(-characters // SAMPLE_CHARACTERS))
    looked: Sequence[Document] = rows
    if step > 1:
        few = rows.select(np.arange(0, len(rows), step))
        looked = [replace(row, text=row.text[:SAMPLE_CHARACTERS]) for row in few]
    return Sample(name, looked, len(rows))


def _sizes(samples: Sequence[Sample], counts: Mapping[str, Characters]) -> Finding:
    lines = []
    for it in samples:
        lengths = [len(row.text) for row in it.rows] or [0]
        numbers = (it.total, len(lengths), sum(lengths), len(counts[it.name]))
        spread = (min(lengths), int(np.median(lengths)), max(lengths))
        lines.append((it.name, *(f"{number:,}" for number in (*numbers, *spread))))
    header = ("split", "documents", "looked at", "characters", "different", *_SPREAD)
    train, test = counts["train"].total(), counts["test"].total()
    few = train < FEW_TRAINING or test < FEW_TEST
    detail = (
        f"{train:,} characters to learn from, {len(counts['train']):,} different; {test:,} to be "
        "judged on"
    )
    if few:
        detail += (
            f"; under {FEW_TRAINING:,} training characters little more than words is learned, and "
            f"under {FEW_TEST:,} test characters scores are uncertain"
        )
    return Finding("warning" if few else "ok", "Sizes", detail, (header, *lines))


def _known(sample: Sample, train: Sample) -> Finding:
    """Report how much of a split stands, to the letter, in training documents."""
    rows = sample.rows
    shares = known_shares(rows, [train.rows])
    lengths = np.array([len(row.text) for row in rows])
    share = float((shares * lengths).sum() / max(lengths.sum(), 1))
    part = "" if train.total == len(train.rows) else f" (of train {len(train.rows):,} documents)"
    where = f"in the training text{part}"
    detail = f"{share:.2%} of {sample.name} stands {where} in runs of {RUN} characters"
    if share > MANY_KNOWN:
        detail += (
            "; such as licence headers or copied files: a model that remembers scores well there, "
            "and so does a compressor; compare with it"
        )
    lines = [
        (f"{shares[number]:.0%}", rows[number].name, f"{lengths[number]:,}")
        for number in np.argsort(-shares, kind="stable")[:5].tolist()
        if shares[number]
    ]
    table: Table = (("known", "document", "characters"), *lines) if lines else ()
    level: Level = "warning" if share > MANY_KNOWN else "note" if lines else "ok"
    return Finding(level, f"Known passages, {sample.name}", detail, table)


def _lines(samples: Sequence[Sample]) -> Finding:
    """Report the lengths of lines; the longest are often tables, data or packed code."""
    lines = []
    longest = 0
    for it in samples:
        lengths, where = _line_lengths(it.rows)
        longest = max(longest, int(lengths.max()))
        cells = [f"{int(value):,}" for value in np.quantile(lengths, _QUANTILES, method="nearest")]
        lines.append((it.name, f"{len(lengths):,}", *cells, where))
    table: Table = (("split", "lines", "50%", "99%", "longest", "where"), *lines)
    detail = f"the longest has {longest:,} characters"
    if longest > LONG_LINE:
        detail += (
            "; lines over a thousand characters are paragraphs, tables or packed data: the latter "
            "two are better left out with --pattern"
        )
    return Finding("note" if longest > LONG_LINE else "ok", "Lines", detail, table)


def _line_lengths(rows: Sequence[Document]) -> tuple[npt.NDArray[np.int64], str]:
    """Return the lengths of all lines, and where the longest is."""
    parts, longest, where = [np.zeros(1, np.int64)], -1, ""
    for row in rows:
        lengths = np.array([len(line) for line in row.text.split("\n")], np.int64)
        parts.append(lengths)
        if lengths.max() > longest:
            longest, where = int(lengths.max()), f"{row.name}, line {int(lengths.argmax()) + 1:,}"
    return np.concatenate(parts)[1:] if len(parts) > 1 else parts[0], where


def _minified(train: Sample) -> Finding:
    """Report documents that are mostly packed code or data: long lines, few blanks."""
    found = [row for row in train.rows if _is_packed(row.text)]
    if not found:
        return Finding("ok", "Packed files", "no training document looks like packed code or data")
    characters = sum(len(row.text) for row in found)
    share = characters / max(sum(len(row.text) for row in train.rows), 1)
    detail = (
        f"{len(found):,} training document(s), {share:.1%} of the characters, look like packed "
        "code or data: long lines with few blanks; leave them out with --pattern, unless they are "
        "to be learned"
    )
    lines = [(row.name, f"{len(row.text):,}", row.text[:60]) for row in found[:5]]
    table: Table = (("document", "characters", "begins"), *lines)
    return Finding("warning" if share > MANY_PACKED else "note", "Packed files", detail, table)


def _is_packed(text: str) -> bool:
    if len(text) < LONG_LINE or len(text) / (text.count("\n") + 1) < MINIFIED_LINE:
        return False
    blanks = text.count(" ") + text.count("\n") + text.count("\t")
    # Chinese and Japanese need no blanks.
    return blanks < FEW_BLANKS * len(text) and len(text.encode()) < 1.2 * len(text)


def _examples(train: Sample) -> Finding:
    """Show training passages, for the eye that no check replaces."""
    rng = np.random.default_rng(0)
    lines = []
    for number in rng.integers(0, max(len(train.rows), 1), min(len(train.rows), 4)).tolist():
        row = train.rows[number]
        start = int(rng.integers(0, max(len(row.text) - 160, 1)))
        lines.append((row.name, repr(row.text[start : start + 160])))
    header = ("document", "passage")
    return Finding("ok", "Examples", "is this what the model is to write?", (header, *lines))
