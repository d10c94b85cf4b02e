"""The report's page on where a language model earns its keep: by position, by kind of character."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.evaluation.language_figures import kind_chart, position_chart
from pipelines.evaluation.language_judged import (
    CONTEXT_FREE,
    MODEL,
    Array,
    Judged,
    compared_cells,
    outcome,
    own_cell,
)
from pipelines.evaluation.language_measures import EDGES, bits_by_position, passages
from pipelines.evaluation.language_significance import PassageUnits, by_kind, by_position
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.wording import difference, number

FEWEST_CHARACTERS = 300  # of which a mean is drawn; PPMd's bits are whole bytes at odd places


@dataclass(frozen=True)
class Beginning:
    """The beginning of a test document; `row` is its number among them."""

    row: int
    name: str
    text: str


def places_section(found: Judged) -> Section | None:
    """Compare the model with opponents by position and by kind of character."""
    if not found.rival:
        return None
    texts, bits = _character_bits(found)
    scores = _kind_scores(found, texts, bits) if texts and found.rival in bits else []
    prose = [_position_prose(found)]
    blocks: list[Block] = []
    if texts:
        blocks.append(_position_figure(texts, bits))
    blocks.append(_position_table(found))
    if scores:
        prose.append(_kind_prose(scores, found.rival))
        blocks += _kind_blocks(scores, found.rival)
    return Section("Where the model earns its keep", "\n\n".join(prose), blocks)


def _character_bits(found: Judged) -> tuple[list[Beginning], dict[str, list[Array]]]:
    """Bits of every character of the scored beginnings, of each system that tells them."""
    known = {
        name: outputs["character_bits"]
        for name, outputs in found.outputs.items()
        if "character_bits" in outputs and name in (found.rival, *CONTEXT_FREE[:1])
    }
    texts: list[Beginning] = []
    bits: dict[str, list[Array]] = {name: [] for name in (MODEL, *known)}
    for scored in found.evidence.scored:
        own = scored.by_character()
        if own is None or not len(own):
            continue
        texts.append(Beginning(scored.row, scored.name, scored.text))
        bits[MODEL].append(own)
        for name, rows in known.items():
            bits[name].append(np.asarray(rows[scored.row][: len(own)], float))
    return texts, bits


def _position_figure(texts: Sequence[Beginning], bits: Mapping[str, Sequence[Array]]) -> Figure:
    edges = _edges(texts)
    bands = {name: bits_by_position(found, edges) for name, found in bits.items()}
    aside = {name: bands.pop(name) for name in CONTEXT_FREE if name in bands}
    told = "; ".join(
        f"from {band.start:,} on {number(band.bits_per_character)}" for band in bands[MODEL]
    )
    longest = max(len(text.text) for text in texts)
    count = f"{len(texts):,} document" + "s" * (len(texts) != 1)
    caption = f"Bits per character by distance from the start; first {longest:,} of {count}."
    return Figure(position_chart(bands, aside), caption, f"The model's bits per character: {told}.")


def _edges(texts: Sequence[Beginning]) -> list[int]:
    """Widen bands until each holds enough characters for a mean."""
    lengths = np.array([len(text.text) for text in texts])
    kept = [0]
    for edge in EDGES[1:]:
        within = np.minimum(lengths, edge) - np.minimum(lengths, kept[-1])
        beyond = np.maximum(lengths - edge, 0)
        if min(within.sum(), beyond.sum()) >= FEWEST_CHARACTERS:
            kept.append(edge)
    return kept


def _position_prose(found: Judged) -> str:
    scores = by_position(found.only(MODEL, found.rival), found.units, seed=found.seed)
    text = (
        "Both systems have read the training text and begin each document without knowing it. A "
        "model whose bits go on falling makes use of what it has read of this document: names, "
        "spelling, subject."
    )
    if len(scores) > 1:
        first, last = scores[0], scores[-1]
        text += (
            f" From the first band to the last the model goes from {number(first.value)} to "
            f"{number(last.value)} bits per character, {found.rival} from "
            f"{number(first.baselines[found.rival].value)} to "
            f"{number(last.baselines[found.rival].value)}."
        )
    return text


def _position_table(found: Judged) -> Table:
    systems = [found.rival, *(name for name in CONTEXT_FREE[:1] if name in found.table.bits)]
    systems = list(dict.fromkeys(systems))
    scores = by_position(found.only(MODEL, *systems), found.units, seed=found.seed)
    return Table(
        ["characters before it", MODEL, *systems],
        [[score.name, own_cell(score), *compared_cells(score, systems)] for score in scores],
        "Bits per character by where a passage of 1,000 characters begins, over all documents; "
        "below an opponent's, the model's difference from it.",
    )


def _kind_scores(
    found: Judged, texts: Sequence[Beginning], bits: Mapping[str, Sequence[Array]]
) -> list[Score]:
    pair = {name: bits[name] for name in (MODEL, found.rival)}
    count = sum(len(passages(text.text)) for text in texts)
    return by_kind(texts, pair, PassageUnits(None, count), seed=found.seed)


def _kind_prose(scores: Sequence[Score], rival: str) -> str:
    """Name the kinds where the model is better and worse than its rival."""
    text = (
        "The first letter of a word is where a word is chosen; later letters, blanks and "
        "punctuation mostly follow from it."
    )
    found = {score.name: outcome(score.baselines[rival]) for score in scores}
    for word, count in (("better", "fewer"), ("worse", "more")):
        names = [name for name, result in found.items() if result == word]
        where = f"at: {', '.join(names)}" if names else "at no kind of character"
        text += f" The model surely needs {count} bits than {rival} {where}."
    gains = {score.name: _saved(score, rival) for score in scores}
    saved = sum(value for value in gains.values() if value > 0)
    if saved > 0 and len(gains) > 1:
        name = max(gains, key=gains.__getitem__)
        text += f" Of all bits that it saves, {100 * gains[name] / saved:.0f} % are at: {name}."
    return text


def _saved(score: Score, rival: str) -> float:
    """Bits that the model needs less than its rival, over all characters of the kind."""
    return -score.baselines[rival].difference * score.count


def _kind_blocks(scores: Sequence[Score], rival: str) -> list[Block]:
    total = sum(score.count for score in scores)
    table = Table(
        ["kind", "share of text", MODEL, rival, "saves in 1,000"],
        [
            [
                score.name,
                f"{100 * score.count / total:.1f} %",
                own_cell(score),
                *compared_cells(score, [rival]),
                difference(1_000 * _saved(score, rival) / total, "", signed=True),
            ]
            for score in scores
        ],
        "Bits per character by kind of character, on the same beginnings. Saves in 1,000: bits "
        f"fewer than {rival} in 1,000 characters of the text, of all kinds.",
    )
    told = "; ".join(f"{score.name} {number(score.value)}" for score in scores)
    drawn = [score for score in scores if score.count >= FEWEST_CHARACTERS] or scores
    svg = kind_chart(drawn, rival)
    caption = "Bits per character by kind; the model with its 95 % interval."
    return [Figure(svg, caption, f"The model's bits per character: {told}."), table]
