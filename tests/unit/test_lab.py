"""The lab without Keras: what is run, kept, gone on with and told; runs are made up."""

import json
import re
import time

import pytest
from rich.console import Console

from pipelines.errors import ConfigError, TrainingError
from pipelines.lab import command, running
from pipelines.lab.crew import Crew
from pipelines.lab.options import MemoryLabOptions
from pipelines.lab.reading import Results, not_tried, problem_summary
from pipelines.lab.records import Job, Journal, Run
from pipelines.lab.schedule import Schedule
from pipelines.workspace import Folders

REACH = {"simple": 20, "gru": 40, "lstm": 0}  # the longest length each made-up cell solves


def made_up(job, options, deadline=0.0, clock=None):
    solved = job.length <= REACH[job.cell]
    skill = 0.95 if solved else 0.125
    return Run(
        job=job, state="solved" if solved else "failed", error=0.01, skill=skill, sequences=640,
        seconds=0.5, parameters=77, curve=((320, skill / 2), (640, skill)),
    )  # fmt: skip


def gone(job, options, deadline, clock):
    raise SystemExit(3)


def broken(job, options, deadline, clock):
    raise ValueError("no such matrix")


def options(**changes):
    given = {"problems": ("adding", "copy"), "cells": ("simple", "gru", "lstm"),
             "lengths": (40, 20, 80), "sequences": 640, "workers": 1}  # fmt: skip
    return MemoryLabOptions(**given | changes)


@pytest.fixture
def folders(tmp_path):
    return Folders(
        raw=tmp_path / "raw", cache=tmp_path / "cache", saved_models=tmp_path / "saved_models"
    )


@pytest.fixture
def asked(monkeypatch):
    jobs = []

    def run(job, *rest):
        jobs.append(job)
        return made_up(job, *rest)

    monkeypatch.setattr(running, "run_job", run)
    return jobs


def study(folders):
    folder = folders.saved_models / "studies/memory-lab/latest"
    return json.loads((folder / "study.json").read_text()), (folder / "study.html").read_text()


def test_short_lengths_first_and_none_after_a_failure(folders, asked):
    journal = Journal(folders.cache, options())
    running.run_lab(options(), journal, Console(quiet=True))
    assert [(job.length, job.problem, job.cell) for job in asked] == [
        *((20, problem, cell) for problem in ("adding", "copy") for cell in REACH),
        *((40, problem, cell) for problem in ("adding", "copy") for cell in ("simple", "gru")),
        *((80, problem, "gru") for problem in ("adding", "copy")),
    ]


def test_page_and_json_hold_what_was_run(folders, asked, capsys):
    assert command.memory_lab(options(), folders) == 0
    data, page = study(folders)
    assert data["longest"]["copy"] == REACH
    assert len(data["runs"]) == len(asked) == 12
    assert {"problem": "adding", "cell": "simple", "length": 80, "reason": "failed at 40"} in data[
        "not_tried"
    ]
    assert data["problems"]["adding"]["naive_error"] == pytest.approx(1 / 6)
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    said = (
        "gru solves 40 steps and no more; simple solves 20 steps and no more; lstm solves no "
        "length, not even 20 steps."
    )
    assert f"Adding: {said}" in words
    assert words.count(said[3:]) >= 2
    assert "not tried, failed at 20" in words
    printed = capsys.readouterr()
    assert len(re.findall(r"^(?:adding|copy) .* skill ", printed.err, re.M)) == 12
    assert re.search(r"gru\W+40\W+40", printed.out)
    assert "study.html" in printed.out


def test_ctrl_c_keeps_finished_runs_and_resume_goes_on(folders, asked, monkeypatch, capsys):
    run = running.run_job

    def interrupted(job, *rest):
        if len(asked) == 4:
            raise KeyboardInterrupt
        return run(job, *rest)

    monkeypatch.setattr(running, "run_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        command.memory_lab(options(), folders)
    assert "4 runs kept; --resume goes on from them" in capsys.readouterr().err
    assert not list(folders.saved_models.rglob("study.*"))
    monkeypatch.setattr(running, "run_job", run)
    again = options(resume=True)
    journal = Journal(folders.cache / "memory-lab", again)
    assert len(running.run_lab(again, journal, Console(quiet=True))) == 12
    assert len(asked) == len(set(asked)) == 12  # none was run twice


def test_only_runs_of_the_same_settings_are_kept(folders):
    journal = Journal(folders.cache, options())
    journal.add(made_up(Job(20, "adding", "gru", 17), None))
    with journal.path.open("a") as stream:
        stream.write('{"length": 20, "prob')  # the machine went down here
    assert [run.job.cell for run in Journal(folders.cache, options(resume=True)).runs()] == ["gru"]
    more = options(resume=True, cells=("gru",), lengths=(20, 30), minutes=3.0)
    assert Journal(folders.cache, more).runs()
    assert not Journal(folders.cache, options(resume=True, units=5)).runs()
    assert not Journal(folders.cache, options()).runs()


def test_time_that_is_up_is_said_and_not_counted_as_failure(folders, asked):
    limited = options(minutes=1e-9)
    runs = running.run_lab(limited, Journal(folders.cache, limited), Console(quiet=True))
    assert (runs, asked) == ([], [])
    results = Results(limited, runs)
    assert {row["reason"] for row in not_tried(results)} == {"out of time"}
    said = "Time was up before simple, gru and lstm had been tried at every length."
    assert said in problem_summary(results, "adding")


def test_a_length_is_solved_by_most_seeds():
    several = options(seeds=3, problems=("adding",), cells=("gru", "simple"))
    runs = [made_up(Job(20, "adding", "gru", seed), several) for seed in (17, 18, 19)]
    runs += [made_up(Job(40, "adding", "gru", seed), several) for seed in (17, 18)]
    runs += [made_up(Job(20, "adding", "simple", 17), several)]
    results = Results(several, runs)
    assert results.longest("adding", "gru") == 40
    assert results.longest("adding", "simple") == 0
    assert problem_summary(results, "adding").startswith("Adding: gru solves 40 steps")


def test_schedule_tells_what_may_still_come():
    schedule = Schedule(options(problems=("adding",), cells=("gru",)))
    assert schedule.left_steps == (20 + 40 + 80) * 640
    schedule.finish(made_up(schedule.take(), None))
    assert (schedule.left_steps, schedule.most_runs) == ((40 + 80) * 640, 3)
    assert schedule.take().length == 40
    assert schedule.take() is None


def run_by(crew, job):
    try:
        crew.give(job)
        return crew.finished()
    finally:
        crew.close()


def test_workers_run_jobs_and_a_failure_is_told_with_its_job():
    job, deadline = Job(20, "adding", "gru", 17), time.time() + 60
    assert run_by(Crew(1, options(), deadline, made_up), job) == [made_up(job, None)]
    with pytest.raises(TrainingError, match="adding, gru, 20 steps: ValueError: no such .*--cells"):
        run_by(Crew(1, options(), deadline, broken), job)
    with pytest.raises(
        TrainingError, match="ran adding, gru, 20 steps is gone.*--resume and fewer"
    ):
        run_by(Crew(1, options(), deadline, gone), job)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": (5, 50)}, "--lengths is (5, 50); it must be 7 or more each, for adding and"),
        ({"cells": ("gru", "gru")}, "--cells is ('gru', 'gru'); it must be each one once"),
        ({"problems": ()}, "--problems is (); it must be at least one"),
        ({"sequences": 10}, "--sequences is 10; it must be at least --batch, 32"),
        ({"solved": 1.5}, "--solved is 1.5; it must be between 0 and 1"),
        ({"minutes": 0.0}, "--minutes is 0.0; it must be above 0"),
        ({"learning_rate": -1.0}, "--learning-rate is -1.0; it must be above 0"),
        ({"workers": -1}, "--workers is -1; it must be 0 or more"),
        ({"seeds": 0}, "--seeds is 0; it must be at least 1"),
    ],
)
def test_options_that_cannot_work(changes, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        options(**changes)


def test_another_backend_is_refused(folders, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        ConfigError, match="KERAS_BACKEND is 'jax'.*must be 'tensorflow' or not set"
    ):
        command.memory_lab(options(), folders)
