"""Checks of the words themselves: vocabulary, encoding, scripts, and tokens that tell the label."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from pipelines.datasets.findings import Finding, Table
from pipelines.datasets.label_scan import LabelledText

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w+|[^\w\s]")
_MAX_COUNTED = 2_000_000  # distinct tokens held at once; beyond it, rare ones are forgotten
_MISREAD = {
    # UTF-8 read as Latin-1 or Windows-1252: two odd letters for an accented one.
    "misread UTF-8": re.compile(
        "[\u00c3\u00c2][\u0080-\u00bf\u0152-\u0178\u2018-\u2122]|\u00e2\u20ac"
    ),
    "replacement or control characters": re.compile(
        "[\ufffd\u0000-\u0008\u000e-\u001f\u0080-\u009f]"
    ),
}
_DEBRIS = {
    **_MISREAD,
    "HTML entities": re.compile(r"&(?:[a-zA-Z]{2,8}|#\d{1,6});"),
    "HTML tags": re.compile(r"</?(?:br|p|div|span|a|b|i|em|strong)\b[^>]*>", re.IGNORECASE),
}
_SCRIPTS = {
    "Latin": r"A-Za-z\u00c0-\u024f\u1e00-\u1eff",
    "Greek": r"\u0370-\u03ff",
    "Cyrillic": r"\u0400-\u052f",
    "Hebrew": r"\u0590-\u05ff",
    "Arabic": r"\u0600-\u06ff\u0750-\u077f",
    "Indic": r"\u0900-\u0dff",
    "Thai": r"\u0e00-\u0e7f",
    "Hangul": r"\u1100-\u11ff\uac00-\ud7af",
    "Japanese kana": r"\u3040-\u30ff",
    "Han": r"\u3400-\u4dbf\u4e00-\u9fff",
}
_SCRIPT_PATTERNS = {name: re.compile(f"[{span}]") for name, span in _SCRIPTS.items()}


class HasText(Protocol):
    """Anything with a text."""

    @property
    def text(self) -> str:
        """The text."""


def short_texts_finding(rows: Sequence[LabelledText]) -> Finding:
    """Report the share of texts of one or two words, which seldom hold what a label needs."""
    short = [row for row in rows if len(row.text.split(None, 3)) <= 2 and row.text.isascii()]
    share = len(short) / max(len(rows), 1)
    if not short:
        return Finding("ok", "Very short texts", "no training text of one or two words")
    shown = ", ".join(repr(row.text.strip()[:30]) for row in short[:5])
    detail = f"{len(short):,} training texts ({share:.1%}) have one or two words, such as {shown}"
    return Finding("warning" if share > 0.1 else "note", "Very short texts", detail)


def unknown_words_finding(train: Sequence[HasText], test: Sequence[HasText]) -> Finding:
    """Report the share of test words that training rows lack, or have once only."""
    known = _count(train, _WORD)
    total = absent = once = 0
    for row in test:
        for word in _WORD.findall(row.text.lower()):
            total += 1
            count = known[word]
            absent += count == 0
            once += count == 1
    share = absent / max(total, 1)
    detail = (
        f"{share:.1%} of the test words are in no training text, {once / max(total, 1):.1%} in one "
        f"place only; {len(known):,} different training words"
    )
    if share > 0.15:
        detail += "; consider subwords, characters, or pretrained embeddings"
    return Finding("warning" if share > 0.15 else "ok", "Unknown words", detail)


def debris_finding(rows: Sequence[HasText]) -> Finding:
    """Look for what a wrong encoding or a web page leaves in text."""
    lines = []
    misread = 0
    for name, pattern in _DEBRIS.items():
        hits = [match for match in (pattern.search(row.text) for row in rows) if match]
        if hits:
            example = hits[0].string[max(hits[0].start() - 15, 0) : hits[0].end() + 15]
            share = f"{len(hits) / len(rows):.2%}"
            lines.append((name, f"{len(hits):,}", share, repr(example)))
            misread += len(hits) if name in _MISREAD else 0
    if not lines:
        return Finding("ok", "Encoding", "no misread characters, HTML entities or tags")
    grave = misread > 0.01 * len(rows)
    detail = "what a wrong encoding or a web page leaves in text"
    if grave:
        detail += "; the file was probably saved in another encoding than the one it was read with"
    table: Table = (("kind", "rows", "share", "example"), *lines)
    return Finding("warning" if grave else "note", "Encoding", detail, table)


def script_finding(rows: Sequence[HasText]) -> Finding:
    """Report which scripts the texts are written in; a second one often means a second language."""
    found = {
        name: sum(1 for row in rows if pattern.search(row.text))
        for name, pattern in _SCRIPT_PATTERNS.items()
    }
    shares = {name: count / max(len(rows), 1) for name, count in found.items() if count}
    shown = ", ".join(f"{name} in {share:.1%} of the rows" for name, share in shares.items())
    # Japanese mixes kana, Han and Latin by nature.
    usual = {"Latin"} | ({"Japanese kana", "Han"} if "Japanese kana" in shares else set())
    others = [name for name, share in shares.items() if share > 0.02 and name not in usual]
    mixed = len(others) > 1 or (bool(others) and shares.get("Latin", 0) > 0.5)
    return Finding("note" if mixed else "ok", "Scripts", shown or "no letters found")


def revealing_tokens_finding(rows: Sequence[LabelledText]) -> Finding:
    """Find tokens in over 5 % of the rows that come almost only with one label.

    Such a token (a label's own name, a source's signature) is often an accident of how the rows
    were collected: a model will learn it and fail elsewhere.
    """
    labels = Counter(row.label for row in rows)
    by_token: dict[str, Counter[str]] = {}
    for token in _frequent_tokens(rows):
        by_token[token] = Counter()
    for row in rows:
        for token in set(_TOKEN.findall(row.text.lower())) & by_token.keys():
            by_token[token][row.label] += 1
    lines = []
    for token, counts in by_token.items():
        ((label, count),) = counts.most_common(1)
        purity, base = count / counts.total(), labels[label] / len(rows)
        if purity > 0.95 and base < 0.85:
            lines.append((token, label, f"{counts.total() / len(rows):.1%}", f"{purity:.1%}"))
    if not lines:
        return Finding("ok", "Telltale tokens", "no frequent token comes with one label only")
    detail = (
        f"{len(lines)} token(s) in over 5 % of the training rows come almost only with one label; "
        "if that is an accident of collecting, remove them"
    )
    table: Table = (("token", "label", "rows with it", "of which with this label"), *lines[:10])
    return Finding("warning", "Telltale tokens", detail, table)


def _frequent_tokens(rows: Sequence[LabelledText]) -> list[str]:
    """Return the tokens that over 5 % of the rows hold (at least five rows)."""
    # A twentieth of the rows is enough to find candidates; they are then counted in all rows.
    sample = rows[:: max(len(rows) // 10_000, 1)]
    counts: Counter[str] = Counter()
    for row in sample:
        counts.update(set(_TOKEN.findall(row.text.lower())))
    least = max(0.05 * len(sample), 5)
    return [token for token, count in counts.items() if count > least]


def _count(rows: Sequence[HasText], pattern: re.Pattern[str]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(pattern.findall(row.text.lower()))
        if len(counts) > _MAX_COUNTED:
            counts = Counter({word: count for word, count in counts.items() if count > 1})
    return counts
