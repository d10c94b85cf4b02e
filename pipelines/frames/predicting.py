"""What `predict` does with an exported frame labeller: label files whole, or frame by frame."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipelines.datasets.frames import read_streams_to_label
from pipelines.datasets.frames_streams import FrameOptions, FrameRows, FrameStream
from pipelines.errors import ConfigError, DataError
from pipelines.evaluation.pictures import picture_format, require_picture, write_picture
from pipelines.export.loading import load_served
from pipelines.frames.artifacts import FrameArtifacts
from pipelines.frames.predict_options import FramesOptions

MOST_DRAWN = 12  # streams of a picture
MISSING = {"", "na", "nan", "null", "?"}


def serve_inputs(streams: Sequence[FrameStream]) -> dict[str, list[Any]]:
    """Return the raw inputs of `serve` for streams, padded to the longest."""
    longest = max(len(stream) for stream in streams)
    padded = [
        np.pad(stream.values, [(0, longest - len(stream)), (0, 0)]).tolist() for stream in streams
    ]
    return {"signal": padded, "frames": [len(stream) for stream in streams]}


def segments(labels: Sequence[str] | np.ndarray) -> Iterator[tuple[int, int, str]]:
    """Yield first frame, limit and label of each run of equal labels; padding ("") ends them."""
    first = 0
    for place in range(1, len(labels) + 1):
        if place == len(labels) or labels[place] != labels[first]:
            if labels[first]:
                yield first, place, str(labels[first])
            first = place


def predict(version: Path, options: FramesOptions) -> int:
    """Label every frame of a file, and write csv to standard output; return the exit code.

    Raises:
        DataError: the file cannot be read or lacks a channel.
        ConfigError: `--stream` is asked of a model that reads ahead.
    """
    artifacts = FrameArtifacts.load(version / "assets.extra")
    if options.stream:
        return _follow(version, artifacts, options)
    if options.plot is not None:
        require_picture(options.plot, option="--plot", example="labels.png")
    reading = FrameOptions(
        stream_column=options.stream_column, time_column=options.time_column, rate=artifacts.rate
    )
    rows = read_streams_to_label(options.file, artifacts.channels, reading)
    model = load_served(version)
    found = [_labelled(model, stream) for stream in rows]
    write = _write_segments if options.segments else _write_frames
    write(sys.stdout, rows, found)
    if options.plot is not None:
        _draw(options.plot, rows, [labels for labels, _ in found], artifacts.classes)
    return 0


def _draw(path: Path, rows: FrameRows, found: Sequence[np.ndarray], classes: Sequence[str]) -> None:
    """Draw the labels of the first streams over time."""
    from pipelines.evaluation.frame_figures import Strips, labels_picture

    code = {label: place for place, label in enumerate(classes)}
    drawn = [
        Strips(stream.name, np.array([code[label] for label in labels]), {}, rows.rate)
        for stream, labels in zip(rows[:MOST_DRAWN], found, strict=False)
    ]
    write_picture(path, labels_picture(drawn, classes, picture_format(path)))


def _labelled(model: Any, stream: FrameStream) -> tuple[np.ndarray, np.ndarray]:
    outputs = model.call(serve_inputs([stream]))
    return outputs["labels"][0], outputs["confidence"][0]


def _write_frames(out: IO[str], rows: FrameRows, found: Sequence[Any]) -> None:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["stream", "frame", "label", "confidence"])
    for stream, (labels, confidence) in zip(rows, found, strict=True):
        for frame, (label, sure) in enumerate(zip(labels, confidence, strict=True)):
            table.writerow([stream.name, frame, label, f"{sure:.4f}"])


def _write_segments(out: IO[str], rows: FrameRows, found: Sequence[Any]) -> None:
    table = csv.writer(out, lineterminator="\n")
    seconds = ["start_seconds", "end_seconds"] if rows.rate else []
    table.writerow(["stream", "first_frame", "limit", *seconds, "label", "mean_confidence"])
    for stream, (labels, confidence) in zip(rows, found, strict=True):
        for first, limit, label in segments(labels):
            times = [f"{place / rows.rate:.2f}" for place in (first, limit)] if rows.rate else []
            sure = f"{np.mean(confidence[first:limit]):.4f}"
            table.writerow([stream.name, first, limit, *times, label, sure])


def _follow(version: Path, artifacts: FrameArtifacts, options: FramesOptions) -> int:
    """Answer every frame as it comes."""
    signatures = json.loads((version / "assets.extra" / "signatures.json").read_text())
    if "step" not in signatures:
        raise ConfigError(
            f"{version}: option --stream needs the signature 'step', got {', '.join(signatures)}; "
            "this model reads ahead: train one with --causal"
        )
    model = load_served(version)
    state = model.call({"streams": [0]}, "start")
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["frame", "label", "confidence"])
    with _opened(options.file) as lines:
        name = "standard input" if options.file == "-" else options.file
        for frame, values in enumerate(frames_of(lines, artifacts.channels, name)):
            given = {name: value.tolist() for name, value in state.items()}
            answer = model.call({"signal": [values], **given}, "step")
            out.writerow([frame, answer["labels"][0], f"{answer['confidence'][0]:.4f}"])
            sys.stdout.flush()
            state = {name: answer[name] for name in state}
    return 0


@contextmanager
def _opened(file: str) -> Iterator[Iterable[str]]:
    if file == "-":
        yield sys.stdin
        return
    try:
        with Path(file).expanduser().open(newline="", encoding="utf-8-sig") as stream:
            yield stream
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror}); give a csv file") from None


def frames_of(lines: Iterable[str], channels: Sequence[str], name: str) -> Iterator[list[float]]:
    """Yield the values of every frame of a csv with a header, as soon as its line is there.

    Raises:
        DataError: a channel is missing, or a cell is no number; an empty cell is a missing value.
    """
    table = csv.reader(lines)
    header = [cell.strip() for cell in next(table, [])]
    lacking = [channel for channel in channels if channel not in header]
    if lacking:
        raise DataError(
            f"{name}:1: got the columns {', '.join(header) or '(none)'}, expected the channels "
            f"{', '.join(channels)}; {', '.join(lacking)} is missing: name them in the first line"
        )
    places = [header.index(channel) for channel in channels]
    for row in table:
        if row:
            yield [_number(row, place, channel, f"{name}:{table.line_num}")
                   for place, channel in zip(places, channels, strict=True)]  # fmt: skip


def _number(row: Sequence[str], place: int, channel: str, where: str) -> float:
    cell = row[place].strip() if place < len(row) else ""
    if cell.lower() in MISSING:
        return float("nan")
    try:
        return float(cell)
    except ValueError:
        raise DataError(
            f"{where}: channel {channel!r} is {cell!r}, expected a number, or an empty cell for a "
            "missing value; mend or remove the line"
        ) from None
