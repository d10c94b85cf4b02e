"""A language model in training: streams of text whose state is carried from batch to batch."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.language_model import LanguageModel, State
from pipelines.layers.sampled_softmax import SampledSoftmaxLoss


@keras.saving.register_keras_serializable(package="pipelines")
class CarriedReader(keras.layers.Layer):
    """A language model that keeps the state of S streams from one batch to the next.

    Truncated back-propagation through time (Williams & Peng, 1990): gradients end where a window
    begins, what was read does not. Maps tokens int32[S, T] and keep float32[S], 0 where a stream
    begins anew and else 1, to logits float32[S, T, V].

    Args:
        inner: the language model; shared with whatever else uses it.
        streams: S.
    """

    def __init__(self, inner: LanguageModel, streams: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner, self.streams = inner, streams

    def build(self, tokens_shape: Any = None, keep_shape: Any = None) -> None:
        """Create the carried state."""
        del tokens_shape, keep_shape
        if not self.inner.built:
            self.inner.build()
        self.carried = [
            self.add_weight(
                tensor.shape,
                "zeros",
                dtype=keras.backend.standardize_dtype(tensor.dtype),
                trainable=False,
                name=f"carried_{number}",
            )
            for number, tensor in enumerate(self.inner.start(self.streams))
        ]
        self.built = True

    def call(self, tokens: Any, keep: Any, targets: Any = None, training: bool = False) -> Any:
        """Read a window of every stream, and keep the state after it."""
        del targets  # the loss is not this layer's business
        logits, after = self.inner.read(tokens, self._before(keep), training)
        self._carry(after)
        return logits

    def _carry(self, after: State) -> None:
        for variable, value in zip(self.carried, after, strict=True):
            variable.assign(ops.stop_gradient(ops.cast(value, variable.dtype)))

    def _before(self, keep: Any) -> State:
        """Return the carried state, 0 in the streams that begin anew."""
        values = [ops.convert_to_tensor(variable) for variable in self.carried]
        return [value * ops.cast(keep[:, None], value.dtype) for value in values]

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> Any:
        """Return [S, T, V]."""
        return self.inner.compute_output_spec(tokens)


@keras.saving.register_keras_serializable(package="pipelines")
class SampledReader(CarriedReader):
    """Likewise, to the loss of each token instead of the scores of all: for large vocabularies.

    Maps tokens int32[S, T], keep float32[S] and the tokens after them int32[S, T] to nats
    float32[S, T]: in training those of `SampledSoftmaxLoss`, else the exact ones.

    Args:
        inner: the language model; its input and output weights are tied, and it has no n-grams and
            no match memory.
        streams: S.
        negatives: tokens drawn at each step.
        seed: of the draws.
    """

    def __init__(
        self,
        inner: LanguageModel,
        streams: int,
        *,
        negatives: int,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(inner, streams, **kwargs)
        self.loss_layer = SampledSoftmaxLoss(negatives, seed=seed)

    def call(self, tokens: Any, keep: Any, targets: Any = None, training: bool = False) -> Any:
        """Read a window of every stream, and keep the state after it."""
        states, after = self.inner.states(tokens, self._before(keep), training)
        self._carry(after)
        matrix = ops.convert_to_tensor(self.inner.input_layer.matrix)
        bias = ops.convert_to_tensor(self.inner.bias)
        features = self.inner.features(states, training)
        return self.loss_layer(features, targets, matrix, bias, training=training)

    def build(self, *shapes: Any) -> None:
        """Create the carried state."""
        super().build(*shapes[:2])

    def compute_output_spec(self, tokens: Any, *_: Any, **__: Any) -> Any:
        """Return [S, T]."""
        return keras.KerasTensor(tokens.shape, dtype="float32")
