"""Cut text into words as the exported models do, without TensorFlow.

The rules are those of `pipelines.text.units`, which applies them in the graph; a test compares the
two on random text. Python's `re` knows no Unicode categories, so classes are spelt out once, when
the first text is cut.
"""

from __future__ import annotations

import functools
import re
import sys
import unicodedata
from collections.abc import Callable

_ODD_SPACE = (
    "\x00-\x1f\x7f-\x9f\u00a0\u1680\u2000-\u200b\u200e\u200f\u2028-\u202f\u205f-\u206f\u2581\u3000"
    "\ufeff"
)
_HAN = (
    "\u2e80-\u2e99\u2e9b-\u2ef3\u2f00-\u2fd5\u3005\u3007\u3021-\u3029\u3038-\u303b\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufa6d\ufa70-\ufad9\U00016fe2\U00016fe3\U00016ff0\U00016ff1"
    "\U00020000-\U0002fa1d\U00030000-\U000323af"
)
_KANA = (
    "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\u32d0-\u32fe\u3300-\u3357"
    "\uff66-\uff9d\U0001aff0-\U0001affe\U0001b000-\U0001b167\U0001f200"
)
_OTHER_SPACELESS = (
    "\u02ea\u02eb\u3105-\u312f\u31a0-\u31bf"  # Bopomofo
    "\ua000-\ua48c\ua490-\ua4c6"  # Yi
    "\u0e01-\u0e3a\u0e40-\u0e5b\u0e81-\u0edf"  # Thai, Lao
    "\u1780-\u17dd\u17e0-\u17e9\u17f0-\u17f9\u19e0-\u19ff"  # Khmer
    "\u1000-\u109f\ua9e0-\ua9fe\uaa60-\uaa7f"  # Myanmar
    "\u0f00-\u0fd4\u0fd9\u0fda"  # Tibetan
)
_SPACELESS = _HAN + _KANA + _OTHER_SPACELESS
_PICTURES = "\U0001f000-\U0001faff"


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return (start, limit) character offsets of the words and signs of a text, in order."""
    return [found.span() for found in _unit().finditer(text) if found.lastgroup is None]


def _ranges(wanted: Callable[[str], bool]) -> str:
    """Spell a character class: all code points of whose category `wanted` holds."""
    spans: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if wanted(unicodedata.category(chr(code))):
            if spans and spans[-1][1] == code - 1:
                spans[-1][1] = code
            else:
                spans.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in spans)


@functools.cache
def _unit() -> re.Pattern[str]:
    marks = _ranges(lambda category: category[0] == "M")
    signs = _ranges(lambda category: category[0] in "PS")
    digits = _ranges(lambda category: category == "Nd")
    pictures = _ranges(lambda category: category == "So")
    space = f" {_ODD_SPACE}"
    letter = f"[^{space}{_SPACELESS}{_PICTURES}{signs}]"
    modifiers = f"[{marks}\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
    picture = f"[{pictures}{_PICTURES}]{modifiers}"
    return re.compile(
        "|".join(
            [
                f"(?P<space>[{space}]+)",
                r"(?i:https?://|www\.)[!#-;=?-~]*[0-9A-Za-z/]",
                f"{letter}*[{digits}](?:[.,:][{digits}]+)+{letter}*",
                f"{letter}+(?:['’_]{letter}+)*",
                f"@{letter}+(?:_{letter}+)*",
                r"[:;=]['-]?(?:[()\[\]{}|/\\*]+|[DPpOo](?![0-9A-Za-z_]))",
                r"</?3",
                f"[{_SPACELESS}][{marks}]*",
                "[\U0001f1e6-\U0001f1ff]{2}",
                f"{picture}(?:\u200d{picture})*",
                r"\.{2,}|[!?]{2,}|-{2,}|\*{2,}|'{2,}|`{2,}|_{2,}|={2,}|~{2,}",
                f"[^{space}][{marks}]*",
            ]
        )
    )
