"""The page of `gradients`: how far back the last state's gradient reaches, by cell."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipelines.evaluation import wording
from pipelines.evaluation.sections import Figure, Section, Table
from pipelines.evaluation.study_page import write_study
from pipelines.studies import figures
from pipelines.studies.facts import data_section, described
from pipelines.studies.ledger import Found
from pipelines.studies.options import GradientsOptions
from pipelines.studies.reach import curves, reach
from pipelines.studies.runs import Desk

SHARE = 0.01  # of the norm at distance 0: what counts as vanished
FLOOR = 1e-12  # smaller norms are drawn as this
GROWN = 10.0  # times the norm at distance 0: what counts as exploding


def write_reach(
    folder: Path, desk: Desk, options: GradientsOptions, found: Mapping[str, Found]
) -> Path:
    """Write the page of cells of which at least one could be looked at."""
    moments = _moments(options)
    panels = {title: curves(found, moment) for moment, title in moments.items()}
    last = list(panels)[-1]
    sections = [
        Section("Norms by distance", _reading(panels[last]), [_drawing(panels), _table(panels)]),
        *_failures(found),
        Section("How this was measured", _method(found)),
        data_section(desk),
    ]
    return write_study(
        folder,
        title=f"{wording.sentence(wording.readable(desk.task.name))}: how far back gradients reach",
        lead=_lead(panels, last),
        sections=sections,
        data={"study": "gradients", **described(desk, None), "cells": dict(found)},
    )


def _moments(options: GradientsOptions) -> dict[str, str]:
    epochs = options.study_epochs
    trained = {"trained": f"after {epochs} epoch{'s' * (epochs > 1)} of training"} if epochs else {}
    return {"start": "at the start"} | trained


def _lead(panels: Mapping[str, Any], last: str) -> str:
    fallen, kept, looked = [], [], 0
    for name, curve in panels[last].items():
        steps, looked = reach(curve[0], SHARE), len(curve[0]) - 1
        fallen += [f"{steps} step{'s' * (steps > 1)} back for {name}"] if steps else []
        kept += [] if steps else [name]
    words = [f"has fallen to a hundredth {'; '.join(fallen)}"] if fallen else []
    if kept:
        words.append(
            f"does not fall so far within the {looked} steps looked at for {'; '.join(kept)}"
        )
    return f"{wording.sentence(last)}, the gradient of the last state {'. It '.join(words)}."


def _reading(panel: Mapping[str, Any]) -> str:
    grown = [
        name for name, curve in panel.items() if max(curve[0]) > GROWN * max(curve[0][0], FLOOR)
    ]
    explodes = (
        f" It grows more than {GROWN:.0f}-fold for {', '.join(grown)}: such gradients explode, and "
        "clipping (--clip-norm) is what keeps training from harm."
        if grown
        else ""
    )
    return (
        "Where a line has fallen to a hundredth, an error at the last step hardly teaches the "
        "cell anything about what it read so many steps before. A straight line on this axis is "
        "a loss by the same factor at every step." + explodes
    )


def _drawing(panels: Mapping[str, Any]) -> Figure:
    told = "; ".join(
        f"{name} {title}: {wording.number(curve[0][-1])} at {len(curve[0]) - 1} steps"
        for title, panel in panels.items()
        for name, curve in panel.items()
    )
    caption = (
        "Norm of the gradient of the last state with respect to the state so many steps before: "
        "median over rows, with the middle half of them shaded."
    )
    return Figure(figures.gradients(panels, floor=FLOOR), caption, told)


def _table(panels: Mapping[str, Any]) -> Table:
    names = list(next(iter(panels.values())))
    rows = []
    for name in names:
        cells = [name]
        for panel in panels.values():
            curve = panel[name][0]
            steps = reach(curve, SHARE)
            cells.append(str(steps) if steps else f"beyond {len(curve) - 1}")
        rows.append([_unbroken(name), *cells[1:]])
    caption = "Steps back at which the median norm has fallen to a hundredth of that at distance 0."
    return Table(["state", *panels], rows, caption)


def _unbroken(name: str) -> Markup:
    return Markup('<span class="nowrap">{}</span>').format(name)


def _failures(found: Mapping[str, Found]) -> list[Section]:
    rows = [[cell, entry["failure"]] for cell, entry in found.items() if "failure" in entry]
    if not rows:
        return []
    return [Section("Left out", "", [Table(("cell", "reason"), rows, align=("left", "left"))])]


def _method(found: Mapping[str, Found]) -> str:
    seen = next(entry for entry in found.values() if "failure" not in entry)["start"]
    return (
        "The lowest recurrent layer of the model's first recurrent stack (the encoder's where "
        f"there is a decoder too) is looked at alone. It reads {seen['rows']} of the longest rows "
        f"of the training split, {seen['steps']} steps of each, as they reach it in the model; "
        "of a layer that reads in both directions, its forward half. It starts from zero, "
        "without dropout.\n\n"
        "The loss is the last state along a random direction of length 1, and the norm is that of "
        "its gradient with respect to an earlier state, root mean square over directions: an "
        "estimate of that of the singular values of the Jacobian of the last state by the earlier "
        "one. This leaves aside what the task makes of the state, so that all tasks and cells can "
        "be compared; along the directions that a task cares for, gradients may reach further.\n\n"
        "The gradient with respect to h takes the paths that begin at h. LSTM "
        "and SRU also carry a memory c from step to step: the line of c takes in the paths through "
        "it, which are those by which they remember; an SRU has no others."
    )
