"""A live line on a terminal, one plain line an epoch elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

REFRESH_SECONDS = 0.2  # reading the loss waits for the device, so it is read only when shown


class FetchProgress:
    """Shows how far a download is, a line at most every second."""

    def __init__(self) -> None:
        self._shown = -1.0

    def __call__(self, message: str) -> None:
        """Show a message of the downloader, unless one was shown just now."""
        now = time.monotonic()
        if self._shown >= 0 and now - self._shown < 1:
            return
        self._shown = now
        sys.stderr.write(f"fetch      {message}\n")
        sys.stderr.flush()


class TrainingProgress:
    """Epoch, loss, validation value, tokens/s and time left of a training run."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(file=sys.stderr)
        self._live: Progress | None = None
        self._bar = TaskID(0)
        self._epochs = self._tokens_per_epoch = self._done = self._epoch_tokens = 0
        self._started = self._shown = time.monotonic()
        self._validation = ""

    @contextmanager
    def running(self, epochs: int, tokens_per_epoch: int) -> Iterator[None]:
        """Show progress while the block runs."""
        self._epochs, self._tokens_per_epoch = epochs, tokens_per_epoch
        self._started = time.monotonic()
        if not self.console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as self._live:
            self._bar = self._live.add_task("epoch 1", total=tokens_per_epoch)
            yield
        self._live = None

    def advance(self, tokens: int, loss: Callable[[], float]) -> None:
        """Count a batch; `loss` is called only when the line is drawn."""
        self._done += tokens
        self._epoch_tokens += tokens
        now = time.monotonic()
        if self._live is None or now - self._shown < REFRESH_SECONDS:
            return
        self._shown = now
        self._live.update(self._bar, completed=self._epoch_tokens, description=self._line(loss()))

    def _line(self, loss: float) -> str:
        rate = self._done / max(time.monotonic() - self._started, 1e-9)
        epoch = self._done // max(self._tokens_per_epoch, 1) + 1
        left = (self._epochs * self._tokens_per_epoch - self._done) / max(rate, 1e-9)
        return (
            f"epoch {min(epoch, self._epochs)}/{self._epochs}  loss {loss:.3f}{self._validation}  "
            f"{_thousands(rate)} tokens/s  {_clock(left)} left"
        )

    def epoch_done(self, row: dict[str, float], monitor: str, best_epoch: int) -> None:
        """Print the finished epoch."""
        self._epoch_tokens = 0
        value = row[f"valid_{monitor}"]
        self._validation = f"  validation {monitor} {value:.3f}"
        rate = self._tokens_per_epoch / max(row["seconds"], 1e-9)
        best = "  *" if best_epoch == row["epoch"] else ""
        left = (self._epochs - row["epoch"]) * row["seconds"]
        self.console.print(
            f"  epoch {row['epoch']:.0f}/{self._epochs}  loss {row['loss']:.3f}{self._validation}  "
            f"{_thousands(rate)} tokens/s  {_clock(left)} left{best}",
            highlight=False,
            soft_wrap=True,
        )

    def warned(self, text: str) -> None:
        """Print what a reader should know of the training just now."""
        self.console.print(f"  warning: {text}", highlight=False, soft_wrap=True)

    def averaged(self, epochs: int, monitor: str, value: float, best: float | None) -> None:
        """Print what the mean of the last epochs' weights gave, beside the best epoch."""
        beside = "" if best is None else f", best epoch {best:.3f}"
        self.console.print(
            f"  mean of the last {epochs} epochs: validation {monitor} {value:.3f}{beside}",
            highlight=False,
            soft_wrap=True,
        )


def _thousands(rate: float) -> str:
    return f"{rate / 1000:.1f}k" if rate >= 1000 else f"{rate:.0f}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
