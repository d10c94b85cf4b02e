"""Fonts for pictures of text in any script: which characters the default font lacks, what helps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font


def missing_characters(text: str) -> frozenset[str]:
    """Return the characters of a text that the default font cannot draw."""
    known = _characters(font_manager.findfont(FontProperties(family=["sans-serif"])))
    return frozenset(c for c in text if ord(c) not in known and not c.isspace())


def fonts_for(characters: frozenset[str]) -> tuple[list[str], frozenset[str]]:
    """Find installed fonts for some characters, each useful for one at least.

    Returns:
        The names of the families, and the characters that no installed font has.
    """
    lacking, families = set(characters), []
    for family, path in _installed() if lacking else ():
        found = {character for character in lacking if ord(character) in _characters(path)}
        if found:
            families.append(family)
            lacking -= found
        if not lacking:
            break
    return families, frozenset(lacking)


def _installed() -> Iterator[tuple[str, str]]:
    """Yield family and path of every upright regular font, in the order of their names."""
    fonts = font_manager.fontManager.ttflist
    upright = {
        f.name: f.fname for f in fonts if f.style == "normal" and f.weight in (400, "normal")
    }
    # The font of last resort has a box for every character there is.
    named = sorted((name, path) for name, path in upright.items() if "Last Resort" not in name)
    yield from named


@cache
def _characters(path: str) -> frozenset[int]:
    try:
        return frozenset(FT2Font(path).get_charmap())
    except (OSError, RuntimeError):  # removed since the list was made, or broken
        return frozenset()
