"""The exported forecaster: raw values and a stamp in, forecasts in the same units out."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.export.saved_model import Endpoint
from pipelines.series.artifacts import SeriesArtifacts, seen_codes
from pipelines.series.calendar import Calendar, step_times


class ForecastServing:
    """Makes the endpoints of a forecaster."""

    def __init__(self, model: keras.Model, artifacts: SeriesArtifacts) -> None:
        self.model, self.artifacts = model, artifacts
        layout = artifacts.layout
        self._frequency = layout.frequency
        self._codes = {
            "history": seen_codes(layout.columns),
            "known": seen_codes(layout.columns[layout.K + layout.P :]),
            "static": seen_codes(layout.statics),
        }
        self._calendar = Calendar(layout.frequency, artifacts.settings["zone_changes"])

    def endpoints(self) -> dict[str, Endpoint]:
        """Return `serve`."""
        artifacts, layout = self.artifacts, self.artifacts.layout
        inputs = {
            "history": tf.TensorSpec([None, None, len(layout.columns)], tf.float32),
            "time": tf.TensorSpec([None], tf.int64),
        }
        if layout.G:
            inputs["known"] = tf.TensorSpec([None, artifacts.horizon, layout.G], tf.float32)
        if layout.statics:
            inputs["static"] = tf.TensorSpec([None, len(layout.statics)], tf.float32)
        steps, targets = artifacts.horizon, ", ".join(layout.targets)
        levels = ", ".join(f"{level:g}" for level in artifacts.levels)
        meaning = {
            "mean": f"float32[B, {steps}, {layout.K}], expected values of {targets}",
            "quantiles": f"float32[B, {steps}, {layout.K}, {len(artifacts.levels)}], at levels "
            f"{levels}; NaN where no value of the target was observed",
            "time": f"int64[B, {steps}], stamps of the forecast steps, as those given",
        }
        return {"serve": Endpoint(self._serve, inputs, meaning, resources=(self.model,))}

    def _serve(
        self,
        history: tf.Tensor,
        time: tf.Tensor,
        *others: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """Forecast; `time` is the stamp of the last history step."""
        past, future = self.artifacts.history, self.artifacts.horizon
        times = step_times(self._frequency, time, tf.range(1 - past, future + 1))
        layout = self.artifacts.layout
        names = (["known"] if layout.G else []) + (["static"] if layout.statics else [])
        given = {"history": _last_steps(history, past), **dict(zip(names, others, strict=True))}
        given = {name: self._sound(name, values) for name, values in given.items()}
        given["calendar"] = self._calendar(times)
        quantiles, mean = self.model(
            [given[tensor.name] for tensor in self.model.inputs], training=False
        )
        unseen = tf.reduce_all(tf.math.is_nan(given["history"][..., : layout.K]), axis=1)
        missing = tf.where(unseen, float("nan"), 0.0)[:, None]
        return {
            "mean": mean + missing,
            "quantiles": quantiles + missing[..., None],
            "time": times[:, past:],
        }

    def _sound(self, name: str, values: tf.Tensor) -> tf.Tensor:
        """Take infinite values and words that training never had for missing.

        The reader refuses the ones and knows no code for the others; other callers may not.
        """
        values = tf.where(tf.math.is_finite(values), values, float("nan"))
        if not self._codes[name]:
            return values
        columns = tf.unstack(values, axis=-1)
        for place, codes in self._codes[name].items():
            columns[place] = _only(columns[place], codes)
        return tf.stack(columns, axis=-1)


def _only(values: tf.Tensor, codes: np.ndarray) -> tf.Tensor:
    known = tf.reduce_any(values[..., None] == codes, axis=-1)
    return tf.where(known, values, float("nan"))


def _last_steps(history: tf.Tensor, steps: int) -> tf.Tensor:
    """Cut a history [B, any, F] to its last steps, or put missing ones before it."""
    recent = history[:, -steps:]
    lacking = steps - tf.shape(recent)[1]
    padded = tf.pad(recent, [[0, 0], [lacking, 0], [0, 0]], constant_values=float("nan"))
    return tf.ensure_shape(padded, [None, steps, history.shape[-1]])


def read_outputs(model_outputs: Any) -> dict[str, Any]:
    """Name the model's own outputs as `serve` does."""
    quantiles, mean = model_outputs
    return {"quantiles": quantiles, "mean": mean}
