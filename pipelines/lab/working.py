"""One run of the lab, in whatever process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from pipelines.lab.contestants import CONTESTANTS
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.problems import PROBLEMS, Batch
from pipelines.lab.records import Job, Run, State
from pipelines.quiet import import_quietly

if TYPE_CHECKING:
    from pipelines.lab.training import Learner

CHECKS = 30  # of the skill, in a run that uses up its sequences
VALID_BATCHES, TEST_BATCHES = 8, 32
Clock = Callable[[], float]
RunJob = Callable[[Job, MemoryLabOptions, float, Clock], Run]


def run_job(
    job: Job, options: MemoryLabOptions, deadline: float, clock: Clock = time.monotonic
) -> Run:
    """Train until the problem is solved, the sequences are used up or the time is over.

    Weights and all sequences follow from the job; only a run cut by the deadline depends on how
    fast the machine is.

    Args:
        job: what to run.
        options: of the lab.
        deadline: moment of `clock` at which to stop.
        clock: seconds.
    """
    started, problem = clock(), PROBLEMS[job.problem]
    drawn, learner = _Drawn(job, options), make_learner(job, options)
    steps = options.sequences // options.batch
    gap = max(1, steps // CHECKS)
    curve: list[tuple[int, float]] = []
    state: State = "failed"
    step = 0
    while step < steps and state == "failed":
        learner.train(drawn.next())
        step += 1
        if step % gap == 0 or step == steps:
            curve.append((step * options.batch, problem.skill(learner.error(drawn.valid))))
            if curve[-1][1] >= options.solved:
                state = _judge(learner, drawn, options)
            if state == "failed" and step < steps and clock() > deadline:
                state = "cut"
    error = learner.error(drawn.test)
    return Run(
        job=job,
        state=state,
        error=error,
        skill=problem.skill(error),
        sequences=step * options.batch,
        seconds=round(clock() - started, 2),
        parameters=learner.parameters,
        curve=tuple((seen, round(skill, 4)) for seen, skill in curve),
    )


def make_learner(job: Job, options: MemoryLabOptions) -> Learner:
    """Make the untrained model of a job."""
    import_quietly("tensorflow", "keras")
    from pipelines.lab.training import Learner
    from pipelines.layers.recurrent import RecurrentStack

    sizes: dict[str, Any] = {"units": options.units, "depth": options.depth}
    # XLA compiles the whole step, which the fast path cannot be part of.
    fixed: dict[str, Any] = {"direction": "forward", "fast": False, "seed": job.seed}
    stack = RecurrentStack(**sizes, **CONTESTANTS[job.cell].settings, **fixed)
    return Learner(
        stack,
        PROBLEMS[job.problem],
        length=job.length,
        batch=options.batch,
        learning_rate=options.rate_of(job.cell),
        clip_norm=options.clip_norm,
        seed=job.seed,
    )


class _Drawn:
    """The sequences of a job: of training without end, and fixed ones to check and to test on."""

    def __init__(self, job: Job, options: MemoryLabOptions) -> None:
        self.problem, self._length, self._batch = PROBLEMS[job.problem], job.length, options.batch
        # Not by the cell: every cell learns from the same sequences.
        streams = np.random.SeedSequence([job.seed, job.length]).spawn(3)
        self._train, valid, test = (np.random.default_rng(stream) for stream in streams)
        self.valid = self.problem.draw(valid, VALID_BATCHES * self._batch, self._length)
        self.test = self.problem.draw(test, TEST_BATCHES * self._batch, self._length)

    def next(self) -> Batch:
        """Draw the sequences of the next training step."""
        return self.problem.draw(self._train, self._batch, self._length)


def _judge(learner: Learner, drawn: _Drawn, options: MemoryLabOptions) -> State:
    """Say whether what the few validation sequences tell holds on the test sequences."""
    skill = drawn.problem.skill(learner.error(drawn.test))
    return "solved" if skill >= options.solved else "failed"
