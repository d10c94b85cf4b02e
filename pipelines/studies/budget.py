"""Networks of equal size: how many trained weights there are, and the units that give so many."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines.errors import ConfigError
from pipelines.task import Task

if TYPE_CHECKING:
    import keras

MOST_UNITS = 1 << 14
TABLES = ("/embeddings", "/vectors")  # how the variables of Embedding and SummedEmbedding end
TOLERANCE = 0.01  # of the budget: near enough to stop looking


def trained_weights(learner: keras.Model) -> int:
    """Return how many weights are trained, embedding tables left out: they are common to all."""
    return sum(
        math.prod(variable.shape)
        for variable in learner.trainable_variables
        if not variable.path.endswith(TABLES)
    )


def count_of(task: Task[Any, Any], artifacts: Any) -> int:
    """Return the trained weights of the network that a task's settings describe, by building it."""
    import keras

    learner = task.training_model(task.build_model(artifacts))
    count = trained_weights(learner)
    keras.backend.clear_session()
    return count


def units_for(budget: int, count: Callable[[int], int]) -> tuple[int, int]:
    """Return the units whose network comes nearest to a budget, and its weights.

    The search halves its bracket in the root of the count, which is nearly linear in the units.

    Args:
        budget: weights to reach.
        count: weights of a network of so many units; grows with them.

    Raises:
        ConfigError: the weights do not grow with the units, or the budget is out of reach.
    """
    known: dict[int, int] = {}

    def weights(units: int) -> int:
        if units not in known:
            known[units] = count(units)
        return known[units]

    low, high, near = 1, 16, TOLERANCE * budget
    while weights(high) < budget:
        if high >= MOST_UNITS:
            raise ConfigError(
                f"option --study-budget is {budget:,}; {high:,} units have {weights(high):,} "
                "weights only, so that it must be lower, or --units does not size this network"
            )
        low, high = high, 2 * high
    while high - low > 1 and min(abs(weights(end) - budget) for end in (low, high)) > near:
        middle = _between(low, high, weights(low), weights(high), budget)
        low, high = (middle, high) if weights(middle) < budget else (low, middle)
    return min(((units, weights(units)) for units in (low, high)), key=lambda x: abs(x[1] - budget))


def _between(low: int, high: int, fewest: int, most: int, budget: int) -> int:
    """Return where the root of the count, as a line, reaches the budget; strictly inside."""
    if most <= fewest:
        return (low + high) // 2
    share = (max(budget, 0) ** 0.5 - fewest**0.5) / (most**0.5 - fewest**0.5)
    # At least a tenth is cut off either side, so that the bracket shrinks whatever the curve.
    place = low + min(max(share, 0.1), 0.9) * (high - low)
    return min(max(round(place), low + 1), high - 1)
