"""The built-in set of smart-watch exercises: a stream a subject, its recordings joined."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.datasets.frames_reading import ReadFrames, Wanted
from pipelines.datasets.frames_streams import FrameStream
from pipelines.datasets.storage import file_sha256
from pipelines.errors import DataError, did_you_mean

RATE = 50.0  # Hz
# The file is a pickle, and unpickling runs what is in it: these bytes and no others are opened.
SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
NOTES = (
    "a stream is a subject: each recording shows one exercise, and the recordings of a subject are "
    "joined in an order drawn from the seed, so the signal jumps where the label changes and no "
    "frame is without an exercise",
)


def read_watch(path: Path, wanted: Wanted) -> ReadFrames:
    """Read the recordings and join those of each subject.

    Args:
        path: watch_dataset.npy as published.
        wanted: the seed of the order, and the channels, if not all.

    Raises:
        DataError: the file is not the published one, or a channel is not in it.
    """
    content = _verified(path)
    names = [str(name) for name in content["X_labels"]]
    channels = wanted.named or tuple(names)
    for name in channels:
        if name not in names:
            raise DataError(
                f"{path}: no channel {name!r}{did_you_mean(name, names)}; known: "
                f"{', '.join(names)}; name others by --channels"
            )
    columns = [names.index(name) for name in channels]
    subjects = np.asarray(content["subject"])
    streams = [
        _joined(content, number, columns, wanted.options.split_seed)
        for number in np.unique(subjects).tolist()
    ]
    return ReadFrames(streams, channels, rates=[RATE], notes=list(NOTES))


def _verified(path: Path) -> dict[str, Any]:
    found = file_sha256(path)
    if found != SHA256:
        raise DataError(
            f"{path}: sha256 {found[:12]}..., expected {SHA256[:12]}...; this is not the published "
            "file, so it is not opened; delete its folder to have it fetched again"
        )
    content: dict[str, Any] = np.load(path, allow_pickle=True).item()
    return content


def _joined(content: dict[str, Any], subject: int, columns: list[int], seed: int) -> FrameStream:
    """Join the recordings of one subject in an order of its own."""
    mine = np.flatnonzero(np.asarray(content["subject"]) == subject)
    order = np.random.default_rng([seed, subject]).permutation(mine).tolist()
    recordings = [np.asarray(content["X"][number], np.float32)[:, columns] for number in order]
    labels = [str(content["y_labels"][content["y"][number]]) for number in order]
    lengths = [len(recording) for recording in recordings]
    name = f"subject {subject}"
    return FrameStream(
        name,
        name,
        np.concatenate(recordings),
        np.repeat(np.array(labels, object), lengths),
        np.cumsum([0, *lengths[:-1]]).astype(np.int64),
    )
