"""Say what a run is doing: one line a stage, with its seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Stage:
    """A running stage; `note` is what its line will say."""

    note = ""


class Stages:
    """Prints a line when a stage ends and keeps the seconds for the manifest."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.seconds: dict[str, float] = {}
        self._started = time.perf_counter()

    @contextmanager
    def stage(self, name: str) -> Iterator[Stage]:
        """Time a block; a spinner turns on a terminal while it runs."""
        stage, started = Stage(), time.perf_counter()
        with self.console.status(name):
            yield stage
        self.seconds[name] = round(time.perf_counter() - started, 2)
        self.line(name, stage.note)

    def line(self, name: str, note: str) -> None:
        """Print one finished stage."""
        seconds = f"  ({self.seconds[name]:.1f} s)" if name in self.seconds else ""
        self.console.print(f"{name:10} {note}{seconds}", highlight=False, soft_wrap=True)

    def total(self) -> float:
        """Return the seconds since the run began."""
        return time.perf_counter() - self._started
