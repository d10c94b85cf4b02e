"""A text with what surprised a language model in it: a page where colour is bits per token."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
from markupsafe import Markup

from pipelines.evaluation.report import write_page

# Bits from which on a token is of the next class: 1 bit is a coin, 8 bits one of 256.
EDGES = (0.5, 1.0, 2.0, 3.0, 4.5, 6.0, 8.0)
SHOWN_TOKENS = 60_000  # a browser lays out this much at once
MOST_LISTED = 12

_VISIBLE = {"\n": "\u00b6\n", "\t": "\u2192\t", "\r": "\u240d"}


def surprise_page(
    path: Path, title: str, tokens: Sequence[str], bits: np.ndarray, *, characters: int
) -> None:
    """Write a page that shows every token on a ground as strong as it was surprising.

    Args:
        path: the HTML file; replaced whole.
        title: what the text is called.
        tokens: of the text, in order.
        bits: of each token, float[T].
        characters: of the whole text.
    """
    total = float(np.sum(bits, dtype=np.float64))
    write_page(
        path,
        "surprise.html.j2",
        title=title,
        per_character=total / max(1, characters),
        characters=characters,
        total_bytes=total / 8,
        legend=heat_legend(bits),
        strip=heat_strip(tokens[:SHOWN_TOKENS], bits[:SHOWN_TOKENS]),
        hidden=max(0, len(tokens) - SHOWN_TOKENS),
        lines=most_surprising_lines(tokens, bits),
    )


def heat_strip(tokens: Sequence[str], bits: np.ndarray) -> Markup:
    """Return tokens as spans of class h0 to h7; neighbours of one class share a span."""
    classes = np.digitize(bits, EDGES)
    parts = []
    for level, group in groupby(range(len(tokens)), key=lambda place: int(classes[place])):
        places = list(group)
        text = "".join(_shown(tokens[place]) for place in places)
        mean = float(np.mean(bits[places[0] : places[-1] + 1]))
        parts.append(
            Markup('<span class="h{}" title="{:.1f} bits">{}</span>').format(level, mean, text)
        )
    return Markup("").join(parts)


def _shown(token: str) -> str:
    """Make visible what a page would swallow."""
    return "".join(_VISIBLE.get(character, character) for character in token)


def heat_legend(bits: np.ndarray) -> Markup:
    """Return the ranges of bits and their shares of all tokens, the least surprising first."""
    shares = np.bincount(np.digitize(bits, EDGES), minlength=len(EDGES) + 1) / max(1, len(bits))
    lows = ("0", *(f"{edge:g}" for edge in EDGES))
    highs = (*(f"{edge:g}" for edge in EDGES), "")
    entries = Markup("").join(
        Markup('<li><span class="h{}">{} bits: {:.0f} %</span></li>').format(
            level, f"{low} to {high}" if high else f"{low} or more", 100 * share
        )
        for level, (low, high, share) in enumerate(zip(lows, highs, shares, strict=True))
    )
    return Markup(
        '<ul class="legend" aria-label="bits of a token, and the share of all tokens">{}</ul>'
    ).format(entries)


def most_surprising_lines(
    tokens: Sequence[str], bits: np.ndarray
) -> list[tuple[int, float, Markup]]:
    """Return number, mean bits per token and heat strip of the lines that surprised most.

    A line of less than ten tokens is too short to be compared.
    """
    ends = [place + 1 for place, token in enumerate(tokens) if "\n" in token]
    edges = [0, *ends] if ends and ends[-1] == len(tokens) else [0, *ends, len(tokens)]
    found = [
        (float(np.mean(bits[start:stop])), number, start, stop)
        for number, (start, stop) in enumerate(pairwise(edges), start=1)
        if stop - start >= 10
    ]
    worst = sorted(found, reverse=True)[:MOST_LISTED]
    return [
        (number, mean, heat_strip(tokens[start : min(stop, start + 300)], bits[start:stop]))
        for mean, number, start, stop in worst
    ]
