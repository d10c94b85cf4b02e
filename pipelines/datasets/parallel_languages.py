"""Language codes in the names of files, columns and segments, compared by their main part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_CODE = re.compile(r"[a-z]{2,3}(?:[-_](?:[a-z]{2}|[a-z]{4}|\d{3}))?", re.IGNORECASE)
_NEUTRAL_ENDINGS = (".gz", ".txt", ".tok", ".raw", ".clean")


def same_language(code: str, wanted: str) -> bool:
    """Tell whether a code is of the language: `en`, `EN-US` and `en_GB` all fit `en`."""
    code, wanted = (it.strip().casefold().replace("_", "-") for it in (code, wanted))
    return code == wanted or code.startswith(f"{wanted}-") or wanted.startswith(f"{code}-")


def closest_code(codes: Iterable[str], wanted: str) -> str | None:
    """Return the code that is of the language, an equal one before one with a region.

    `en` is taken before `en-GB`, and `en-US` wanted takes no `en-GB`.
    """
    fitting = [code for code in codes if same_language(code, wanted)]
    exact = [it for it in fitting if it.casefold().replace("_", "-") == wanted.casefold()]
    return next(iter(exact + fitting), None)


def split_ending(path: Path) -> tuple[str, str]:
    """Split a file's name into what its translation's name shares, and its language's ending.

    `corpus.en.gz` gives `corpus` and `en`, `en.txt` gives "" and `en`; a name without an ending
    that could be a code gives itself and "".
    """
    name = path.name
    while name.lower().endswith(_NEUTRAL_ENDINGS):
        name = name[: name.rindex(".")]
    stem, _, ending = name.rpartition(".")
    return (stem, ending) if _CODE.fullmatch(ending) else (name, "")


def columns_of_language(names: Sequence[str], language: str) -> list[str]:
    """Return the columns named after a language: `en`, else `en-US`, else `English`, `text_en`."""
    exact = closest_code(names, language)
    if exact is not None:
        return [exact]
    words = {language.casefold(), english_name(language).casefold()}
    return [name for name in names if words & set(re.split(r"[^\w]+|_", name.casefold()))]


def english_name(code: str) -> str:
    """Return a language's name in English, such as "French" for fr; "" for an unknown code."""
    # Imported here: few columns are named in words.
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(code.replace("-", "_")).get_language_name("en") or ""
    except (UnknownLocaleError, ValueError):
        return ""
