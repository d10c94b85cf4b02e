"""What makes an Adam update large tables lazily; how a table is caught up is in `lazy_tables`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from pipelines import lazy_tables
from pipelines.lazy_tables import READ_BY_ROWS, LazyTable, StepOfAdam, lazy_table


class LazyUpdates(keras.optimizers.Optimizer):
    """To be mixed into Adam, before all else: what `read_by_rows` has marked is updated lazily."""

    beta_1: float
    beta_2: float
    rate_of: Callable[[Any, Any, Any], Any]  # of a gradient and its variable, from that of all
    weight_kept: Callable[[Any, Any], Any]  # share left by decay, of a gradient and a rate
    average_kept: Callable[[], Any]  # share of an average that is left

    def build(self, variables: list[Any]) -> None:
        """Create the optimizer's variables."""
        if self.built:
            return
        super().build(variables)
        self._tables: dict[int, LazyTable] = {}
        averages = self._model_variables_moving_average if self.use_ema else []
        for number, variable in enumerate(self._trainable_variables):
            if self._may_be_lazy(variable):
                moments = self._momentums[number], self._velocities[number]
                average = averages[number] if averages else None
                self._tables[number] = LazyTable(self, variable, moments, average)

    def _may_be_lazy(self, variable: Any) -> bool:
        if keras.backend.backend() != "tensorflow" or not getattr(variable, READ_BY_ROWS, False):
            return False
        import tensorflow as tf

        plain = variable.constraint is None and variable.dtype == "float32"
        plain = plain and not (self.amsgrad or self.gradient_accumulation_steps)
        return (
            plain
            and variable.shape[0] >= lazy_tables.FEWEST_ROWS
            and not tf.distribute.has_strategy()
        )

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Any] | None = None) -> Any:
        """Update every variable once."""
        if not self.built and trainable_variables is not None:
            self.build(list(trainable_variables))
        given = self._trainable_variables if trainable_variables is None else trainable_variables
        for gradient, variable in zip(grads, given, strict=True):
            table = lazy_table(variable)
            if table is not None and not hasattr(gradient, "indices"):
                table.dense = True
        return super().apply(grads, trainable_variables)

    def _backend_update_step(self, grads: Any, trainable_variables: Any, learning_rate: Any) -> Any:
        # Here, since Keras makes a whole table of a sparse gradient before `update_step`.
        pairs = list(zip(grads, trainable_variables, strict=True))
        for gradient, variable in pairs:
            table = lazy_table(variable)
            if table is not None:
                table.step(gradient, self._step_of(gradient, variable, learning_rate))
        rest = [pair for pair in pairs if lazy_table(pair[1]) is None]
        if rest:
            super()._backend_update_step(*zip(*rest, strict=True), learning_rate)

    def _step_of(self, gradient: Any, variable: Any, learning_rate: Any) -> StepOfAdam:
        rate = ops.cast(self.rate_of(gradient, variable, learning_rate), "float32")
        steps = ops.cast(self.iterations + 1, "float32")
        first, second = (
            1.0 - ops.power(ops.cast(one, "float32"), steps) for one in (self.beta_1, self.beta_2)
        )
        return StepOfAdam(
            rate=rate * ops.sqrt(second) / first,
            kept=self.weight_kept(gradient, rate),
            average_kept=self.average_kept(),
        )

    def settle(self) -> None:
        """Bring all rows of all tables up to date."""
        for table in self._tables.values():
            table.settle()

    def finalize_variable_values(self, var_list: list[Any]) -> None:
        """Bring tables up to date, then put averages in the place of weights, if there are some."""
        self.settle()
        super().finalize_variable_values(var_list)

    def ways(self) -> dict[str, str]:
        """Return, for every marked table, whether "rows" or "all" of it are updated in a step."""
        marked = [one for one in self._trainable_variables if getattr(one, READ_BY_ROWS, False)]
        return {one.path: "all" if lazy_table(one) is None else "rows" for one in marked}
