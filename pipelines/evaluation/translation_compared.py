"""Translations of several systems beside their references: what every part of the report reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.bootstrap import Interval, bootstrap_sums
from pipelines.evaluation.measures import share as ratio
from pipelines.evaluation.translation import Outputs, Pair, translations_of
from pipelines.evaluation.translation_metrics import (
    TextMetric,
    sentence_chrf,
    text_metrics,
)
from pipelines.evaluation.units import TRIALS, Units, units_of
from pipelines.evaluation.wording import interval, number

Array = NDArray[Any]
MODEL, GREEDY = "model", "greedy"
NAMES = {"bleu": "BLEU", "chrf": "chrF++"}


@dataclass(frozen=True)
class Compared:
    """The test pairs and what every system made of them.

    Attributes:
        sources: N texts.
        references: their translations.
        documents: the document of each, "" where unknown.
        outputs: system -> its outputs; the model first, greedy decoding not among them.
        greedy: outputs of the model with greedy decoding; None where it was not run.
        language: code of the target language.
        seed: of the resampling.
    """

    sources: Sequence[str]
    references: Sequence[str]
    documents: Sequence[str]
    outputs: Mapping[str, Outputs]
    greedy: Outputs | None
    language: str
    seed: int

    @cached_property
    def metrics(self) -> dict[str, TextMetric]:
        """Name -> BLEU and chrF++; edits (TER) take longer to count than all the rest together."""
        found = text_metrics(self.language)
        return {metric.name: metric for metric in found if metric.name in NAMES}

    @cached_property
    def texts(self) -> dict[str, list[str]]:
        """System -> translations; greedy decoding last."""
        found = dict(self.outputs)
        if self.greedy is not None:
            found[GREEDY] = self.greedy
        return {
            name: translations_of(each, len(self.references), name) for name, each in found.items()
        }

    @cached_property
    def _counted(self) -> dict[tuple[str, str], Array]:
        return {}

    def statistics(self, system: str, metric: str) -> Array:
        """Count what a score of a system is made of in every row, float[N, K]."""
        place = system, metric
        if place not in self._counted:
            texts = self.texts[system]
            self._counted[place] = self.metrics[metric].statistics(texts, self.references)
        return self._counted[place]

    @cached_property
    def sentence_scores(self) -> dict[str, Array]:
        """System -> chrF++ of every row by itself, float[N]."""
        return {name: sentence_chrf(texts, self.references) for name, texts in self.texts.items()}

    @cached_property
    def units(self) -> Units:
        """What is resampled."""
        return units_of(self.documents)

    @cached_property
    def strongest(self) -> str:
        """The baseline with the highest chrF++; "" without one."""
        names = [name for name in self.outputs if name != MODEL]
        return max(names, key=lambda name: self.value(name, "chrf"), default="")

    @property
    def drawn(self) -> list[str]:
        """The model and the strongest baseline."""
        return [name for name in (MODEL, self.strongest) if name]

    def value(self, system: str, metric: str) -> float:
        """Score all rows."""
        totals = self.statistics(system, metric).sum(axis=0, keepdims=True)
        return float(self.metrics[metric].of_totals(totals)[0])

    def interval(self, system: str, metric: str, among: Array | None = None) -> Interval:
        """Score some rows, bool[N], all by default; pairs or whole documents are resampled."""
        chosen = np.ones(len(self.sources), bool) if among is None else among
        groups = self.units.groups
        return bootstrap_sums(
            self.statistics(system, metric)[chosen],
            self.metrics[metric].of_totals,
            groups=None if groups is None else groups[chosen],
            seed=self.seed,
            resamples=TRIALS,
        )

    def mean(self, values: Array, among: Array | None = None) -> Interval:
        """Average one value a row, float[N], over some rows, as `interval` does."""
        chosen = np.ones(len(values), bool) if among is None else among
        groups = self.units.groups
        sums = np.column_stack([values[chosen], np.ones(int(chosen.sum()))])
        return bootstrap_sums(
            sums,
            ratio,
            groups=None if groups is None else groups[chosen],
            seed=self.seed,
            resamples=TRIALS,
        )

    def length_ratio(self, system: str, among: Array) -> float:
        """Words of the translations for one word of the references, as BLEU cuts words."""
        own, other = self.statistics(system, "bleu")[among][:, :2].sum(axis=0)
        return float(own / other) if other else float("nan")


def compared(
    rows: Sequence[Pair],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    greedy: Outputs | None,
    *,
    language: str,
    seed: int,
) -> Compared:
    """Put test pairs and outputs together.

    Raises:
        EvaluationError: there is no row, or outputs do not fit the rows.
    """
    pairs = list(rows)
    if not pairs:
        raise EvaluationError(
            "translation report: 0 test pairs; at least 1 is needed: check that the test split is "
            "not empty"
        )
    found = Compared(
        sources=[pair.source for pair in pairs],
        references=[pair.target for pair in pairs],
        documents=[pair.document for pair in pairs],
        outputs={MODEL: outputs, **baselines},
        greedy=greedy,
        language=language,
        seed=seed,
    )
    _ = found.texts  # outputs that do not fit are said before anything is drawn
    return found


def with_interval(value: Interval) -> str:
    """Write a score of 0 to 100 and its interval: "18.4 (17.2–19.7)"."""
    return f"{number(value.value)} ({interval(value.low, value.high)})"


def count_and_share(hits: int, count: int) -> str:
    """Write a count and its share: "12 (0.8 %)"."""
    return f"{hits:,} ({100 * hits / max(count, 1):.1f} %)"
