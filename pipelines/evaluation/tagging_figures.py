"""Drawings of a tagger's report: scores by length, and what it learned about neighbouring tags."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import Span
from pipelines.evaluation import spans as counting
from pipelines.evaluation.bootstrap import Interval, bootstrap_sums
from pipelines.evaluation.plots import FAINT, SERIES, Plot
from pipelines.evaluation.sections import Block, Figure, Table
from pipelines.evaluation.slices import interval_blocks, quantile_slices
from pipelines.evaluation.tagged_rows import TaggedRows, Tagging, share, word_sums
from pipelines.evaluation.wording import number

Array = NDArray[Any]
FORBIDDEN = -1000.0  # constraints are written as a score no step can make up for
MOST_TAGS = 26  # more are not read in a drawing of this width
_LEVELS = 12  # sizes of squares that can be told apart; each is defined once in the file
_SHOWN_STEPS = 8
_LONGEST_SPAN = 4


class Transitions(NamedTuple):
    """What a CRF learned of steps: scores [K, K] from row to column, and of both ends, [K]."""

    tags: Sequence[str]
    scores: Array
    start: Array
    end: Array


def sentence_length_blocks(
    rows: TaggedRows, systems: Mapping[str, Tagging], *, spans: bool, seed: int
) -> list[Block]:
    """Draw accuracy of words, or span F1, over the number of words of the sentence."""
    everything = np.ones(len(rows.words), bool)
    gold = rows.truth.spans if spans else []
    bins = quantile_slices(rows.lengths)

    def measure(system: Tagging) -> list[Interval]:
        sums = (
            counting.match_counts(gold, system.spans)
            if spans
            else word_sums(rows, system, everything)
        )
        statistic = counting.f1 if spans else share
        return [bootstrap_sums(sums[part.rows], statistic, seed=seed) for part in bins]

    return interval_blocks(
        [part.name for part in bins],
        [int(part.rows.sum()) for part in bins],
        {name: measure(system) for name, system in systems.items()},
        property_name="words in the sentence",
        units="sentences",
        column="words",
        measure="F1 of entities" if spans else "accuracy",
    )


def span_length_blocks(
    rows: TaggedRows, systems: Mapping[str, Tagging], *, seed: int
) -> list[Block]:
    """Draw span F1 over the number of words of the entity."""
    gold = rows.truth.spans
    lengths = sorted({_length_bin(span) for spans in gold for span in spans})
    if not lengths:
        return []

    def measure(system: Tagging) -> list[Interval]:
        counts = _match_counts_in_bins(gold, system.spans, _length_bin, lengths)
        return [
            bootstrap_sums(counts[:, :, b], counting.f1, seed=seed) for b in range(len(lengths))
        ]

    return interval_blocks(
        [f"{size}" if size < _LONGEST_SPAN else f"≥ {size}" for size in lengths],
        [sum(_length_bin(span) == size for spans in gold for span in spans) for size in lengths],
        {name: measure(system) for name, system in systems.items()},
        property_name="words in the entity",
        units="entities",
        column="words",
        measure="F1 of entities",
    )


def _length_bin(span: Span) -> int:
    return min(span.limit - span.start, _LONGEST_SPAN)


def _match_counts_in_bins(
    gold: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[Span]],
    bin_of: Callable[[Span], int],
    bins: Sequence[int],
) -> Array:
    """Count right, predicted and gold spans per sentence and bin, int64[N, 3, B]."""

    def among(spans: Iterable[Sequence[Span]], wanted: int) -> list[list[Span]]:
        return [[span for span in found if bin_of(span) == wanted] for found in spans]

    parts = [counting.match_counts(among(gold, b), among(predicted, b)) for b in bins]
    return np.stack(parts, axis=2)


def transition_blocks(transitions: Transitions, frequencies: Mapping[str, int]) -> list[Block]:
    """Draw the learned steps between tags, and list the strongest.

    Args:
        transitions: what the CRF holds.
        frequencies: tag -> gold words; of many tags the frequent ones are drawn.
    """
    tags = list(transitions.tags)
    order = sorted(range(len(tags)), key=lambda code: -frequencies.get(tags[code], 0))
    kept = sorted(order[:MOST_TAGS])
    inner = np.asarray(transitions.scores, float)[np.ix_(kept, kept)]
    ends = np.asarray(transitions.end, float)[kept]
    first = np.append(np.asarray(transitions.start, float)[kept], -np.inf)
    scores = np.vstack([first, np.column_stack([inner, ends])])
    scores[scores <= FORBIDDEN] = -np.inf
    names = [tags[code] for code in kept]
    sources, targets = ["(start)", *names], [*names, "(end)"]
    caption = (
        "What the output layer learned about neighbouring tags: filled squares favour a step, "
        "hollow ones speak against it, larger is stronger; a cross marks a step that cannot occur."
    )
    if len(kept) < len(tags):
        caption += f" The {len(kept)} most frequent of {len(tags)} tags are drawn."
    steps = _steps(scores, sources, targets)
    spoken = "; ".join(f"{one} to {other} {number(value)}" for one, other, value in steps[:3])
    alt = f"Learned transition scores. Strongest: {spoken}"
    return [Figure(transition_map(scores, sources, targets), caption, alt), _steps_table(steps)]


def _steps(
    scores: Array, sources: Sequence[str], targets: Sequence[str]
) -> list[tuple[str, str, float]]:
    """Steps that may occur, the most favoured first."""
    allowed = np.argwhere(np.isfinite(scores))
    steps = [(sources[y], targets[x], float(scores[y, x])) for y, x in allowed.tolist()]
    return sorted(steps, key=lambda step: -step[2])


def _steps_table(steps: Sequence[tuple[str, str, float]]) -> Table:
    shown = list(steps)
    if len(shown) > 2 * _SHOWN_STEPS:
        shown = [*shown[:_SHOWN_STEPS], *shown[-_SHOWN_STEPS:]]
    return Table(
        columns=["after", "comes", "score"],
        rows=[[one, other, f"{value:+.2f}".replace("-", "−")] for one, other, value in shown],
        caption="The steps most favoured, and those most spoken against, in nats.",
        align=("left", "left", "right"),
    )


def transition_map(scores: Array, sources: Sequence[str], targets: Sequence[str]) -> Markup:
    """Draw scores of steps as squares: area tells size, filling tells the sign.

    The drawing can therefore be read without colour and in print.

    Args:
        scores: float[S, T], minus infinity for a step that cannot occur.
        sources: S tags, top to bottom.
        targets: T tags, left to right.
    """
    most = max(len(sources), len(targets))
    side = 2.2 + 0.11 * most
    cell = 72 * 0.72 * side / most  # points; about a quarter of the side is for the names
    with Plot(height=side) as plot:
        (axes,) = plot.axes
        for y, x, size, filled in _marks(scores, cell):
            colour = SERIES[0] if filled else SERIES[1]
            face = colour if filled else "none"
            style: dict[str, Any] = {"mec": colour, "mfc": face, "mew": 1}
            axes.plot(x, y, linestyle="", marker="s", markersize=size, **style)
        y, x = np.nonzero(~np.isfinite(scores))
        axes.plot(x, y, linestyle="", marker="x", color=FAINT, markersize=cell / 4, mew=0.7)
        font = min(8.5, 0.8 * cell)
        axes.set_xticks(range(len(targets)), targets, rotation=90, fontsize=font)
        axes.set_yticks(range(len(sources)), sources, fontsize=font)
        axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
        axes.set(xlim=(-0.6, len(targets) - 0.4), ylim=(len(sources) - 0.4, -0.6), aspect="equal")
        axes.grid(False)
        axes.spines[:].set_visible(False)
        axes.set(xlabel="the next tag", ylabel="a tag")
        axes.xaxis.set_label_position("top")
        return plot.svg()


def _marks(scores: Array, cell: float) -> Iterable[tuple[Array, Array, float, bool]]:
    """Yield rows, columns, size in points and filling of squares of one size and sign."""
    finite = np.where(np.isfinite(scores), scores, 0)
    largest = float(np.abs(finite).max()) or 1.0
    levels = np.rint(_LEVELS * finite / largest).astype(int)
    for level in np.unique(levels[levels != 0]).tolist():
        y, x = np.nonzero(levels == level)
        yield y, x, 0.85 * cell * math.sqrt(abs(level) / _LEVELS), level > 0
