"""Mend what is odd in the texts of the verses: numbers, marks, headings, lost signs, capitals.

What each version holds of these is listed in data/README.md.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple

PSALMS = 19
_OTHER_NUMBER = re.compile(r"\(\d+:\d+[a-z]?\)?")  # verse number in another numbering
_STARS = re.compile(r"\(\*\)|\*+")
_DASH_AT_END = re.compile(r"(?<=[.,:;!?]) -$")
_BRACKET_AFTER_DASH = re.compile(r" ?-\[")
_BRACKETS = str.maketrans("", "", "[]")
_ACROSTIC = re.compile(r"^[A-Z]{2,6}\.? (?=[A-Z¿¡])|(?<=[.!?]) [A-Z]{3,6}(?: AND [A-Z]+)?$")
_NEXT_HEADING = re.compile(r" (?:BOOK [IV]+ )?Psalm \d+ ?(.*)$| (A Psalm\. Of Asaph\.)$")
_WORD = re.compile(r"[^\W\d_]+")
_CAPITALS = re.compile(r"(?:\b([^\W\d_]) )?\b([^\W\d_]{2,})\b")


class Verse(NamedTuple):
    """A verse by the numbers of its book, chapter and verse; "" where the version has no words."""

    book: int
    chapter: int
    number: int
    text: str


def mended(verses: Iterable[Verse], *, capitals: bool, lost_sign: bool) -> Iterator[Verse]:
    """Yield verses with clean texts.

    Numbers of other numberings, asterisks and brackets go (words in brackets stay), back-ticks
    become apostrophes, names of Hebrew letters in Psalm 119 go, and the heading of a psalm that
    stands at the end of the verse before it moves to its first verse.

    Args:
        verses: of one version, in order.
        capitals: whether chapters begin with words in capitals, to be written as elsewhere.
        lost_sign: whether a soft hyphen stands for an inverted exclamation mark.
    """
    cleaned = _headings_in_place(
        verse._replace(text=_clean(verse, lost_sign=lost_sign)) for verse in verses
    )
    if not capitals:
        yield from cleaned
        return
    whole = list(cleaned)
    usual = _usual_spellings(verse.text for verse in whole)
    yield from (verse._replace(text=_without_capitals(verse, usual)) for verse in whole)


def _clean(verse: Verse, *, lost_sign: bool) -> str:
    text = verse.text.replace("\xad", "\u00a1" if lost_sign else "")
    text = _STARS.sub(" ", _OTHER_NUMBER.sub(" ", text))
    text = _BRACKET_AFTER_DASH.sub("-", text).translate(_BRACKETS).replace("`", "'")
    text = _DASH_AT_END.sub("", " ".join(text.split()))
    if (verse.book, verse.chapter) == (PSALMS, 119):
        text = _ACROSTIC.sub("", text)
    return text if any(map(str.isalnum, text)) else ""


def _headings_in_place(verses: Iterable[Verse]) -> Iterator[Verse]:
    """Move the heading at the end of the last verse before a psalm to the psalm's first verse."""
    heading = ""
    for verse in verses:
        found = _NEXT_HEADING.search(verse.text) if verse.book <= PSALMS else None
        text = verse.text[: found.start()] if found else verse.text
        yield verse._replace(text=f"{heading} {text}".strip())
        heading = (found[1] or found[2] or "") if found else ""


def _usual_spellings(texts: Iterable[str]) -> dict[str, str]:
    """Return unaccented lower-case word -> how it is written most often, capitals aside."""
    counts = Counter(word for text in texts for word in _WORD.findall(text))
    forms: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for word, count in counts.items():
        if not word.isupper() or len(word) == 1:
            forms[_bare(word)][word] += count
    return {bare: found.most_common(1)[0][0] for bare, found in forms.items()}


def _bare(word: str) -> str:
    parts = unicodedata.normalize("NFD", word.casefold())
    return "".join(char for char in parts if not unicodedata.combining(char))


def _without_capitals(verse: Verse, usual: dict[str, str]) -> str:
    """Write the opening word of a chapter or section, set in capitals, as elsewhere."""
    for found in _CAPITALS.finditer(verse.text):
        if found[2].isupper() and (verse.number == 1 or found.start() == 0):
            word = usual.get(_bare(found[2]), found[2].lower())
            # The single letter before it, as in "Y DESPUÉS", opens the sentence in its place.
            word = word if found[1] else word[0].upper() + word[1:]
            return verse.text[: found.start(2)] + word + verse.text[found.end(2) :]
        if verse.number != 1:
            break
    return verse.text
