"""Load labelled frames: streams to train on, to be scored on, or to be labelled."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.datasets.findings import Finding
from pipelines.datasets.frames_streams import FrameOptions, FrameRows, FrameStream
from pipelines.datasets.package_index import Progress
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders

__all__ = [
    "FrameOptions",
    "FrameRows",
    "FrameStream",
    "check_frames",
    "load_frames",
    "load_frames_to_score",
    "read_streams_to_label",
]


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
    raise NotImplementedError


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
    raise NotImplementedError


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
    raise NotImplementedError


def check_frames(splits: Splits[FrameStream]) -> list[Finding]:
    """Look at sizes, classes, segments, missing values, scales and rates.

    Args:
        splits: as `load_frames` returns them.
    """
    raise NotImplementedError
