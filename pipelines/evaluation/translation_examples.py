"""Single translations in the report: source, reference and systems below one another.

What a system wrote otherwise than the reference has a dotted line below it, so that no colour is
needed to see it. Everything foreign is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

from markupsafe import Markup

from pipelines.evaluation.examples import example
from pipelines.evaluation.sections import Html
from pipelines.evaluation.tagging_examples import lines
from pipelines.evaluation.words import token_spans

SHOWN_CHARACTERS = 700
_MOST_COMPARED = 400  # words; the comparison takes their square


def differing(text: str, reference: str) -> Markup:
    """Return a text with every run of words marked that the reference does not have there.

    Letters are compared whatever their case; a text longer than `SHOWN_CHARACTERS` is cut.
    """
    spans = token_spans(text[:SHOWN_CHARACTERS])[:_MOST_COMPARED]
    if not spans:
        return Markup("<em>{}</em>").format("nothing") if not text.strip() else _cut(text)
    words = [text[start:end].casefold() for start, end in spans]
    others = token_spans(reference)[: 2 * _MOST_COMPARED]
    wanted = [reference[start:end].casefold() for start, end in others]
    runs = SequenceMatcher(None, words, wanted, autojunk=False).get_opcodes()
    marked = [(spans[a][0], spans[b - 1][1]) for kind, a, b, _, _ in runs if kind in _DIFFERENT]
    return _with_marks(text, marked)


_DIFFERENT = ("replace", "delete")


def _with_marks(text: str, marked: Sequence[tuple[int, int]]) -> Markup:
    parts, place = [], 0
    for start, end in marked:
        parts.append(Markup("{}").format(text[place:start]))
        parts.append(Markup('<span class="mark wrong-mark">{}</span>').format(text[start:end]))
        place = end
    parts.append(_cut(text, place))
    return Markup("").join(parts)


def _cut(text: str, start: int = 0) -> Markup:
    """Write the text from `start` on, up to the characters that are shown."""
    limit = max(start, SHOWN_CHARACTERS)
    rest = Markup(" … ({:,} more characters)").format(len(text) - limit)
    return Markup("{}{}").format(text[start:limit], rest if len(text) > limit else "")


def translation_block(
    meta: str, source: str, reference: str, systems: Sequence[tuple[str, str]]
) -> Html:
    """Show one pair and what systems made of it.

    Args:
        meta: a line about the pair.
        source: the text.
        reference: its translation.
        systems: name and translation of each system.
    """
    shown = [("source", _cut(source)), ("target", _cut(reference))]
    shown += [(name, differing(text, reference)) for name, text in systems]
    return Html(example(meta, lines(*shown)))


def heading(title: str) -> Markup:
    """Head a group of examples."""
    return Markup("<h3>{}</h3>").format(title)
