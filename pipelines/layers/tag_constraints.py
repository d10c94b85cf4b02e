"""Which tags may start, follow one another and end, derived from a tag scheme."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from pipelines.datasets.tag_schemes import is_span_tag, type_of
from pipelines.errors import DataError

Rows = Sequence[Sequence[bool]]

_LETTERS = {"bio": "OBI", "bioes": "OBIES"}
_OPENING = "OBS"  # may come first, and after a span is over
_INSIDE = "BI"  # may be followed by I and E of the same type
_CLOSING = {"bio": "OBI", "bioes": "OES"}  # may come last, and before an opening letter


class Constraints(NamedTuple):
    """What a sequence of K tags may look like; nested sequences of bool, so that JSON holds them.

    Attributes:
        start: may tag j be the first, [K].
        transitions: may tag j follow tag i, [K, K].
        end: may tag i be the last, [K].
    """

    start: Sequence[bool]
    transitions: Rows
    end: Sequence[bool]


def allowed_transitions(
    tags: Sequence[str], scheme: Literal["bio", "bioes", "none"]
) -> Constraints:
    """Return what a tag scheme allows.

    Args:
        tags: the K tags, such as "O", "B-person", "I-person"; in the order of the model's output.
        scheme: "bio" (I-x after B-x or I-x alone), "bioes" (spans are S-x, or B-x I-x* E-x) or
            "none" (everything is legal, as for parts of speech).

    Raises:
        DataError: a tag is not of the scheme, or no sequence of some length is legal.
    """
    if scheme == "none":
        every = [True] * len(tags)
        return Constraints(every, [every] * len(tags), every)
    split = [_letter_and_type(tag, scheme) for tag in tags]
    start = [letter in _OPENING for letter, _ in split]
    end = [letter in _CLOSING[scheme] for letter, _ in split]
    moves = [[_may_follow(after, before, scheme) for after in split] for before in split]
    constraints = Constraints(start, moves, end)
    _check_every_length(tags, constraints, scheme)
    return constraints


def _letter_and_type(tag: str, scheme: str) -> tuple[str, str]:
    letters = _LETTERS[scheme]
    if not is_span_tag(tag) or tag[0] not in letters:
        raise DataError(
            f"tag set: {tag!r} is not a tag of the scheme {scheme!r}; expected O, or one of "
            f"{', '.join(letters[1:])} with a type (such as B-person); convert the tags, or use "
            "the scheme 'none'"
        )
    return tag[0], type_of(tag)


def _may_follow(after: tuple[str, str], before: tuple[str, str], scheme: str) -> bool:
    if after[0] in _OPENING:
        return before[0] in _CLOSING[scheme]
    return before[0] in _INSIDE and before[1] == after[1]


def _check_every_length(tags: Sequence[str], constraints: Constraints, scheme: str) -> None:
    """Raise unless sentences of every length have a legal sequence."""
    reached, seen = frozenset(k for k, legal in enumerate(constraints.start) if legal), set()
    while reached not in seen:
        seen.add(reached)
        if not any(constraints.end[k] for k in reached):
            raise DataError(
                f"tag set: no sequence of {len(seen)} tag(s) is legal in the scheme {scheme!r}; "
                f"got the tags {', '.join(tags)}; expected 'O' or a tag that is a span by itself "
                "among them; add 'O'"
            )
        moves = constraints.transitions
        reached = frozenset(j for j in range(len(tags)) if any(moves[i][j] for i in reached))
