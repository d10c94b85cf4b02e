"""Sacrebleu's test of whether two translators differ.

The test is paired approximate randomisation (Riezler & Maxwell, 2005): were two systems alike,
exchanging their translations of a document at random would change nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.base import Score as Measured
from sacrebleu.significance import PairedTest

from pipelines.evaluation.resampling import pool
from pipelines.evaluation.translation_metrics import TextMetric
from pipelines.evaluation.units import TRIALS, Units

Array = NDArray[Any]
_SEED = "SACREBLEU_SEED"


def p_values(
    metrics: Sequence[TextMetric],
    model: Mapping[str, Array],
    others: Mapping[str, Mapping[str, Array]],
    units: Units,
    *,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Test the model against every other system by sacrebleu's approximate randomisation.

    Args:
        metrics: what to compare by.
        model: name of a metric -> its statistics, float[N, K].
        others: system -> the same.
        units: what is exchanged at random.
        seed: of the exchange.

    Returns:
        Name of a metric -> system -> two-sided p-value.
    """
    if not others:
        return {metric.name: {} for metric in metrics}
    systems = {"model": model, **others}
    tables = {
        system: np.hstack([pool(found[m.name], units.groups, seed) for m in metrics])
        for system, found in systems.items()
    }
    known, start = {}, 0
    for metric in metrics:
        width = model[metric.name].shape[1]
        known[metric.name] = _Known(metric, slice(start, start + width))
        start += width
    with _seeded(seed):
        # Tables of statistics stand where sacrebleu looks for texts; `_Known` takes them as such.
        named: list[Any] = list(tables.items())
        test = PairedTest(named, known, None, test_type="ar", n_samples=TRIALS)
    results: dict[str, list[Any]] = test()[1]
    return {
        metric.name: {
            system: _honest(result.p_value, tables["model"], tables[system], known[metric.name])
            for system, result in zip(others, results[metric.name][1:], strict=True)
        }
        for metric in metrics
    }


def _honest(p_value: float, first: Array, second: Array, metric: _Known) -> float:
    """Add the chance of an exchange that changes nothing, which sacrebleu leaves out.

    It counts exchanges with a greater difference only. Exchanging no unit that differs, or all of
    them, gives the same difference: of few units that is often, and of equal systems always.
    """
    differing = np.any(first[:, metric.columns] != second[:, metric.columns], axis=1).sum()
    return float(min(1.0, p_value + 2.0 ** (1 - int(differing))))


class _Known(Metric):
    """A sacrebleu metric whose row statistics are known, so that its test does not count again."""

    num_refs = 1

    def __init__(self, metric: TextMetric, columns: slice) -> None:
        super().__init__()
        self.num_refs = 1
        self.of, self.columns = metric, columns

    def _extract_corpus_statistics(self, hypotheses: Any, references: Any) -> Array:  # noqa: ARG002 - sacrebleu's form
        return np.asarray(hypotheses[:, self.columns])

    def _aggregate_and_compute(self, stats: Any) -> Measured:
        return self._compute_score_from_stats(np.sum(stats, axis=0))

    def _compute_score_from_stats(self, stats: Any) -> Measured:
        return Measured(self.of.name, float(self.of.of_totals(np.asarray(stats)[None, :])[0]))

    def _preprocess_segment(self, sent: str) -> str:
        return sent

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        return {"refs": refs}

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict[str, Any]) -> list[Any]:
        return [hypothesis, ref_kwargs]


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Set the variable that sacrebleu takes its seed from; it reads 0 as no seed at all."""
    before = os.environ.get(_SEED)
    os.environ[_SEED] = str(abs(seed) + 1)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_SEED]
        else:
            os.environ[_SEED] = before
