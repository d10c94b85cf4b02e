"""Streams as arrays: windows to train on, whole streams to be measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pipelines.corpus import Chunk, Ragged, Windows
from pipelines.datasets.frames_streams import FrameRows
from pipelines.frames.artifacts import FrameArtifacts

PLACES = 5  # of a patch, at which training windows begin: else the same frames always meet in one


def encode_streams(rows: FrameRows, artifacts: FrameArtifacts, *, whole: bool) -> Iterator[Chunk]:
    """Yield features of each stream: "signal" float32[T, K], "target" int32[T], "frames" int32.

    Args:
        rows: the streams.
        artifacts: classes and the length of a window.
        whole: a row is a stream; else it is a window of one, and "frames" says how many of its
            frames are real. Windows are cut at the stream's own speed, and faster and slower.
    """
    ids = {label: place for place, label in enumerate(artifacts.classes, 1)}
    for stream in rows:
        targets = np.array([ids[label] for label in stream.labels], np.int32)
        if whole:
            length = np.array([len(targets)])
            signal = Ragged(stream.values, length)
            yield {
                "signal": signal,
                "target": Ragged(targets, length),
                "frames": length.astype(np.int32),
            }
        else:
            stretch = float(artifacts.settings["stretch"])
            for speed in (1.0, 1.0 - stretch, 1.0 + stretch)[: 3 if stretch else 1]:
                read = np.arange(0, len(targets), speed).astype(np.int64)
                yield _windows(stream.values[read], targets[read], artifacts.settings)


def _windows(values: np.ndarray, targets: np.ndarray, settings: Mapping[str, Any]) -> Chunk:
    count, window = len(targets), int(settings["window"])
    starts = np.arange(0, max(1, count - window + 1), max(1, int(settings["patch"]) // PLACES))
    if count > window and starts[-1] != count - window:  # the last frames are learned from too
        starts = np.append(starts, count - window)
    lacking = max(0, window - count)
    signal = np.pad(values, [(0, lacking), (0, 0)])
    return {
        "signal": Windows(signal, starts, window),
        "target": Windows(np.pad(targets, (0, lacking)), starts, window),
        "frames": np.full(len(starts), min(count, window), np.int32),
    }
