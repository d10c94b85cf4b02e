"""What a feature CRF sees of a word: its form, its affixes, its shape and its neighbours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

LONGEST_AFFIX = 4
_RUN = re.compile(r"(.)\1+")
_OUTSIDE = ("|", "|")  # no word holds both, so the sentence's edges are told from words


def sentence_features(tokens: Sequence[str]) -> list[list[str]]:
    """Return the binary features of every token, the usual ones of sequence labelling.

    Lower-cased word, prefixes and suffixes of one to four characters, shape and short shape,
    capitals, digits, hyphens and other signs; words and short shapes two to either side, the pairs
    with the direct neighbours, and whether the sentence begins or ends here.
    """
    forms = [_OUTSIDE, _OUTSIDE, *map(_form, tokens), _OUTSIDE, _OUTSIDE]
    features = []
    for place, token in enumerate(tokens):
        found = [*_word_features(token), *_neighbours(forms[place : place + 5])]
        if place == 0:
            found.append("first")
        if place == len(tokens) - 1:
            found.append("last")
        features.append(found)
    return features


def shape(word: str) -> str:
    """Map capitals to X, other letters to x, digits to 9 and leave signs: "Al-4b" is "Xx-9x"."""
    return "".join(map(_shape_of, word))


def short_shape(word: str) -> str:
    """Return the shape with every run cut to one sign: "Brussels" is "Xx"."""
    return _RUN.sub(r"\1", shape(word))


def _shape_of(character: str) -> str:
    if character.isupper() or character.istitle():
        return "X"
    if character.isdigit():
        return "9"
    return "x" if character.isalpha() else character


@lru_cache(maxsize=1 << 16)
def _form(word: str) -> tuple[str, str]:
    return word.lower(), short_shape(word)


@lru_cache(maxsize=1 << 16)
def _word_features(word: str) -> tuple[str, ...]:
    lower, short = _form(word)
    longest = min(LONGEST_AFFIX, len(lower))
    signs = {
        "title": word.istitle(),
        "upper": word.isupper(),
        "capital": word[:1].isupper(),
        "digit": any(map(str.isdigit, word)),
        "number": word.isdigit(),
        "hyphen": "-" in word,
        "sign": not any(map(str.isalnum, word)),
    }
    return (
        "bias",
        f"w={lower}",
        f"s={shape(word)}",
        f"ss={short}",
        *(f"p{size}={lower[:size]}" for size in range(1, longest + 1)),
        *(f"e{size}={lower[-size:]}" for size in range(1, longest + 1)),
        *(name for name, present in signs.items() if present),
    )


def _neighbours(forms: Sequence[tuple[str, str]]) -> list[str]:
    """Features of the two words before and the two after the middle one."""
    (before2, shape2), (before, shape1), (word, _), (after, shape3), (after2, shape4) = forms
    return [
        f"w-2={before2}",
        f"w-1={before}",
        f"w+1={after}",
        f"w+2={after2}",
        f"ss-2={shape2}",
        f"ss-1={shape1}",
        f"ss+1={shape3}",
        f"ss+2={shape4}",
        f"e-1={before[-3:]}",
        f"e+1={after[-3:]}",
        f"w-1,0={before}|{word}",
        f"w0,1={word}|{after}",
    ]
