"""Run a command in a child process and measure its seconds and its resident memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parent.parent
SAMPLE_SECONDS = 0.1
MEGABYTE = 1e6


@dataclass
class Measured:
    """What a command cost.

    Attributes:
        seconds: from start to end.
        peak_mb: `ru_maxrss` of the largest process of the tree, mapped pages included.
        together_mb: largest sum of the resident memory of all its processes, sampled.
        stages: line of standard error that ended a stage -> (seconds, largest sum) until then.
        output: standard output, the first million characters.
    """

    seconds: float = 0.0
    peak_mb: float = 0.0
    together_mb: float = 0.0
    stages: dict[str, tuple[float, float]] = field(default_factory=dict)
    output: str = ""


class CommandFailed(RuntimeError):
    """A measured command ended with another status than expected."""


def measure(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    status: int = 0,
) -> Measured:
    """Run `python ARGUMENTS` from the project's root and measure it.

    Raises:
        CommandFailed: it ended with another status; the message ends with what it printed.
    """
    result = Measured()
    started = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})},
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        )
        sampler = _Sampler(process.pid)
        lines = []
        for line in process.stderr or ():
            lines.append(line)
            name = line.split(" ", 1)[0].strip()
            if name:
                result.stages[name] = (time.perf_counter() - started, sampler.take())
        _, code, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(code)
        sampler.stop()
        output.seek(0)
        result.output = output.read(1_000_000).decode(errors="replace")
    result.seconds = time.perf_counter() - started
    result.peak_mb = usage.ru_maxrss * 1024 / MEGABYTE
    result.together_mb = max(sampler.largest, result.peak_mb)
    if process.returncode != status:
        raise CommandFailed(
            f"{' '.join(arguments)}: ended with status {process.returncode}, expected {status}: "
            f"{''.join(lines)[-2000:]}"
        )
    return result


def peak_mb() -> float:
    """Return the most memory this process has taken since it began.

    `ru_maxrss`, which `measure` reports, would include the parent at the time of the fork.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6


def spread(values: list[float], form: str) -> str:
    """Write the median of repeats, and the least and the largest in brackets."""
    return f"{median(values):{form}} [{min(values):{form}} {max(values):{form}}]"


class _Sampler(threading.Thread):
    """Looks at the resident memory of a process and its descendants now and then."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self._ended = pid, threading.Event()
        self._since_taken = self.largest = 0.0
        self.start()

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            total = sum(_resident(pid) for pid in _tree(self._pid)) / MEGABYTE
            self._since_taken = max(self._since_taken, total)
            self.largest = max(self.largest, total)

    def take(self) -> float:
        """Return the largest sum since the last call."""
        taken, self._since_taken = self._since_taken, 0.0
        return taken

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(below for child in children for below in _tree(int(child)))]


def _resident(pid: int) -> int:
    """Bytes resident, shared and mapped pages included."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
