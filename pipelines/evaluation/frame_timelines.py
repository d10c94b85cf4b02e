"""The report's page of timelines: every test stream, as it is and as it was labelled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from markupsafe import Markup

from pipelines.evaluation.frame_figures import (
    MOST_COLUMNS,
    Strips,
    legend_chart,
    strips_chart,
    timelines_block,
)
from pipelines.evaluation.frame_rows import LabelledStreams, Labelling
from pipelines.evaluation.sections import Section
from pipelines.evaluation.wording import number

MOST_DRAWN = 12  # streams; of more, those around the evenly spaced ranks of accuracy


def timelines_section(streams: LabelledStreams, systems: Mapping[str, Labelling]) -> Section:
    """Draw the labels of every test stream over time; of many streams, from worst to best.

    Args:
        streams: the test streams.
        systems: the model first, then what is drawn beside it.
    """
    order = np.argsort(-np.bincount(streams.truth.flat, minlength=len(streams.classes)))
    accuracy = _accuracy(streams, systems["model"])
    drawn = _drawn(accuracy)
    drawings = [_drawing(streams, systems, place, order, accuracy[place]) for place in drawn]
    caption = (
        "Each strip is a stream over time; gold segments carry their names where there is room. "
        "The thin line below a strip marks where its labels are wrong."
    )
    every = max(-(-len(streams.gold[place]) // MOST_COLUMNS) for place in drawn)
    if every > 1:
        caption += f" Up to {every} neighbouring frames are drawn as their most frequent label."
    prose = ""
    if len(drawn) < len(streams.names):
        prose = (
            f"{len(drawn)} of {len(streams.names):,} test streams, from the lowest frame accuracy "
            "of the model to the highest."
        )
    there = [int(code) for code in order if _occurs(streams, systems, int(code))]
    legend = legend_chart(streams.classes, there)
    return Section("Timelines", prose, [timelines_block(drawings, legend, caption)])


def _accuracy(streams: LabelledStreams, model: Labelling) -> list[float]:
    pairs = zip(streams.gold, model.codes, strict=True)
    return [float(np.mean(gold == said)) for gold, said in pairs]


def _drawn(accuracy: list[float]) -> list[int]:
    """All streams in order, or some evenly spaced by accuracy, the worst first."""
    if len(accuracy) <= MOST_DRAWN:
        return list(range(len(accuracy)))
    ranked = np.argsort(accuracy, kind="stable")
    return [int(place) for place in ranked[np.linspace(0, len(ranked) - 1, MOST_DRAWN).astype(int)]]


def _occurs(streams: LabelledStreams, systems: Mapping[str, Labelling], code: int) -> bool:
    return any((each.flat == code).any() for each in (streams.truth, *systems.values()))


def _drawing(
    streams: LabelledStreams,
    systems: Mapping[str, Labelling],
    place: int,
    order: np.ndarray,
    accuracy: float,
) -> tuple[Markup, str]:
    codes = {name: system.codes[place] for name, system in systems.items()}
    strips = Strips(streams.names[place], streams.gold[place], codes, streams.rate)
    segments = streams.truth.segments[place]
    said = ", ".join(streams.classes[int(code)] for code in segments.labels[:30])
    alt = (
        f"Timeline of {strips.name}: {len(segments)} gold segments ({said}); the model's frame "
        f"accuracy is {number(accuracy, 'fraction')}"
    )
    return strips_chart(strips, streams.classes, order.tolist()), alt
