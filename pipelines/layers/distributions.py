"""Parametric forecasts: normal, Student's t and negative binomial.

Families as `pipelines.layers.quantiles` says; their loss is the negative log-likelihood in nats.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from pipelines.layers.quantiles import normal_score, normal_scores
from pipelines.layers.special_functions import (
    log_gamma_step,
    negative_binomial_log_probability,
    negative_binomial_quantile,
    student_t_score,
)

SMALLEST_SCALE = 1e-4
LEAST_FREEDOM = 2.01  # the variance is finite above 2
DISPERSIONS = (1e-4, 1e3)
SMALLEST_MEAN = 1e-6
# Numbers whose softplus is the starting value.
ONE = float(np.log(np.expm1(1.0)))
FREEDOM = 4.0  # 6 degrees of freedom
DISPERSION = float(np.log(np.expm1(0.5)))


class Gaussian:
    """The normal distribution: params are mean and standard deviation."""

    size = 2

    def initial(self, center: float) -> list[float]:
        """Return a bias that makes the first forecast N(center, 1)."""
        return [center, ONE]

    def parameters(self, raw: Any, scale: Any = None) -> Any:
        """Return mean and standard deviation, [..., 2]."""
        del scale
        return ops.stack([raw[..., 0], ops.softplus(raw[..., 1]) + SMALLEST_SCALE], axis=-1)

    def moved(self, params: Any, start: Any, spread: Any) -> Any:
        """Return the params of start + spread × the variable."""
        parts = [start + spread * params[..., 0], spread * params[..., 1]]
        return ops.stack(parts, axis=-1)

    def quantiles(self, params: Any, levels: Sequence[float]) -> Any:
        """Return quantiles [..., Q]."""
        scores = ops.convert_to_tensor(normal_scores(levels), "float32")
        return params[..., 0:1] + params[..., 1:2] * scores

    def mean(self, params: Any) -> Any:
        """Return means."""
        return params[..., 0]

    def loss(self, targets: Any, params: Any) -> Any:
        """Return the negative log-likelihood in nats."""
        score = (targets - params[..., 0]) / params[..., 1]
        return 0.5 * score**2 + ops.log(params[..., 1]) + 0.5 * np.log(2 * np.pi)

    def sample(self, params: Any, uniforms: Any) -> Any:
        """Return the quantile at each level of uniforms."""
        return params[..., 0] + params[..., 1] * normal_score(uniforms)


class StudentT:
    """Student's t: params are location, scale and degrees of freedom, above 2."""

    size = 3

    def initial(self, center: float) -> list[float]:
        """Return a bias that makes the first forecast t of 6 degrees about `center`."""
        return [center, ONE, FREEDOM]

    def parameters(self, raw: Any, scale: Any = None) -> Any:
        """Return location, scale and degrees of freedom, [..., 3]."""
        del scale
        parts = [
            raw[..., 0],
            ops.softplus(raw[..., 1]) + SMALLEST_SCALE,
            ops.softplus(raw[..., 2]) + LEAST_FREEDOM,
        ]
        return ops.stack(parts, axis=-1)

    def moved(self, params: Any, start: Any, spread: Any) -> Any:
        """Return the params of start + spread × the variable."""
        parts = [start + spread * params[..., 0], spread * params[..., 1], params[..., 2]]
        return ops.stack(parts, axis=-1)

    def quantiles(self, params: Any, levels: Sequence[float]) -> Any:
        """Return quantiles [..., Q]; relative error below 5e-6 (see `student_t_score`)."""
        scores = ops.convert_to_tensor(normal_scores(levels), "float32")
        wide = student_t_score(scores + 0.0 * params[..., :1], params[..., 2:3])
        return params[..., 0:1] + params[..., 1:2] * wide

    def mean(self, params: Any) -> Any:
        """Return means."""
        return params[..., 0]

    def loss(self, targets: Any, params: Any) -> Any:
        """Return the negative log-likelihood in nats."""
        scale, freedom = params[..., 1], params[..., 2]
        score = (targets - params[..., 0]) / scale
        norm = 0.5 * ops.log(freedom * np.pi) + ops.log(scale) - log_gamma_step(freedom / 2)
        return norm + 0.5 * (freedom + 1.0) * ops.log1p(score**2 / freedom)

    def sample(self, params: Any, uniforms: Any) -> Any:
        """Return the quantile at each level of uniforms."""
        wide = student_t_score(normal_score(uniforms), params[..., 2])
        return params[..., 0] + params[..., 1] * wide


class NegativeBinomial:
    """Counts: variance mean + dispersion × mean² (Salinas et al., 2020, sec. 3.2).

    Params are mean and dispersion in raw units, and the window's scale: what a count is, only raw
    units tell. Scaled values are counts / scale: the scaling is "mean", without a logarithm.
    """

    size = 2

    def initial(self, center: float) -> list[float]:
        """Return a bias: the first forecasts have mean `center`, or 1, and dispersion 1/2."""
        return [float(np.log(np.expm1(center or 1.0))), DISPERSION]

    def parameters(self, raw: Any, scale: Any) -> Any:
        """Return mean, dispersion and scale, [..., 3]."""
        mean = ops.maximum(ops.softplus(raw[..., 0]) * scale, SMALLEST_MEAN)
        return ops.stack([mean, ops.clip(ops.softplus(raw[..., 1]), *DISPERSIONS), scale], axis=-1)

    def moved(self, params: Any, start: Any, spread: Any) -> Any:
        """Counts are not moved: what is added to a count is no count."""
        del start, spread
        return params

    def quantiles(self, params: Any, levels: Sequence[float]) -> Any:
        """Return quantiles [..., Q]; see `negative_binomial_quantile` for the error."""
        level = ops.convert_to_tensor(np.array(levels), "float32")
        counts = negative_binomial_quantile(level, params[..., 0:1], params[..., 1:2])
        return counts / params[..., 2:3]

    def mean(self, params: Any) -> Any:
        """Return means."""
        return params[..., 0] / params[..., 2]

    def loss(self, targets: Any, params: Any) -> Any:
        """Return the negative log-likelihood in nats of the nearest counts."""
        counts = ops.maximum(ops.round(targets * params[..., 2]), 0.0)
        return -negative_binomial_log_probability(counts, params[..., 0], params[..., 1])

    def sample(self, params: Any, uniforms: Any) -> Any:
        """Return the quantile at each level of uniforms."""
        counts = negative_binomial_quantile(uniforms, params[..., 0], params[..., 1])
        return counts / params[..., 2]
