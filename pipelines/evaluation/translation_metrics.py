"""BLEU, chrF++ and TER as functions of totals, so that resampling costs no second counting.

sacrebleu counts: tokens, matches and edits of every row are its own statistics. What turns totals
into a score is written here for many lines of totals at once, and tests hold it against sacrebleu.

Sources: Papineni et al. (2002), BLEU; Popović (2017), chrF++; Snover et al. (2006), TER; Post
(2018), sacrebleu and its signatures. All three are stated on sacrebleu's scale, 0 to 100.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from pipelines.errors import EvaluationError
from pipelines.evaluation.scores import Better
from pipelines.evaluation.translation_edits import FastTER, affordable

Array = NDArray[Any]
_ORDERS = 4  # of word n-grams in BLEU
_BETA = 2  # chrF weighs recall twice as much as precision
# Text without spaces between words is judged by character where sacrebleu's own tokenizer would
# have to be fetched, or does not exist.
_TOKENIZERS = {"zh": "zh", "ja": "char", "th": "char", "lo": "char", "km": "char", "my": "char"}


@dataclass(frozen=True)
class TextMetric:
    """A score of translations that depends on the totals of what sacrebleu counts in each row.

    Attributes:
        name: of the score.
        better: which way is better.
        metric: sacrebleu's own, which counts and signs.
        of_totals: maps totals float64[R, K] to scores float64[R], 0 to 100.
    """

    name: str
    better: Better
    metric: Metric
    of_totals: Callable[[Array], Array]

    def statistics(self, translations: Sequence[str], references: Sequence[str]) -> Array:
        """Count what the score is made of in every row, float64[N, K].

        Raises:
            EvaluationError: the two are not equally many.
        """
        require_pairs(translations, references)
        if not translations:
            return np.zeros((0, 0))
        found = self.metric._extract_corpus_statistics(list(translations), [list(references)])
        return np.array(found, float)

    def corpus(self, translations: Sequence[str], references: Sequence[str]) -> float:
        """Score a whole corpus, as sacrebleu's `corpus_score` does."""
        totals = self.statistics(translations, references).sum(axis=0, keepdims=True)
        return float(self.of_totals(totals)[0])

    def signature(self) -> str:
        """Return sacrebleu's signature, which tells all that a score depends on."""
        # The number of references is known to sacrebleu only once it has seen some.
        shown = self.metric.corpus_score(["a"], [["a"]])
        return f"{shown.name}|{self.metric.get_signature().format()}"


def statistics_of(
    metric: TextMetric, systems: Mapping[str, Sequence[str]], references: Sequence[str]
) -> tuple[dict[str, Array], int]:
    """Count what a metric needs of several systems, and say on how many rows.

    Rows that TER would take too long for (`translation_edits.affordable`) add nothing to any total.

    Returns:
        system -> statistics float64[N, K], and the number of rows counted.
    """
    if metric.name != "ter":
        found = {name: metric.statistics(texts, references) for name, texts in systems.items()}
        return found, len(references)
    kept = np.flatnonzero(affordable(systems.values(), references)).tolist()
    found = {}
    for name, texts in systems.items():
        found[name] = np.zeros((len(references), 2))
        if len(kept):
            chosen = [texts[row] for row in kept], [references[row] for row in kept]
            found[name][kept] = metric.statistics(*chosen)
    return found, len(kept)


def text_metrics(language: str = "") -> list[TextMetric]:
    """Return BLEU, chrF++ and TER for a target language, given by its code ("fr", "zh-TW")."""
    tokenizer = _TOKENIZERS.get(language.lower().replace("_", "-").split("-")[0], "13a")
    spaced = tokenizer == "13a"
    # `force` silences a warning about tokenized text; ours is plain text.
    bleu = BLEU(tokenize=tokenizer, force=True)
    ter = FastTER(normalized=not spaced, asian_support=not spaced)
    return [
        TextMetric("bleu", "higher", bleu, bleu_of),
        TextMetric("chrf", "higher", CHRF(word_order=2), chrf_of),
        TextMetric("ter", "lower", ter, ter_of),
    ]


def signatures(language: str = "") -> dict[str, str]:
    """Return name of the score -> sacrebleu's signature."""
    return {metric.name: metric.signature() for metric in text_metrics(language)}


def sentence_chrf(translations: Sequence[str], references: Sequence[str]) -> Array:
    """Score every row by itself with chrF++, float64[N]: what orders rows from best to worst."""
    metric = TextMetric("chrf", "higher", CHRF(word_order=2), chrf_of)
    found = metric.statistics(translations, references)
    return metric.of_totals(found) if len(found) else np.zeros(0)


def bleu_of(totals: Array) -> Array:
    """Turn totals of lengths, matches and n-grams [R, 10] into BLEU, with exponential smoothing.

    Columns: words of the translation, words of the reference, matching n-grams of orders 1 to 4,
    n-grams of orders 1 to 4 in the translation.
    """
    own, other = totals[:, 0], totals[:, 1]
    right, shown = totals[:, 2 : 2 + _ORDERS], totals[:, 2 + _ORDERS :]
    # Each order without a match halves the next one's stand-in; orders without n-grams end it.
    halvings = np.cumsum((right == 0) & (shown > 0), axis=1)
    reached = np.asarray(np.cumprod(shown > 0, axis=1) > 0)
    matches = np.where(right == 0, 0.5**halvings, right)
    precision = np.divide(matches, shown, out=np.zeros_like(matches), where=reached)
    defined: Array = np.any(right > 0, axis=1) & np.all(reached, axis=1)
    logs = np.log(np.where(defined[:, None], precision, 1.0)).mean(axis=1)
    brevity = np.minimum(0.0, 1 - np.divide(other, own, out=np.zeros_like(own), where=own > 0))
    return np.where(defined, 100 * np.exp(logs + brevity), 0.0)


def chrf_of(totals: Array) -> Array:
    """Turn totals [R, 3 * orders] of n-grams (own, reference's, matching) into chrF."""
    own, other, both = (totals[:, place::3] for place in range(3))
    used = (own > 0) & (other > 0)
    count = np.maximum(used.sum(axis=1), 1)
    share = partial(np.divide, both, where=used)
    precision = share(own, out=np.zeros_like(own)).sum(axis=1) / count
    recall = share(other, out=np.zeros_like(own)).sum(axis=1) / count
    weighted = _BETA**2 * precision + recall
    score = 100 * (1 + _BETA**2) * precision * recall
    return np.divide(score, weighted, out=np.zeros_like(score), where=weighted > 0)


def ter_of(totals: Array) -> Array:
    """Turn totals [R, 2] of edits and reference words into the edit rate, per 100 words."""
    edits, words = totals[:, 0], totals[:, 1]
    # Edits without any reference word count as 100, as in sacrebleu.
    rate = np.divide(edits, words, out=(edits > 0).astype(float), where=words > 0)
    return np.asarray(100 * rate)


def require_pairs(translations: Sequence[str], references: Sequence[str]) -> None:
    """Raise EvaluationError unless every translation has its reference."""
    if len(translations) != len(references):
        raise EvaluationError(
            f"translations: {len(translations)} for {len(references)} references; each row needs "
            "one of both: translate every test row, in order"
        )
