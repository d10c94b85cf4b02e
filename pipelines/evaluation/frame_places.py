"""The report's pages about where a frame labeller errs: near boundaries, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation.bootstrap import Interval, bootstrap_sums
from pipelines.evaluation.frame_metrics import segments_of
from pipelines.evaluation.frame_rows import LabelledStreams, Labelling
from pipelines.evaluation.frame_scoring import share_of
from pipelines.evaluation.sections import Section, Table
from pipelines.evaluation.slices import interval_blocks
from pipelines.evaluation.wording import number

Array = NDArray[Any]
SHOWN_RUNS = 15
_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0)  # bins of the distance to a boundary
_FRAMES = (2, 5, 10, 25, 100)  # the same where the rate is unknown


def boundary_section(
    streams: LabelledStreams, systems: Mapping[str, Labelling], *, seed: int
) -> list[Section]:
    """Show accuracy by distance from the nearest change of the gold label; none where none is.

    Args:
        streams: the test streams.
        systems: the model first, then what is drawn beside it.
        seed: of the resampling.
    """
    distances = np.concatenate([boundary_distances(gold) for gold in streams.gold])
    near = np.isfinite(distances)
    if not near.any():
        return []
    edges = [0.0, *_edges(streams.rate), np.inf]
    bins = [(distances >= low) & (distances < high) & near for low, high in pairwise(edges)]
    kept = [place for place, among in enumerate(bins) if among.any()]
    names = _bin_names(streams.rate)

    def measure(system: Labelling, among: Array) -> Interval:
        right = (system.flat == streams.truth.flat) & among
        sums = np.column_stack([streams.by_unit(right), streams.by_unit(among)])
        return bootstrap_sums(sums[sums[:, 1] > 0], share_of, seed=seed)

    blocks = interval_blocks(
        [names[place] for place in kept],
        [int(bins[place].sum()) for place in kept],
        {
            name: [measure(system, bins[place]) for place in kept]
            for name, system in systems.items()
        },
        property_name=f"{_unit(streams)} to the nearest boundary",
        units="frames",
        measure="frame accuracy",
        column="distance",
    )
    return [Section("Near boundaries and inside", _prose(streams, systems, distances), blocks)]


def boundary_distances(gold: Array) -> Array:
    """Frames between each frame and the nearest change of label, from 0; inf where none changes."""
    starts = segments_of(gold).starts[1:]
    if not len(starts):
        return np.full(len(gold), np.inf)
    frames = np.arange(len(gold))
    after = np.searchsorted(starts, frames, side="right")
    before = frames - starts[np.maximum(after - 1, 0)]
    ahead = starts[np.minimum(after, len(starts) - 1)] - 1 - frames
    before = np.where(after > 0, before, np.inf)
    ahead = np.where(after < len(starts), ahead, np.inf)
    return np.asarray(np.minimum(before, ahead), float)


def _edges(rate: float | None) -> list[float]:
    if rate is None:
        return [float(edge) for edge in _FRAMES]
    return sorted({max(1.0, seconds * rate) for seconds in _SECONDS})


def _bin_names(rate: float | None) -> list[str]:
    ends = [f"{edge / (rate or 1.0):.3g}" for edge in _edges(rate)]
    inner = [f"{low}–{high}" for low, high in pairwise(ends)]
    return [f"< {ends[0]}", *inner, f"≥ {ends[-1]}"]


def _unit(streams: LabelledStreams) -> str:
    return "frames" if streams.rate is None else "seconds"


def _prose(streams: LabelledStreams, systems: Mapping[str, Labelling], distances: Array) -> str:
    """Say which share of the model's errors lies close to a boundary."""
    wrong = systems["model"].flat != streams.truth.flat
    edge = _edges(streams.rate)[len(_SECONDS) // 2]
    close = distances < edge
    where = f"within {edge / (streams.rate or 1.0):.3g} {_unit(streams)} of a boundary"
    if not wrong.any():
        return "The model labels every test frame rightly."
    return (
        f"{(wrong & close).sum() / wrong.sum():.1%} of the model's {wrong.sum():,} wrong frames "
        f"lie {where} between gold segments, where {close.mean():.1%} of all frames lie. Errors "
        "near boundaries are of timing; errors inside are confusions."
    )


def wrong_runs_section(streams: LabelledStreams, model: Labelling) -> Section:
    """List the longest runs of frames with one gold label and one wrong answer."""
    runs = _wrong_runs(streams, model)
    title = "Longest errors"
    if not runs:
        return Section(title, "Every test frame was labelled rightly.")
    total = sum(limit - start for _, start, limit in runs)
    shown = runs[:SHOWN_RUNS]
    share = sum(limit - start for _, start, limit in shown) / total
    prose = (
        f"Runs of frames of one gold label to which the model gave one wrong label, the longest "
        f"{len(shown)} of {len(runs):,}: {share:.0%} of all wrong frames. Some labels may be wrong "
        "too."
    )
    rows = [_run_row(streams, model, *run) for run in shown]
    return Section(
        title,
        prose,
        [
            Table(
                columns=["stream", "from", "to", "length", "right", "model", "mean confidence"],
                rows=rows,
                caption=_time_caption(streams.rate),
                align=("left", "right", "right", "right", "left", "left", "right"),
            )
        ],
    )


def _wrong_runs(streams: LabelledStreams, model: Labelling) -> list[tuple[int, int, int]]:
    """Stream, first frame and first frame after of every wrong run, the longest first."""
    runs = []
    classes = len(streams.classes)
    for place, (gold, said) in enumerate(zip(streams.gold, model.codes, strict=True)):
        found = segments_of(np.where(gold == said, -1, gold * classes + said))
        for label, start, limit in zip(found.labels, found.starts, found.limits, strict=True):
            if label >= 0:
                runs.append((place, int(start), int(limit)))
    return sorted(runs, key=lambda run: run[1] - run[2])


def _run_row(
    streams: LabelledStreams, model: Labelling, place: int, start: int, limit: int
) -> Sequence[str]:
    gold, said = streams.gold[place][start], model.codes[place][start]
    rate = streams.rate
    length = f"{limit - start:,}" if rate is None else f"{(limit - start) / rate:.1f} s"
    return [
        streams.names[place],
        moment(start, rate),
        moment(limit, rate) if rate is not None else moment(limit - 1, rate),
        length,
        streams.classes[gold],
        streams.classes[said],
        number(float(model.confidences[place][start:limit].mean()), "fraction"),
    ]


def moment(frame: int, rate: float | None) -> str:
    """Write when a frame begins: "3:07.5" (minutes and seconds), or the frame's number from 0."""
    if rate is None:
        return f"{frame:,}"
    tenths = round(10 * frame / rate)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    seconds = f"{rest / 10:04.1f}"
    return f"{hours}:{minutes:02}:{seconds}" if hours else f"{minutes}:{seconds}"


def _time_caption(rate: float | None) -> str:
    if rate is None:
        return "From and to: numbers of the first and last frame, from 0."
    return "From and to: minutes and seconds from the start of the stream."
