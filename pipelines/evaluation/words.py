r"""What counts as a word in the classical baseline and in attributions.

Runs of letters, digits and marks; one sign at a time in scripts written without spaces. Marks must
stay inside words: `\w` alone would cut Hindi or decomposed accents at every vowel sign.
"""

from __future__ import annotations

import re
import unicodedata

# Hiragana to Katakana, Han with its extensions and compatibility forms.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"


def _mark_ranges() -> str:
    """Character-class ranges of all combining marks in the basic plane."""
    marks = [code for code in range(0x10000) if unicodedata.category(chr(code)).startswith("M")]
    starts = [code for code in marks if unicodedata.category(chr(code - 1))[0] != "M"]
    ends = [code for code in marks if unicodedata.category(chr(code + 1))[0] != "M"]
    return "".join(f"{chr(a)}-{chr(b)}" for a, b in zip(starts, ends, strict=True))


WORD = rf"[{_UNSPACED}]|(?:[^\W{_UNSPACED}]|[{_mark_ranges()}])+"
_TOKEN = re.compile(rf"{WORD}|[^\w\s]+")


def token_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, end) character offsets of words and runs of punctuation, in order."""
    return [found.span() for found in _TOKEN.finditer(text)]
