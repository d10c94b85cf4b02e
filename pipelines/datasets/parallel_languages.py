"""Language codes in the names of files, columns and segments, compared by their main part."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

_CODE = re.compile(r"[a-z]{2,3}(?:[-_](?:[a-z]{2}|[a-z]{4}|\d{3}))?(?:@[a-z]+)?", re.IGNORECASE)
_WITH_REGION = re.compile(r"[A-Za-z]{2,3}[-_][A-Z]{2}")
_NEUTRAL_ENDINGS = (".gz", ".txt", ".tok", ".raw", ".clean")
_NO_LANGUAGES = ("src", "mo", "tok")  # endings of other meaning that are codes of languages too


@lru_cache(maxsize=4096)
def same_language(code: str, wanted: str) -> bool:
    """Tell whether a code is of the language: `en`, `EN-US`, `en_GB` and `eng` all fit `en`.

    A region wanted must be the same where the code has one: `en-GB` does not fit `en-US`.
    """
    (main, rest), (wanted_main, wanted_rest) = _parts(code), _parts(wanted)
    return main == wanted_main and (not rest or not wanted_rest or rest == wanted_rest)


def _parts(code: str) -> tuple[str, str]:
    """Split a code into the language, by its shortest code, and region or script."""
    main, _, rest = code.strip().casefold().replace("_", "-").partition("-")
    return (_shortest(main) if len(main) == 3 else main), rest


@lru_cache(maxsize=512)
def _shortest(code: str) -> str:
    """Return the two-letter code of a language given by three letters, where there is one."""
    # Imported here: most sources name their languages by two letters.
    from babel import Locale, UnknownLocaleError

    try:
        return code if code in _NO_LANGUAGES else Locale.parse(code).language
    except (UnknownLocaleError, ValueError):
        return code


def closest_code(codes: Iterable[str], wanted: str) -> str | None:
    """Return the code that is of the language, an equal one before one with a region.

    `en` is taken before `en-GB`, and `en-US` wanted takes no `en-GB`.
    """
    fitting = [code for code in codes if same_language(code, wanted)]
    exact = [code for code in fitting if _parts(code) == _parts(wanted)]
    return next(iter(exact + fitting), None)


def split_ending(path: Path) -> tuple[str, str]:
    """Split a file's name into what its translation's name shares, and its language's ending.

    `corpus.en.gz` gives `corpus` and `en`, `en.txt` gives "" and `en`; a name without an ending
    that could be a code, or src, tgt, source, target, gives itself and "".
    """
    name = path.name
    while name.lower().endswith(_NEUTRAL_ENDINGS):
        name = name[: name.rindex(".")]
    stem, _, ending = name.rpartition(".")
    side = ending.lower() in ("source", "target")
    return (stem, ending) if side or _CODE.fullmatch(ending) else (name, "")


def columns_of_language(names: Sequence[str], language: str) -> list[str]:
    """Return the columns named after a language: `en`, else `en-US`, else `English`, `text_en`."""
    equal = [name for name in names if _parts(name) == _parts(language)]
    regions = [it for it in names if _WITH_REGION.fullmatch(it) and same_language(it, language)]
    words = {language.casefold(), english_name(language).casefold()}
    spelled = [name for name in names if words & set(re.split(r"[^\w]+|_", name.casefold()))]
    return equal[:1] or regions or spelled


def is_language(code: str) -> bool:
    """Tell whether a text is the code of a language that is known."""
    return bool(_CODE.fullmatch(code) and english_name(code)) and code not in _NO_LANGUAGES


def english_name(code: str) -> str:
    """Return a language's name in English, such as "French" for fr; "" for an unknown code."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(code.replace("-", "_")).get_language_name("en") or ""
    except (UnknownLocaleError, ValueError):
        return ""
