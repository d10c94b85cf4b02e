"""Checks of tagged words: unknown ones, odd ones, and forms whose labels contradict each other."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from pipelines.datasets.findings import Finding, Level, Table
from pipelines.datasets.tag_schemes import OUTSIDE, spans_of
from pipelines.datasets.tagged_options import TaggedSentence

SHOWN = 15
_MAX_SPAN_WORDS = 5  # longer spans are seldom repeated
Forms = dict[str, Counter[str]]


def unknown_words_finding(
    train: Sequence[TaggedSentence], test: Sequence[TaggedSentence]
) -> Finding:
    """Report the share of test words that training sentences lack, or have once only."""
    known = Counter(word for row in train for word in row.tokens)
    folded = {word.casefold() for word in known}
    words = [word for row in test for word in row.tokens]
    absent = [word for word in words if not known[word]]
    total = max(len(words), 1)
    share = len(absent) / total
    in_other_case = sum(word.casefold() in folded for word in absent) / total
    once = sum(known[word] == 1 for word in words) / total
    detail = (
        f"{share:.1%} of the test words are in no training sentence ({in_other_case:.1%} are there "
        f"in other case), {once:.1%} in one place only; {len(known):,} different training words"
    )
    if share > 0.15:
        detail += "; character features and pretrained vectors matter much here"
    return Finding("warning" if share > 0.15 else "ok", "Unknown words", detail)


def odd_words_finding(rows: Sequence[TaggedSentence]) -> Finding:
    """Report words that hold white space or control characters, which a tokenizer never gives."""
    found: Counter[str] = Counter()
    first: dict[str, str] = {}
    for row in rows:
        for word in row.tokens:
            kind = _oddity(word)
            if kind:
                found[kind] += 1
                first.setdefault(kind, f"{row.place}: {word[:40]!r}")
    if not found:
        return Finding("ok", "Odd words", "no word holds white space or control characters")
    table: Table = (
        ("kind", "words", "first"),
        *((kind, f"{count:,}", first[kind]) for kind, count in found.items()),
    )
    detail = (
        f"{found.total():,} word(s) as no tokenizer cuts them, so a model given raw text never "
        "meets them"
    )
    return Finding("warning", "Odd words", detail, table)


def _oddity(word: str) -> str:
    if word.isascii() and word.isprintable() and " " not in word:
        return ""
    if not word.strip() or all(unicodedata.category(char) in ("Cf", "Zs") for char in word):
        return "white space only"
    if any(char.isspace() for char in word):
        return "white space inside"
    if any(unicodedata.category(char) == "Cc" for char in word):
        return "control character inside"
    return ""


def odd_spans_finding(rows: Sequence[TaggedSentence]) -> Finding:
    """Report spans without any letter or digit."""
    found = [
        (f"{row.place}, word {span.start + 1}", span.type, repr(form[:40]))
        for row in rows
        for span in spans_of(row.tags)
        if not any(map(_is_content, form := " ".join(row.tokens[span.start : span.limit])))
    ]
    title = "Spans of signs only"
    if not found:
        return Finding("ok", title, "every span holds a letter or a digit")
    detail = f"{len(found):,} span(s) of white space or punctuation only; did a column shift?"
    return Finding("warning", title, detail, (("where", "type", "words"), *found[:SHOWN]))


def _is_content(char: str) -> bool:
    return unicodedata.category(char)[0] in "LN"


def conflicts_finding(rows: Sequence[TaggedSentence], *, spans: bool) -> Finding:
    """List forms that are labelled in more than one way, those with most dissent first.

    Of spans, "outside" counts the places where the form is in no span at all. Many words have
    several tags by right; a label given once against a hundred is more often a slip.
    """
    forms = _span_forms(rows) if spans else _word_forms(rows)
    dissent = {form: counts.total() - max(counts.values()) for form, counts in forms.items()}
    ambiguous = [form for form, count in dissent.items() if count]
    if not ambiguous:
        return Finding("ok", "Conflicting labels", "every form always has the same label")
    total = sum(counts.total() for counts in forms.values())
    share = sum(dissent.values()) / total
    what = "forms of spans" if spans else "words"
    detail = (
        f"{len(ambiguous):,} of {len(forms):,} {what} have more than one label; {share:.1%} of "
        "their places disagree with the most frequent one of the form"
    )
    lines = [
        (form[:40], ", ".join(f"{label} {count:,}" for label, count in forms[form].most_common(5)))
        for form in sorted(ambiguous, key=lambda form: -dissent[form])[:SHOWN]
    ]
    level: Level = "warning" if spans and share > 0.1 else "note"
    return Finding(level, "Conflicting labels", detail, (("form", "labels"), *lines))


def _word_forms(rows: Sequence[TaggedSentence]) -> Forms:
    forms: Forms = {}
    for row in rows:
        for word, tag in zip(row.tokens, row.tags, strict=True):
            forms.setdefault(word, Counter())[tag] += 1
    return forms


def _span_forms(rows: Sequence[TaggedSentence]) -> Forms:
    forms: Forms = {}
    for row in rows:
        for span in spans_of(row.tags):
            if span.limit - span.start <= _MAX_SPAN_WORDS:
                form = " ".join(row.tokens[span.start : span.limit])
                forms.setdefault(form, Counter())[span.type] += 1
    for row in rows:
        for form in _outside_forms(row):
            if form in forms:
                forms[form]["outside"] += 1
    return forms


def _outside_forms(row: TaggedSentence) -> Iterator[str]:
    """Yield every run of few words in which no word is in a span."""
    for start in range(len(row.tokens)):
        for limit in range(start + 1, min(start + _MAX_SPAN_WORDS, len(row.tokens)) + 1):
            if row.tags[limit - 1] != OUTSIDE:
                break
            yield " ".join(row.tokens[start:limit])
