"""Which cycles of the calendar a series can follow, and the clock of its time zone.

Apart from the features themselves, which are computed in the graph: nothing here needs TensorFlow.
"""

from __future__ import annotations

from pipelines.datasets.series_clock import clock_changes
from pipelines.datasets.series_clock import time_zone as find_zone
from pipelines.datasets.series_frequency import WEEK, YEAR_SECONDS, Frequency

HARMONICS = {"day": 12, "week": 3, "month": 2, "year": 2}
_LAST_CHANGE = 130 * YEAR_SECONDS  # an exported graph knows the clock changes up to 2100


def cycles_of(frequency: Frequency) -> tuple[str, ...]:
    """Return the cycles that a step is short enough to tell apart."""
    if frequency.unit == "month":
        return ("year",) if frequency.count < 12 else ()
    if frequency.is_sub_daily:
        return ("day", "week", "year")
    return ("week", "month", "year") if frequency.count < WEEK else ("year",)


def calendar_names(frequency: Frequency) -> list[str]:
    """Return the names of the calendar features of a frequency, C of them."""
    return [
        f"{wave} of the {cycle} × {harmonic}"
        for cycle in cycles_of(frequency)
        for harmonic in range(1, HARMONICS[cycle] + 1)
        for wave in ("sine", "cosine")
    ] or ["nothing"]


def zone_changes(time_zone: str) -> tuple[list[int], list[int]]:
    """Return when the clock of a zone changes (UTC seconds), and its offsets before and after."""
    if not time_zone:
        return [], [0]
    changes, offsets = clock_changes(find_zone(time_zone), 0, _LAST_CHANGE)
    return changes.tolist(), offsets.tolist()
