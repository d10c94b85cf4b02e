"""The page and the JSON of the memory lab."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pipelines.evaluation.sections import Figure, Section, Table
from pipelines.evaluation.wording import number
from pipelines.lab import figures
from pipelines.lab.contestants import CONTESTANTS
from pipelines.lab.problems import PROBLEMS
from pipelines.lab.reading import Results, not_tried, problem_summary, summary

TITLE = "Memory lab: where each cell stops learning"


def study_of(results: Results, *, seconds: float) -> dict[str, Any]:
    """Return what `write_study` takes beside the folder."""
    return {
        "title": TITLE,
        "lead": summary(results),
        "sections": sections_of(results),
        "data": data_of(results, seconds=seconds),
    }


def sections_of(results: Results) -> list[Section]:
    """Return the table of all, a section a problem, and what the numbers rest on."""
    problems = [_problem_section(results, name) for name in results.options.problems]
    return [_longest_section(results), *problems, _method_section(results)]


def longest_rows(results: Results) -> list[list[str]]:
    """Return a row a cell: its name and the longest length solved of every problem."""
    return [
        [cell, *(_length(results.longest(problem, cell)) for problem in results.options.problems)]
        for cell in results.options.cells
    ]


def _length(steps: int) -> str:
    return f"{steps:,}" if steps else "–"


def _longest_section(results: Results) -> Section:
    options = results.options
    titles = [PROBLEMS[name].title for name in options.problems]
    rows = [[*row, CONTESTANTS[row[0]].text] for row in longest_rows(results)]
    table = Table(
        ["cell", *titles, "what it is"],
        rows,
        f"Longest sequence, in steps, that a cell of {options.units} units solves within "
        f"{options.sequences:,} training sequences; – is none.",
        align=["left", *["right"] * len(titles), "left"],  # type: ignore[list-item]
    )
    return Section("The longest length each cell solves", blocks=[table])


def _problem_section(results: Results, name: str) -> Section:
    problem = PROBLEMS[name]
    naive = number(problem.naive_error())
    said = problem_summary(results, name).removeprefix(f"{problem.title}: ")
    prose = (
        f"{problem.text} ({problem.source}.)\n\n"
        f"The best answer that ignores the sequence has a {problem.error_name} of {naive}. "
        f"Skill is the share of that error which is gone. {said[0].upper()}{said[1:]}"
    )
    return Section(problem.title, prose, _drawings(results, name))


def _drawings(results: Results, name: str) -> list[Figure | Table]:
    solved, said = results.options.solved, problem_summary(results, name)
    drawings: list[Figure | Table] = [
        Figure(
            figures.where_it_stops(results, name),
            f"Skill on test sequences; bold where {solved:g} is reached. A cell that fails at a "
            "length is not tried at longer ones.",
            f"Grid of skill by cell and length. {said}",
        )
    ]
    if any(run.job.problem == name for run in results.runs):
        drawings += [
            Figure(
                figures.quality_by_length(results, name),
                "Skill against length; a line ends where its cell fails and longer ones are not "
                f"tried. Above the dashes ({solved:g}) a length counts as solved.",
                f"Lines of skill over length, one a cell. {said}",
            ),
            Figure(
                figures.learning_curves(results, name),
                "Skill on validation sequences while learning, first seed; a run ends when solved.",
                "Lines of skill over sequences learned from, one a cell, by length.",
            ),
        ]
    return [*drawings, _effort_table(results, name)]


def _effort_table(results: Results, name: str) -> Table:
    rows = [
        [cell, *(_effort(point) for point in results.ladder(name, cell).values())]
        for cell in results.options.cells
    ]
    return Table(
        ["cell", *(f"{length:,}" for length in results.lengths)],
        rows,
        "Training sequences until solved, by length; – where it was not.",
    )


def _effort(point: Any) -> str:
    return "–" if point.sequences is None else f"{point.sequences:,.0f}"


def _method_section(results: Results) -> Section:
    options = results.options
    runs = "run" if options.seeds == 1 else f"{options.seeds} runs"
    rates = (
        f"a learning rate of {options.learning_rate:g}"
        if options.learning_rate
        else "each cell's own learning rate (in study.json)"
    )
    prose = (
        f"A stack of {options.depth} recurrent layer{'s' * (options.depth > 1)} of {options.units} "
        "units reads forward, and a dense layer answers from its last states: cells are equal in "
        "units, so those with gates have more weights. Every cell learns each length from scratch, "
        f"from the same sequences, drawn anew for every step: {options.sequences:,} at most, in "
        f"batches of {options.batch}, by Adam with {rates}, gradients shortened to a norm of "
        f"{options.clip_norm:g}; it stops earlier when solved. Gradients reach back to the first "
        f"step. A point is one {runs}.\n\n"
        "With more sequences, other rates or more units a cell may go further: the page says what "
        "this budget buys, not what a cell can represent."
    )
    return Section("What the numbers rest on", prose)


def data_of(results: Results, *, seconds: float) -> dict[str, Any]:
    """Return what study.json holds."""
    options = results.options
    return {
        "kind": "memory-lab",
        "options": asdict(options),
        "problems": {name: _about(name) for name in options.problems},
        "cells": {
            name: {
                "settings": dict(CONTESTANTS[name].settings),
                "learning_rate": options.rate_of(name),
            }
            for name in options.cells
        },
        "longest": {
            problem: {cell: results.longest(problem, cell) for cell in options.cells}
            for problem in options.problems
        },
        "runs": [run.as_json() for run in results.runs],
        "not_tried": not_tried(results),
        "seconds": round(seconds, 1),
    }


def _about(name: str) -> dict[str, Any]:
    problem = PROBLEMS[name]
    return {"error": problem.error_name, "naive_error": problem.naive_error()}
