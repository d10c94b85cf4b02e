"""The report's pages on what surprised a language model, and what it expected instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from markupsafe import Markup

from pipelines.datasets.documents import PASSAGE
from pipelines.evaluation.language_evidence import Guess, ScoredText
from pipelines.evaluation.language_judged import Array
from pipelines.evaluation.sections import Block, Html, Section, Table
from pipelines.evaluation.surprise import heat_legend, heat_strip, most_surprising_lines
from pipelines.evaluation.translation_examples import heading
from pipelines.evaluation.wording import number

SHORTEST = 500  # characters of a passage that may stand as the best or the worst
MOST_LINES = 10
_SHOWN_BEFORE = 30  # characters before a guess; on a telephone more would push the guesses out
_STRIP = (
    "The stronger the ground of a character, the more bits it took: the more it surprised the "
    "model, which had read all of the document before it. Colour gathers where words begin, and on "
    "names and rare words; within a word, once it is plain which one it is, there should be little."
)
_GUESSED = (
    "At places drawn at random, the characters that the model held likeliest next, with their "
    "probabilities in per cent; the one that came is marked."
)
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_VISIBLE = {" ": "\u2423", "\n": "\u00b6", "\t": "\u2192", "\r": "\u240d", "\u2581": "\u2423"}


@dataclass(frozen=True)
class Passage:
    """Tokens of one passage of a document, their bits, and bits per character of it."""

    name: str
    start: int
    tokens: Sequence[str]
    bits: Array

    @property
    def characters(self) -> int:
        """How long it is."""
        return sum(map(len, self.tokens))

    @property
    def bits_per_character(self) -> float:
        """How hard it was."""
        return float(np.sum(self.bits)) / max(1, self.characters)


def surprise_section(scored: Sequence[ScoredText]) -> Section | None:
    """Show the easiest, middle and hardest passage, and the most surprising lines."""
    passages = [passage for text in scored for passage in passages_of(text)]
    if not passages:
        return None
    whole = [passage for passage in passages if passage.characters >= SHORTEST] or passages
    order = sorted(whole, key=lambda passage: passage.bits_per_character)
    shown = {"Easiest": order[0], "Median": order[len(order) // 2], "Hardest": order[-1]}
    everything = np.concatenate([passage.bits for passage in passages])
    blocks: list[Block] = [Html(heat_legend(everything))]
    told: list[Passage] = []
    for title, passage in shown.items():
        if any(passage is other for other in told):
            continue
        told.append(passage)
        blocks += [Html(heading(title)), Html(_strip(passage))]
    lines = _lines_table(scored)
    if lines is not None:
        blocks += [Html(heading("Lines that surprised most")), lines]
    prose = f"{_STRIP} The passages are the easiest, the middle and the hardest of {len(whole):,}."
    return Section("What surprises it", prose, blocks)


def passages_of(text: ScoredText) -> list[Passage]:
    """Cut the tokens of a text into passages of 1,000 characters, where they begin."""
    tokens, bits = text.shown()
    starts = np.cumsum([0, *map(len, tokens)])[:-1] // PASSAGE
    edges = np.flatnonzero(np.diff(starts)) + 1
    bounds = [0, *edges.tolist(), len(tokens)]
    return [
        Passage(text.name, int(starts[begin]) * PASSAGE, tokens[begin:end], bits[begin:end])
        for begin, end in pairwise(bounds)
        if end > begin
    ]


def _strip(passage: Passage) -> Markup:
    return Markup(
        '<p class="caption strip-of">{}, from character {:,} on: {} bits per character</p>'
        '<div class="strip passage">{}</div>'
    ).format(
        passage.name or "a document",
        passage.start,
        number(passage.bits_per_character),
        heat_strip(passage.tokens, passage.bits),
    )


def _lines_table(scored: Sequence[ScoredText]) -> Table | None:
    found = [
        (mean, text.name, line, strip)
        for text in scored
        for line, mean, strip in most_surprising_lines(*text.shown())
    ]
    if len(found) < 2:
        return None
    worst: dict[str, tuple[float, str, int, Markup]] = {}
    for entry in sorted(found, key=lambda entry: -entry[0]):
        # A speaker's name may surprise at each of a hundred speeches.
        worst.setdefault(entry[3].striptags(), entry)
    rows = [
        [
            Markup('<div class="strip">{}</div>').format(strip),
            f"{name}, line {line:,}" if name else f"line {line:,}",
            number(mean),
        ]
        for mean, name, line, strip in islice(worst.values(), MOST_LINES)
    ]
    caption = "Lines of ten tokens or more, by their mean bits a token; equal ones once."
    return Table(["line", "from", "bits per token"], rows, caption, ["left", "left", "right"])


def guesses_section(guesses: Sequence[Guess]) -> Section | None:
    """Tabulate what the model expected at a few places, and what came."""
    if not guesses:
        return None
    most = max(len(guess.likeliest) for guess in guesses)
    rows = [
        [
            Markup('<code class="nowrap">…{}</code>').format(
                visible(guess.before[-_SHOWN_BEFORE:])
            ),
            Markup("<code>{}</code>").format(visible(guess.actual)),
            number(guess.bits),
            *_expected(guess, most),
        ]
        for guess in guesses
    ]
    columns = ["after", "came", "bits", *_ranks(most)]
    right = sum(guess.likeliest[:1] == (guess.actual,) for guess in guesses)
    among = sum(guess.actual in map(token_text, guess.likeliest) for guess in guesses)
    caption = (
        f"The likeliest came at {right} of {len(guesses)} places, one of those shown at {among}. "
        "␣ is a blank, ¶ a line break."
    )
    return Section("What it expects next", _GUESSED, [Table(columns, rows, caption)])


def _ranks(most: int) -> list[str]:
    return ["likeliest", *(f"{rank}." for rank in range(2, most + 1))][:most]


def _expected(guess: Guess, most: int) -> list[Markup | str]:
    cells: list[Markup | str] = []
    for token, probability in zip(guess.likeliest, guess.probability, strict=True):
        shown = Markup("<code>{}</code>").format(visible(token_text(token)))
        if token_text(token) == guess.actual:
            shown = Markup('<span class="mark right-mark">{}</span>').format(shown)
        cells.append(Markup("{} {}").format(shown, f"{100 * probability:.1f}"))
    return [*cells, *[""] * (most - len(cells))]


def token_text(token: str) -> str:
    """Return the character that a byte such as "<0x41>" is; other tokens are as they are."""
    byte = _BYTE.fullmatch(token)
    return chr(int(byte[1], 16)) if byte and int(byte[1], 16) < 128 else token


def visible(text: str) -> str:
    """Write blanks and line breaks as signs, since a cell of a table swallows them."""
    return "".join(_VISIBLE.get(character, character) for character in text)
