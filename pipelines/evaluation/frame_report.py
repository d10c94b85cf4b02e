"""The report's pages about a frame labeller: classes, confusions, timelines, where errors lie."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipelines.evaluation import frame_metrics, metrics
from pipelines.evaluation.bootstrap import Interval, bootstrap_sums
from pipelines.evaluation.calibration import calibration_section
from pipelines.evaluation.confusion import confusion_block
from pipelines.evaluation.frame_places import boundary_section, wrong_runs_section
from pipelines.evaluation.frame_rows import (
    LabelledStreams,
    Labelling,
    Outputs,
    labelled_streams,
    read_labelling,
)
from pipelines.evaluation.frame_scoring import accuracy_sums, share_of
from pipelines.evaluation.frame_timelines import timelines_section
from pipelines.evaluation.sections import Section, Table
from pipelines.evaluation.slices import with_interval
from pipelines.evaluation.wording import number

if TYPE_CHECKING:
    from pipelines.datasets.frames import FrameRows

Array = NDArray[Any]
_FEWEST_UNITS = 5  # for an interval of one stream
_SURE = (
    "Neighbouring frames are sure or wrong together: the intervals, and what chance would show, "
    "are drawn as if they were not, and are too narrow."
)


@dataclass(frozen=True)
class _Evidence:
    """What every section draws on."""

    streams: LabelledStreams
    model: Labelling
    baselines: Mapping[str, Labelling]
    seed: int

    @cached_property
    def systems(self) -> dict[str, Labelling]:
        """The model first, then every baseline."""
        return {"model": self.model, **self.baselines}

    @cached_property
    def drawn(self) -> dict[str, Labelling]:
        """The model and the baseline with the most right frames, the later of equals."""
        gold = self.streams.truth.flat
        ranked = sorted(self.baselines.items(), key=lambda entry: np.mean(entry[1].flat == gold))
        return {"model": self.model, **dict(ranked[-1:])}


def frame_sections(
    rows: FrameRows, outputs: Outputs, baselines: Mapping[str, Outputs], *, seed: int = 17
) -> list[Section]:
    """Describe a frame labeller beyond its scores.

    Args:
        rows: the test streams.
        outputs: the exported model's "labels" and "confidence", [N, T].
        baselines: outputs of other systems on the same streams; the one with most right frames
            is drawn beside the model.
        seed: of the resampling.

    Raises:
        EvaluationError: outputs that do not fit the streams.
    """
    streams = labelled_streams(rows)
    evidence = _Evidence(
        streams,
        read_labelling(outputs, rows, "model"),
        {name: read_labelling(entry, rows, name) for name, entry in baselines.items()},
        seed,
    )
    sections = [
        timelines_section(streams, evidence.drawn),
        _segments_section(evidence),
        Section("Classes", blocks=[_class_table(evidence)]),
        _confusion_section(evidence),
        Section("By stream", _BY_STREAM, [_stream_table(evidence)]),
        *boundary_section(streams, evidence.drawn, seed=seed),
        _calibration(evidence),
    ]
    return [*sections, wrong_runs_section(streams, evidence.model)]


_BY_STREAM = (
    "Frame accuracy of every system, with an interval where a stream has enough recordings or "
    "segments to resample; edit score and F1@50 of the model. A model can do well on average and "
    "badly on one person."
)


def _segments_section(evidence: _Evidence) -> Section:
    """How often systems change their answer, beside how often the label changes."""
    streams = evidence.streams
    prose = (
        "A segment is a run of frames with one label. The edit score compares the order of the "
        "segments' labels, F1@k asks for an overlap (intersection over union) of at least k % with "
        "a gold segment of the label; each gold segment can be found once (Lea et al., 2017). Both "
        "are of whole streams.\n\n" + streams.sentence()
    )
    rows = [_segments_row("gold", streams.truth, streams)]
    rows += [_segments_row(name, system, streams) for name, system in evidence.systems.items()]
    unit = "frames" if streams.rate is None else "seconds"
    columns = ["labels", "segments", "changes for each gold one", f"middle length ({unit})"]
    return Section("Segments", prose, [Table(columns=columns, rows=rows)])


def _segments_row(name: str, system: Labelling, streams: LabelledStreams) -> list[str]:
    lengths = np.concatenate([found.limits - found.starts for found in system.segments])
    changes = len(lengths) - len(streams.names)
    gold = sum(map(len, streams.truth.segments)) - len(streams.names)
    middle = float(np.median(lengths)) / (streams.rate or 1.0)
    share = number(changes / gold) if gold else "–"
    return [name, f"{len(lengths):,}", share, number(middle)]


def _class_table(evidence: _Evidence) -> Table:
    streams, model = evidence.streams, evidence.model
    gold = streams.truth.flat
    found = metrics.class_scores(gold, model.flat, streams.classes)
    others = {
        name: metrics.class_scores(gold, system.flat, streams.classes)
        for name, system in evidence.drawn.items()
        if name != "model"
    }
    segments = np.concatenate([each.labels for each in streams.truth.segments])
    rows = [
        [
            entry.label,
            *(number(value, "fraction") for value in (entry.precision, entry.recall, entry.f1)),
            *(number(scores[code].f1, "fraction") for scores in others.values()),
            f"{entry.support:,}",
            f"{(segments == code).sum():,}",
        ]
        for code, entry in enumerate(found)
        if entry.support or (model.flat == code).any()
    ]
    return Table(
        columns=[
            "class",
            "precision",
            "recall",
            "F1",
            *(f"F1 of {name}" for name in others),
            "test frames",
            "test segments",
        ],
        rows=rows,
        caption="Of frames. Precision: share of what was answered that is right. Recall: share of "
        "what is in the test streams that was found.",
    )


def _confusion_section(evidence: _Evidence) -> Section:
    streams = evidence.streams
    matrix = metrics.confusion_matrix(streams.truth.flat, evidence.model.flat, len(streams.classes))
    there = np.flatnonzero(matrix.sum(axis=0) + matrix.sum(axis=1))
    labels = [streams.classes[code] for code in there.tolist()]
    caption = "Frames. Rows: the right label; shares are of its row."
    block = confusion_block(matrix[np.ix_(there, there)], labels, caption=caption)
    return Section("What is confused", blocks=[block])


def _stream_table(evidence: _Evidence) -> Table:
    streams = evidence.streams
    named = any(one != two for one, two in zip(streams.names, streams.groups, strict=True))
    rows = []
    for place, name in enumerate(streams.names):
        group = [streams.groups[place]] if named else []
        rows.append([name, *group, *_stream_cells(evidence, place)])
    unit = "recordings" if streams.by_recording else "segments"
    return Table(
        columns=[
            "stream",
            *(["group"] if named else []),
            "frames",
            unit,
            *evidence.systems,
            "edit",
            "F1@50",
        ],
        rows=rows,
    )


def _stream_cells(evidence: _Evidence, place: int) -> list[str]:
    streams = evidence.streams
    gold, said = streams.gold[place], evidence.model.codes[place]
    units = np.unique(streams.units[place])
    values = [
        _stream_accuracy(accuracy_sums(streams, system)[units], evidence.seed)
        for system in evidence.systems.values()
    ]
    edit = frame_metrics.edit_score([gold], [said])
    f1 = frame_metrics.overlap_f1([gold], [said], frame_metrics.OVERLAPS[-1])
    shown = (number(value, "fraction") for value in (edit, f1))
    return [f"{len(gold):,}", f"{len(units):,}", *values, *shown]


def _stream_accuracy(sums: Array, seed: int) -> str:
    if len(sums) < _FEWEST_UNITS:
        return number(float(share_of(sums.sum(axis=0)[None])[0]), "fraction")
    found: Interval = bootstrap_sums(sums, share_of, seed=seed)
    return with_interval(found)


def _calibration(evidence: _Evidence) -> Section:
    streams, model = evidence.streams, evidence.model
    return calibration_section(
        np.concatenate(model.confidences),
        model.flat == streams.truth.flat,
        smallest=1 / max(2, len(streams.classes)),
        units="frames",
        note=_SURE,
        seed=evidence.seed,
    )
