"""The optimizer of a run: its kind, learning rate, weight decay and averaging of weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from pipelines.config import RunConfig
from pipelines.gradients.measuring import Monitored
from pipelines.lazy_tables import forget_tables, lazy_table
from pipelines.lazy_updates import LazyUpdates
from pipelines.row_updates import RowUpdates, summed_rows

if TYPE_CHECKING:
    from pipelines.training import Objective

Improves = Callable[[float, float | None], bool]  # whether a value beats the best, if there is one


def compile_model(
    model: keras.Model, objective: Objective, config: RunConfig, steps_per_epoch: int
) -> None:
    """Attach the optimizer, learning-rate schedule, clipping, loss and metrics."""
    # jit_compile="auto" turns XLA on, which costs a compilation per batch shape on CPU.
    model.compile(
        optimizer=make_optimizer(config, config.epochs * steps_per_epoch),
        loss=objective.loss,
        weighted_metrics=objective.metrics,
        jit_compile=keras.backend.backend() == "jax",
    )


def make_optimizer(config: RunConfig, steps: int) -> Any:
    """Return the optimizer of a run of so many steps: see `_Averaging`."""
    settings: dict[str, Any] = {
        "learning_rate": _schedule(config, steps),
        "global_clipnorm": config.clip_norm or None,
        "clipvalue": config.clip_value or None,
        "monitored_steps": max(1, steps // config.epochs) if config.monitor else 0,
        "use_ema": config.weight_average > 0 or config.triggered_averaging > 0,
        "ema_momentum": config.weight_average or 0.99,
        "decay": config.weight_decay,
        "triggered": config.triggered_averaging > 0,
    }
    if config.optimizer == "sgd":
        return MomentumSGD(momentum=config.momentum, **settings)
    return DecayedAdam(counted=config.unfreeze_every > 0, **settings)


def _schedule(config: RunConfig, steps: int) -> Any:
    warmup = max(1, round(config.warmup * steps))
    if config.schedule != "cosine":
        return config.learning_rate
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0,
        warmup_target=config.learning_rate,
        warmup_steps=warmup,
        decay_steps=max(1, steps - warmup),
    )


class _Averaging(Monitored, RowUpdates):
    """What Keras' optimizers lack: decay that spares frozen weights, and a mean once triggered.

    Decoupled weight decay (Loshchilov & Hutter, 2019) leaves a variable alone in a step whose
    gradient is zero everywhere, which is what a closed `GradientGate` gives to the layers below.

    With `triggered`, what Keras keeps as its moving average is the plain mean of the weights after
    every step since `trigger` was called (Polyak & Juditsky, 1992), and nothing before. When the
    mean began is an optimizer variable, so that a resumed run goes on with it.

    Args:
        decay: of the weights in a step, as a share of the learning rate.
        triggered: average from `trigger` on.
    """

    averaging_since: Any = None

    def __init__(
        self, *args: Any, decay: float = 0.0, triggered: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.decay, self.triggered = decay, triggered

    def build(self, variables: list[Any]) -> None:
        """Create the optimizer's variables."""
        if self.built:
            return
        forget_tables(variables)
        super().build(variables)
        if self.triggered:
            unset = keras.initializers.Constant(-1)
            self.averaging_since = self.add_variable(
                (), initializer=unset, dtype=self.iterations.dtype, name="averaging_since"
            )

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if self.clipvalue:  # of what a row of a table gets in all, not of each of its readings
            grads = [summed_rows(gradient) for gradient in grads]
        return super()._clip_gradients(grads)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay a weight and then move it along its gradient."""
        if self.decay:
            rate = _decaying_rate(gradient, ops.cast(learning_rate, variable.dtype))
            self.assign_sub(variable, variable * ops.cast(self.decay, variable.dtype) * rate)
        super().update_step(gradient, variable, learning_rate)

    def weight_kept(self, gradient: Any, learning_rate: Any) -> Any:
        """Return the share of a weight that decay leaves in a step: float32[]."""
        return 1.0 - _decaying_rate(gradient, learning_rate) * self.decay if self.decay else 1.0

    def average_kept(self) -> Any:
        """Return the share of an average that is left in a step: float32[]."""
        if not self.triggered:
            return ops.cast(ops.not_equal(self.iterations, 0), "float32") * self.ema_momentum
        since = ops.convert_to_tensor(self.averaging_since)
        steps = ops.convert_to_tensor(self.iterations) - since + 1
        share = 1.0 / ops.cast(ops.maximum(steps, 1), "float32")
        return 1.0 - ops.where(since < 0, 0.0, share)

    @property
    def averaging(self) -> bool:
        """Whether there is an average of the weights, to be validated in their place."""
        if not self.triggered:
            return bool(self.use_ema)
        return int(ops.convert_to_numpy(self.averaging_since)) >= 0

    def trigger(self) -> None:
        """Average the weights from the next step on."""
        # By way of NumPy: under JAX two variables may not share a value.
        self.averaging_since.assign(ops.convert_to_numpy(self.iterations))

    def _update_model_variables_moving_average(self, variables: list[Any]) -> None:
        kept = self.average_kept()
        averages = self._model_variables_moving_average
        for variable, average in zip(variables, averages, strict=True):
            if average is not None and lazy_table(variable) is None:
                share = ops.cast(kept, average.dtype)
                average.assign(average * share + variable * (1.0 - share))

    def finalize_variable_values(self, variables: list[Any]) -> None:
        """Put the average in the place of the weights, if there is one."""
        if self.averaging:
            super().finalize_variable_values(variables)


class DecayedAdam(LazyUpdates, _Averaging, keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019); see `_Averaging`.

    With `counted`, the correction for moments that start at zero counts the steps of each variable
    from its first gradient on. Keras counts those of the run: a layer that is unfrozen late would
    move up to six times as fast as the learning rate says.
    """

    def __init__(self, *args: Any, counted: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.counted = counted
        self._moved: list[Any] = []

    def build(self, variables: list[Any]) -> None:
        """Create the optimizer's variables."""
        if self.built:
            return
        super().build(variables)
        if self.counted:
            dtype = self.iterations.dtype
            self._moved = [self.add_variable((), dtype=dtype, name="moved") for _ in variables]

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Decay a weight and then move it along its gradient."""
        rate = self.rate_of(gradient, variable, learning_rate)
        super().update_step(gradient, variable, rate)

    def rate_of(self, gradient: Any, variable: Any, learning_rate: Any) -> Any:
        """Return a variable's learning rate in a step, from that of all; count its steps."""
        if not self.counted:
            return learning_rate
        moved = self._moved[self._get_variable_index(variable)]
        now = ops.convert_to_tensor(moved)
        begun = ops.logical_or(now > 0, _moves(gradient))
        self.assign_add(moved, ops.cast(begun, moved.dtype))
        now = ops.maximum(ops.convert_to_tensor(moved), 1)
        run = ops.convert_to_tensor(self.iterations) + 1
        return learning_rate * (self._correction(now) / self._correction(run))

    def _correction(self, steps: Any) -> Any:
        """Return what Adam multiplies its rate by after so many steps (Kingma & Ba, 2015)."""
        steps = ops.cast(steps, "float32")
        second = 1.0 - ops.power(ops.cast(self.beta_2, "float32"), steps)
        return ops.sqrt(second) / (1.0 - ops.power(ops.cast(self.beta_1, "float32"), steps))


class MomentumSGD(_Averaging, keras.optimizers.SGD):
    """Stochastic gradient descent, with momentum if wanted; see `_Averaging`."""


def _decaying_rate(gradient: Any, rate: Any) -> Any:
    return ops.where(_moves(gradient), rate, ops.zeros_like(rate))


def _moves(gradient: Any) -> Any:
    """Tell whether a gradient is other than zero anywhere: bool[]."""
    values = getattr(gradient, "values", gradient)  # of the rows that an embedding looked up
    return ops.any(ops.not_equal(values, 0))


def optimizer_of(model: keras.Model) -> Any:
    """Return a compiled model's own optimizer, from beneath the loss scaling of half precision."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def plateau_rate(config: RunConfig, values: Sequence[float], improves: Improves) -> float:
    """Return the learning rate that follows from the validation values of all epochs so far.

    It is divided by `plateau_factor` whenever `plateau_patience` epochs in a row, counted anew
    after each division, brought no better value.
    """
    best, waited, rate = None, 0, config.learning_rate
    for value in values:
        if improves(value, best):
            best, waited = value, 0
            continue
        waited += 1
        if waited == config.plateau_patience:
            rate, waited = rate / config.plateau_factor, 0
    return rate


def is_averaging_due(interval: int, values: Sequence[float], improves: Improves) -> bool:
    """Tell whether the last value is worse than the best of those more than `interval` before it.

    The non-monotone criterion of NT-ASGD (Merity et al., 2018, algorithm 1, as in the authors'
    code, which compares with all values but the `interval` last ones).
    """
    earlier = list(values[: -1 - interval])
    best: float | None = None
    for value in earlier:
        best = value if improves(value, best) else best
    return best is not None and values[-1] != best and improves(best, values[-1])
