"""Attention that knows how far a text has been written, and what it has looked at.

Backend-neutral: `keras.layers` and `keras.ops` only.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

NEVER = -1e9  # of a score: its exponential is 0 in float32
FARTHEST = 32  # tokens; what is farther from the diagonal counts as this far
NEAREST = 4  # tokens to each side of the last place that are told apart
SLOPE = 0.15  # of the first preference for the diagonal, a token
NEXT, SAME = 1.0, 0.3  # first preference for the token after the last one, and for that one again
USED = -1.0  # first preference for a token that was looked at already

History = dict[str, Any]


def masked_softmax(scores: Any, mask: Any) -> Any:
    """Return weights float32[B, N, S] of scores; exactly 0 where bool[B, S] is False."""
    if mask is None:
        return ops.softmax(scores)
    real = mask[:, None]
    # Scores of a row without anything real are all alike: the product makes its weights 0.
    return ops.softmax(ops.where(real, scores, NEVER)) * ops.cast(real, scores.dtype)


@keras.saving.register_keras_serializable(package="pipelines")
class AttentionHistory(keras.layers.Layer):
    """Turns scores into weights by where in the text a step stands and where the others looked.

    With u_ts the score of token s for step t and p = softmax(u_ts + r(s - t)) a first look,

        weights = softmax(u_ts + r(s - t) + b sum_{j < t} p_js + sum_k f_k p_{t-1, s-k})

    r is a table of relative positions (Shaw et al., 2018), b the weight of coverage (Tu et al.,
    2016), f a filter over the last place (Chorowski et al., 2015, sec. 2.2). These read the weights
    of earlier steps, so that training must go step by step; here they read the first look, which
    needs the scores alone, and all steps are computed together. The 75 weights start as a reader
    of left to right would set them: a translation begins at the beginning and moves on.
    """

    def build(self, scores_shape: Any = None, real_shape: Any = None) -> None:
        """Create the weights."""
        del scores_shape, real_shape
        far = np.abs(np.arange(-FARTHEST, FARTHEST + 1))
        taps = np.zeros(2 * NEAREST + 1)
        taps[NEAREST], taps[NEAREST + 1] = SAME, NEXT
        for name, start in (
            ("positions", -SLOPE * far), ("filter", taps), ("coverage", np.array([USED])),
        ):  # fmt: skip
            initial = _Given(start.tolist())
            setattr(self, f"_{name}", self.add_weight(start.shape, initial, name=name))
        self.built = True

    def call(self, scores: Any, real: Any = None) -> Any:
        """Return the weights of all T steps, float32[B, T, S].

        Args:
            scores: float32[B, T, S].
            real: bool[B, S], True on what is real; None is all of it. Not called a mask, as Keras
                has its own ways with an argument of that name.
        """
        scores = scores + self._by_position(ops.arange(ops.shape(scores)[1])[None], scores)
        first = masked_softmax(scores, real)
        before = ops.cumsum(first, axis=1) - first
        last = ops.pad(first, ((0, 0), (1, 0), (0, 0)))[:, :-1]
        return masked_softmax(scores + self._by_past(before, last), real)

    def start(self, rows: Any, width: Any) -> History:
        """Return the history before the first step, of leaves [B, 1, ...].

        Args:
            rows: B.
            width: S.
        """
        nowhere = ops.zeros((rows, 1, width), "float32")
        return {"step": ops.zeros((rows, 1), "int32"), "before": nowhere, "last": nowhere}

    def step(self, scores: Any, mask: Any, history: History) -> tuple[Any, History]:
        """Return the weights of one step of K hypotheses, and the history after it.

        Args:
            scores: float32[B, K, S].
            mask: bool[B, S] or None.
            history: what `start` or the step before returned, of leaves [B, K, ...].
        """
        scores = scores + self._by_position(history["step"], scores)
        first = masked_softmax(scores, mask)
        weights = masked_softmax(scores + self._by_past(history["before"], history["last"]), mask)
        after = {
            "step": history["step"] + 1,
            "before": history["before"] + first,
            "last": first,
        }
        return weights, after

    def _by_position(self, steps: Any, scores: Any) -> Any:
        """Return r(s - t), float32[., N, S], for steps t int32[., N]."""
        distance = ops.arange(ops.shape(scores)[2])[None, None] - steps[:, :, None]
        places = ops.clip(distance, -FARTHEST, FARTHEST) + FARTHEST
        return ops.take(ops.cast(self._positions, scores.dtype), places)

    def _by_past(self, before: Any, last: Any) -> Any:
        """Return what coverage and the last place add to scores, float32[B, N, S]."""
        width = ops.shape(last)[2]
        padded = ops.pad(last, ((0, 0), (0, 0), (NEAREST, NEAREST)))
        added = ops.cast(self._coverage, last.dtype) * before
        taps = ops.cast(self._filter, last.dtype)
        for number in range(2 * NEAREST + 1):  # the tap of s given the last place s - (number - 4)
            start = 2 * NEAREST - number
            added = added + taps[number] * padded[:, :, start : start + width]
        return added

    def compute_output_shape(self, scores_shape: Any, real_shape: Any = None) -> Any:
        """Return [B, T, S]."""
        del real_shape
        return scores_shape


class _Given(keras.initializers.Initializer):
    """Starts a weight at given numbers."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Return the numbers."""
        return ops.reshape(ops.convert_to_tensor(self.values, dtype), shape)
