"""One recurrent layer, made from the settings of a `RecurrentStack`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from pipelines.cell_rules import PARALLEL_CELLS, check_cell_settings
from pipelines.layers.cells.initial import ForgetBias, recurrent_initializer
from pipelines.layers.cells.parallel import ParallelRecurrence
from pipelines.layers.cells.peephole import PeepholeLSTM, PeepholeLSTMCell
from pipelines.layers.cells.transition import DeepTransitionCell, DeepTransitionRNN

LAYERS = {"simple": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}
CELLS = {
    "simple": keras.layers.SimpleRNNCell,
    "gru": keras.layers.GRUCell,
    "lstm": keras.layers.LSTMCell,
}


def make_recurrence(
    settings: Mapping[str, Any], seed: int | None, *, units: int, go_backwards: bool = False
) -> keras.layers.Layer:
    """Make one recurrent layer that returns sequences.

    A plain simple, GRU or LSTM layer is the Keras layer itself, which the fast path and cuDNN
    need. Any layer has `cell`, `units`, `return_sequences`, `return_state`, `go_backwards` and
    `stateful`, and a Keras layer's `call(x, initial_state=None, mask=None, training=None)`; its
    cell has `state_size` and `call(inputs, states, training=False) -> (h, new states)`. It may
    stand in a `keras.layers.Bidirectional` and be saved.

    Args:
        settings: of the stack: `cell`, and of those that are not the default `forget_bias`,
            `peephole`, `recurrent_init`, `recurrent_dropout`, `deep_transition`, `skips`,
            `norm_preserving` and `use_cudnn`.
        seed: of the initial weights and of dropout.
        units: size of the state.
        go_backwards: read from the last step to the first; outputs stand in the order of reading.

    Raises:
        ConfigError: the settings ask the cell for what it cannot do.
    """
    check_cell_settings(settings)
    shared = {"return_sequences": True, "go_backwards": go_backwards}
    if settings["cell"] in PARALLEL_CELLS:
        return ParallelRecurrence(settings["cell"], units, seed=seed, **shared)
    if settings.get("norm_preserving"):
        return _norm_preserving(settings, seed, units, shared)
    if settings.get("deep_transition"):
        cell = DeepTransitionCell(
            _make_cell(settings, seed, units),
            settings["deep_transition"],
            skips=settings.get("skips", False),
            seed=seed,
        )
        return DeepTransitionRNN(cell, **shared)
    if settings.get("peephole"):
        return PeepholeLSTM(units, **_weights(settings, seed), **shared)
    # SimpleRNN has no cuDNN path to choose.
    plain = settings["cell"] == "simple"
    extra = {} if plain else {"use_cudnn": settings.get("use_cudnn", "auto")}
    return LAYERS[settings["cell"]](units, **_weights(settings, seed), **shared, **extra)


def _make_cell(settings: Mapping[str, Any], seed: int | None, units: int) -> keras.layers.Layer:
    cell = PeepholeLSTMCell if settings.get("peephole") else CELLS[settings["cell"]]
    return cell(units, **_weights(settings, seed))


def _weights(settings: Mapping[str, Any], seed: int | None) -> dict[str, Any]:
    """Return the arguments that any layer or cell of Keras, or of the peephole LSTM, takes."""
    arguments: dict[str, Any] = {
        "recurrent_dropout": settings.get("recurrent_dropout", 0.0),
        "kernel_initializer": keras.initializers.GlorotUniform(seed),
        "recurrent_initializer": _recurrent_initializer(settings, seed),
        "seed": seed,
    }
    forget_bias = settings.get("forget_bias", 1.0)
    if settings["cell"] == "lstm" and forget_bias != 1:
        arguments |= {"unit_forget_bias": False, "bias_initializer": ForgetBias(forget_bias)}
    return arguments


def _recurrent_initializer(settings: Mapping[str, Any], seed: int | None) -> Any:
    return recurrent_initializer(settings.get("recurrent_init", "orthogonal"), seed)


def _norm_preserving(
    settings: Mapping[str, Any], seed: int | None, units: int, shared: dict[str, Any]
) -> keras.layers.Layer:
    from pipelines.layers.cells.norm_preserving import NormPreservingRNN

    initializer = _recurrent_initializer(settings, seed)
    return NormPreservingRNN(
        units, settings["norm_preserving"], recurrent_initializer=initializer, seed=seed, **shared
    )
