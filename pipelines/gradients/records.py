"""What was measured of the gradients in an epoch; no TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean
from typing import Any


@dataclass(frozen=True)
class LayerCurve:
    """A layer's gradient norm, and its update's norm as a share of its weights', by sample."""

    norms: list[float]
    updates: list[float]


@dataclass(frozen=True)
class EpochGradients:
    """The gradients of one epoch.

    Attributes:
        epoch: its number, from 1.
        steps: steps that were taken.
        at: share of the epoch that was over at the end of every point.
        norms: mean global norm of the gradients, before clipping, of the steps of every point.
        largest: the largest of them.
        clipped: share of the steps of every point whose gradients were clipped.
        sampled: share of the epoch that was over when layers were looked at.
        layers: by name in words, the lowest first; one value a sample.
        frozen: whether a gate kept gradients from some layers.
        gates: of recurrent layers, by name, share of the values of every gate that are saturated,
            such as {"forget shut": 0.1}; empty where none were looked at.
    """

    epoch: int
    steps: int
    at: list[float]
    norms: list[float]
    largest: list[float]
    clipped: list[float]
    sampled: list[float]
    layers: dict[str, LayerCurve]
    frozen: bool = False
    gates: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def clipped_share(self) -> float:
        """Share of the epoch's steps whose gradients were clipped; points weigh by their steps."""
        return _weighted(self.clipped, self.at)

    @property
    def mean_norm(self) -> float:
        """Mean global norm of the epoch."""
        return _weighted(self.norms, self.at)

    def row(self) -> dict[str, float]:
        """Return what history.csv says of it."""
        if not self.norms:
            return {}
        return {
            "gradient_norm": self.mean_norm,
            "gradient_norm_largest": max(self.largest),
            "clipped_share": self.clipped_share,
        }

    def as_json(self) -> dict[str, Any]:
        """Return it as plain lists and dicts, numbers cut to four digits."""
        return dict(_cut(asdict(self)))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> EpochGradients:
        """Return what `as_json` was made of."""
        layers = {name: LayerCurve(**curve) for name, curve in content["layers"].items()}
        return cls(**{**content, "layers": layers})


def _weighted(values: Sequence[float], ends: Sequence[float]) -> float:
    starts = [0.0, *ends][: len(ends)]
    total = sum(end - start for start, end in zip(starts, ends, strict=True))
    parts = (value * (end - start) for value, start, end in zip(values, starts, ends, strict=True))
    return sum(parts) / total if total else 0.0


def mean(values: Sequence[float]) -> float:
    """Return the mean, 0 of no values."""
    return fmean(values) if values else 0.0


def _cut(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _cut(entry) for name, entry in value.items()}
    if isinstance(value, list):
        return [_cut(entry) for entry in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else 0.0
    return value
