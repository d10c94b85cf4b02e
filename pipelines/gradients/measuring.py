"""Gradients measured where they are at hand: inside the optimizer's step.

Everything is kept in variables of the optimizer, so that it is saved and resumed with the training
state, and read once an epoch (`reading`). The norm of all gradients is known at every step; layers
are looked at in a few steps of an epoch, since that reads all weights twice more.

A step whose loss or gradients are not finite changes no weight, and no step after it does: what
was learned before is kept until the trainer notices.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from pipelines.gradients.naming import layer_path, readable_names
from pipelines.lazy_tables import lazy_table
from pipelines.row_updates import scaled_rows, summed_rows, trained_by_rows

POINTS = 40  # of the curves of an epoch
SAMPLES = 20  # steps of an epoch in which layers are looked at
FEWEST_BETWEEN = 25  # steps from one sample to the next at least
SAMPLED_ROWS = 4_096  # of a large table, to infer its norm from
Pair = tuple[Any, Any]  # a gradient and its variable


class Monitored(keras.optimizers.Optimizer):
    """To be mixed in: measures gradients and updates, and stops at what is not finite.

    Args:
        monitored_steps: steps of an epoch; 0: measure nothing.
    """

    place: Any = None
    curve: Any = None
    looks: Any = None

    def __init__(self, *args: Any, monitored_steps: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.monitored_steps = monitored_steps
        self.point_steps = max(1, math.ceil(monitored_steps / POINTS))
        self.sample_steps = max(FEWEST_BETWEEN, math.ceil(monitored_steps / SAMPLES))
        self.layer_names: tuple[str, ...] = ()
        self._layer_of: dict[Any, int] = {}
        self._loss: Any = None
        self._norm: Any = None

    def build(self, variables: list[Any]) -> None:
        """Create the optimizer's variables, those of the monitor last."""
        if self.built:
            return
        super().build(variables)
        measured = [variable for variable in variables if not trained_by_rows(variable)]
        if not self.monitored_steps or not measured:
            self.monitored_steps = 0
            return
        paths = [layer_path(variable.path) for variable in measured]
        order = list(dict.fromkeys(paths))
        self.layer_names = tuple(readable_names(order))
        self._layer_of = {
            self._var_key(variable): order.index(path)
            for variable, path in zip(measured, paths, strict=True)
        }
        samples = math.ceil(self.monitored_steps / self.sample_steps)
        points = math.ceil(self.monitored_steps / self.point_steps)
        # Steps of this epoch, and the first one that was not finite, -1 for none.
        self.place = self.add_variable((2,), _Place(), dtype="int32", name="place")
        # Of every point: sum of norms, clipped steps, steps, and the largest norm.
        self.curve = self._zeros((points, 4), "curve")
        # Of every sample and layer: norm of the gradient, update as a share of the weights.
        self.looks = self._zeros((samples, len(order), 2), "looks")

    def _zeros(self, shape: tuple[int, ...], name: str) -> Any:
        return self.add_variable(shape, "zeros", dtype="float32", name=name)

    def scale_loss(self, loss: Any) -> Any:
        """Return the loss to take gradients of, and keep it to be checked with them."""
        # JAX takes the gradients elsewhere, where this value is not known.
        if self.monitored_steps and keras.backend.backend() == "tensorflow":
            self._loss = loss
        return super().scale_loss(loss)

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        """Update every variable once, and measure."""
        if trainable_variables is not None and not self.built:
            self.build(list(trainable_variables))
        if not self.monitored_steps:
            return super().apply(grads, trainable_variables)
        variables = (
            self._trainable_variables if trainable_variables is None else trainable_variables
        )
        given = list(zip(grads, variables, strict=True))
        readings = [one for one, variable in given if not trained_by_rows(variable)]
        grads = [one if trained_by_rows(variable) else summed_rows(one) for one, variable in given]
        given = list(zip(grads, variables, strict=True))
        pairs = [(gradient, variable) for gradient, variable in given if gradient is not None]
        measured = [pair for pair in pairs if not trained_by_rows(pair[1])]
        squares = [_square_sum(gradient) for gradient, _ in measured]
        norm = ops.sqrt(ops.sum(ops.stack(squares)))
        clipped = self._clips([one for one in readings if one is not None], squares)
        finite = self._finite(norm, pairs)
        step, bad = ops.unstack(ops.convert_to_tensor(self.place))
        good = ops.logical_and(finite, bad < 0)
        sampled = ops.logical_and(good, self._is_sampled(step))
        before = _before(sampled, measured)
        self._update(good, super().apply, grads, trainable_variables)
        self._norm = None
        self._look(sampled, step, measured, squares, before)
        self._note(good, step, norm, clipped)
        bad = ops.where(ops.logical_and(bad < 0, ops.logical_not(finite)), step, bad)
        return self.place.assign(ops.stack([step + 1, bad]))

    def _finite(self, norm: Any, pairs: Sequence[Pair]) -> Any:
        finite = ops.isfinite(norm)
        for gradient, variable in pairs:
            if trained_by_rows(variable):
                finite = ops.logical_and(finite, ops.all(ops.isfinite(gradient.values)))
        loss, self._loss = self._loss, None
        return finite if loss is None else ops.logical_and(finite, ops.all(ops.isfinite(loss)))

    def _clips(self, gradients: Sequence[Any], squares: Sequence[Any]) -> Any:
        """Tell whether the step will be clipped, bool[]; keep the norm that clipping goes by."""
        if self.global_clipnorm:
            self._norm = _norm_of_readings(gradients, squares)
            return self._norm > self.global_clipnorm
        if self.clipvalue:
            values = [getattr(summed_rows(one), "values", one) for one in gradients]
            return ops.any(ops.stack([ops.max(ops.abs(one)) for one in values]) > self.clipvalue)
        return ops.convert_to_tensor(False)

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if not self.global_clipnorm:
            return super()._clip_gradients(grads)
        norm, limit = self._norm, self.global_clipnorm
        if norm is None:
            norm = _norm_of_readings(grads, [_square_sum(one) for one in grads])
        # As `clip_by_global_norm` of Keras, to the last bit.
        scale = limit * ops.minimum(1.0 / norm, 1.0 / limit) + (norm - norm)
        return [
            gradient if gradient is None else scaled_rows(gradient, scale) for gradient in grads
        ]

    def _is_sampled(self, step: Any) -> Any:
        within = step // self.sample_steps < self.looks.shape[0]
        return ops.logical_and(step % self.sample_steps == 0, within)

    def _update(self, good: Any, update: Any, grads: Any, variables: Any) -> None:
        if keras.backend.backend() == "jax":
            # A branch of JAX cannot assign variables: all are computed, and the old ones kept.
            changed = [*self._trainable_variables, *self.variables]
            old = [ops.convert_to_tensor(variable) for variable in changed]
            update(grads, variables)
            for variable, value in zip(changed, old, strict=True):
                variable.assign(ops.where(good, ops.convert_to_tensor(variable), value))
            return

        def updated() -> Any:
            update(grads, variables)
            return ops.zeros(())

        ops.cond(good, updated, lambda: ops.zeros(()))

    def _look(
        self, sampled: Any, step: Any, pairs: Sequence[Pair], squares: Sequence[Any], before: Any
    ) -> None:
        count = len(self.layer_names)

        def measured() -> Any:
            sums = [[ops.zeros(())] * count for _ in range(3)]
            for pair, square, old in zip(pairs, squares, before, strict=True):
                place = self._layer_of[self._var_key(pair[1])]
                for kind, value in enumerate((square, *_moved_and_whole(pair, old))):
                    sums[kind][place] = sums[kind][place] + value
            norms, moves, weights = (ops.sqrt(ops.stack(kind)) for kind in sums)
            shares = ops.where(weights > 0, moves / ops.maximum(weights, 1e-30), 0.0)
            return ops.stack([norms, shares], axis=-1)

        row = ops.cond(sampled, measured, lambda: ops.zeros((count, 2)))
        here = ops.one_hot(step // self.sample_steps, self.looks.shape[0])
        self.looks.assign_add(here[:, None, None] * row)

    def _note(self, good: Any, step: Any, norm: Any, clipped: Any) -> None:
        points = self.curve.shape[0]
        here = ops.one_hot(ops.minimum(step // self.point_steps, points - 1), points)[:, None]
        norm = ops.where(good, norm, 0.0)
        new = ops.stack([norm, ops.cast(clipped, "float32"), 1.0]) * ops.cast(good, "float32")
        sums, largest = self.curve[:, :3], self.curve[:, 3:]
        largest = ops.maximum(largest, here * norm)
        self.curve.assign(ops.concatenate([sums + here * new, largest], axis=-1))


class _Place(keras.initializers.Initializer):
    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        del shape
        return ops.convert_to_tensor([0, -1], dtype=dtype)


def _square_sum(gradient: Any) -> Any:
    """Return the squared norm of a gradient, the readings of a table's row summed: float32[]."""
    values = getattr(summed_rows(gradient), "values", gradient)
    return ops.sum(ops.square(ops.cast(values, "float32")))


def _norm_of_readings(gradients: Sequence[Any], squares: Sequence[Any]) -> Any:
    """Return the norm that Keras clips by, of every reading of a row of a table by itself.

    Keras itself would make a table of them first.
    """
    counted = [
        ops.sum(ops.square(gradient.values)) if hasattr(gradient, "indices") else square
        for gradient, square in zip(gradients, squares, strict=True)
    ]
    return ops.sqrt(ops.sum(ops.stack(counted)))


def _moved_and_whole(pair: Pair, old: Any) -> tuple[Any, Any]:
    """Return the squared norms of a weight's update and of the weight before it, each float32[].

    Of a table that is updated lazily the update is that of the rows that were read, and the norm of
    the whole is inferred from rows at regular distances.
    """
    gradient, variable = pair
    table = lazy_table(variable)
    if table is not None:
        whole, old = old[0], old[1:]
        moved = table.now(_rows_read(gradient))[0] - ops.reshape(old, (-1, variable.shape[1]))
        return _square_sum(moved), whole
    old = ops.cast(ops.reshape(old, variable.shape), "float32")
    moved = ops.cast(ops.convert_to_tensor(variable), "float32") - old
    return _square_sum(moved), _square_sum(old)


def _rows_read(gradient: Any) -> Any:
    import tensorflow as tf

    return tf.unique(gradient.indices)[0]


def _copied(pair: Pair) -> Any:
    """Return what `_moved_and_whole` needs of a weight, flat."""
    gradient, variable = pair
    table = lazy_table(variable)
    if table is None:
        return ops.reshape(variable, (-1,))
    some = table.now(ops.arange(0, variable.shape[0], max(1, variable.shape[0] // SAMPLED_ROWS)))[0]
    whole = _square_sum(some) * (variable.shape[0] / some.shape[0])
    rows = ops.reshape(table.now(_rows_read(gradient))[0], (-1,))
    return ops.concatenate([whole[None], rows])


def _before(sampled: Any, pairs: Sequence[Pair]) -> list[Any]:
    """Copy weights before an update, in a step whose updates are measured."""
    if keras.backend.backend() != "tensorflow":
        return [ops.convert_to_tensor(variable) for _, variable in pairs]
    import tensorflow as tf

    # Nothing is copied in other steps: the empty tensors there are never looked at.
    copied = tf.cond(
        sampled,
        lambda: [tf.identity(_copied(pair)) for pair in pairs],
        lambda: [tf.zeros([0], variable.dtype) for _, variable in pairs],
    )
    return list(copied)
