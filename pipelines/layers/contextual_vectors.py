"""Vectors of tokens in their context, from the states of a character language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from pipelines.layers.gradient_gate import GradientGate
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.token_input import TokenInput


@keras.saving.register_keras_serializable(package="pipelines")
class ContextualVectors(keras.layers.Layer):
    """What a language model remembers at the end of each token (Akbik et al., 2018, sec. 2.3).

    The language model reads a whole text; its state after the last character of a token knows the
    token, how it is written, and all that stands before it. A dense layer projects the state.

    Maps characters int32[B, C], right-padded with 0, and places int32[B, T], of the last character
    of each token, to float32[B, T, D]. Padding of places may hold any place.

    The encoder of the language model alone is built: its input layer and its recurrent layers, a
    `GradientGate` above each, so that they can be unfrozen one after another.

    Args:
        settings: of the `LanguageModel` layer.
        size: D.
        dropout: share of the projected values dropped in training.
        tuned: whether the encoder is trained, from the top down, as its gates open; else its
            weights are fixed.
        use_cudnn: as for `RecurrentStack`.
        seed: of the projection and the dropout.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        size: int,
        *,
        dropout: float = 0.0,
        tuned: bool = False,
        use_cudnn: bool | str = "auto",
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "settings": dict(settings), "size": size, "dropout": dropout, "tuned": tuned,
            "use_cudnn": use_cudnn, "seed": seed,
        }  # fmt: skip
        self.reader = TokenInput(
            settings["vocabulary_size"], settings["embedding_size"], name="reader"
        )
        stack = _undisturbed(settings["stack"]) | {"use_cudnn": use_cudnn}
        self.stack = RecurrentStack(**stack | {"name": "encoder"})
        self.stack.gate = self._passed
        self.gates = []
        if tuned:  # gate 1 is above the top layer, gate depth + 1 above the token vectors
            numbers = range(self.stack.depth + 1, 0, -1)
            self.gates = [GradientGate(number, opened=False) for number in numbers]
        self.projection = keras.layers.Dense(
            size, kernel_initializer=keras.initializers.GlorotUniform(seed), name="projection"
        )
        self.dropout = keras.layers.Dropout(dropout, seed=seed)

    def build(self, context_shape: Any = None, places_shape: Any = None) -> None:
        """Create the weights."""
        del context_shape, places_shape
        self.reader.build((None, None))
        self.stack.build((None, None, self.reader.width))
        for gate in self.gates:
            gate.build((None, None, None))
        self.projection.build((None, None, self.stack.width))
        if not self.settings["tuned"]:
            self.reader.trainable = self.stack.trainable = False
        self.built = True

    def call(self, context: Any, places: Any, training: bool = False) -> Any:
        """Return the vectors, float32[B, T, D]."""
        states = self.states(context, training)
        found = ops.take_along_axis(states, ops.cast(places, "int32")[..., None], axis=1)
        return self.dropout(self.projection(found), training=training)

    def states(self, context: Any, training: bool = False) -> Any:
        """Return the language model's states after each character, float32[B, C, H]."""
        states = self.stack(self.reader(context, training=training), training=training)
        # Once more: dense layers may stand on the top layer's states.
        return self._passed(self.stack.depth, states, training)

    def _passed(self, number: int, states: Any, training: bool) -> Any:
        """Let gradients through the gate above layer `number`, 0 being the token vectors."""
        if not self.gates:
            return ops.stop_gradient(states)
        return self.gates[number](states, training=training)

    def take_weights(self, language_model: Any) -> None:
        """Take the weights of the encoder of a built `LanguageModel`.

        Raises:
            ValueError: the weights are not as many, or not of the same shapes.
        """
        self.reader.set_weights(language_model.input_layer.get_weights())
        weights = language_model.stack.get_weights()
        surplus = len(weights) - len(self.stack.weights)
        if surplus > 0:
            raise ValueError(f"{surplus} weights of the language model found no place")
        self.stack.set_weights(weights)

    def compute_output_spec(self, context: Any, places: Any, training: bool = False) -> Any:
        """Return [B, T, D]."""
        del context, training
        shape = (*places.shape, self.settings["size"])
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


def _undisturbed(stack: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of a stack without noise and penalties: these were for another text."""
    return {
        name: 0.0 if name.endswith(("_dropout", "_penalty")) else value
        for name, value in stack.items()
        if name not in ("direction", "return_state", "name")
    } | {"direction": "forward"}
