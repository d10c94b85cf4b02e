"""Drawings of the memory lab."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from pipelines.evaluation.plots import FAINT, INK, SERIES, Plot
from pipelines.lab.contestants import CONTESTANTS
from pipelines.lab.reading import Point, Results, reason_not_tried

_DASHES = (0, (4, 3))
_ROW_INCHES = 0.27


def quality_by_length(results: Results, problem: str) -> Markup:
    """Draw skill against length, a line a cell, which ends where the cell was given up."""
    with Plot(height=3.9) as plot:
        (axes,) = plot.axes
        for cell in results.options.cells:
            tried = _tried(results, problem, cell)
            _line(axes, cell, list(tried), list(tried.values()))
        _goal(axes, results.options.solved)
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.set_xticks(results.lengths, [f"{length:,}" for length in results.lengths])
        axes.set(xlabel="steps of a sequence", ylabel="skill (0 naive, 1 perfect)")
        plot.canvas.legend(loc="outside upper left", ncols=3)
        return plot.svg()


def where_it_stops(results: Results, problem: str) -> Markup:
    """Draw a row a cell: the skill at every length tried, and why the rest was not tried."""
    cells = results.options.cells
    with Plot(height=1.1 + _ROW_INCHES * len(cells)) as plot:
        (axes,) = plot.axes
        axes.grid(False)
        for row, cell in enumerate(cells):
            for place, (length, point) in enumerate(results.ladder(problem, cell).items()):
                if _words(axes, results, (problem, cell, length), place, row):
                    break
                _cell(axes, point, place, row)
        axes.set_yticks(range(len(cells)), cells)
        axes.set_xticks(range(len(results.lengths)), [f"{length:,}" for length in results.lengths])
        axes.set(xlabel="steps of a sequence", ylim=(len(cells) - 0.4, -0.6))
        axes.set_xlim(-0.5, len(results.lengths) - 0.3)
        axes.tick_params(length=0)
        return plot.svg()


def learning_curves(results: Results, problem: str) -> Markup:
    """Draw skill against sequences learned from, one pair of axes a length."""
    lengths = [n for n in results.lengths if any(_curves(results, problem, n).values())]
    with Plot(rows=(1,) * len(lengths), height=1.6 + 1.25 * len(lengths)) as plot:
        named: set[str] = set()
        for axes, length in zip(plot.axes, lengths, strict=True):
            for cell, curve in _curves(results, problem, length).items():
                if curve:
                    x, y = zip(*curve, strict=True)
                    _line(axes, cell, x, y, label=cell not in named, points=False)
                    named.add(cell)
            _goal(axes, results.options.solved)
            axes.set_ylim(-0.25, 1.08)
            axes.set_ylabel(f"{length:,} steps")
        plot.axes[-1].set_xlabel("sequences learned from")
        plot.canvas.legend(loc="outside upper left", ncols=3)
        return plot.svg()


def _tried(results: Results, problem: str, cell: str) -> dict[int, float]:
    points = results.ladder(problem, cell)
    return {
        length: point.skill
        for length, point in points.items()
        if point.skill is not None and point.verdict in ("solved", "failed")
    }


def _curves(results: Results, problem: str, length: int) -> dict[str, list[tuple[int, float]]]:
    """Return the curve of every cell's first seed, from no skill at no sequences."""
    curves: dict[str, list[tuple[int, float]]] = {}
    for cell in results.options.cells:
        runs = results.at(problem, cell, length)
        first = min(runs, key=lambda run: run.job.seed, default=None)
        curves[cell] = [(0, 0.0), *first.curve] if first and first.curve else []
    return curves


def _line(
    axes: Axes,
    cell: str,
    x: Sequence[float],
    y: Sequence[float],
    *,
    label: bool = True,
    points: bool = True,
) -> None:
    drawn = CONTESTANTS[cell]
    axes.plot(
        x,
        y,
        color=SERIES[drawn.colour],
        linestyle=drawn.dashes,
        marker=drawn.marker if points else "",
        label=cell if label else None,
        clip_on=not points,  # a curve may dive far below 0; a point at the edge is whole
    )


def _goal(axes: Axes, solved: float) -> None:
    axes.axhline(solved, color=INK, linewidth=0.8, linestyle=_DASHES)
    axes.axhline(0, color=FAINT, linewidth=0.8)


def _cell(axes: Axes, point: Point, place: int, row: int) -> None:
    solved = point.verdict == "solved"
    colour = SERIES[0] if solved else SERIES[1]
    axes.plot(place, row, "s", color=colour, markersize=15, alpha=0.28 if solved else 0.2)
    shown = f"{point.skill:.2f}".replace("-", "−")
    weight = "bold" if solved else "normal"
    axes.text(place, row, shown, ha="center", va="center", fontsize=8, fontweight=weight)


def _words(axes: Axes, results: Results, asked: tuple[str, str, int], place: int, row: int) -> bool:
    """Write why a cell was not tried from here on; tell whether that is so."""
    problem, cell, length = asked
    if results.ladder(problem, cell)[length].verdict in ("solved", "failed"):
        return False
    last = place == len(results.lengths) - 1
    text = f"not tried,{chr(10) if last else ' '}{reason_not_tried(results, problem, cell, length)}"
    axes.text(place - 0.3, row, text, va="center", fontsize=6.5 if last else 8, color=FAINT)
    return True
