"""The whole lab: runs side by side, told as they finish, kept as they finish."""

from __future__ import annotations

import os
import time

from rich.console import Console

from pipelines.lab.crew import Crew
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.records import Job, Journal, Run
from pipelines.lab.schedule import Schedule
from pipelines.lab.working import run_job


def run_lab(options: MemoryLabOptions, journal: Journal, console: Console) -> list[Run]:
    """Run every job whose shorter lengths were solved; those cut by time come last in the list.

    Args:
        options: of the lab.
        journal: holds the runs that are not to be done again, and gets the new ones.
        console: for one line a run, and how long the rest can take.

    Raises:
        TrainingError: a run failed for another reason than that nothing was learned.
    """
    schedule = Schedule(options, journal.runs() if options.resume else ())
    progress = Progress(options, schedule, console)
    if schedule.runs:
        console.print(f"{len(schedule.runs)} runs kept from {journal.path}", highlight=False)
    deadline = time.time() + 60 * options.minutes
    run_all = _run_here if worker_count(options) == 1 else _run_aside
    with console.status("") as status:
        progress.status = status
        run_all(options, schedule, journal, progress, deadline)
    return schedule.runs


def worker_count(options: MemoryLabOptions) -> int:
    """Return how many runs go on at the same time."""
    return options.workers or len(os.sched_getaffinity(0))


def _run_here(
    options: MemoryLabOptions,
    schedule: Schedule,
    journal: Journal,
    progress: Progress,
    deadline: float,
) -> None:
    while time.time() < deadline and (job := schedule.take()):
        progress.begin(job)
        _keep(run_job(job, options, deadline, time.time), schedule, journal, progress)


def _run_aside(
    options: MemoryLabOptions,
    schedule: Schedule,
    journal: Journal,
    progress: Progress,
    deadline: float,
) -> None:
    crew = Crew(worker_count(options), options, deadline)
    try:
        while True:
            while crew.has_idle and time.time() < deadline and (job := schedule.take()):
                progress.begin(job)
                crew.give(job)
            if not crew.is_busy:
                return
            for run in crew.finished():
                _keep(run, schedule, journal, progress)
    finally:
        crew.close()


def _keep(run: Run, schedule: Schedule, journal: Journal, progress: Progress) -> None:
    journal.add(run)
    schedule.finish(run)
    progress.end(run)


class Progress:
    """One line a run, and below them on a terminal what is running and what it can still take.

    Args:
        options: of the lab.
        schedule: its jobs.
        console: to print on.
    """

    def __init__(self, options: MemoryLabOptions, schedule: Schedule, console: Console) -> None:
        self._options, self._schedule, self._console = options, schedule, console
        self._started, self._steps, self._run_seconds = time.time(), 0.0, 0.0
        self._running: list[Job] = []
        self.status: object = None

    def begin(self, job: Job) -> None:
        """Note that a job runs."""
        self._running.append(job)
        self._show()

    def end(self, run: Run) -> None:
        """Print a finished run's line."""
        self._running.remove(run.job)
        self._steps += run.sequences * run.job.length
        self._run_seconds += run.seconds
        job, words = run.job, {"solved": "solved", "failed": "not solved", "cut": "out of time"}
        seed = f" seed {job.seed}" if self._options.seeds > 1 else ""
        self._console.print(
            f"{job.problem:11} {job.cell:15} {job.length:5,} steps{seed}  {words[run.state]:11} "
            f"skill {run.skill:6.3f} after {run.sequences:7,} sequences  ({run.seconds:.1f} s)",
            highlight=False,
            soft_wrap=True,
        )
        self._show()

    def _show(self) -> None:
        running = ", ".join(f"{job.problem} {job.cell} {job.length}" for job in self._running)
        text = f"{len(self._schedule.runs)} of at most {self._schedule.most_runs} runs"
        update = getattr(self.status, "update", None)
        if update:
            update(f"{text}, {self.left()}; running: {running}")

    def left(self) -> str:
        """Say how long the rest takes at most, by the speed so far."""
        limit = self._started + 60 * self._options.minutes - time.time()
        if self._steps:
            workers = worker_count(self._options)
            seconds = self._schedule.left_steps * self._run_seconds / self._steps / workers
            limit = min(limit, seconds)
        return f"at most {max(1, round(limit / 60))} min left"
