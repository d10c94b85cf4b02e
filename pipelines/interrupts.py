"""Ctrl-C at a moment at which nothing is lost."""

from __future__ import annotations

import signal
from types import FrameType
from typing import Any


class DeferInterrupt:
    """Turns the first Ctrl-C into a flag read between two batches; the second acts at once."""

    asked = False

    def __enter__(self) -> DeferInterrupt:
        try:
            self._previous: Any = signal.signal(signal.SIGINT, self._note)
        except ValueError:  # not in the main thread, as in some notebooks: leave signals alone
            self._previous = None
        return self

    def _note(self, *_: int | FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
