"""Loss and metrics of a model that writes: what the next token is, at every step.

Targets are int32[B, T], 0 on padding, which counts nowhere; predictions are logits
float32[B, T, V]. Weights, where given, are of rows, float[B].
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.errors import require

PACKAGE = "pipelines"


@keras.saving.register_keras_serializable(package=PACKAGE)
class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy in nats per token of the batch, with smoothed labels.

    The wanted distribution is 1 - s on the true token plus s spread evenly over the vocabulary
    (Szegedy et al., 2016, sec. 7). The loss of a row is divided by the mean length of the batch's
    rows, so that the mean over rows (Keras' default reduction) is the sum over all tokens divided
    by their number.

    Args:
        label_smoothing: s, in [0, 1).

    Raises:
        ConfigError: `label_smoothing` is out of range.
    """

    def __init__(
        self, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        require(0 <= label_smoothing < 1, "label_smoothing", label_smoothing, "in [0, 1)")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Return the loss of each row, float32[B]."""
        targets = ops.cast(y_true, "int32")
        losses = token_losses(targets, y_pred, self.label_smoothing)
        real = ops.cast(targets != 0, losses.dtype)
        mean_length = ops.maximum(ops.mean(ops.sum(real, axis=1)), 1.0)
        return ops.sum(losses * real, axis=1) / mean_length

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"label_smoothing": self.label_smoothing}


def token_losses(targets: Any, logits: Any, label_smoothing: float = 0.0) -> Any:
    """Return the cross-entropy of every step in nats, float32[B, T], padding included.

    Args:
        targets: int32[B, T].
        logits: float[B, T, V].
        label_smoothing: share of the wanted distribution spread evenly over the vocabulary.
    """
    logits = ops.cast(logits, "float32")
    losses = ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    if not label_smoothing:
        return losses
    # -sum q log p with q = (1 - s) [true] + s / V differs from -log p(true) by this alone.
    true = _chosen(logits, targets)
    return losses + label_smoothing * (true - ops.mean(logits, axis=-1))


def _chosen(logits: Any, targets: Any) -> Any:
    """Return the logit of every target, [B, T]; `take_along_axis` would copy all logits."""
    size = logits.shape[-1]
    flat = ops.reshape(targets, (-1,))
    found = ops.take(ops.reshape(logits, (-1,)), ops.arange(ops.shape(flat)[0]) * size + flat)
    return ops.reshape(found, ops.shape(targets))


class _TokenMean(keras.metrics.Metric):
    """The mean of a value over real tokens."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self.total = self.add_weight(name="total", initializer="zeros")
        self.count = self.add_weight(name="count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Count a batch in.

        Args:
            y_true: targets, int32[B, T].
            y_pred: logits, float[B, T, V].
            sample_weight: of rows, float[B]; None is 1.
        """
        targets = ops.cast(y_true, "int32")
        weights = ops.cast(targets != 0, "float32")
        if sample_weight is not None:
            weights *= ops.cast(sample_weight, "float32")[:, None]
        self.total.assign_add(ops.sum(self.values(targets, y_pred) * weights))
        self.count.assign_add(ops.sum(weights))

    def values(self, targets: Any, logits: Any) -> Any:
        """Return the value of every step, float32[B, T]."""
        raise NotImplementedError

    def result(self) -> Any:
        """Return the mean; 0 of nothing."""
        return ops.divide_no_nan(ops.convert_to_tensor(self.total), self.count)


@keras.saving.register_keras_serializable(package=PACKAGE)
class TokenPerplexity(_TokenMean):
    """How many equally likely tokens the model is as unsure as: exp of the mean nats per token."""

    def __init__(self, name: str = "perplexity", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def values(self, targets: Any, logits: Any) -> Any:
        """Return nats."""
        return token_losses(targets, logits)

    def result(self) -> Any:
        """Return the perplexity; 1 of nothing."""
        return ops.exp(super().result())


@keras.saving.register_keras_serializable(package=PACKAGE)
class TokenAccuracy(_TokenMean):
    """The share of tokens that were the likeliest, given the true ones before."""

    def __init__(self, name: str = "token_accuracy", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)

    def values(self, targets: Any, logits: Any) -> Any:
        """Return 1 where the likeliest token is the target, else 0."""
        return ops.cast(ops.argmax(logits, axis=-1) == ops.cast(targets, "int32"), "float32")
