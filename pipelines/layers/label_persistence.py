"""Labels that last: what a chain of sticky labels makes of scores that were given one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import log_softmax, logsumexp

from pipelines.layers.crf import NEVER, prefix_sums
from pipelines.layers.crf_decoding import TINY, marginals

SHARPNESS = (0.02, 0.05, 0.1, 0.25, 0.5, 1.0)  # tried on held-out rows
SWITCH_COSTS = (2.0, 4.0, 6.0, 9.0)

Rows = Sequence[tuple[np.ndarray, np.ndarray]]
Judge = Callable[[float, float], float]


@keras.saving.register_keras_serializable(package="pipelines")
class LabelPersistence(keras.layers.Layer):
    """Turns scores of single steps into log-probabilities given the steps around them.

    Maps scores float32[B, N, 1 + C] and a mask bool[B, N] to float32[B, N, 1 + C]; id 0 is padding
    and gets NEVER. The labels are a Markov chain that pays `cost` nats for every change, and what a
    step says of its label counts `sharpness` times its log-probability: steps that follow one
    another see nearly the same, so that ten of them are less than ten witnesses. The result is the
    chain's posterior of each label (Rabiner, 1989, sec. III): given all steps, or given the steps
    so far. Both numbers are weights that training leaves alone, see `fit_persistence`; at the
    start they are 1 and 0, which changes no probability.

    Args:
        causal: look at no later step.
    """

    def __init__(self, *, causal: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"dtype": "float32", "trainable": False})
        self.causal = causal
        self.supports_masking = True

    def build(self, scores_shape: tuple[Any, ...], mask_shape: Any = None) -> None:
        """Create the two numbers."""
        del scores_shape, mask_shape
        one, zero = (keras.initializers.Constant(value) for value in (1.0, 0.0))
        self.sharpness = self.add_weight((), initializer=one, trainable=False, name="sharpness")
        self.cost = self.add_weight((), initializer=zero, trainable=False, name="cost")
        self.built = True

    def call(self, scores: Any, mask: Any) -> Any:
        """Return log-probabilities."""
        chain = ops.where(mask[..., None, None], self._steps(scores), self._stay(scores))
        if self.causal:
            posterior = ops.log_softmax(prefix_sums(chain))
        else:
            posterior = ops.log(ops.maximum(marginals(chain), TINY))
        return _with_padding_id(posterior)

    def advance(self, before: Any, scores: Any) -> Any:
        """Take one step of a causal chain.

        Args:
            before: log-probabilities after the step before, float32[B, C].
            scores: of the step, float32[B, 1 + C].

        Returns:
            log-probabilities, float32[B, C].
        """
        reached = before[:, :, None] + self._steps(scores)
        return ops.log_softmax(ops.logsumexp(reached, axis=1))

    def _steps(self, scores: Any) -> Any:
        """Return log-potentials [..., from, to] of the steps."""
        said = ops.log_softmax(scores[..., 1:]) * self.sharpness
        return said[..., None, :] - self.cost * (1.0 - ops.eye(said.shape[-1]))

    def _stay(self, scores: Any) -> Any:
        return ops.where(ops.eye(scores.shape[-1] - 1) > 0, 0.0, NEVER)

    def compute_output_shape(self, scores_shape: tuple[Any, ...], mask_shape: Any = None) -> Any:
        """Return the shape of the scores."""
        del mask_shape
        return scores_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"causal": self.causal}


def _with_padding_id(values: Any) -> Any:
    padding = ops.full_like(values[..., :1], NEVER)
    return ops.concatenate([padding, values], axis=-1)


def fit_persistence(layer: LabelPersistence, rows: Rows) -> float:
    """Choose both numbers by the likelihood of held-out labels.

    Where all steps are at hand it is that of whole sequences, since only a sequence tells how
    seldom labels change. A causal chain is asked for each label as it comes, and so is judged: one
    that waits for whole sequences would be late at every change.

    Args:
        layer: built.
        rows: of each stream, scores float32[N, 1 + C] and labels int[N] from 1 on.

    Returns:
        The log-probability that decided, in nats a label.
    """
    judge = _label_by_label(layer, rows) if layer.causal else _by_sequence(rows)
    best = max((judge(*pair), pair) for pair in _choices())
    layer.sharpness.assign(best[1][0])
    layer.cost.assign(best[1][1])
    return best[0] / max(sum(len(labels) for _, labels in rows), 1)


def _by_sequence(rows: Rows) -> Judge:
    said = [log_softmax(scores[:, 1:].astype(float), axis=-1) for scores, _ in rows]
    labels = [found - 1 for _, found in rows]

    def judge(sharpness: float, cost: float) -> float:
        pairs = zip(said, labels, strict=True)
        return sum(sequence_likelihood(one, found, sharpness, cost) for one, found in pairs)

    return judge


def _label_by_label(layer: LabelPersistence, rows: Rows) -> Judge:
    scores = keras.Input((None, rows[0][0].shape[-1]))
    mask = keras.Input((None,), dtype="bool")
    chain = keras.Model([scores, mask], layer(scores, mask))

    def judge(sharpness: float, cost: float) -> float:
        layer.sharpness.assign(sharpness)
        layer.cost.assign(cost)
        total = 0.0
        for values, labels in rows:
            (found,) = chain.predict_on_batch([values[None], np.ones((1, len(values)), bool)])
            total += float(found[np.arange(len(labels)), labels].sum())
        return total

    return judge


def _choices() -> Iterator[tuple[float, float]]:
    yield 1.0, 0.0
    for sharpness in SHARPNESS:
        yield from ((sharpness, cost) for cost in SWITCH_COSTS)


def sequence_likelihood(
    said: np.ndarray, labels: np.ndarray, sharpness: float, cost: float
) -> float:
    """Return the log-probability of a sequence of labels by the chain (Lafferty et al., 2001).

    Args:
        said: log-probabilities of single steps, float[N, C].
        labels: int[N].
        sharpness: how much a step's log-probability counts.
        cost: of a change, nats.
    """
    steps, stay = sharpness * said, math.exp(-cost)
    score = steps[np.arange(len(labels)), labels].sum() - cost * np.count_nonzero(np.diff(labels))
    total, before = 0.0, steps[0]
    for step in steps[1:]:
        # The sum over the labels before: all at the price of a change, and the same label without.
        largest = before.max()
        weights = np.exp(before - largest)
        total += largest
        before = step + np.log(stay * weights.sum() + (1.0 - stay) * weights)
    return float(score - total - logsumexp(before))
