"""Captions of several systems beside their references: what every part of the report reads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.captions_options import CaptionedImage
from pipelines.evaluation.bootstrap import Interval, bootstrap_sums, proportion_interval
from pipelines.evaluation.caption_baselines import BY_FEATURE, BY_PIXEL
from pipelines.evaluation.caption_metrics import (
    HEADLINE,
    References,
    Tokens,
    caption_metrics,
    rouge_l,
    tokens_of,
)
from pipelines.evaluation.captioning import Outputs, captions_of, exact_matches, references_of
from pipelines.evaluation.measures import share
from pipelines.evaluation.resampling import require_rows
from pipelines.evaluation.scores import Score
from pipelines.evaluation.units import TRIALS, Units, image_units

Array = NDArray[Any]
MODEL, GREEDY = "model", "greedy"


@dataclass(frozen=True)
class Judged:
    """The test images and what every system said of them.

    Attributes:
        rows: N images.
        outputs: system -> its outputs; the model first, greedy decoding not among them.
        greedy: the model's captions without search, as outputs; empty where nobody asked.
        train_captions: those of the training split.
        seed: of the resampling and of random choices.
    """

    rows: Sequence[CaptionedImage]
    outputs: Mapping[str, Outputs]
    greedy: Outputs
    train_captions: Collection[str]
    seed: int

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """System -> one caption an image; greedy decoding last."""
        found = dict(self.outputs)
        if self.greedy:
            found[GREEDY] = self.greedy
        return {name: captions_of(each, len(self.rows), name) for name, each in found.items()}

    @cached_property
    def tokens(self) -> dict[str, list[Tokens]]:
        """System -> the words of its captions."""
        return {
            name: [tokens_of(caption) for caption in captions]
            for name, captions in self.captions.items()
        }

    @cached_property
    def references(self) -> list[References]:
        """The words of the references of each image."""
        return references_of(self.rows)

    @cached_property
    def known(self) -> frozenset[tuple[str, ...]]:
        """The words of every training caption, each once."""
        return frozenset(tuple(tokens_of(caption)) for caption in self.train_captions)

    @cached_property
    def cider(self) -> dict[str, Array]:
        """System -> CIDEr-D of each image, float64[N]."""
        metric = next(it for it in caption_metrics(self.references) if it.name == HEADLINE)
        return {name: metric.of_images(captions) for name, captions in self.tokens.items()}

    @cached_property
    def right(self) -> Array:
        """Whether the model's caption has the words of a reference, bool[N]."""
        return exact_matches(self.tokens[MODEL], self.references)

    @cached_property
    def closest(self) -> list[int]:
        """For each image, the number of the reference that the model's caption is most like."""
        pairs = zip(self.tokens[MODEL], self.references, strict=True)
        return [
            int(np.argmax([rouge_l(own, [known]) for known in references]))
            for own, references in pairs
        ]

    @cached_property
    def neighbour(self) -> str:
        """The baseline that takes its caption from the image most alike, else the best; or ""."""
        for name in (BY_FEATURE, BY_PIXEL):
            if name in self.outputs:
                return name
        others = [name for name in self.outputs if name != MODEL]
        return max(others, key=lambda name: float(self.cider[name].mean()), default="")

    @property
    def drawn(self) -> list[str]:
        """The model and the baseline it is drawn beside."""
        return [name for name in (MODEL, self.neighbour) if name]

    @cached_property
    def units(self) -> Units:
        """What is resampled."""
        return image_units([row.group for row in self.rows])

    @property
    def generated(self) -> bool:
        """Whether all images are generated scenes."""
        return all(row.scene for row in self.rows)

    def ratio(self, sums: Array, among: Array | None = None) -> Interval:
        """Divide a total by another, float[N, 2], over some images, bool[N], all by default.

        A share of 0 or 1 has Wilson's interval, since resampling it shows no doubt.
        """
        chosen = sums[:, 1] > 0 if among is None else among & (sums[:, 1] > 0)
        groups = None if self.units.groups is None else self.units.groups[chosen]
        found = bootstrap_sums(sums[chosen], share, groups=groups, seed=self.seed, resamples=TRIALS)
        if found.low < found.high or found.value not in (0.0, 1.0):
            return found
        count = int(chosen.sum()) if groups is None else len(np.unique(groups))
        return proportion_interval(int(found.value) * count, count)

    def mean(self, values: Array, among: Array | None = None) -> Interval:
        """Average one value an image, float[N], over some images, as `ratio` does."""
        return self.ratio(np.column_stack([values, np.ones(len(values))]), among)


def judged(
    rows: Sequence[CaptionedImage],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    greedy: Outputs,
    *,
    train_captions: Collection[str],
    seed: int,
) -> Judged:
    """Put test images and captions together.

    Raises:
        EvaluationError: there is no row, one has no caption, or outputs do not fit the rows.
    """
    require_rows(len(rows))
    found = Judged(list(rows), {MODEL: outputs, **baselines}, greedy, train_captions, seed)
    _ = found.captions, found.cider  # what does not fit is said before anything is drawn
    return found


def percent(value: Interval) -> str:
    """Write a share and its interval: "41 % (38–44)"."""
    low, high = (f"{100 * end:.0f}" for end in (value.low, value.high))
    return f"{100 * value.value:.0f}\u00a0% ({low}–{high})"


def interval_of(score: Score) -> Interval:
    """Return a score's value and interval; one without an interval has none of any width."""
    low, high = score.low, score.high
    return Interval(
        score.value, score.value if low is None else low, score.value if high is None else high
    )
