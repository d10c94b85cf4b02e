"""A language model and its opponents on the same passages: what every page of its report uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipelines.evaluation.bootstrap import Interval, bootstrap_sums
from pipelines.evaluation.language_baselines import BZIP2, LZMA, PPMD, UNIFORM, UNIGRAM
from pipelines.evaluation.language_evidence import Evidence
from pipelines.evaluation.language_significance import (
    Document,
    Outputs,
    PassageTable,
    PassageUnits,
    passage_table,
    passage_units,
)
from pipelines.evaluation.measures import ratio_measure, score_of, share
from pipelines.evaluation.scores import Comparison, Score
from pipelines.evaluation.units import TRIALS
from pipelines.evaluation.wording import difference, difference_interval, interval, number, p_value

Array = NDArray[Any]
MODEL = "model"
ADAPTED = "model that learns as it reads"
COMPRESSORS = (PPMD, LZMA, BZIP2)
CONTEXT_FREE = (UNIGRAM, UNIFORM)
SURE = 0.05  # largest p-value of what is called a difference


@dataclass(frozen=True)
class Judged:
    """Every system's bits on the same passages.

    Attributes:
        rows: the test documents.
        table: bits of every system by passage.
        units: what intervals and tests draw.
        outputs: of every opponent.
        evidence: samples, and bits by token.
        rival: the opponent with the fewest bits, a compressor where there is one; "" without any.
        seed: of the resampling.
    """

    rows: Sequence[Document]
    table: PassageTable
    units: PassageUnits
    outputs: Mapping[str, Outputs]
    evidence: Evidence
    rival: str
    seed: int

    @property
    def by_rank(self) -> list[str]:
        """Systems by bits, the best first."""
        return sorted(self.table.bits, key=lambda name: float(self.table.bits[name].sum()))

    def interval(self, system: str) -> Interval:
        """Bits per character of a system on all documents."""
        return bootstrap_sums(
            self.table.sums()[system],
            share,
            groups=self.units.groups,
            seed=self.seed,
            resamples=TRIALS,
        )

    def against(self, other: str, system: str = MODEL) -> Comparison:
        """Compare the bits per character of a system, the model by default, with another's."""
        sums = self.table.sums()
        pair = {MODEL: sums[system], "other": sums[other]}
        score = score_of(
            ratio_measure("bits", pair, counted="characters"), self.units, seed=self.seed
        )
        return score.baselines["other"]

    def only(self, *systems: str) -> PassageTable:
        """Keep the bits of some systems, those that are there."""
        kept = {name: bits for name, bits in self.table.bits.items() if name in systems}
        return replace(self.table, bits=kept)


def judged(
    rows: Sequence[Document],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    evidence: Evidence,
    *,
    seed: int,
) -> Judged:
    """Lay every system's bits beside each other and find the strongest opponent.

    Raises:
        EvaluationError: there is no character, or outputs do not fit the documents.
    """
    systems = dict(baselines)
    if evidence.adapted is not None:
        systems[ADAPTED] = evidence.adapted
    table = passage_table(rows, outputs, systems)
    rivals = [name for name in COMPRESSORS if name in baselines] or list(baselines)
    rival = min(rivals, key=lambda name: float(table.bits[name].sum()), default="")
    return Judged(rows, table, passage_units(table), baselines, evidence, rival, seed)


def documents_of(table: PassageTable, numbers: Sequence[int]) -> PassageTable:
    """Keep the passages of some documents."""
    chosen = np.isin(table.document, numbers)
    return PassageTable(
        {name: bits[chosen] for name, bits in table.bits.items()},
        table.characters[chosen],
        table.document[chosen],
        table.start[chosen],
    )


def with_interval(value: Interval) -> str:
    """Write bits and their interval: "2.13 (2.09–2.17)"."""
    return f"{number(value.value)} ({interval(value.low, value.high)})"


def own_cell(score: Score) -> Markup:
    """Write the model's value, and below it the interval."""
    return Markup("{}<br><small>{}</small>").format(
        number(score.value), interval(score.low, score.high)
    )


def difference_cell(entry: Comparison) -> str:
    """Write the model's difference from an opponent: "−0.12 (−0.14 to −0.11), p < 0.001"."""
    ends = difference_interval({"low": entry.low, "high": entry.high}, "")
    gap = difference(entry.difference, "", signed=True)
    return f"{gap} ({ends}), {p_value(entry.p_value)}"


def compared_cells(score: Score, others: Sequence[str]) -> list[Markup]:
    """Write each opponent's value, and below it the model's difference from it."""
    return [
        Markup("{}<br><small>{}, {}</small>").format(
            number(entry.value),
            difference(entry.difference, "", signed=True),
            p_value(entry.p_value),
        )
        for entry in (score.baselines[name] for name in others)
    ]


def outcome(entry: Comparison) -> str:
    """Say whether the first system is "better" or "worse", in bits, or that it is "undecided"."""
    if entry.p_value >= SURE or entry.difference == 0:
        return "undecided"
    return "better" if entry.difference < 0 else "worse"
