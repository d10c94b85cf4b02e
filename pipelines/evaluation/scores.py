"""The one form in which every task states a result."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Better = Literal["higher", "lower", "target"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One baseline's value of a score on the same rows, and how sure the difference is.

    `difference` is model minus baseline with its 95 % interval; of a score that has a target, it is
    the difference of their distances from it. `p_value` is two-sided, paired.
    """

    value: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Score:
    """A measured value with its unit, its 95 % interval and its baselines.

    `count` is the number of units the value was measured on, and `counted` names them. `target` is
    the best value of a score that can be too low and too high, such as the coverage of intervals.
    """

    name: str
    value: float
    unit: str
    better: Better
    count: int
    low: float | None = None
    high: float | None = None
    counted: str = "rows"
    target: float | None = None
    baselines: dict[str, Comparison] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the form `report.json` holds: baselines as plain values, details beside them."""
        plain = asdict(self)
        plain["baselines"] = {name: entry.value for name, entry in self.baselines.items()}
        plain["comparisons"] = {name: asdict(entry) for name, entry in self.baselines.items()}
        return plain
