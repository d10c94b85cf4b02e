"""Which words carried an answer, measured by leaving each out (occlusion; Zeiler & Fergus, 2014).

The function that is asked is the exported model itself, so what is shown is what users get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.words import token_spans

Array = NDArray[Any]
Predict = Callable[[list[str]], Array]


@dataclass(frozen=True)
class Attribution:
    """Effect of the characters `start:end` on the probability of the predicted class.

    Positive: without them the probability falls, so they speak for the answer.
    """

    start: int
    end: int
    effect: float


def occlusion(
    text: str, predict: Predict, *, max_spans: int = 200, batch_rows: int = 64
) -> list[Attribution]:
    """Leave out one word (or run of punctuation) at a time and ask the model again.

    Args:
        text: the text to explain; an empty one has no attributions.
        predict: maps B texts to probabilities float[B, C].
        max_spans: longer texts are cut into at most so many runs of neighbouring words, which
            bounds the work.
        batch_rows: texts per call of `predict`.
    """
    spans = _merge(token_spans(text), max_spans)
    if not spans:
        return []
    variants = [text, *(text[:start] + text[end:] for start, end in spans)]
    batches = [
        np.asarray(predict(variants[first : first + batch_rows]), float)
        for first in range(0, len(variants), batch_rows)
    ]
    probabilities = np.concatenate(batches)
    answer = int(probabilities[0].argmax())
    effects = probabilities[0, answer] - probabilities[1:, answer]
    return [
        Attribution(start, end, float(effect))
        for (start, end), effect in zip(spans, effects, strict=True)
    ]


def _merge(spans: Sequence[tuple[int, int]], most: int) -> list[tuple[int, int]]:
    size = -(-len(spans) // most)
    if size <= 1:
        return list(spans)
    runs = [spans[first : first + size] for first in range(0, len(spans), size)]
    return [(run[0][0], run[-1][1]) for run in runs]
