"""Time systems against each other in one process group, and say how sure the ratios are.

Runs alternate and ratios are taken within a repeat, so that other work on the machine disturbs all
sides alike. "wall" is time passed; "cpu" the processor time of all threads together, which other
work hardly touches.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

Runs = Mapping[str, Callable[[], Any]]
OURS = "ours"


@dataclass
class Times:
    """Seconds of every repeat, by system, in the order they were measured."""

    wall: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def ratios(self, name: str, to: str = OURS, kind: str = "wall") -> list[float]:
        """Return, by repeat, the time of a system in units of another's."""
        times = getattr(self, kind)
        return [time / unit for time, unit in zip(times[name], times[to], strict=True)]

    def ratio(self, name: str, to: str = OURS) -> float:
        """Return the median of `ratios`."""
        return median(self.ratios(name, to))


def interleave(runs: Runs, repeats: int, warm_ups: int = 1) -> Times:
    """Run every system in turn, `repeats` times, after runs that are not counted."""
    times = Times({name: [] for name in runs}, {name: [] for name in runs})
    for _ in range(warm_ups):
        for run in runs.values():
            run()
    for _ in range(repeats):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times.wall[name].append(time.perf_counter() - wall)
            times.cpu[name].append(time.process_time() - cpu)
    return times


def print_times(times: Times, to: str = OURS, unit: float = 1e3, unit_name: str = "ms") -> None:
    """Print the median time of every system, and its ratio to one of them with quartiles."""
    for name in times.wall:
        line = f"  {name:28} wall {quartiles(times.wall[name], '8.2f', unit)} {unit_name}"
        line += f"   cpu {median(times.cpu[name]) * unit:8.2f}"
        if name != to:
            line += f"   / {to}: wall {quartiles(times.ratios(name, to), '.2f')}"
            line += f"   cpu {median(times.ratios(name, to, 'cpu')):.2f}"
        print(line, flush=True)


def quartiles(values: list[float], form: str, unit: float = 1.0) -> str:
    """Write the median of repeats, and the quartiles in brackets."""
    values = [value * unit for value in values]
    low, middle, high = quantiles(values, n=4) if len(values) > 1 else values * 3
    return f"{middle:{form}} [{low:{form.lstrip('0123456789')}} {high:{form.lstrip('0123456789')}}]"


def verdict(what: str, value: float, bound: float, *, at_least: bool) -> bool:
    """Print a measured figure next to the one it has to reach; tell whether it does."""
    met = value >= bound if at_least else value <= bound
    sign = "at least" if at_least else "at most"
    print(f"  {'met   ' if met else 'MISSED'} {what}: {value:.2f}, {sign} {bound:g}", flush=True)
    return met


def has_peer(module: str, name: str) -> bool:
    """Tell whether an optional peer is installed; say so if not."""
    found = importlib.util.find_spec(module) is not None
    if not found:
        print(f"{name} is not installed (requirements-bench.txt): left out", flush=True)
    return found
