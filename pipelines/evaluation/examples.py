"""Single texts in the report, their words coloured by what they did for the answer."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from pipelines.evaluation.attribution import Attribution

SHOWN_CHARACTERS = 800
_VISIBLE = 0.04  # weaker shades cannot be told from the page


def coloured_text(text: str, attributions: Sequence[Attribution]) -> Markup:
    """Return the text with each attributed span shaded; the strongest sets the scale.

    Speaking for the answer is shaded with a solid line below, against it with a dotted one, so that
    colour is not needed to tell them apart. Long texts are cut after `SHOWN_CHARACTERS`.
    """
    shown = text[:SHOWN_CHARACTERS]
    strongest = max((abs(entry.effect) for entry in attributions), default=0.0)
    parts: list[str] = []
    position = 0
    for entry in attributions:
        if entry.end > len(shown):
            break
        parts += [escape(shown[position : entry.start]), _token(shown, entry, strongest)]
        position = entry.end
    parts.append(escape(shown[position:]))
    if len(text) > len(shown):
        parts.append(f" … ({len(text) - len(shown):,} more characters)")
    return Markup("").join(parts)


def example(meta: str, text: Markup) -> Markup:
    """Return one example: a line about it and its text."""
    return Markup(
        '<div class="example"><p class="meta">{}</p><p class="text" dir="auto">{}</p></div>'
    ).format(meta, text)


def _token(text: str, entry: Attribution, strongest: float) -> str:
    word = text[entry.start : entry.end]
    weight = abs(entry.effect) / strongest if strongest else 0.0
    if weight < _VISIBLE:
        return escape(word)
    return Markup('<span class="token {}" style="--weight:{}" title="{}">{}</span>').format(
        "for" if entry.effect > 0 else "against", f"{weight:.2f}", f"{entry.effect:+.3f}", word
    )
