"""Where a language model needs fewer bits than its opponents, and how sure that is.

Bits are compared in pairs on the same passages of 1,000 characters; passages, or the documents they
are from, are resampled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.documents import PASSAGE
from pipelines.errors import EvaluationError
from pipelines.evaluation.language_measures import (
    EDGES,
    KINDS,
    bits_by_kind,
    passage_lengths,
)
from pipelines.evaluation.measures import ratio_measure, score_of
from pipelines.evaluation.resampling import require_rows
from pipelines.evaluation.scores import Score
from pipelines.evaluation.units import MIN_DOCUMENTS, Units

Array = NDArray[Any]
Outputs = Mapping[str, Array]


class Document(Protocol):
    """What is needed of a test document."""

    @property
    def text(self) -> str:
        """All of it."""

    @property
    def name(self) -> str:
        """What it is called; "" if unknown."""


class PassageUnits(Units):
    """What intervals and tests draw: documents where there are enough, else passages."""

    @property
    def name(self) -> str:
        """What a unit is, in the plural."""
        return "passages" if self.groups is None else "documents"

    def sentence(self) -> str:
        """Say what was resampled, and why."""
        if self.groups is not None:
            return (
                f"Intervals and p-values resample the {self.count:,} documents, since passages of "
                "one document share its subject and style."
            )
        return (
            f"Intervals and p-values resample the {self.count:,} passages of {PASSAGE:,} "
            f"characters, as there are fewer than {MIN_DOCUMENTS} documents; passages of one "
            "document are alike, so the true intervals may be wider."
        )


@dataclass(frozen=True)
class PassageTable:
    """Bits of every system on every passage of the test documents.

    Attributes:
        bits: system -> bits of each passage, float64[M]; the model is "model".
        characters: of each passage, int64[M].
        document: number of the document of each passage, int64[M].
        start: characters of the document before each passage, int64[M].
    """

    bits: Mapping[str, Array]
    characters: Array
    document: Array
    start: Array

    def sums(self) -> dict[str, Array]:
        """Put bits beside characters, float64[M, 2] of each system."""
        return {name: np.column_stack([bits, self.characters]) for name, bits in self.bits.items()}


def passage_table(
    rows: Sequence[Document], outputs: Outputs, baselines: Mapping[str, Outputs]
) -> PassageTable:
    """Lay all passages of all documents in one row, for each system.

    Raises:
        EvaluationError: a system's outputs do not fit the documents, or there is no character.
    """
    characters = np.array([len(row.text) for row in rows], np.int64)
    require_rows(int(characters.sum()))
    lengths = [passage_lengths(count) for count in characters]
    number = np.repeat(np.arange(len(rows)), [len(row) for row in lengths])
    within = np.concatenate([np.arange(len(row)) for row in lengths])
    systems = {"model": outputs, **baselines}
    return PassageTable(
        {
            name: _passage_bits(name, found, characters)[number, within]
            for name, found in systems.items()
        },
        np.concatenate(lengths),
        number,
        within * PASSAGE,
    )


def passage_units(table: PassageTable) -> PassageUnits:
    """Draw documents where 20 or more hold a character, else passages."""
    names, numbers = np.unique(table.document, return_inverse=True)
    if len(names) < MIN_DOCUMENTS:
        return PassageUnits(None, len(table.document))
    return PassageUnits(numbers, len(names))


def by_document(table: PassageTable, rows: Sequence[Document], *, seed: int = 17) -> list[Score]:
    """Compare bits per character within each document, by resampling its passages.

    Returns:
        A score a document that is not empty, named after it, in order.
    """
    return [
        _part(rows[number].name or f"document {number + 1}", table, table.document == number, seed)
        for number in np.unique(table.document)
    ]


def by_position(table: PassageTable, units: PassageUnits, *, seed: int = 17) -> list[Score]:
    """Compare bits per character by how far into its document a passage begins.

    Returns:
        A score a band of places that holds a passage, such as "1,000 to 3,000" characters.
    """
    edges = [0, *(edge for edge in EDGES if edge >= PASSAGE)]
    bands = np.searchsorted(edges, table.start, "right") - 1
    names = [f"{low:,} to {high:,}" for low, high in pairwise(edges)]
    names.append(f"{edges[-1]:,} on")
    return [_part(names[band], table, bands == band, seed, units) for band in np.unique(bands)]


def by_kind(
    rows: Sequence[Document],
    character_bits: Mapping[str, Sequence[Array]],
    units: PassageUnits,
    *,
    seed: int = 17,
) -> list[Score]:
    """Compare bits per character by kind: first letters of words, later letters, blanks and so on.

    Args:
        rows: the test documents.
        character_bits: system -> bits of every character, float[characters] of each document; the
            model is "model". PPMd's may be whole bytes (`language_baselines.LanguageBaselines`).
        units: what to resample.
        seed: of the resampling.

    Returns:
        A score for each kind that occurs, in the order of `KINDS`.

    Raises:
        EvaluationError: bits do not fit the texts.
    """
    sums = {
        name: np.concatenate(
            [bits_by_kind(row.text, bits) for row, bits in _matched(name, rows, found)]
        )
        for name, found in character_bits.items()
    }
    counts = sums["model"][:, :, 1].sum(axis=0)
    return [
        score_of(
            ratio_measure(
                kind,
                {name: found[:, place] for name, found in sums.items()},
                counted="characters",
                unit="bits",
            ),
            units,
            seed=seed,
        )
        for place, kind in enumerate(KINDS)
        if counts[place]
    ]


def _part(
    name: str, table: PassageTable, chosen: Array, seed: int, units: PassageUnits | None = None
) -> Score:
    groups = units.groups[chosen] if units and units.groups is not None else None
    sums = {system: found[chosen] for system, found in table.sums().items()}
    measure = ratio_measure(name, sums, counted="characters", unit="bits")
    return score_of(measure, PassageUnits(groups, int(chosen.sum())), seed=seed)


def _matched(
    name: str, rows: Sequence[Document], found: Sequence[Array]
) -> list[tuple[Document, Array]]:
    if len(found) != len(rows):
        raise EvaluationError(
            f"bits by character of {name}: {len(found)} arrays for {len(rows)} documents; one a "
            "document is needed: score every test document, in order"
        )
    return list(zip(rows, found, strict=True))


def _passage_bits(name: str, outputs: Outputs, characters: Array) -> Array:
    """Check one system's outputs against the documents and return its bits, float64[N, P]."""
    missing = {"bits", "characters", "passage_bits"} - set(outputs)
    if missing:
        raise EvaluationError(
            f"outputs of {name}: no {', '.join(map(repr, sorted(missing)))} among "
            f"{sorted(outputs)}; every system states its bits by document and by passage: return "
            "them from `serve` or the baseline"
        )
    if len(outputs["characters"]) != len(characters):
        raise EvaluationError(
            f"outputs of {name}: {len(outputs['characters'])} rows for {len(characters)} test "
            "documents; one a document is needed: score every test document, in order"
        )
    wrong = np.flatnonzero(np.asarray(outputs["characters"]) != characters)
    if len(wrong):
        row = wrong[0]
        raise EvaluationError(
            f"outputs of {name}, document {row + 1}: {outputs['characters'][row]:,} characters "
            f"for a text of {characters[row]:,}; bits per character need the text's own length: "
            "count code points, without the end mark"
        )
    bits = np.asarray(outputs["passage_bits"], float)
    _require_same_bits(name, np.asarray(outputs["bits"], float), bits)
    _require_width(name, bits, characters)
    return bits


def _require_same_bits(name: str, bits: Array, passage_bits: Array) -> None:
    totals = passage_bits.sum(axis=1)
    agree = np.isfinite(bits) & np.isclose(totals, bits, rtol=1e-3, atol=0.1)
    wrong = np.flatnonzero(~agree)
    if len(wrong):
        row = wrong[0]
        raise EvaluationError(
            f"outputs of {name}, document {row + 1}: {bits[row]:,.2f} bits, but its passages have "
            f"{totals[row]:,.2f}; both must be finite and agree: put every character's bits into "
            "the passage that holds it"
        )


def _require_width(name: str, passage_bits: Array, characters: Array) -> None:
    needed = -(-int(characters.max()) // PASSAGE)
    if passage_bits.shape[1] < needed:
        raise EvaluationError(
            f"outputs of {name}: {passage_bits.shape[1]} passages a document, but the longest text "
            f"of {characters.max():,} characters has {needed}; every passage of {PASSAGE:,} "
            "characters needs its bits: pad shorter documents with 0"
        )
