"""Whether the brackets and quotes of a text close: in prose, in C-like code and in Python."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

Language = Literal["prose", "c", "python"]

_C_LIKE = re.compile(r"\.(c|h|cc|cpp|cxx|hh|hpp|inc|cu|java|js|ts|cs|go|rs|swift|kt|proto)")
_PYTHON = re.compile(r"\.pyi?")
_BRACKETS = {")": "(", "]": "[", "}": "{"}
_QUOTES = {"”": "“", "»": "«"}
_STRING = r"""(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(?P<alone>["'])"""
# A comment or long string that the text's end cuts off is no error.
_LONG = r'(?P<long>"{3}(?:\\.|[^\\])*?(?:"{3}|\Z)|' + r"'{3}(?:\\.|[^\\])*?(?:'{3}|\Z))"
_SIGN = r"(?P<sign>[()\[\]{}])"
_TOKENS: dict[str, re.Pattern[str]] = {
    "c": re.compile(rf"(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|{_STRING}|{_SIGN}", re.DOTALL),
    "python": re.compile(rf"(?P<comment>\#[^\n]*)|{_LONG}|{_STRING}|{_SIGN}", re.DOTALL),
}
_PARAGRAPH = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Balance:
    """How many brackets and quotes of a text have a partner.

    Attributes:
        closed: brackets that were opened and closed again, counted once a pair.
        wrong: brackets that close nothing, or that something around them closed over.
        open: brackets still open at the end, where a sample stops at any place.
        quoted: pairs of quotes.
        alone: quotes without a partner on their line (code) or in their paragraph (prose).
    """

    closed: int
    wrong: int
    open: int
    quoted: int
    alone: int

    @property
    def bracket_share(self) -> float | None:
        """Share of pairs among pairs and brackets gone wrong; None where there is neither."""
        return _share(self.closed, self.wrong)

    @property
    def quote_share(self) -> float | None:
        """Share of pairs of quotes among pairs and quotes alone; None where there is neither."""
        return _share(self.quoted, self.alone)


def balance(text: str, language: Language = "prose") -> Balance:
    """Count brackets and quotes with and without a partner.

    In code, what stands in strings and comments does not count, and a string ends on its line
    unless three quotes begin it. In prose, apostrophes are too many to tell from single quotes,
    which are left out; double quotes are paired within a paragraph.
    """
    if language == "prose":
        return _of_prose(text)
    kinds: Counter[str] = Counter()
    signs = []
    for token in _TOKENS[language].finditer(text):
        kinds[str(token.lastgroup)] += 1
        if token.lastgroup == "sign":
            signs.append(token.group())
    closed, wrong, still_open = _paired(signs, _BRACKETS)
    return Balance(closed, wrong, still_open, kinds["string"] + kinds["long"], kinds["alone"])


def language_of(names: Iterable[str]) -> Language:
    """Tell from the endings of documents' names what they are written in; most decide."""
    votes = Counter(_language(PurePath(name).suffix.lower()) for name in names)
    return max(votes, key=votes.__getitem__, default="prose")


def _language(suffix: str) -> Language:
    if _PYTHON.fullmatch(suffix):
        return "python"
    return "c" if _C_LIKE.fullmatch(suffix) else "prose"


def _of_prose(text: str) -> Balance:
    closed, wrong, still_open = _paired(text, _BRACKETS)
    quoted, alone, _ = _paired(text, _QUOTES)
    for paragraph in _PARAGRAPH.split(text):
        marks = paragraph.count('"')
        quoted, alone = quoted + marks // 2, alone + marks % 2
    return Balance(closed, wrong, still_open, quoted, alone)


def _paired(signs: Iterable[str], opener_of: dict[str, str]) -> tuple[int, int, int]:
    """Count pairs, signs gone wrong and signs still open, the innermost closing first."""
    openers = set(opener_of.values())
    waiting: list[str] = []
    closed = wrong = 0
    for sign in signs:
        if sign in openers:
            waiting.append(sign)
        elif sign in opener_of:
            if opener_of[sign] not in waiting:
                wrong += 1
                continue
            while waiting.pop() != opener_of[sign]:
                wrong += 1
            closed += 1
    return closed, wrong, len(waiting)


def _share(right: int, wrong: int) -> float | None:
    return right / (right + wrong) if right + wrong else None
