"""Scores of a language model beside its opponents, each with its interval, on the same texts.

Bits are -log2 of the probability that a system gave to what came. They are summed over a text and
divided by its characters, words or bytes, so that models of characters, bytes and subwords and
compressors can be compared. Intervals are percentiles of resampled totals: of documents where there
are 20 or more, else of passages of 1,000 characters (`language_significance.passage_units`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.language_measures import passages, perplexity
from pipelines.evaluation.language_significance import (
    Document,
    Outputs,
    PassageTable,
    passage_table,
    passage_units,
)
from pipelines.evaluation.measures import Measure, ratio_measure, score_of, share
from pipelines.evaluation.scores import Score

Array = NDArray[Any]


def score_language(
    rows: Sequence[Document],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    seed: int = 17,
) -> list[Score]:
    """Score a language model and hold every opponent against it; the headline comes first.

    Scores: bits per character, perplexity per character, compression ratio (bytes of the text as
    UTF-8 over bytes needed) and bits per word (what stands between blanks; left out if none does).

    Args:
        rows: the test documents.
        outputs: the exported model's: "bits" float[N], "characters" int[N], "passage_bits"
            float32[N, P] padded with 0.
        baselines: the same of other systems.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no character, or outputs do not fit the documents.
    """
    table = passage_table(rows, outputs, baselines)
    units = passage_units(table)
    sizes, words = _sizes_and_words(rows)
    measures = [
        ratio_measure("bits_per_character", table.sums(), counted="characters", unit="bits"),
        _perplexity(table),
        _compression(table, sizes),
        ratio_measure("bits_per_word", _over(table, words), counted="words", unit="bits"),
    ]
    return [score_of(measure, units, seed=seed) for measure in measures if measure.count]


def _sizes_and_words(rows: Sequence[Document]) -> tuple[Array, Array]:
    """Bytes, and words that begin, in each passage: int64[M] each."""
    sizes, words = [], []
    for row in rows:
        before = " "
        for passage in passages(row.text):
            sizes.append(len(passage.encode("utf-8", "surrogatepass")))
            continued = not (before.isspace() or passage[0].isspace())
            words.append(len(passage.split()) - continued)
            before = passage[-1]
    return np.array(sizes, np.int64), np.array(words, np.int64)


def _over(table: PassageTable, counts: Array) -> dict[str, Array]:
    return {name: np.column_stack([bits, counts]) for name, bits in table.bits.items()}


def _perplexity(table: PassageTable) -> Measure:
    measure = ratio_measure("perplexity", table.sums(), counted="characters")
    return replace(measure, statistic=lambda totals: perplexity(share(totals)))


def _compression(table: PassageTable, sizes: Array) -> Measure:
    """Bytes of the text over bytes needed."""
    sums = {name: np.column_stack([8.0 * sizes, bits]) for name, bits in table.bits.items()}
    measure = ratio_measure("compression_ratio", sums, counted="bytes", better="higher")
    return replace(measure, count=int(sizes.sum()))
