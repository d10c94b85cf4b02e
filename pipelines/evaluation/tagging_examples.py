"""Sentences in a tagger's report, with the tags or entities they should have and were given.

Right and wrong differ in the line below a word as well as in shade, so that neither colour nor a
screen is needed to tell them apart. Everything foreign is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from pipelines.datasets.tag_schemes import Span

SHOWN_WORDS = 60
CONTEXT_WORDS = 7


def tagged_words(
    tokens: Sequence[str], gold: Sequence[str], said: Sequence[str], first: int = 0
) -> Markup:
    """Return words from `first` on, each wrong one with the tag it was given and the right one."""
    shown = range(first, min(len(tokens), first + SHOWN_WORDS))
    parts = [
        Markup("{}").format(tokens[place])
        if gold[place] == said[place]
        else _mark(tokens[place], f"{said[place]} for {gold[place]}", right=False)
        for place in shown
    ]
    return _within(parts, first, len(tokens))


def marked_spans(
    tokens: Sequence[str], spans: Iterable[Span], others: Iterable[Span], first: int = 0
) -> Markup:
    """Return words from `first` on with spans marked; dotted where `others` lacks the span."""
    same = set(others)
    limit = min(len(tokens), first + SHOWN_WORDS)
    parts: list[Markup] = []
    place = first
    for span in spans:
        if span.limit <= first or span.start >= limit:
            continue
        parts += [Markup("{}").format(word) for word in tokens[place : span.start]]
        words = " ".join(tokens[span.start : span.limit])
        parts.append(_mark(words, span.type, right=span in same))
        place = span.limit
    parts += [Markup("{}").format(word) for word in tokens[place:limit]]
    return _within(parts, first, len(tokens))


def in_context(tokens: Sequence[str], start: int, limit: int) -> Markup:
    """Return tokens `start` to `limit` in bold, with a few words to either side."""
    before = tokens[max(0, start - CONTEXT_WORDS) : start]
    after = tokens[limit : limit + CONTEXT_WORDS]
    left = "… " if start > CONTEXT_WORDS else ""
    right = " …" if limit + CONTEXT_WORDS < len(tokens) else ""
    words = " ".join(tokens[start:limit])
    return Markup('<span dir="auto">{}{} <strong>{}</strong> {}{}</span>').format(
        left, " ".join(before), words, " ".join(after), right
    )


def first_shown(length: int, places: Sequence[int]) -> int:
    """Return the first word to show of a long sentence, so that its first mistake is seen."""
    if length <= SHOWN_WORDS or not places:
        return 0
    return max(0, min(min(places) - CONTEXT_WORDS, length - SHOWN_WORDS))


def lines(*named: tuple[str, Markup]) -> Markup:
    """Return several versions of one sentence below one another, each under its name."""
    return Markup("").join(
        Markup('<span class="version"><small>{}</small>{}</span>').format(name, text)
        for name, text in named
    )


def _mark(words: str, note: str, *, right: bool) -> Markup:
    return Markup('<span class="mark {}">{}<small>{}</small></span>').format(
        "right-mark" if right else "wrong-mark", words, note
    )


def _within(parts: Sequence[Markup], first: int, length: int) -> Markup:
    text = Markup(" ").join(parts)
    rest = length - first - SHOWN_WORDS
    left = Markup("({:,} words before) … ").format(first) if first else ""
    right = Markup(" … ({:,} more words)").format(rest) if rest > 0 else ""
    return Markup("{}{}{}").format(left, text, right)
