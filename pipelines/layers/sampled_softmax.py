"""A softmax over a large vocabulary that training only samples."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops

from pipelines.errors import ConfigError

NEVER = -1e9  # a score whose exponential is 0


@keras.saving.register_keras_serializable(package="pipelines")
class SampledSoftmaxLoss(keras.layers.Layer):
    """Cross-entropy, in nats, without the scores of all tokens (Jean et al., 2015).

    In training the sum over the vocabulary is estimated by importance sampling (Bengio & Senécal,
    2008): the target's own term, and for each of N sampled tokens exp(score) / (N q), q being its
    chance to be drawn. Tokens that happen to be the target are left out, so the sum is right on
    average, and the loss and its gradient approach the exact ones as N grows. All steps of all rows
    share the sample, which makes it one product. Outside training the loss is exact, a step of the
    sequence at a time, so that scores of all tokens at all steps never exist together.

    Token k is drawn with a chance proportional to log(1 + 1 / (k + 1)): ids have to fall in
    frequency, as those of a `Vocabulary` do.

    Args:
        negatives: N, tokens drawn for a call, with replacement.
        seed: of the draws.

    Raises:
        ConfigError: `negatives` is below 1.
    """

    def __init__(self, negatives: int, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"dtype": "float32"})
        if negatives < 1:
            raise ConfigError(
                f"sampled softmax: got negatives={negatives}, expected at least 1; leave the layer "
                "out for the exact softmax"
            )
        self.negatives, self.seed = negatives, seed
        self._seeds = keras.random.SeedGenerator(seed)
        self.built = True

    def call(
        self, states: Any, targets: Any, matrix: Any, bias: Any, training: bool = False
    ) -> Any:
        """Return the loss of every step, float32[B, T].

        Args:
            states: what the output layer sees, float[B, T, H].
            targets: int32[B, T].
            matrix: of the output layer, a row for each token, float32[V, H]. Its gradient is sparse
                under TensorFlow.
            bias: float32[V].
            training: whether to sample.
        """
        states = ops.cast(states, "float32")
        if training:
            return self._sampled(states, targets, matrix, bias)
        return exact_loss(states, targets, matrix, bias)

    def _sampled(self, states: Any, targets: Any, matrix: Any, bias: Any) -> Any:
        drawn, log_chance = self.draw(int(matrix.shape[0]))
        own = ops.sum(states * ops.take(matrix, targets, axis=0), axis=-1)
        own = own + ops.take(bias, targets, axis=0)
        scores = ops.matmul(states, ops.transpose(ops.take(matrix, drawn, axis=0)))
        correction = ops.take(bias, drawn, axis=0) - log_chance - math.log(self.negatives)
        hit = ops.equal(targets[..., None], drawn)
        others = ops.logsumexp(ops.where(hit, NEVER, scores + correction), axis=-1)
        return ops.logaddexp(own, others) - own

    def draw(self, size: int) -> tuple[Any, Any]:
        """Return sampled ids below `size`, int32[N], and the logarithm of their chances."""
        uniform = keras.random.uniform((self.negatives,), seed=self._seeds)
        ids = ops.cast(ops.floor(ops.exp(uniform * math.log(size + 1.0))), "int32") - 1
        ids = ops.clip(ids, 0, size - 1)  # rounding
        chance = ops.log1p(1.0 / (ops.cast(ids, "float32") + 1.0)) / math.log(size + 1.0)
        return ids, ops.log(chance)

    def compute_output_spec(self, states: Any, *_: Any, **__: Any) -> Any:
        """Return [B, T]."""
        return keras.KerasTensor(states.shape[:2], dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"negatives": self.negatives, "seed": self.seed}


def exact_loss(states: Any, targets: Any, matrix: Any, bias: Any) -> Any:
    """Return the cross-entropy of every step, float32[B, T]; as `SampledSoftmaxLoss.call`."""
    columns = ops.transpose(matrix)

    def at_step(now: tuple[Any, Any]) -> Any:
        states, targets = now
        scores = ops.matmul(states, columns) + bias
        own = ops.take_along_axis(scores, targets[:, None], axis=-1)[:, 0]
        return ops.logsumexp(scores, axis=-1) - own

    by_step = (ops.transpose(states, (1, 0, 2)), ops.transpose(targets))
    return ops.transpose(ops.map(at_step, by_step))
