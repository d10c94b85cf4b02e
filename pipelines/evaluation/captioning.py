"""Scores of a captioner beside its baselines, each with its interval, all on the same images.

Intervals and p-values resample whole groups of images (`units.image_units`), in pairs of systems.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.bootstrap import proportion_interval
from pipelines.evaluation.caption_diversity import diversity_measures
from pipelines.evaluation.caption_metrics import (
    CaptionMetric,
    References,
    Tokens,
    caption_metrics,
    tokens_of,
)
from pipelines.evaluation.measures import Measure, ratio_measure, score_of
from pipelines.evaluation.resampling import require_rows
from pipelines.evaluation.scores import Score
from pipelines.evaluation.scoring import share_score
from pipelines.evaluation.units import Units, image_units

Array = NDArray[Any]
Outputs = Mapping[str, Array]
MIN_IMAGES = 0.5  # share of the images that must have as many references as are compared


class Captioned(Protocol):
    """What is needed of a test image."""

    @property
    def captions(self) -> tuple[str, ...]:
        """Its references, one or more."""

    @property
    def group(self) -> str:
        """Images of one group are alike; "" where it is alone."""


@dataclass(frozen=True)
class ReferenceCount:
    """The model's scores with so many references an image.

    ROUGE-L and METEOR can only rise with more, since they take the best of them; CIDEr-D is a mean
    over references, so it falls where these differ.

    Attributes:
        references: how many.
        images: how many images have that many and more, the same for every count.
        scores: CIDEr-D first, as in `score_captions`.
    """

    references: int
    images: int
    scores: list[Score]


def score_captions(
    rows: Sequence[Captioned],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    train_captions: Collection[str],
    seed: int = 17,
) -> list[Score]:
    """Score a captioner and hold every baseline against it; CIDEr-D, the headline, comes first.

    Then come BLEU-1 to BLEU-4, ROUGE-L, METEOR, `exact_match` (the words of a reference, all and in
    order), what `caption_diversity` measures, and the share of captions that ended before the
    length limit, where the model tells it.

    Args:
        rows: the test images.
        outputs: the exported model's: "caption" object[N], "complete" bool[N].
        baselines: outputs of other systems on the same images.
        train_captions: all captions of the training split.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no row, one has no caption, or outputs do not fit the rows.
    """
    require_rows(len(rows))
    references = references_of(rows)
    systems = {
        name: tokens_of_outputs(found, len(rows), name)
        for name, found in {"model": outputs, **baselines}.items()
    }
    units = image_units([row.group for row in rows])
    measures = [
        *_measures(caption_metrics(references), systems),
        *diversity_measures(systems, references, train_captions),
    ]
    scores = [score_of(measure, units, seed=seed) for measure in measures]
    exact = {name: exact_matches(own, references) for name, own in systems.items()}
    place = next(n for n, score in enumerate(scores) if score.name == "meteor") + 1
    scores.insert(place, image_share("exact_match", exact, units, seed=seed))
    return [*scores, *_complete(outputs, units, len(rows), seed)]


def by_reference_count(
    rows: Sequence[Captioned], outputs: Outputs, seed: int = 17
) -> list[ReferenceCount]:
    """Score the model with 1, 2, ... references an image, on the same images each time.

    Those are the images with at least as many references as half of all have; the references of
    an image are put in random order once and the first ones are taken. Where that is one, there is
    nothing to compare and the list is empty.
    """
    references = references_of(rows)
    captions = tokens_of_outputs(outputs, len(rows))
    counts = np.array([len(known) for known in references])
    most = int(np.quantile(counts, 1 - MIN_IMAGES, method="lower")) if len(counts) else 0
    if most < 2:
        return []
    kept = np.flatnonzero(counts >= most).tolist()
    units = image_units([rows[row].group for row in kept])
    random = np.random.default_rng(seed)
    mixed = [[references[row][n] for n in random.permutation(counts[row])] for row in kept]
    own = {"model": [captions[row] for row in kept]}
    found = []
    for size in range(1, most + 1):
        measures = _measures(caption_metrics([known[:size] for known in mixed]), own)
        scores = [score_of(measure, units, seed=seed) for measure in measures]
        found.append(ReferenceCount(size, len(kept), scores))
    return found


def image_scores(rows: Sequence[Captioned], outputs: Outputs) -> dict[str, Array]:
    """Score every caption by itself: name of the score -> float64[N], CIDEr-D first.

    CIDEr-D weighs words by all of the images given; its mean is the score of the whole.
    """
    captions = tokens_of_outputs(outputs, len(rows))
    metrics = caption_metrics(references_of(rows))
    return {metric.name: metric.of_images(captions) for metric in metrics}


def reference_scores(rows: Sequence[Captioned]) -> dict[str, float]:
    """Score the first reference of each image as if it were a caption: name -> value.

    Where images have one reference this is the most that can be reached. It is less than 10 for
    CIDEr-D, since captions of fewer than four words hold no run of four.
    """
    captions = [tokens_of(row.captions[0]) for row in rows]
    metrics = caption_metrics(references_of(rows))
    return {metric.name: metric.corpus(captions) for metric in metrics}


def references_of(rows: Sequence[Captioned]) -> list[References]:
    """Cut the references of every image into tokens."""
    return [[tokens_of(caption) for caption in row.captions] for row in rows]


def tokens_of_outputs(outputs: Outputs, rows: int, system: str = "model") -> list[Tokens]:
    """Read the captions of one system and cut them into tokens.

    Raises:
        EvaluationError: they are absent, or not one a row.
    """
    return [tokens_of(caption) for caption in captions_of(outputs, rows, system)]


def captions_of(outputs: Outputs, rows: int, system: str = "model") -> list[str]:
    """Read the captions of one system.

    Raises:
        EvaluationError: they are absent, or not one a row.
    """
    if "caption" not in outputs:
        raise EvaluationError(
            f"outputs of {system}: no 'caption' among {sorted(outputs)}; every system needs one "
            "caption an image: return it from `serve` or the baseline"
        )
    found = [str(caption) for caption in outputs["caption"]]
    _require_all(len(found), rows, system, "captions")
    return found


def exact_matches(captions: Sequence[Tokens], references: Sequence[References]) -> Array:
    """Tell which captions have the words of one of their references, bool[N]."""
    return np.array(
        [
            any(list(own) == list(each) for each in known)
            for own, known in zip(captions, references, strict=True)
        ],
        bool,
    )


def image_share(name: str, hits: Mapping[str, Array], units: Units, *, seed: int) -> Score:
    """Score the share of images for which something holds, bool[N] for each system.

    Single images have Wilson's interval and McNemar's test. Groups are resampled; where it holds
    for all images or none, the interval is Wilson's too, with groups for images.
    """
    if units.groups is None:
        others = {system: found for system, found in hits.items() if system != "model"}
        return share_score(name, hits["model"], others, counted="images", seed=seed)
    sums = {system: np.column_stack([found, np.ones(len(found))]) for system, found in hits.items()}
    measure = ratio_measure(name, sums, counted="images", unit="fraction", better="higher")
    score = score_of(measure, units, seed=seed)
    if score.value not in (0.0, 1.0):
        return score
    # Resampling what is the same everywhere shows no doubt; Wilson's interval of the groups does.
    doubt = proportion_interval(int(score.value) * units.count, units.count)
    return replace(score, low=doubt.low, high=doubt.high)


def _measures(
    metrics: Sequence[CaptionMetric], systems: Mapping[str, Sequence[Tokens]]
) -> list[Measure]:
    """Count every system's captions, once for all scores of the same statistics."""
    counted = {
        count: {system: count(captions) for system, captions in systems.items()}
        for count in dict.fromkeys(metric.statistics for metric in metrics)
    }
    return [
        Measure(
            name=metric.name,
            model=counted[metric.statistics]["model"],
            others={name: counted[metric.statistics][name] for name in systems if name != "model"},
            statistic=metric.of_totals,
            better="higher",
            unit=metric.unit,
            count=len(systems["model"]),
            counted="images",
        )
        for metric in metrics
    ]


def _complete(outputs: Outputs, units: Units, rows: int, seed: int) -> list[Score]:
    """Share of captions that ended before the length limit; baselines have no such limit."""
    if "complete" not in outputs:
        return []
    complete = np.asarray(outputs["complete"], bool)
    _require_all(len(complete), rows, "model", "values of 'complete'")
    return [image_share("complete_rate", {"model": complete}, units, seed=seed)]


def _require_all(found: int, rows: int, system: str, what: str) -> None:
    if found != rows:
        raise EvaluationError(
            f"outputs of {system}: {found} {what} for {rows} test images; one an image is needed: "
            "caption every test image, in order"
        )
