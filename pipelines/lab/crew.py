"""Processes that run jobs side by side, each on one processor.

A step of these small networks is too short to be shared between processors; two runs are not.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from pipelines.errors import TrainingError
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.records import Job, Run
from pipelines.lab.working import RunJob, run_job

_ONE_THREAD = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


class Crew:
    """Workers that take a job each and give a run back; close it when done.

    Args:
        workers: processes.
        options: of the lab.
        deadline: moment of `time.time` after which no run goes on.
        run: what a worker does with a job; a function of a module, as it goes to other processes.
    """

    def __init__(
        self, workers: int, options: MemoryLabOptions, deadline: float, run: RunJob = run_job
    ) -> None:
        context = multiprocessing.get_context("spawn")  # TensorFlow does not survive a fork
        self._idle: list[Connection] = []
        self._busy: dict[Connection, Job] = {}
        self._processes = []
        with _one_thread_each():
            for _ in range(workers):
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_work, args=(theirs, run, options, deadline), daemon=True
                )
                process.start()
                theirs.close()
                self._processes.append(process)
                self._idle.append(ours)

    @property
    def has_idle(self) -> bool:
        """Whether a job can be given out."""
        return bool(self._idle)

    @property
    def is_busy(self) -> bool:
        """Whether a run is to be waited for."""
        return bool(self._busy)

    def give(self, job: Job) -> None:
        """Hand a job to an idle worker."""
        worker = self._idle.pop()
        worker.send(job)
        self._busy[worker] = job

    def finished(self) -> list[Run]:
        """Wait until a worker is done; return the runs of all that are.

        Raises:
            TrainingError: a worker is gone, or its run failed.
        """
        runs = []
        done = wait(list(self._busy))
        for worker in [worker for worker in self._busy if worker in done]:
            runs.append(_received(worker, self._busy.pop(worker)))
            self._idle.append(worker)
        return runs

    def close(self) -> None:
        """Stop all workers, whatever they are doing."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()


def _received(worker: Connection, job: Job) -> Run:
    where = f"{job.problem}, {job.cell}, {job.length} steps"
    try:
        answer: Run | str = worker.recv()
    except EOFError as error:
        raise TrainingError(
            f"memory lab: the process that ran {where} is gone, perhaps for want of memory; "
            "start again with --resume and fewer --workers"
        ) from error
    if isinstance(answer, str):
        raise TrainingError(
            f"memory lab: {where}: {answer}; leave that cell out with --cells, or go on with "
            "--resume once its cause is mended"
        )
    return answer


def _work(parent: Connection, run: RunJob, options: MemoryLabOptions, deadline: float) -> None:
    """Run jobs until the parent is gone; Ctrl-C is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        try:
            job: Job = parent.recv()
        except EOFError:
            return
        parent.send(_run_or_reason(run, job, options, deadline))


def _run_or_reason(run: RunJob, job: Job, options: MemoryLabOptions, deadline: float) -> Any:
    try:
        return run(job, options, deadline, time.time)
    except Exception as error:  # it must reach the parent, which says where it arose
        return f"{type(error).__name__}: {error}"


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Let processes started meanwhile compute in one thread."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
