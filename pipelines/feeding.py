"""Feed a model with batches: for `fit`, for its own metrics, or for its outputs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from pipelines.batching import Batches, EpochPlan
from pipelines.padding import concatenate_padded


def evaluate_model(model: keras.Model, batches: Batches) -> dict[str, float]:
    """Return the weighted loss and metrics over all batches."""
    return evaluate_plan(model, batches.epoch(0))


def evaluate_plan(model: keras.Model, plan: EpochPlan) -> dict[str, float]:
    """Return the weighted loss and metrics over the batches of a plan."""
    results = model.evaluate(as_dataset(plan), verbose=0, return_dict=True)
    return {name: float(value) for name, value in results.items()}


def predict_model(model: keras.Model, batches: Batches) -> Any:
    """Return the model's outputs for all rows, in the corpus' own row order.

    The structure is the model's own: one array [N, ...], or a list of them. Batches of unequal
    width are padded with 0.
    """
    plan = batches.epoch(0)
    outputs = [model.predict_on_batch(inputs) for inputs, _, _ in plan]
    order = np.argsort(np.concatenate(plan.rows))
    return keras.tree.map_structure(lambda *parts: concatenate_padded(parts)[order], *outputs)


def as_dataset(plan: EpochPlan) -> Any:
    """Wrap an epoch for `fit` without fixing batch sizes or lengths, so that nothing retraces."""
    if keras.backend.backend() != "tensorflow":
        return _PlanDataset(plan)
    import tensorflow as tf  # the pipe into `fit` is the backend's own

    signature = _signature(plan)
    specs = tf.nest.flatten(signature)
    types = [spec.dtype for spec in specs]

    def load(index: Any) -> list[Any]:
        return list(tf.nest.flatten(plan[int(index)]))

    def read(index: Any) -> Any:
        # One call of Python a batch: `from_generator` makes several, and takes twice as long.
        arrays = tf.numpy_function(load, [index], types)
        for array, spec in zip(arrays, specs, strict=True):
            array.set_shape(spec.shape)
        return tf.nest.pack_sequence_as(signature, arrays)

    unconverted = tf.autograph.experimental.do_not_convert(read)
    # There is nothing to tune, and the end of an epoch would wait for the tuner, whose naps double.
    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.range(len(plan)).map(unconverted).prefetch(2).with_options(options)


def _signature(plan: EpochPlan) -> tuple[dict[str, Any], Any, Any]:
    """Return specs of inputs, targets and weights, with any number of rows and steps."""
    import tensorflow as tf

    batches = plan.batches
    inputs, targets, weights = plan[0]

    def spec(array: Any, name: str = "") -> Any:
        free = 2 if name in batches.corpus.ragged_names else 1
        return tf.TensorSpec([None] * free + [*array.shape[free:]], array.dtype)

    named = {name: spec(array, name) for name, array in inputs.items()}
    return named, spec(targets, batches.target), spec(weights)


class _PlanDataset(keras.utils.PyDataset):
    def __init__(self, plan: EpochPlan) -> None:
        super().__init__()
        self._plan = plan

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> Any:
        return self._plan[index]
