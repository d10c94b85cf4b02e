"""Where a network's own forecast starts from: a blend of simple forecasts, fitted beforehand.

Blending by regression is convex and takes a second; gradient descent takes long to find as much,
and overfits on the way. Which past season to trust may depend on the calendar: on a Monday the
value of last Monday tells more than that of Sunday. How much it may depend on it is chosen on
windows the regression has not seen, so that a series without such a pattern is not harmed.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

LEAST_SPREAD = 1e-3  # in scales of the window
HELD_OUT = 0.2  # share of the windows that choose the penalty
PENALTIES = (np.inf, 1.0, 0.1, 0.01, 0.001)  # of what depends on the calendar; infinite: nothing
OWN_PENALTY = 0.01  # of what does not


@keras.saving.register_keras_serializable(package="pipelines")
class BlendedStart(keras.layers.Layer):
    """A weighted sum of simple forecasts, and how far it usually errs.

    Maps candidates float32[B, H, C, K] and the calendar of the horizon float32[B, H, E] to both,
    [B, H, K]. A weight is one of the step's own plus one for each calendar feature. Until `fit` the
    first candidate counts alone, and errs by 1. Gradient descent leaves the weights as they are.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False, "dtype": "float32"})

    def build(self, candidates_shape: tuple[Any, ...], calendar_shape: tuple[Any, ...]) -> None:
        """Create the weights [H, (C + 1) (E + 1), K] and the spread [H, K]."""
        steps, count, targets = candidates_shape[1:]
        size = (count + 1) * (calendar_shape[-1] + 1)
        self.blend = self.add_weight((steps, size, targets), "zeros", name="blend")
        first = np.zeros((steps, size, targets), np.float32)
        first[:, 0] = 1.0
        self.blend.assign(first)
        self.spread = self.add_weight((steps, targets), "ones", name="spread")
        self.built = True

    def call(self, candidates: Any, calendar: Any) -> tuple[Any, Any]:
        """Return the sum and its spread."""
        terms = _terms(candidates, calendar)
        start = ops.sum(terms * self.blend, axis=2)
        return start, ops.convert_to_tensor(self.spread) + ops.zeros_like(start)

    def fit(self, candidates: np.ndarray, calendar: np.ndarray, targets: np.ndarray) -> None:
        """Set weights and spread by ridge regression, every step and target for itself.

        Args:
            candidates: float[N, H, C, K], in time order.
            calendar: float[N, H, E].
            targets: float[N, H, K] in the same space; NaN is left out.
        """
        blend, spread = np.array(self.blend, np.float64), np.array(self.spread)
        own = candidates.shape[2] + 1
        for step, target in np.ndindex(targets.shape[1:]):
            wanted = targets[:, step, target].astype(np.float64)
            seen = np.isfinite(wanted)
            terms = _terms(candidates[seen, step : step + 1], calendar[seen, step : step + 1])
            design = np.asarray(terms, np.float64)[:, 0, :, target]
            change, error = fit_ridge(design, wanted[seen], blend[step, :, target], own)
            blend[step, :, target] += change
            spread[step, target] = max(error, LEAST_SPREAD)
        self.blend.assign(blend.astype(np.float32))
        self.spread.assign(spread.astype(np.float32))

    def compute_output_shape(
        self, candidates_shape: tuple[Any, ...], calendar_shape: Any = None
    ) -> tuple[Any, ...]:
        """Return [B, H, K], twice."""
        del calendar_shape
        shape = (candidates_shape[0], candidates_shape[1], candidates_shape[3])
        return (shape, shape)


def _terms(candidates: Any, calendar: Any) -> Any:
    """Return candidates and 1, then each of them times each calendar feature, [B, H, X, K]."""
    joined = ops.concatenate([candidates, ops.ones_like(candidates[:, :, :1])], axis=2)
    crossed = joined[:, :, None] * calendar[:, :, :, None, None]
    shape = (-1, joined.shape[1], calendar.shape[2] * joined.shape[2], joined.shape[3])
    return ops.concatenate([joined, ops.reshape(crossed, shape)], axis=2)


def fit_ridge(
    design: np.ndarray, wanted: np.ndarray, before: np.ndarray, own: int
) -> tuple[np.ndarray, float]:
    """Return the change of weights that ridge regression asks for, and the error that is left.

    The error is that on the held-out windows, which are the last ones: errors on windows the
    weights were fitted to would promise too narrow intervals.

    Args:
        design: float[N, X], in time order.
        wanted: float[N].
        before: weights to start from, float[X].
        own: how many of the first weights do not depend on the calendar.
    """
    cut = round(len(design) * (1 - HELD_OUT))
    rest = wanted - design @ before
    if cut <= 2 * own:
        return np.zeros_like(before), float(np.std(rest)) if len(rest) else 1.0
    fitted, held = design[:cut], slice(cut, None)
    errors = {
        penalty: np.std(rest[held] - design[held] @ _solve(fitted, rest[:cut], own, penalty))
        for penalty in PENALTIES
    }
    best = min(errors, key=lambda penalty: errors[penalty])
    return _solve(design, rest, own, best), float(errors[best])


def _solve(design: np.ndarray, rest: np.ndarray, own: int, penalty: float) -> np.ndarray:
    """Return ridge weights [X]; with an infinite penalty those behind `own` are 0."""
    used = own if np.isinf(penalty) else design.shape[1]
    part = design[:, :used]
    square = part.T @ part
    penalties = np.where(np.arange(used) < own, OWN_PENALTY, penalty)
    size = np.trace(square[:own, :own]) / own
    ridge = square + np.diag(penalties * size + 1e-9)
    weights = np.zeros(design.shape[1])
    weights[:used] = np.linalg.solve(ridge, part.T @ rest)
    return weights
