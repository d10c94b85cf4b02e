"""What a reader mended, skipped or left out: how often, and where first."""

from __future__ import annotations

from collections import Counter

SHOWN_PLACES = 5


class Remarks:
    """What was mended or skipped while reading: how often, and where first."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._places: dict[str, list[str]] = {}

    def add(self, what: str, place: str, count: int = 1) -> None:
        """Count something under a description that reads well after a number."""
        self.counts[what] += count
        places = self._places.setdefault(what, [])
        if len(places) < SHOWN_PLACES:
            places.append(place)

    def describe(self, what: str) -> str:
        """Say how often it happened and where, such as "3 tags mended: a.txt:7, a.txt:9"."""
        return f"{self.counts[what]:,} {what}: {', '.join(self._places[what])}"

    def notes(self) -> tuple[str, ...]:
        """Return one line for each thing counted."""
        return tuple(self.describe(what) for what in self.counts)
