"""Captioners without a decoder: the most common caption, and that of the nearest training image.

Their outputs have the exported model's form: `caption` object[N], `score` float64[N] (NaN, as they
have no probability) and `complete` bool[N]. Those by neighbour add `nearest` int64[N]: the number
of the training image whose caption was taken, -1 where none was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.caption_metrics import rouge_l, tokens_of
from pipelines.evaluation.caption_neighbours import feature_blocks, nearest_rows, thumbnail_blocks

Array = NDArray[Any]
Outputs = dict[str, Array]
MOST_COMMON = "most common caption"
BY_PIXEL = "nearest image by pixel"
BY_FEATURE = "nearest image by feature"


class KnownImage(Protocol):
    """What is needed of an image; its captions only of training images."""

    @property
    def path(self) -> str:
        """Its file."""

    @property
    def captions(self) -> tuple[str, ...]:
        """Its captions, one or more."""


def most_common(train: Iterable[KnownImage], rows: Sequence[Any]) -> Outputs:
    """Give every image the caption that most often occurs in training, the first of equals.

    Captions of the same words are one; it is spelt as it first is.

    Raises:
        EvaluationError: there is no training caption.
    """
    counts: dict[tuple[str, ...], int] = {}
    spelt: dict[tuple[str, ...], str] = {}
    for caption in (caption for image in train for caption in image.captions):
        words = tuple(tokens_of(caption))
        counts[words] = counts.get(words, 0) + 1
        spelt.setdefault(words, caption)
    if not counts:
        raise EvaluationError(
            f"{MOST_COMMON}: no training image has a caption; at least one is needed: check the "
            "training split"
        )
    return _outputs([spelt[max(counts, key=lambda words: counts[words])]] * len(rows))


def nearest_by_pixel(train: Sequence[KnownImage], rows: Sequence[KnownImage]) -> Outputs:
    """Give every image the caption of the training image whose pixels are nearest.

    Images are looked at as 16 x 16 RGB over white, each pixel the mean of what it covers, and
    compared by squared distance; of equally near ones the first is taken. Training images are read
    in blocks, so memory does not grow with their number. One that cannot be read is left out; a
    test image that cannot be gets the most common caption.

    Raises:
        EvaluationError: no training image can be read.
    """
    blocks = list(thumbnail_blocks([row.path for row in rows]))
    places = np.concatenate([np.zeros(0, np.int64), *(numbers for numbers, _ in blocks)])
    nearest = np.full(len(rows), -1, np.int64)
    if places.size:
        pixels = np.concatenate([seen for _, seen in blocks])
        training = thumbnail_blocks([image.path for image in train])
        nearest[places] = nearest_rows(training, pixels)
        if nearest.max() < 0:
            raise EvaluationError(
                f"{BY_PIXEL}: none of {len(train):,} training images can be read; at least one is "
                "needed: check that the files are still there"
            )
    found = _of_neighbours(nearest, lambda row: train[row].captions)
    lost = np.flatnonzero(nearest < 0)
    if lost.size:
        found["caption"][lost] = most_common(train, lost.tolist())["caption"]
    return found


def nearest_by_feature(
    train_features: Array, train_captions: Sequence[Sequence[str]], features: Array
) -> Outputs:
    """Give every image the caption of the training image whose features point the same way.

    Args:
        train_features: float[M, C], in memory or mapped from disk; read in blocks.
        train_captions: the captions of each training image, M.
        features: of the images to caption, float[N, C].

    Raises:
        EvaluationError: there is no training image, or shapes do not fit.
    """
    fitting = len(train_features) == len(train_captions) > 0
    if not fitting or train_features.shape[1:] != features.shape[1:]:
        raise EvaluationError(
            f"{BY_FEATURE}: features {train_features.shape} of {len(train_captions)} training "
            f"images and {features.shape} of the others; one row an image and equal widths are "
            "needed: take both from the same exported `features`, in order"
        )
    own = [block for _, block in feature_blocks(features)]
    queries = np.concatenate(own) if own else np.zeros((0, train_features.shape[1]))
    nearest = nearest_rows(feature_blocks(train_features), queries)
    return _of_neighbours(nearest, lambda row: train_captions[row])


def most_typical(captions: Sequence[str]) -> str:
    """Return the caption that is most like the others, by mean ROUGE-L; the first of equals."""
    cut = [tokens_of(caption) for caption in captions]
    likeness = [
        sum(rouge_l(own, [other]) for place, other in enumerate(cut) if place != row)
        for row, own in enumerate(cut)
    ]
    # Sums of the same numbers in another order differ in their last digits.
    return captions[int(np.argmax(np.round(likeness, 9)))]


def _of_neighbours(nearest: Array, captions: Callable[[int], Sequence[str]]) -> Outputs:
    rows = np.unique(nearest[nearest >= 0]).tolist()
    typical = {row: most_typical(captions(row)) for row in rows}
    found = _outputs([typical.get(row, "") for row in nearest.tolist()])
    return {**found, "nearest": nearest}


def _outputs(captions: Sequence[str]) -> Outputs:
    return {
        "caption": np.array(captions, object),
        "score": np.full(len(captions), np.nan),
        "complete": np.ones(len(captions), bool),
    }
