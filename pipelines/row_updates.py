"""Training of large tables of which a step reads few rows.

Keras' optimizers touch every row of a table at every step, and keep two more tables for Adam: with
the n-grams of a language model that costs more than the network. Under TensorFlow such a table is
trained by AdaGrad (Duchi et al., 2011) on the rows that were read alone; elsewhere it is trained
like every other weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

RATE = 150.0  # times the optimizer's learning rate: 0.3 at 2e-3
ACCUMULATED = 1.0  # at the start; gradients are sums over the tokens of a batch
_MARK = "pipelines_updated_by_rows"
_SUMMED = "pipelines_summed"


def updated_by_rows(variable: keras.Variable) -> keras.Variable:
    """Mark a table, read by `keras.ops.take` alone, as one whose rows are updated."""
    setattr(variable, _MARK, True)
    return variable


class RowUpdates(keras.optimizers.Optimizer):
    """To be mixed in: marked tables are updated by rows, and never clipped or averaged."""

    def build(self, variables: list[Any]) -> None:
        """Create the optimizer's variables."""
        if self.built:
            return
        super().build([variable for variable in variables if not trained_by_rows(variable)])
        start = keras.initializers.Constant(ACCUMULATED)
        self._sums = {
            variable.path: self.add_variable_from_reference(
                variable, name="squares", initializer=start
            )
            for variable in variables
            if trained_by_rows(variable)
        }

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        """Update every variable once."""
        if trainable_variables is None:
            return super().apply(grads)
        if not self.built:
            self.build(list(trainable_variables))
        pairs = list(zip(grads, trainable_variables, strict=True))
        rate = ops.convert_to_tensor(self.learning_rate)
        for gradient, variable in pairs:
            if trained_by_rows(variable) and gradient is not None:
                _update(variable, self._sums[variable.path], gradient, rate * RATE)
        rest = [pair for pair in pairs if not trained_by_rows(pair[1])]
        if not rest:
            return self._iterations.assign_add(1)
        return super().apply([pair[0] for pair in rest], [pair[1] for pair in rest])

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        """Put averages, where there are some, in the place of all but the marked tables."""
        super().finalize_variable_values([one for one in var_list if not trained_by_rows(one)])


def is_updated_by_rows(variable: Any) -> bool:
    """Tell whether `updated_by_rows` has marked a variable."""
    return bool(getattr(variable, _MARK, False))


def trained_by_rows(variable: Any) -> bool:
    """Tell whether a variable is a marked table, and this backend updates such by rows."""
    return keras.backend.backend() == "tensorflow" and is_updated_by_rows(variable)


def summed_rows(gradient: Any) -> Any:
    """Return a gradient in which every row of a table occurs once; others as they are.

    TensorFlow lists a row that was read n times n times.
    """
    if not hasattr(gradient, "indices") or hasattr(gradient, _SUMMED):
        return gradient
    import tensorflow as tf

    rows, numbers = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, numbers, tf.size(rows))
    return _as_summed(tf.IndexedSlices(values, rows, gradient.dense_shape))


def scaled_rows(gradient: Any, scale: Any) -> Any:
    """Return a gradient times a scalar, its rows summed; a sparse one stays sparse."""
    gradient = summed_rows(gradient)
    if not hasattr(gradient, "indices"):
        return gradient * scale
    values = gradient.values * scale
    return _as_summed(type(gradient)(values, gradient.indices, gradient.dense_shape))


def _as_summed(gradient: Any) -> Any:
    setattr(gradient, _SUMMED, True)
    return gradient


def _update(variable: Any, squares: Any, gradient: Any, rate: Any) -> None:
    """Take a step of AdaGrad with the rows of a gradient.

    The gradient of a mean over tokens is made that of a sum: how far a row moves then depends on
    how often it was read, not on the size of the batch. Squares are of each reading, as if rows
    were updated token by token.
    """
    import tensorflow as tf

    values = gradient.values * tf.cast(tf.shape(gradient.indices)[0], tf.float32)
    # Rows are summed first: updates of the same row would run into one another on several threads.
    rows, numbers = tf.unique(gradient.indices)
    both = tf.concat([values, tf.square(values)], axis=-1)
    both = tf.math.unsorted_segment_sum(both, numbers, tf.size(rows))
    sums, added = tf.split(both, 2, axis=-1)
    total = tf.gather(squares.value, rows) + added
    squares.value.scatter_update(tf.IndexedSlices(total, rows))
    change = tf.cast(rate, tf.float32) * sums / tf.sqrt(total)
    variable.value.scatter_sub(tf.IndexedSlices(change, rows))
