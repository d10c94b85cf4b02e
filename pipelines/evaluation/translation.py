"""Scores of a translator beside its baselines, each with its interval, all on the same pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.scores import Score

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
    raise NotImplementedError(len(rows), outputs, baselines, reference, language, seed, np.nan)
