"""The report's pages on how far a translator is to be believed, and what it had seen before."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy.stats import spearmanr

from pipelines.evaluation import translation_evidence as counting
from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.slices import Slice
from pipelines.evaluation.translation import ReferenceScores
from pipelines.evaluation.translation_compared import (
    MODEL,
    Array,
    Compared,
    count_and_share,
    with_interval,
)
from pipelines.evaluation.translation_figures import coverage_chart, interval_chart, slice_blocks
from pipelines.evaluation.wording import number, sentence

_BINS = 8
_FEWEST = 3 * _BINS  # rows, below which bins say nothing
_POINTS = 100
_EDGES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 1.0)  # of similarity
_NEAR = 0.75
_KEPT = (1.0, 0.9, 0.75, 0.5, 0.25, 0.1)
_MEASURE = "mean sentence chrF++"


def confidence_section(found: Compared) -> Section | None:
    """Ask whether the model's own score tells good translations from bad ones."""
    outputs = found.outputs[MODEL]
    if "score" not in outputs:
        return None
    score = np.asarray(outputs["score"], float)
    known = np.isfinite(score)
    quality = found.sentence_scores[MODEL]
    # Of what is all alike nothing can be told apart, and there is no rank correlation.
    alike = any(len(np.unique(values[known])) < 2 for values in (score, quality))
    if known.sum() < _FEWEST or alike:
        return None
    rank = float(spearmanr(score[known], quality[known]).statistic)
    words = np.array([len(counting.words_of(text)) for text in found.sources])
    prose = (
        "The score given with a translation is its log-probability, made comparable between "
        f"lengths. Its rank correlation with sentence chrF++ is {_signed(rank)}: {_strength(rank)}."
    )
    if len(np.unique(words)) > 1:
        length = _signed(float(spearmanr(score[known], words[known]).statistic))
        prose += f" With the number of source words it is {length}."
    if left := int((~known).sum()):
        prose += f" {count_and_share(left, len(known))} translations without a score are left out."
    blocks = [_bins_figure(found, score, known), *_coverage_blocks(score[known], quality[known])]
    return Section("Is the model's score to be believed", prose, blocks)


def _strength(rank: float) -> str:
    for bound, words in (
        (0.5, "it tells good translations from bad ones well"),
        (0.3, "it helps to find the bad ones, no more"),
        (0.1, "it says little about a single translation"),
    ):
        if rank >= bound:
            return words
    return "it does not tell good translations from bad ones"


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _bins_figure(found: Compared, score: Array, known: Array) -> Figure:
    """Mean quality in bins of about equally many rows, by rising score."""
    edges = np.unique(np.quantile(score[known], np.linspace(0, 1, _BINS + 1)[1:-1]))
    numbers = np.where(known, np.searchsorted(edges, score, side="left"), -1)
    parts = [numbers == place for place in range(len(edges) + 1)]
    parts = [part for part in parts if part.any()]
    values = [found.mean(found.sentence_scores[MODEL], part) for part in parts]
    names = [f"{np.median(score[part]):.2f}".replace("-", "−") for part in parts]
    svg = interval_chart(names, values, xlabel="score of the model, median of bin", ylabel=_MEASURE)
    caption = (
        f"{sentence(_MEASURE)} by the model's score, with 95 % intervals; "
        f"about {int(parts[0].sum()):,} translations a bin. Rising: the score is informative."
    )
    return Figure(svg, caption, _spoken(names, values))


def _spoken(names: Sequence[str], values: Sequence[Interval]) -> str:
    told = "; ".join(
        f"{name}: {number(value.value)}" for name, value in zip(names, values, strict=True)
    )
    return f"Mean sentence chrF++ of the model. {told}"


def _coverage_blocks(score: Array, quality: Array) -> list[Block]:
    """What is gained by keeping only the translations that the model is surest of."""
    by_score, by_quality = (
        np.cumsum(quality[np.argsort(-order, kind="stable")]) / np.arange(1, len(order) + 1)
        for order in (score, quality)
    )
    shares = np.unique(np.linspace(0.02, 1, _POINTS))
    places = np.maximum(np.ceil(shares * len(score)).astype(int), 1) - 1
    mean = float(quality.mean())
    svg = coverage_chart(shares, by_score[places], by_quality[places], mean)
    kept = {share: max(1, round(share * len(score))) for share in _KEPT}
    rows = [
        [
            f"{100 * share:g} %",
            f"{count:,}",
            number(float(by_score[count - 1])),
            number(float(by_quality[count - 1])),
        ]
        for share, count in kept.items()
    ]
    half = kept[0.5] - 1
    caption = "Mean quality of the translations kept, the surest first."
    alt = (
        f"Keeping all gives {number(mean)}; the surest half {number(float(by_score[half]))}; the "
        f"truly best half {number(float(by_quality[half]))}"
    )
    columns = ["kept", "translations", "by score", "could one know"]
    return [
        Figure(svg, caption, alt),
        Table(columns, rows, f"{sentence(_MEASURE)}, by what is kept."),
    ]


def overlap_section(found: Compared) -> Section | None:
    """Score by how near the nearest training source is; None where no baseline has measured it."""
    near = next(
        (each["similarity"] for each in found.outputs.values() if "similarity" in each), None
    )
    if near is None:
        return None
    values = np.asarray(near, float)
    bins = [
        Slice(_range_name(low, high), (values > low) & (values <= high))
        for low, high in pairwise(_EDGES)
    ]
    bins[0] = Slice(bins[0].name, values <= _EDGES[1])
    high = int((values > _NEAR).sum())
    prose = (
        "How like the nearest training source is to each test source (cosine of TF-IDF weights of "
        "words and word pairs; 1 is the same words). Near-repeats can be answered from memory: "
        "what the model is worth on new text shows at the left. "
        f"{count_and_share(high, len(values))} test sources have a training source nearer than "
        f"{_NEAR:g}; the median is {number(float(np.median(values)))}."
    )
    blocks = slice_blocks(
        found,
        [part for part in bins if part.rows.any()],
        property_name="likeness of the nearest training source",
        column="likeness",
        metrics=("chrf",),
    )
    return Section("Overlap with training", prose, blocks)


def _range_name(low: float, high: float) -> str:
    return f"≤ {high:g}" if not low else f"{low:g}–{high:g}"


def probability_section(found: Compared, reference: ReferenceScores) -> Section:
    """Tell how well the model expects the references, and where it does not."""
    loss = -np.asarray(reference.log_probability, float)
    tokens = np.maximum(np.asarray(reference.tokens, float), 1)
    words = np.array([len(counting.words_of(text)) for text in found.references], float)
    each = np.exp(loss / tokens)
    prose = (
        f"Given the source, the model's perplexity of the references is "
        f"{number(float(np.exp(loss.sum() / tokens.sum())))} per token: it is as unsure as if it "
        "chose evenly among so many."
    )
    if words.sum():
        prose += (
            f" Per word of the reference that is "
            f"{number(float(loss.sum() / np.log(2) / words.sum()))} bits, which can be compared "
            "between models that cut words otherwise."
        )
    if "log_probability" in found.outputs[MODEL]:
        own = np.asarray(found.outputs[MODEL]["log_probability"], float)
        missed = count_and_share(int((-loss > own).sum()), len(own))
        prose += (
            f"\n\nIn {missed} rows the model finds the reference more probable than the "
            "translation that the search returned: there the search erred; elsewhere the model did."
        )
    quality = found.sentence_scores[MODEL]
    order = np.array_split(np.argsort(each, kind="stable"), min(_BINS // 2, len(each)))
    rows = [
        [
            f"{number(float(each[part].min()))}–{number(float(each[part].max()))}",
            f"{len(part):,}",
            with_interval(found.mean(quality, _among(part, len(each)))),
        ]
        for part in order
    ]
    columns = ["perplexity of the reference", "pairs", "sentence chrF++"]
    caption = "Mean sentence chrF++ of the translations, by how far the reference was expected."
    return Section("Probability of the references", prose, [Table(columns, rows, caption)])


def _among(places: Array, count: int) -> Array:
    flags = np.zeros(count, bool)
    flags[places] = True
    return flags
