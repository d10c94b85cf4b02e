"""What a careful person would look at in tagged sentences before training on them."""

from __future__ import annotations

from collections import Counter
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
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import DataCard, Splits, duplicate_key
from pipelines.datasets.tag_scan import CROSSING, MENDED, WITHOUT_LETTERS, sequence_key
from pipelines.datasets.tag_schemes import spans_of
from pipelines.datasets.tagged_options import TaggedSentence
from pipelines.datasets.tagged_word_checks import (
    conflicts_finding,
    odd_spans_finding,
    odd_words_finding,
    unknown_words_finding,
)

SAMPLE_SENTENCES = 50_000
FEW_OF_A_TAG = 20
LONG_SENTENCE = 200


@dataclass(frozen=True)
class Sample:
    """At most `SAMPLE_SENTENCES` sentences of a split, evenly spaced, and its full size."""

    name: str
    rows: Sequence[TaggedSentence]
    total: int


def check_tagged(splits: Splits[TaggedSentence], *, spans: bool) -> list[Finding]:
    """Look at sizes, tags, repairs, leakage, lengths, words, and labels that contradict each other.

    Args:
        splits: as `load_tagged` returns them.
        spans: whether the tags mark spans.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    samples = [_sample(name, rows) for name, rows in splits.named()]
    train, _, test = samples
    counts = splits.card.label_counts or _count(samples, spans)
    checks: tuple[Callable[[], Finding], ...] = (
        lambda: _sizes(samples, counts["test"], spans),
        lambda: _tags(counts, spans),
        lambda: _tags_in_every_split(counts, spans),
        lambda: spelling_finding(counts["train"], "tag"),
        lambda: _scheme(splits.card),
        lambda: _crossing(splits.card),
        lambda: _left_out(splits.card),
        lambda: _leakage(train, test),
        lambda: _lengths(samples),
        lambda: _long_sentences(samples),
        lambda: unknown_words_finding(train.rows, test.rows),
        lambda: odd_words_finding([row for sample in samples for row in sample.rows]),
        lambda: conflicts_finding(train.rows, spans=spans),
    )
    findings = [check() for check in checks]
    if spans:
        findings.append(odd_spans_finding([row for sample in samples for row in sample.rows]))
        findings.append(_density(train))
    else:
        findings = [it for it in findings if it.title not in ("Tag scheme", "Spans that cross")]
    return [*findings, _examples(train, spans)]


def _sample(name: str, rows: Rows[TaggedSentence]) -> Sample:
    return Sample(name, list(evenly(rows, SAMPLE_SENTENCES)), len(rows))


def _labels(row: TaggedSentence, spans: bool) -> list[str]:
    return [span.type for span in spans_of(row.tags)] if spans else list(row.tags)


def _count(samples: Sequence[Sample], spans: bool) -> dict[str, dict[str, int]]:
    found = {
        it.name: Counter(label for row in it.rows for label in _labels(row, spans))
        for it in samples
    }
    labels = sorted(set().union(*found.values()))
    return {name: {label: counts[label] for label in labels} for name, counts in found.items()}


def _sizes(samples: Sequence[Sample], test_labels: Mapping[str, int], spans: bool) -> Finding:
    table: Table = (
        ("split", "sentences", "looked at", "words in these"),
        *(
            (it.name, f"{it.total:,}", f"{len(it.rows):,}", f"{_words(it.rows):,}")
            for it in samples
        ),
    )
    judged = sum(test_labels.values())
    unit, rate = ("spans", 0.5) if spans else ("words", 0.97)
    margin = half_width(rate, judged)  # as if words were independent
    detail = f"on {judged:,} test {unit} a score near {rate} is known to within ±{margin:.3f}"
    few = judged < (300 if spans else 2000) or samples[0].total < 500
    return Finding("warning" if few else "ok", "Sizes", detail, table)


def _words(rows: Sequence[TaggedSentence]) -> int:
    return sum(len(row.tokens) for row in rows)


def _tags(counts: Mapping[str, Mapping[str, int]], spans: bool) -> Finding:
    train = counts["train"]
    what, unit = ("types", "spans") if spans else ("tags", "words")
    total = sum(train.values())
    if not total:
        return Finding("error", "Tags", f"no {unit} in the training sentences; check --tag-field")
    first = max(train, key=train.__getitem__)
    detail = f"{len(train)} {what}, {total:,} training {unit}; most frequent {first!r}"
    if len(train) == 1:
        detail += "; there is nothing to tell apart"
    if len(train) > 500:
        detail += "; so many need much memory and data: is this the right column?"
    warn = len(train) > 500 or (len(train) == 1 and not spans)
    table = label_table(counts, "type" if spans else "tag", most=40)
    return Finding("warning" if warn else "ok", "Tags", detail, table)


def _tags_in_every_split(counts: Mapping[str, Mapping[str, int]], spans: bool) -> Finding:
    title = "Tags in every split"
    train = counts["train"]
    unlearnable = [
        f"{label!r} ({count:,} in {split})"
        for split in ("valid", "test")
        for label, count in counts[split].items()
        if count and not train.get(label)
    ]
    rare = [f"{label!r} ({count})" for label, count in train.items() if 0 < count < FEW_OF_A_TAG]
    untested = [
        repr(label) for label, count in train.items() if count and not counts["test"][label]
    ]
    parts = []
    if unlearnable:
        parts.append(f"no training sentence has {', '.join(unlearnable[:10])}")
    if untested:
        parts.append(f"no test sentence has {', '.join(untested[:10])}")
    if rare:
        unit = "spans" if spans else "words"
        parts.append(f"fewer than {FEW_OF_A_TAG} training {unit} of {', '.join(rare[:10])}")
    if not parts:
        return Finding("ok", title, "every tag is in train, valid and test often enough")
    advice = "scores of these mean little: add sentences, or merge tags"
    return Finding("warning" if unlearnable or rare else "note", title, "; ".join([*parts, advice]))


def _scheme(card: DataCard) -> Finding:
    """Repeat what the reader mended, as it is no longer to be seen in the sentences."""
    notes = [note for note in card.notes if MENDED in note or WITHOUT_LETTERS in note]
    if notes:
        return Finding("warning", "Tag scheme", "; ".join(notes))
    read = [note for note in card.notes if note.startswith("tags read as")]
    return Finding("ok", "Tag scheme", "; ".join([*read, "no tag had to be mended"]))


def _crossing(card: DataCard) -> Finding:
    notes = [note for note in card.notes if CROSSING in note]
    if notes:
        detail = f"{'; '.join(notes)}; are blank lines where sentences end?"
        return Finding("warning", "Spans that cross", detail)
    return Finding("ok", "Spans that cross", "no span goes on across the end of a sentence")


def _left_out(card: DataCard) -> Finding:
    notes = [note for note in card.notes if MENDED not in note and CROSSING not in note]
    if not any(card.dropped.values()):
        return Finding("ok", "Sentences left out", "; ".join(["none", *notes]))
    return left_out_finding(
        card,
        "sentences",
        notes,
        conflict="duplicate sentence with other tags",
        meaning="repeat a sentence with other tags, so annotators disagree there",
    )


def _leakage(train: Sample, test: Sample) -> Finding:
    exact = {sequence_key(row.tokens, 0) for row in train.rows}
    near = {duplicate_key(" ".join(row.tokens), 0) for row in train.rows}
    same = sum(sequence_key(row.tokens, 0) in exact for row in test.rows)
    alike = [row for row in test.rows if duplicate_key(" ".join(row.tokens), 0) in near]
    looked = f"{len(train.rows):,} training and {len(test.rows):,} test sentences"
    if not alike:
        return Finding("ok", "Leakage", f"no test sentence among the training ones ({looked})")
    first = alike[0].place
    return leakage_finding("sentences", alike=len(alike), equal=same, looked=looked, first=first)


def _lengths(samples: Sequence[Sample]) -> Finding:
    words = {it.name: [len(row.tokens) for row in it.rows] for it in samples}
    lines = [(name, *quantile_cells(lengths)) for name, lengths in words.items()]
    table = (("split", *QUANTILE_NAMES), *lines)
    return lengths_finding(words["train"], words["test"], table, unit="words a sentence")


def _long_sentences(samples: Sequence[Sample]) -> Finding:
    found = [row for it in samples for row in it.rows if len(row.tokens) > LONG_SENTENCE]
    if not found:
        return Finding("ok", "Very long", f"no sentence of more than {LONG_SENTENCE} words")
    detail = (
        f"{len(found):,} sentence(s) of more than {LONG_SENTENCE} words; are blank lines missing "
        "between sentences, or is a list one sentence?"
    )
    lines = [
        (row.place, f"{len(row.tokens):,}", " ".join(row.tokens[:8])[:60])
        for row in sorted(found, key=lambda row: -len(row.tokens))[:10]
    ]
    return Finding("warning", "Very long", detail, (("where", "words", "begins"), *lines))


def _density(train: Sample) -> Finding:
    inside = sum(span.limit - span.start for row in train.rows for span in spans_of(row.tags))
    without = sum(all(tag == "O" for tag in row.tags) for row in train.rows)
    share = inside / max(_words(train.rows), 1)
    detail = (
        f"{share:.1%} of the training words are inside spans; {without:,} of {len(train.rows):,} "
        "training sentences have none"
    )
    level: Level = "ok"
    if share > 0.6:
        level = "warning"
        detail += "; is this a column of word classes rather than of spans?"
    return Finding(level, "Spans among words", detail)


def _examples(train: Sample, spans: bool) -> Finding:
    """Show training sentences with their tags, for the eye that no check replaces."""
    order = np.random.default_rng(0).permutation(len(train.rows)).tolist()
    chosen = [train.rows[index] for index in order]
    if spans:
        chosen = [row for row in chosen if any(tag != "O" for tag in row.tags)]
    lines = [
        (row.place, " ".join(map("/".join, zip(row.tokens, row.tags, strict=True)))[:160])
        for row in chosen[:6]
    ]
    return Finding("ok", "Examples", "do these tags look right?", (("where", "word/tag"), *lines))
