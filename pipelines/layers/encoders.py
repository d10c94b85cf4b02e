"""What reads a sequence without recurrence, and the choice among all encoders.

A recurrent stack is compared with these. They are called as it is, and keep its promises: float
[B, T, H] out of float[B, T, D] and a mask bool[B, T], padding steps exactly 0, and what padding
holds changes nothing. Backend-neutral: `keras.layers` and `keras.ops` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pipelines.layers.activation_penalties import RegularisedStates
from pipelines.layers.ngram_detectors import NgramDetectors
from pipelines.layers.recurrent import RecurrentStack

PACKAGE = "pipelines"
_SHARED = (
    "input_dropout", "variational_dropout", "locked_output_dropout", "activation_penalty",
    "temporal_activation_penalty", "layer_norm", "residual", "seed",
)  # fmt: skip


def make_encoder(config: Any, *, portable: bool = False, **options: Any) -> keras.layers.Layer:
    """Make the layer that the settings of a task choose to read its sequences with.

    Args:
        config: of the task: an `EncoderConfig` that is a `RunConfig` too.
        portable: leave out cuDNN kernels.
        options: instead of settings; `return_state` is known to the recurrent stack alone.

    Returns:
        A `RecurrentStack`, `ConvEncoder` or `DenseEncoder`, each with its `width` and `backward`.
    """
    if config.encoder == "rnn":
        kernels = {"use_cudnn": False} if portable else {}
        return RecurrentStack.from_run_config(config, **kernels, **options)
    shared = {name: getattr(config, name) for name in _SHARED}
    shared |= {"layer_units": config.sizes} | options
    if config.encoder == "dense":
        return DenseEncoder(**shared)
    return ConvEncoder(
        filter_widths=config.filter_widths,
        filter_dilation=config.filter_dilation,
        causal=config.direction == "forward",
        **shared,
    )


class LayeredEncoder(keras.layers.Layer):
    """Layers on top of one another, each with a fixed view of the sequence.

    A layer is, as in a `RecurrentStack`: variational dropout, input dropout, what `make_view`
    makes, layer normalisation, residual sum.

    Args:
        layer_units: units of each layer, the lowest first.
        input_dropout: share of input values dropped, drawn anew at every step.
        variational_dropout: share of input channels dropped, the same at every step.
        locked_output_dropout: share of the top layer's channels dropped, the same at every step.
        activation_penalty: weight of the mean square of the top layer's output in the loss, and
        temporal_activation_penalty: of its mean square change, of a step.
        layer_norm: normalise every layer's output.
        residual: add a layer's input to its output where the widths agree.
        seed: of the weights and the noise.
    """

    def __init__(
        self,
        *,
        layer_units: Sequence[int] = (64,),
        input_dropout: float = 0.0,
        variational_dropout: float = 0.0,
        locked_output_dropout: float = 0.0,
        activation_penalty: float = 0.0,
        temporal_activation_penalty: float = 0.0,
        layer_norm: bool = False,
        residual: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.settings: dict[str, Any] = {
            "layer_units": list(layer_units),
            "input_dropout": input_dropout,
            "variational_dropout": variational_dropout,
            "locked_output_dropout": locked_output_dropout,
            "activation_penalty": activation_penalty,
            "temporal_activation_penalty": temporal_activation_penalty,
            "layer_norm": layer_norm,
            "residual": residual,
            "seed": seed,
        }
        self.supports_masking = True
        # As of a `RecurrentStack`: no column reads backward.
        self.backward: Sequence[Sequence[int]] = ()

    def make_view(self, number: int) -> keras.layers.Layer:
        """Make what maps [B, T, D] to [B, T, width of the layer] in layer `number`, from 0."""
        raise NotImplementedError

    def output_width(self, number: int) -> int:
        """Return the width of layer `number`."""
        raise NotImplementedError

    def seed_of(self, number: int) -> int | None:
        """Return the seed of layer `number`; None stays None."""
        seed = self.settings["seed"]
        return None if seed is None else seed * 1000 + number

    def make_layers(self) -> None:
        """Make the layers; for the end of a subclass's constructor."""
        depth = len(self.settings["layer_units"])
        self.width = self.output_width(depth - 1)
        self._layers_of_depth = [self._make_parts(number) for number in range(depth)]
        self._top = RegularisedStates(
            dropout=self.settings["locked_output_dropout"],
            activation=self.settings["activation_penalty"],
            temporal=self.settings["temporal_activation_penalty"],
            seed=self.seed_of(depth),
        )

    def _make_parts(self, number: int) -> dict[str, keras.layers.Layer]:
        chosen, seed = self.settings, self.seed_of(number)
        parts: dict[str, keras.layers.Layer] = {}
        if chosen["variational_dropout"]:
            rate = chosen["variational_dropout"]
            parts["variational_dropout"] = keras.layers.SpatialDropout1D(rate, seed=seed)
        if chosen["input_dropout"]:
            parts["input_dropout"] = keras.layers.Dropout(chosen["input_dropout"], seed=seed)
        parts["view"] = self.make_view(number)
        if chosen["layer_norm"]:
            parts["layer_norm"] = keras.layers.LayerNormalization()
        return parts

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of every layer for inputs [B, T, D]."""
        width = input_shape[-1]
        for number, parts in enumerate(self._layers_of_depth):
            after = self.output_width(number)
            for name, part in parts.items():
                part.build((*input_shape[:-1], after if name == "layer_norm" else width))
            width = after
        self.built = True

    def call(self, inputs: Any, mask: Any = None, training: bool = False) -> Any:
        """Return the top layer's output, float[B, T, H]; 0 where the mask is False."""
        states = _only_real(inputs, mask)
        for parts in self._layers_of_depth:
            states = _only_real(self._apply(parts, states, training), mask)
        return _only_real(self._top(states, mask=mask, training=training), mask)

    def _apply(self, parts: dict[str, keras.layers.Layer], inputs: Any, training: bool) -> Any:
        states = inputs
        for name in ("variational_dropout", "input_dropout"):
            if name in parts:
                states = parts[name](states, training=training)
        states = parts["view"](states)
        if "layer_norm" in parts:
            states = parts["layer_norm"](states)
        if self.settings["residual"] and inputs.shape[-1] == states.shape[-1]:
            states += inputs
        return states

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[Any, ...]:
        """Return [B, T, H]."""
        return (*input_shape[:-1], self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | self.settings


@keras.saving.register_keras_serializable(package=PACKAGE)
class DenseEncoder(LayeredEncoder):
    """Dense tanh layers that see one step each: pooled over steps, a bag of embeddings.

    Iyyer et al. (2015) average the embeddings first, and put the layers on the average; here they
    stand before it, so that steps keep an output each, for taggers too.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.make_layers()

    def make_view(self, number: int) -> keras.layers.Layer:
        """Make a dense layer."""
        initial = keras.initializers.GlorotUniform(self.seed_of(number))
        units = self.output_width(number)
        return keras.layers.Dense(units, activation="tanh", kernel_initializer=initial)

    def output_width(self, number: int) -> int:
        """Return the units of layer `number`."""
        return int(self.settings["layer_units"][number])


@keras.saving.register_keras_serializable(package=PACKAGE)
class ConvEncoder(LayeredEncoder):
    """Layers of detectors of n-grams of several widths, one output a step.

    Kim (2014) takes the largest response of each over a sentence, which the pooling after it does.
    Further layers reach further apart (dilated; Strubell et al., 2017).

    Args:
        filter_widths: steps that a detector spans; a layer has its units of each width.
        filter_dilation: how many times further apart each layer's steps are than those below.
        causal: a step sees itself and those before it; otherwise as many to either side, the one
            over after it.
        settings: of a `LayeredEncoder`.
    """

    def __init__(
        self,
        *,
        filter_widths: Sequence[int] = (2, 3, 4, 5),
        filter_dilation: int = 2,
        causal: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        self.settings |= {
            "filter_widths": list(filter_widths),
            "filter_dilation": filter_dilation,
            "causal": causal,
        }
        self.make_layers()

    def make_view(self, number: int) -> keras.layers.Layer:
        """Make a layer of detectors."""
        return NgramDetectors(
            self.settings["layer_units"][number],
            widths=self.settings["filter_widths"],
            dilation=self.settings["filter_dilation"] ** number,
            causal=self.settings["causal"],
            seed=self.seed_of(number),
        )

    def output_width(self, number: int) -> int:
        """Return the units of layer `number` times the widths of its detectors."""
        return int(self.settings["layer_units"][number]) * len(self.settings["filter_widths"])


def _only_real(states: Any, mask: Any) -> Any:
    """Set what stands where the mask is False to 0, whatever it is."""
    return states if mask is None else ops.where(mask[..., None], states, ops.zeros_like(states))
