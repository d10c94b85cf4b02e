"""Load labelled frames: streams to train on, to be scored on, or to be labelled."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.datasets.frames_checks import check_frames
from pipelines.datasets.frames_reading import ReadFrames, Wanted, listed
from pipelines.datasets.frames_sources import (
    FrameSource,
    find_frames,
    print_of,
    read_found,
    rows_of,
)
from pipelines.datasets.frames_split import distinct, place_streams
from pipelines.datasets.frames_streams import FrameOptions, FrameRows, FrameStream
from pipelines.datasets.package_index import Progress
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.standard_input import as_file
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

__all__ = [
    "FrameOptions",
    "FrameRows",
    "FrameStream",
    "check_frames",
    "load_frames",
    "load_frames_to_score",
    "read_streams_to_label",
]
_log = logging.getLogger(__name__)


def load_frames(
    source: str,
    options: FrameOptions,
    *,
    folders: DataFolders,
    progress: Progress | None = None,
) -> Splits[FrameStream]:
    """Return streams split by group; each split is a `FrameRows`.

    Args:
        source: a built-in name, a file, a glob or a folder.
        options: how to read and split it.
        folders: where fetched data are kept.
        progress: told of a download a few times a second.

    Raises:
        DataError: the source cannot be read, or is too small to be split.
    """
    found = find_frames(source, folders=folders, progress=progress)
    read = read_found(found, Wanted(options))
    rows = rows_of(read, options)
    if len(rows.classes) < 2:
        raise DataError(
            f"{source}: every frame has the label {rows.classes[0]!r}; expected two labels or "
            "more; give recordings of something else too, or another --label-column"
        )
    placed = place_streams(source, read, options)
    parts = {name: rows.with_streams(streams) for name, streams in placed.parts.items()}
    notes = (*_facts(rows, read, options), *placed.notes, *read.notes)
    card = _card(
        source,
        found,
        parts,
        dropped=placed.dropped,
        notes=notes,
        fingerprint=print_of(found, options),
    )
    _log.info("read %s: %s streams; left out: %s", source, card.counts, card.dropped or "none")
    return Splits(parts["train"], parts["valid"], parts["test"], card)


def load_frames_to_score(
    source: str,
    channels: Sequence[str],
    classes: Sequence[str],
    options: FrameOptions,
    *,
    folders: DataFolders,
) -> Splits[FrameStream]:
    """Return all streams of a source as the test split; train and valid are empty.

    Args:
        source: a built-in name, a file, a glob or a folder.
        channels: of the trained model, which the source must have.
        classes: of the trained model; another label is an error.
        options: how to read it.
        folders: where fetched data are kept.

    Raises:
        DataError: a channel is missing, or a label is not among the classes.
    """
    found = find_frames(source, folders=folders)
    read = read_found(found, Wanted(options, tuple(channels), tuple(classes)))
    rows = rows_of(read, options, tuple(classes))
    kept, dropped = distinct(read)
    test = rows.with_streams(read.streams[number] for number in kept)
    card = _card(
        source,
        found,
        {"test": test},
        dropped=dropped,
        notes=(*_facts(rows, read, options), *read.notes),
        fingerprint=print_of(found, options, [list(channels), list(classes)]),
    )
    nothing = rows.with_streams([])
    return Splits(nothing, nothing, test, card)


def read_streams_to_label(
    path: Path | str, channels: Sequence[str], options: FrameOptions
) -> FrameRows:
    """Return the streams of a file, a folder or standard input ("-"); labels are not needed.

    Args:
        path: of a table, an npz or a folder of tables; "-" is csv on standard input.
        channels: of the trained model, which the file must have.
        options: how to read it.

    Raises:
        DataError: a channel is missing, or a cell cannot be read.
    """
    wanted = Wanted(options, tuple(channels), labelled=False)
    with as_file(str(path)) as file:
        found = find_frames(str(file), folders=DataFolders())
        read = read_found(found, wanted)
    for note in read.notes:
        _log.info("%s: %s", path, note)
    return rows_of(read, options)


def _facts(rows: FrameRows, read: ReadFrames, options: FrameOptions) -> tuple[str, ...]:
    """Say what is measured, how often, and what it is labelled with."""
    ways = "given" if options.rate else "of the times" if read.clocks else "of the source"
    rate = f"at {rows.rate:g} Hz ({ways})" if rows.rate else "at a rate that nothing tells"
    return (
        f"{len(rows.channels)} channels {rate}: {listed(rows.channels)}",
        f"{len(rows.classes)} classes: {listed(rows.classes, 30)}",
    )


def _card(
    source: str,
    found: FrameSource,
    parts: Mapping[str, FrameRows],
    **content: Any,
) -> DataCard:
    """Say where the streams come from; labels are counted in frames."""
    return DataCard(
        source=source,
        licence=found.licence,
        citation=found.citation,
        files=dict(found.files),
        counts={name: len(rows) for name, rows in parts.items()},
        label_counts={name: rows.frames_of() for name, rows in parts.items()},
        **content,
    )
