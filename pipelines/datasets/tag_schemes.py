"""Span tags: BIO, IOB1 and BIOES read as spans, written, told apart and mended.

| scheme | a span of one token | of two | of three | right after one of the same type |
|---|---|---|---|---|
| bio | B | B I | B I I | B I |
| iob1 | I | I I | I I I | B I |
| bioes | S | B E | B I E | B E |

BILOU (L, U) and BMES (M, W) are BIOES in other letters and are read as such. A tag is a letter, a
hyphen and a type (`B-geo-loc`); where there is one type only, the letter may stand alone.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

Scheme = Literal["bio", "iob1", "bioes", "none"]
OUTSIDE = "O"
_TAG = re.compile(r"([BIESLUMW])(?:-(.*))?", re.DOTALL)
_LETTERS = {"L": "E", "U": "S", "W": "S", "M": "I"}


class Span(NamedTuple):
    """Tokens `start` to `limit` (exclusive) of one type."""

    start: int
    limit: int
    type: str


@functools.lru_cache(maxsize=1 << 16)
def _parts(tag: str) -> tuple[str, str]:
    """Return letter (B, I, E, S or O) and type of a tag."""
    if tag == OUTSIDE:
        return OUTSIDE, ""
    found = _TAG.fullmatch(tag)
    if found is None:
        raise ValueError(f"{tag!r} is no span tag; expected O, or B-, I-, E- or S- with a type")
    letter, name = found.groups()
    return _LETTERS.get(letter, letter), name or ""


def is_span_tag(tag: str) -> bool:
    """Tell whether a tag is O, or a letter of a scheme alone or with a type."""
    return tag == OUTSIDE or _TAG.fullmatch(tag) is not None


def type_of(tag: str) -> str:
    """Return the type of a span tag, "" for O.

    Raises:
        ValueError: it is no span tag.
    """
    return _parts(tag)[1]


def _tag(letter: str, name: str) -> str:
    return f"{letter}-{name}" if name else letter


def spans_of(tags: Sequence[str]) -> list[Span]:
    """Read the spans of one sentence as the conlleval program does.

    B and S start a span, O ends one. I and E continue the span of their type that the tag before
    them is in, and start one where there is none.

    Args:
        tags: of BIO; the other schemes are read as well.

    Returns:
        disjoint spans from left to right.

    Raises:
        ValueError: a tag has no letter of a scheme.
    """
    spans: list[Span] = []
    start, previous = 0, (OUTSIDE, "")
    for position, tag in enumerate((*tags, OUTSIDE)):
        letter, name = _parts(tag)
        if letter in "IE" and previous[0] in "BI" and previous[1] == name:
            previous = (letter, name)
            continue
        if previous[0] != OUTSIDE:
            spans.append(Span(start, position, previous[1]))
        start, previous = position, (letter, name)
    return spans


def tags_from_spans(spans: Iterable[Span], length: int) -> list[str]:
    """Write spans of a sentence of `length` tokens as BIO tags.

    Raises:
        ValueError: a span is empty, leaves the sentence or overlaps another.
    """
    return _write(spans, length, "bio")


def to_bio(tags: Sequence[str], scheme: Literal["bio", "iob1", "bioes"]) -> tuple[list[str], int]:
    """Convert the tags of a sentence to valid BIO.

    Args:
        tags: as read; spans are found as `spans_of` finds them, whatever is wrong with the tags.
        scheme: what the tags claim to be.

    Returns:
        BIO tags, and the number of `violations`.

    Raises:
        ValueError: a tag has no letter of a scheme.
    """
    return _write(spans_of(tags), len(tags), "bio"), len(violations(tags, scheme))


def violations(tags: Sequence[str], scheme: Literal["bio", "iob1", "bioes"]) -> list[int]:
    """Return the positions of tags that are not as `scheme` writes the same spans.

    Such are an I or E without a start, a B or I of BIOES where the span ends, a change of type
    inside a span, an IOB1 B that does not part two spans.

    Raises:
        ValueError: a tag has no letter of a scheme.
    """
    valid = _write(spans_of(tags), len(tags), scheme)
    pairs = zip(tags, valid, strict=True)
    return [at for at, (tag, wanted) in enumerate(pairs) if _tag(*_parts(tag)) != wanted]


def to_bioes(tags: Sequence[str]) -> list[str]:
    """Convert BIO tags of a sentence to BIOES."""
    return _write(spans_of(tags), len(tags), "bioes")


def to_iob1(tags: Sequence[str]) -> list[str]:
    """Convert BIO tags of a sentence to IOB1."""
    return _write(spans_of(tags), len(tags), "iob1")


def runs_to_bio(types: Sequence[str]) -> list[str]:
    """Convert plain types ("person", "O"), one a token, to BIO: each run of a type is a span."""
    return _write(
        spans_of([OUTSIDE if name == OUTSIDE else f"I-{name}" for name in types]),
        len(types),
        "bio",
    )


def _write(spans: Iterable[Span], length: int, scheme: str) -> list[str]:
    tags = [OUTSIDE] * length
    before: Span | None = None
    for span in sorted(spans):
        if not (before.limit if before else 0) <= span.start < span.limit <= length:
            raise ValueError(f"{span} does not fit after {before} into {length} tokens")
        first, inside, last, only = "B", "I", "I", "B"
        if scheme == "bioes":
            last, only = "E", "S"
        elif scheme == "iob1" and not (
            before and before.limit == span.start and before.type == span.type
        ):
            first, only = "I", "I"
        letters = [first, *inside * (span.limit - span.start - 2), last]
        for position in range(span.start, span.limit):
            letter = only if span.limit - span.start == 1 else letters[position - span.start]
            tags[position] = _tag(letter, span.type)
        before = span
    return tags


def detect_scheme(tag_sequences: Iterable[Sequence[str]]) -> Scheme:
    """Tell the scheme from tags alone.

    Where more than half of the tags beside O have no letter of a scheme, there is none. A letter
    that BIO lacks (E, S, L, U, M, W) tells BIOES. Of BIO and IOB1, the one that fewer starts of
    spans violate is taken, BIO if neither is violated.

    Args:
        tag_sequences: the tags of some sentences, as read.
    """
    plain = lettered = inside_starts = begin_starts = 0
    bioes = False
    for tags in tag_sequences:
        previous = (OUTSIDE, "")
        for tag in tags:
            if not is_span_tag(tag):
                plain += 1
                previous = (OUTSIDE, "")
                continue
            letter, name = _parts(tag)
            if letter != OUTSIDE:
                lettered += 1
                bioes = bioes or tag[0] not in "BI"
                follows = previous[0] != OUTSIDE and previous[1] == name
                inside_starts += letter == "I" and not follows
                begin_starts += letter == "B" and not follows
            previous = (letter, name)
    if plain > lettered:
        return "none"
    if bioes:
        return "bioes"
    return "iob1" if inside_starts > begin_starts else "bio"
