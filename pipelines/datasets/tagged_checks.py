"""What a careful person would look at in tagged sentences before training on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.datasets.findings import Finding, Level, Table
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import SPLIT_NAMES, DataCard, Splits, duplicate_key
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
QUANTILES = (0.0, 0.05, 0.5, 0.95, 0.99, 1.0)


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
        lambda: _spelling(counts),
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
    # Half the width of a 95 % interval of a share near `rate`, as if words were independent.
    margin = 1.96 * (rate * (1 - rate) / max(judged, 1)) ** 0.5
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
    shown = sorted(train, key=lambda label: -train[label])[:40]
    table: Table = (
        ("tag" if not spans else "type", *SPLIT_NAMES, "share of train"),
        *(
            (
                label,
                *(f"{counts[split].get(label, 0):,}" for split in SPLIT_NAMES),
                f"{train[label] / total:.1%}",
            )
            for label in shown
        ),
    )
    detail = f"{len(train)} {what}, {total:,} training {unit}; most frequent {shown[0]!r}"
    if len(train) == 1:
        detail += "; there is nothing to tell apart"
    if len(train) > 500:
        detail += "; so many need much memory and data: is this the right column?"
    one_tag = len(train) == 1 and not spans
    return Finding("warning" if one_tag or len(train) > 500 else "ok", "Tags", detail, table)


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


def _spelling(counts: Mapping[str, Mapping[str, int]]) -> Finding:
    spellings: dict[str, list[str]] = {}
    for label in counts["train"]:
        key = "".join(filter(str.isalnum, label.casefold())) or label
        spellings.setdefault(key, []).append(label)
    twins = [" = ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
    if twins:
        detail = f"tags that differ in spelling only: {'; '.join(twins[:5])}; make them one"
        return Finding("warning", "Tag spelling", detail)
    return Finding("ok", "Tag spelling", "no two tags differ in spelling only")


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
    dropped, kept = sum(card.dropped.values()), sum(card.counts.values())
    rest = [note for note in card.notes if MENDED not in note and CROSSING not in note]
    notes = "; ".join(rest)
    if not dropped:
        return Finding("ok", "Sentences left out", "; ".join(filter(None, ("none", notes))))
    share = dropped / (dropped + kept)
    others = card.dropped.get("duplicate sentence with other tags", 0)
    detail = f"{dropped:,} of {dropped + kept:,} sentences ({share:.1%})"
    if others:
        detail += f"; {others:,} repeat a sentence with other tags, so annotators disagree there"
    lines = [(reason, f"{count:,}") for reason, count in card.dropped.items()]
    warn = share > 0.2 or others > 0.01 * (dropped + kept)
    return Finding(
        "warning" if warn else "note",
        "Sentences left out",
        "; ".join(filter(None, (detail, notes))),
        (("reason", "sentences"), *lines),
    )


def _leakage(train: Sample, test: Sample) -> Finding:
    exact = {sequence_key(row.tokens, 0) for row in train.rows}
    near = {duplicate_key(" ".join(row.tokens), 0) for row in train.rows}
    same = sum(sequence_key(row.tokens, 0) in exact for row in test.rows)
    alike = [row for row in test.rows if duplicate_key(" ".join(row.tokens), 0) in near]
    looked = f"{len(train.rows):,} training and {len(test.rows):,} test sentences"
    if not alike:
        return Finding("ok", "Leakage", f"no test sentence among the training ones ({looked})")
    detail = (
        f"{len(alike):,} test sentences are also training sentences ({same:,} to the letter), "
        f"among {looked}; the first is {alike[0].place}; leave them out of train, or scores will "
        "be too high"
    )
    return Finding("error", "Leakage", detail)


def _lengths(samples: Sequence[Sample]) -> Finding:
    lines, medians = [], {}
    for it in samples:
        found = np.array([len(row.tokens) for row in it.rows] or [0])
        values = np.quantile(found, QUANTILES, method="nearest")
        lines.append((it.name, *(f"{int(value):,}" for value in values)))
        medians[it.name] = float(np.median(found))
    train, test = medians["train"], medians["test"]
    detail = f"median {train:g} words a sentence in train, {test:g} in test"
    differ = max(train, test) > 1.5 * max(min(train, test), 1)
    if differ:
        detail += "; the splits differ: they may not come from the same source"
    header = ("split", *(f"{quantile:.0%}" for quantile in QUANTILES))
    return Finding("warning" if differ else "ok", "Lengths", detail, (header, *lines))


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
