"""Adam for large tables of which a step reads few rows: only those rows are touched.

Adam moves every row at every step, also those without a gradient: their moments fade, what is left
of the first one still carries them on, weights decay, and an average of the weights follows. All
that is linear in what a row was when it was last touched, with factors that depend on nothing but
when that was. So the factors are kept, for every step since the table was last *settled*, and a row
is caught up when it is read in training, and again when it is updated: every step reads, and every
epoch ends with, what Adam on the whole table gives, to rounding. docs/sparse-updates.md derives it.

Only under TensorFlow, whose gradients list the rows that were read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

from pipelines.row_updates import summed_rows

FEWEST_ROWS = 2_000  # of a smaller table all rows are updated as fast
MOST_STEPS = 4_096  # steps until a table is settled at the latest
BLOCK_ROWS = 16_384  # settled at once
READ_BY_ROWS = "pipelines_read_by_rows"  # the attribute of a marked variable
_TABLE = "pipelines_lazy_table"
_FACTORS = 3  # of a weight: of itself, of its drift, and of the drift's correction
_AVERAGE_FACTORS = 4  # of its average: of itself, and of the three above


def read_by_rows(variable: Any) -> Any:
    """Mark a table, read in training by `read_rows` alone, as one that may be updated lazily."""
    setattr(variable, READ_BY_ROWS, True)
    return variable


def read_as_a_whole(variable: Any) -> Any:
    """Take `read_by_rows` back, of a table that also scores tokens: all its rows are updated."""
    setattr(variable, READ_BY_ROWS, False)
    table = lazy_table(variable)
    if table is not None:
        table.dense = True
    return variable


def lazy_table(variable: Any) -> LazyTable | None:
    """Return what keeps a table that is updated lazily; None if all of its rows are updated."""
    table: LazyTable | None = getattr(variable, _TABLE, None)
    return None if table is None or table.dense else table


def forget_tables(variables: Sequence[Any]) -> None:
    """Make variables ready for another optimizer, after one that has settled them."""
    for variable in variables:
        if hasattr(variable, _TABLE):
            delattr(variable, _TABLE)


def read_rows(variable: Any, ids: Any, *, training: bool) -> Any:
    """Return rows of a table, [..., D] for int[...]; in training as if all were up to date.

    The gradient is sparse under TensorFlow, and nothing else reads the table as a whole: once rows
    of a variable were assigned, TensorFlow copies it whenever it is read.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.take(variable, ids, axis=0)
    import tensorflow as tf

    if not training:
        return tf.gather(variable.value, ids)
    rows, numbers = tf.unique(tf.reshape(ids, [-1]))
    table = lazy_table(variable)
    vectors = tf.gather(variable.value if table is None else table.values[0], rows)
    if table is not None:
        vectors += tf.stop_gradient(table.missed(rows, vectors))
    numbers = tf.ensure_shape(tf.reshape(numbers, tf.shape(ids)), ids.shape)
    return _spread(vectors, numbers)


def _spread(vectors: Any, numbers: Any) -> Any:
    """Gather rows, int[...] of [U, D]; the gradient is summed by row here, and once."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def spread(vectors: Any) -> Any:
        def back(upstream: Any) -> Any:
            values = tf.reshape(upstream, [-1, vectors.shape[1]])
            return tf.math.unsorted_segment_sum(
                values, tf.reshape(numbers, [-1]), tf.shape(vectors)[0]
            )

        return tf.gather(vectors, numbers), back

    return spread(vectors)


@dataclass
class StepOfAdam:
    """What one step does to any row; each a scalar.

    Attributes:
        rate: the learning rate with Adam's correction for moments that start at 0.
        kept: of a weight after its decay.
        average_kept: of an average; what is missing to 1 comes from the weight.
    """

    rate: Any
    kept: Any
    average_kept: Any


class LazyTable:
    """A table float32[V, D], its moments, and the factors by which rows are caught up.

    A row last touched s steps after the table was settled, with weight w, moments m and v and
    average e, now has w' = f0 w - f1 m/r + f2 ε m/r², where r = sqrt(v) + ε, and
    e' = f3 e + f4 w - f5 m/r + f6 ε m/r², with the factors f of s.

    Args:
        optimizer: an `Adam` that is being built; it owns all variables.
        variable: the table.
        moments: the optimizer's first and second moment of it.
        average: the optimizer's average of it, if it keeps one.
    """

    def __init__(
        self, optimizer: Any, variable: Any, moments: tuple[Any, Any], average: Any
    ) -> None:
        self.variable, self.average = variable, average
        kept = [variable, *moments, *([] if average is None else [average])]
        # TensorFlow's own variables: Keras' would be cast within a layer of half precision.
        self.values = [one.value for one in kept]
        self.dense = False  # whether its gradient turned out not to be sparse
        self._first, self._second = float(optimizer.beta_1), float(optimizer.beta_2)
        self._epsilon = float(optimizer.epsilon)
        count = _FACTORS + (0 if average is None else _AVERAGE_FACTORS)
        self._start = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0][:count]

        def add(shape: tuple[int, ...], name: str, **settings: Any) -> Any:
            return optimizer.add_variable(shape, name=name, **settings).value

        # Steps since the table was settled, and of every row how many of them it has had.
        self.passed = add((), "passed", initializer="zeros", dtype="int32")
        self.last = add((variable.shape[0],), "last", initializer="zeros", dtype="float32")
        self._most = MOST_STEPS
        self.factors = add((self._most + 1, count), "factors", initializer=_Rows(self._start))
        setattr(variable, _TABLE, self)

    def missed(self, rows: Any, weight: Any) -> Any:
        """Return what rows have missed since they were touched: int[U], float32[U, D] to the same.

        Args:
            rows: of the table.
            weight: what is written there.
        """
        import tensorflow as tf

        factors, _ = self._factors(rows)
        first, second = (tf.gather(one, rows) for one in self.values[1:3])
        drift, smaller = self._drift(first, second)
        return (factors[0] - 1.0) * weight + drift * (factors[2] * smaller - factors[1])

    def now(self, rows: Any) -> list[Any]:
        """Return weights, both moments, and the average if there is one, of rows caught up."""
        weight, first, second, *average = self._gathered(rows)
        factors, steps = self._factors(rows)
        drift, smaller = self._drift(first, second)
        found = [factors[0] * weight + drift * (factors[2] * smaller - factors[1])]
        found += [first * self._first**steps, second * self._second**steps]
        for one in average:
            moved = factors[4] * weight + drift * (factors[6] * smaller - factors[5])
            found.append(factors[3] * one + moved)
        return found

    def step(self, gradient: Any, how: StepOfAdam) -> None:
        """Take a step of Adam with the rows of a sparse gradient; others are caught up later."""
        import tensorflow as tf

        tf.cond(self.passed >= self._most, self._settled, lambda: tf.constant(0))
        gradient = summed_rows(gradient)
        rows, slope = gradient.indices, gradient.values
        weight, first, second, *average = self.now(rows)
        first = first * self._first + slope * (1.0 - self._first)
        second = second * self._second + tf.square(slope) * (1.0 - self._second)
        weight = weight * how.kept - first * how.rate / (tf.sqrt(second) + self._epsilon)
        average = [one * how.average_kept + weight * (1.0 - how.average_kept) for one in average]
        self._extend(how)
        self._assign(rows, [weight, first, second, *average])
        passed = tf.cast(self.passed, tf.float32)
        self.last.scatter_update(tf.IndexedSlices(tf.fill(tf.shape(rows), passed), rows))

    def settle(self) -> None:
        """Catch up all rows, if any step was taken since the last time."""
        if int(ops.convert_to_numpy(self.passed)):
            self._settled()

    def _settled(self) -> Any:
        import tensorflow as tf

        count = self.variable.shape[0]

        def block(start: Any) -> Any:
            rows = tf.range(start, tf.minimum(start + BLOCK_ROWS, count))
            self._assign(rows, self.now(rows))
            return (start + BLOCK_ROWS,)

        tf.while_loop(lambda start: start < count, block, (tf.constant(0),), parallel_iterations=1)
        self.last.assign(tf.zeros([count]))
        self.factors.assign(tf.tile([self._start], [self._most + 1, 1]))
        self.passed.assign(0)
        return tf.constant(0)

    def _extend(self, how: StepOfAdam) -> None:
        """Let one more step pass for rows that it does not touch."""
        import tensorflow as tf

        old, passed = self.factors, self.passed
        steps = tf.cast(passed + 1 - tf.range(self._most + 1), tf.float32)
        missed = tf.maximum(steps, 0.0)
        drift = how.rate * (self._first * self._second**-0.5) ** missed
        correction = drift * (self._second ** (-missed / 2) - 1.0)
        new = [
            how.kept * old[:, 0],
            how.kept * old[:, 1] + drift,
            how.kept * old[:, 2] + correction,
        ]
        if self.average is not None:
            kept = how.average_kept
            new.append(kept * old[:, 3])
            new += [kept * old[:, 4 + n] + (1.0 - kept) * new[n] for n in range(_FACTORS)]
        self.factors.assign(tf.where(steps[:, None] > 0, tf.stack(new, axis=-1), old))
        self.passed.assign_add(1)

    def _gathered(self, rows: Any) -> list[Any]:
        import tensorflow as tf

        return [tf.gather(value, rows) for value in self.values]

    def _factors(self, rows: Any) -> tuple[list[Any], Any]:
        """Return the factors of rows, each float32[U, 1], and how many steps they missed."""
        import tensorflow as tf

        last = tf.gather(self.last, rows)
        factors = tf.gather(self.factors, tf.cast(last, tf.int32))
        steps = tf.cast(self.passed, tf.float32) - last
        return tf.split(factors, len(self._start), axis=-1), steps[:, None]

    def _drift(self, first: Any, second: Any) -> tuple[Any, Any]:
        import tensorflow as tf

        root = tf.sqrt(second) + self._epsilon
        return first / root, self._epsilon / root

    def _assign(self, rows: Any, values: list[Any]) -> None:
        import tensorflow as tf

        for variable, value in zip(self.values, values, strict=True):
            variable.scatter_update(tf.IndexedSlices(value, rows))


class _Rows(keras.initializers.Initializer):
    """The same row again and again."""

    def __init__(self, row: list[float]) -> None:
        self._row = row

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        return ops.tile(ops.convert_to_tensor([self._row], dtype=dtype), [shape[0], 1])
