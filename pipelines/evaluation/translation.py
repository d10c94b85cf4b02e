"""Scores of a translator beside its baselines, each with its interval, all on the same pairs.

Intervals are percentiles of resampled totals, by document where documents are known
(`translation_significance.units_of`). P-values of BLEU, chrF++ and TER are those of sacrebleu's
approximate randomisation over the same units; the others' are the bootstrap's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation import translation_evidence as evidence
from pipelines.evaluation.measures import (
    Measure,
    ratio_measure,
    score_of,
    share,
    with_p_values,
)
from pipelines.evaluation.resampling import require_rows
from pipelines.evaluation.scores import Score
from pipelines.evaluation.scoring import share_score
from pipelines.evaluation.translation_metrics import TextMetric, statistics_of, text_metrics
from pipelines.evaluation.translation_significance import p_values
from pipelines.evaluation.units import Units, units_of

Array = NDArray[Any]
Outputs = Mapping[str, Array]


class Pair(Protocol):
    """What is needed of a test pair."""

    @property
    def source(self) -> str:
        """The text to translate."""

    @property
    def target(self) -> str:
        """The reference translation."""

    @property
    def document(self) -> str:
        """Chapter or file the pair is from; "" if unknown."""


@dataclass(frozen=True)
class ReferenceScores:
    """How probable the model finds each reference translation.

    Attributes:
        log_probability: natural logarithm, summed over the tokens, float[N].
        tokens: how many tokens that are, the end mark included, int[N].
    """

    log_probability: Array
    tokens: Array


@dataclass(frozen=True)
class Alignment:
    """Where the model looked while it wrote each token of one translation.

    Attributes:
        source_tokens: the S tokens read, the end mark included.
        target_tokens: the T tokens written.
        weights: float[T, S]; each row sums to 1.
    """

    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    weights: Array


def score_translation(
    rows: Sequence[Pair],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    reference: ReferenceScores | None = None,
    language: str = "",
    seed: int = 17,
) -> list[Score]:
    """Score a translator and hold every baseline against it; BLEU, the headline, comes first.

    A rate of what does not occur, such as copies where no word could be copied, is left out, and
    so are perplexity and bits per word without `reference`, and TER where every row is too long.

    Args:
        rows: the test pairs.
        outputs: the exported model's: "translation" object[N], "complete" bool[N].
        baselines: outputs of other systems on the same rows.
        reference: probabilities of the references, for perplexity and bits per word.
        language: code of the target language, which decides how BLEU cuts words.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no row, or outputs do not fit the rows.
    """
    require_rows(len(rows))
    pairs = list(rows)
    systems = {"model": translations_of(outputs, len(pairs), "model")}
    for name, found in baselines.items():
        systems[name] = translations_of(found, len(pairs), name)
    units = units_of([pair.document for pair in pairs])
    metrics = text_metrics(language)
    counted = [_counted(metric, pairs, systems) for metric in metrics]
    scores = [
        score_of(measure, units, seed=seed)
        for measure in [*counted, _length_ratio(counted[0]), *_rates(pairs, systems)]
    ]
    found_p = p_values(
        metrics,
        {measure.name: measure.model for measure in counted},
        {name: {m.name: m.others[name] for m in counted} for name in baselines},
        units,
        seed=seed,
    )
    scores = [with_p_values(score, found_p.get(score.name, {})) for score in scores if score.count]
    scores += _of_references(pairs, reference, units, seed)
    return [*scores, *_complete(outputs, len(pairs), seed)]


def translations_of(outputs: Outputs, rows: int, system: str = "model") -> list[str]:
    """Read the translations of one system.

    Raises:
        EvaluationError: they are absent, or not one a row.
    """
    if "translation" not in outputs:
        raise EvaluationError(
            f"outputs of {system}: no 'translation' among {sorted(outputs)}; every system needs "
            "one translation a row: return it from `serve` or the baseline"
        )
    found = [str(text) for text in outputs["translation"]]
    if len(found) != rows:
        raise EvaluationError(
            f"outputs of {system}: {len(found)} translations for {rows} test rows; one a row is "
            "needed: translate every test row, in order"
        )
    return found


def _counted(
    metric: TextMetric, pairs: Sequence[Pair], systems: Mapping[str, list[str]]
) -> Measure:
    found, count = statistics_of(metric, systems, [pair.target for pair in pairs])
    return Measure(
        name=metric.name,
        model=found.pop("model"),
        others=found,
        statistic=metric.of_totals,
        better=metric.better,
        count=count,
    )


def _length_ratio(bleu: Measure) -> Measure:
    """Words of the translations over those of the references, as BLEU cuts and counts them."""
    found = {"model": bleu.model, **bleu.others}
    return ratio_measure(
        "length_ratio",
        {system: sums[:, :2] for system, sums in found.items()},
        counted="reference words",
        better="target",
        target=1.0,
    )


def _rates(pairs: Sequence[Pair], systems: Mapping[str, list[str]]) -> list[Measure]:
    """Shares of what went wrong: loops, copies and unknown words."""
    measures = []
    for name, count, counted in (
        ("repetition_rate", _repeats, "pairs"),
        ("copy_rate", _copied, "source words"),
        ("unknown_rate", _unknown, "words"),
    ):
        found = {
            system: np.array([count(pair, text) for pair, text in zip(pairs, texts, strict=True)])
            for system, texts in systems.items()
        }
        measures.append(ratio_measure(name, found, counted=counted, unit="fraction"))
    return [measure for measure in measures if measure.count]


def _repeats(pair: Pair, text: str) -> tuple[int, int]:
    return int(evidence.repeats(text, pair.target)), 1


def _copied(pair: Pair, text: str) -> tuple[int, int]:
    return evidence.copied(pair.source, text, pair.target)


def _unknown(_: Pair, text: str) -> tuple[int, int]:
    return evidence.unknown(text)


def _of_references(
    pairs: Sequence[Pair], reference: ReferenceScores | None, units: Units, seed: int
) -> list[Score]:
    """Perplexity per token, and bits per word of the reference."""
    if reference is None:
        return []
    if not len(reference.log_probability) == len(reference.tokens) == len(pairs):
        raise EvaluationError(
            f"scores of the references: {len(reference.log_probability)} log-probabilities and "
            f"{len(reference.tokens)} token counts for {len(pairs)} test rows; one of each a row "
            "is needed: score every reference, in order"
        )
    words = np.array([len(evidence.words_of(pair.target)) for pair in pairs])
    loss = -np.asarray(reference.log_probability, float)
    measures = [
        Measure(
            name="perplexity",
            model=np.column_stack([loss, reference.tokens]),
            statistic=lambda totals: np.exp(share(totals)),
            better="lower",
            count=int(np.sum(reference.tokens)),
            counted="tokens",
        ),
        Measure(
            name="bits_per_word",
            model=np.column_stack([loss / np.log(2), words]),
            statistic=share,
            better="lower",
            unit="bits",
            count=int(words.sum()),
            counted="words",
        ),
    ]
    return [score_of(measure, units, seed=seed) for measure in measures if measure.count]


def _complete(outputs: Outputs, rows: int, seed: int) -> list[Score]:
    """Share of translations that ended before the length limit; baselines have no such limit."""
    if "complete" not in outputs:
        return []
    complete = np.asarray(outputs["complete"], bool)
    if len(complete) != rows:
        raise EvaluationError(
            f"outputs of model: {len(complete)} values of 'complete' for {rows} test rows; one a "
            "row is needed: translate every test row, in order"
        )
    return [share_score("complete_rate", complete, {}, counted="pairs", seed=seed)]
