"""A second aim for what reads images: to tell which words their captions have."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pipelines")
class WordsSeen(keras.layers.Layer):
    """Adds to the training loss how badly a summary tells which tokens a caption holds.

    A linear layer gives each token a logit z_v (Fang et al., 2015, sec. 2, learn such detectors of
    words from captions alone); the loss is the binary cross-entropy summed over the vocabulary,
    -sum_v y_v log s(z_v) + (1 - y_v) log s(-z_v), s the sigmoid; its mean over the rows times the
    weight is added. An error reaches the encoder without passing the decoder, so that it learns in
    fewer epochs.

    Maps (summary float[B, C], tokens int32[B, T], 0 is padding) to the summary.

    Args:
        vocabulary_size: V.
        weight: of the loss.
        reserved: tokens below this number do not count.
        seed: of the weights.
    """

    def __init__(
        self,
        vocabulary_size: int,
        *,
        weight: float = 1.0,
        reserved: int = 4,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "vocabulary_size": vocabulary_size, "weight": weight, "reserved": reserved, "seed": seed
        }  # fmt: skip
        # Most words are in few captions: from a start of even odds, the first steps would go into
        # learning that.
        self.words = keras.layers.Dense(
            vocabulary_size,
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            bias_initializer=keras.initializers.Constant(-5.0),
            name="words",
        )

    def build(self, summary_shape: Any, tokens_shape: Any = None) -> None:
        """Create the weights."""
        del tokens_shape
        self.words.build(summary_shape)
        self.built = True

    def call(self, summary: Any, tokens: Any, training: bool = False) -> Any:
        """Return the summary."""
        if training:
            size, reserved = self.settings["vocabulary_size"], self.settings["reserved"]
            held = ops.max(ops.one_hot(tokens, size, dtype="float32"), axis=1)[:, reserved:]
            logits = ops.cast(self.words(summary), "float32")[:, reserved:]
            losses = ops.softplus(logits) - held * logits
            self.add_loss(self.settings["weight"] * ops.mean(ops.sum(losses, axis=-1)))
        return summary

    def compute_output_shape(self, summary_shape: Any, *_: Any) -> Any:
        """Return [B, C]."""
        return summary_shape

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings
