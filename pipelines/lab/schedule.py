"""Which run comes next, and how long the rest can take."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.records import Job, Run


class Schedule:
    """Jobs of a lab: shortest first, a longer one only after its cell solved the one before.

    Args:
        options: of the lab.
        known: runs finished earlier; those that the lab does not ask for are left out.
    """

    def __init__(self, options: MemoryLabOptions, known: Iterable[Run] = ()) -> None:
        self.options = options
        self.lengths = sorted(options.lengths)
        self._known = {run.job: run for run in known}
        self.runs: list[Run] = []
        self.ready: list[Job] = []
        self._begun: set[Job] = set()
        for problem in options.problems:
            for cell in options.cells:
                for seed in range(options.seed, options.seed + options.seeds):
                    self._add(Job(self.lengths[0], problem, cell, seed))

    def _add(self, job: Job) -> None:
        if job in self._known:
            self.finish(self._known[job])
        else:
            self.ready.append(job)

    def take(self) -> Job | None:
        """Return the next job and count it as begun; None if none is ready."""
        if not self.ready:
            return None
        job = min(self.ready, key=self._place)
        self.ready.remove(job)
        self._begun.add(job)
        return job

    def _place(self, job: Job) -> tuple[int, int, int, int]:
        options = self.options
        places = (options.problems.index(job.problem), options.cells.index(job.cell))
        return (job.length, *places, job.seed)

    def finish(self, run: Run) -> None:
        """Note a run; its solved cell goes on to the next length."""
        self.runs.append(run)
        self._begun.discard(run.job)
        longer = [length for length in self.lengths if length > run.job.length]
        if run.solved and longer:
            job = run.job
            self._add(Job(longer[0], job.problem, job.cell, job.seed))

    @property
    def left_steps(self) -> float:
        """Sequences × steps still to be read at most: if every cell solves every length late."""
        jobs = [*self.ready, *self._begun]
        steps = sum(sum(n for n in self.lengths if n >= job.length) for job in jobs)
        return float(steps * self.options.sequences)

    @property
    def most_runs(self) -> int:
        """Finished runs and those that may still come."""
        jobs = [*self.ready, *self._begun]
        return len(self.runs) + sum(sum(n >= j.length for n in self.lengths) for j in jobs)
