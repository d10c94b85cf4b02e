"""Read streams out of an npz of NumPy arrays: padded [N, T, K], or one long [T, K]."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.datasets.frames_reading import (
    ReadFrames,
    Wanted,
    known_word,
    listed,
    require_finite,
    require_labels,
    stem_of,
)
from pipelines.datasets.frames_streams import FrameStream, LabelArray
from pipelines.errors import DataError, did_you_mean

EXPECTED = (
    "values [N, T, K] with labels [N, T] and, where streams are padded, lengths [N]; or values "
    "[T, K] with labels [T]; beside them, if wanted, streams and groups ([N], or [T]), channels "
    "[K] and rate"
)
Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class _Span:
    """One stream: its frames in the arrays, and what it is called."""

    name: str
    group: str
    frames: Any  # an index of values and labels
    where: str
    numbers: npt.NDArray[np.int64]  # of each frame, as messages count it


def read_arrays(path: Path, wanted: Wanted, *, prefix: str = "") -> ReadFrames:
    """Read the streams of one npz; nothing in it is unpickled.

    Args:
        path: of the file; `EXPECTED` says what is in it.
        wanted: options, and what a trained model needs.
        prefix: put before the names of streams, where several files are read.

    Raises:
        DataError: the file is no npz, holds other arrays, or a channel or label is missing.
    """
    arrays = _load(path)
    _require(path, arrays, "values" in arrays, "no array 'values'")
    values = arrays["values"]
    _require(path, arrays, values.ndim in (2, 3) and values.size > 0, "values of such a shape")
    _require(path, arrays, values.dtype.kind in "fiub", f"values of type {values.dtype}")
    labels = _labels(path, arrays, wanted)
    channels, chosen = _channels(path, arrays, wanted)
    spans = _padded(path, arrays) if values.ndim == 3 else _long(path, arrays)
    read = ReadFrames([], channels, rates=_rate(path, arrays))
    for span in spans:
        place = _place(path, span)
        with np.errstate(over="ignore"):
            kept = values[span.frames][:, chosen].astype(np.float32)
        given = labels[span.frames]
        require_finite(kept, channels, place)
        require_labels(given, wanted, place)
        stem = stem_of(path)
        name = f"{prefix}{span.name}" if span.name else stem
        pieces = np.zeros(1, np.int64)
        read.streams.append(FrameStream(name, span.group or name, kept, given, pieces))
    return read


def _place(path: Path, span: _Span) -> Callable[[int], str]:
    return lambda frame: f"{path}: {span.where}frame {int(span.numbers[frame])}"


def _load(path: Path) -> Arrays:
    """Return all arrays.

    Raises:
        DataError: it is no npz, or holds pickled objects.
    """
    name = ""
    try:
        with path.open("rb") as stream:
            stored = np.load(stream, allow_pickle=False)
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("a single array, not an npz")
            arrays = {}
            for name in stored.files:
                arrays[name] = stored[name]
            return arrays
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        if name and "allow_pickle" in str(error):
            raise DataError(
                f"{path}: array {name!r} holds Python objects, which are never unpickled; expected "
                "numbers or text; save it as numbers, or as text by .astype(str)"
            ) from error
        raise DataError(
            f"{path}: not a readable npz ({str(error)[:80]}); expected {EXPECTED}; write it by "
            "numpy.savez"
        ) from error


def _require(path: Path, arrays: Arrays, good: bool, found: str) -> None:
    if not good:
        shapes = listed([f"{name} {list(array.shape)}" for name, array in arrays.items()])
        raise DataError(
            f"{path}: {found}; arrays found: {shapes or 'none'}; expected {EXPECTED}; save them "
            "with these names and shapes"
        )


def _texts(array: npt.NDArray[Any]) -> LabelArray:
    """Return numbers or text as text without white space around it; whole floats as integers."""
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.floor(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    missing = np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, bool)
    words, codes = np.unique(np.where(missing, "", array.astype(str)), return_inverse=True)
    known = np.array([known_word(word) for word in words.tolist()], object)
    return np.asarray(known[codes.reshape(array.shape)], object)


def _labels(path: Path, arrays: Arrays, wanted: Wanted) -> LabelArray:
    frames = arrays["values"].shape[:-1]
    if "labels" not in arrays:
        _require(path, arrays, not wanted.labelled, "no array 'labels'")
        return np.full(frames, "", object)
    labels = arrays["labels"]
    _require(path, arrays, labels.shape == frames, f"labels of shape {list(labels.shape)}")
    return _texts(labels)


def _channels(path: Path, arrays: Arrays, wanted: Wanted) -> tuple[tuple[str, ...], list[int]]:
    """Return the channels to read, and their columns."""
    count = arrays["values"].shape[-1]
    if "channels" in arrays:
        names = _texts(np.atleast_1d(arrays["channels"])).tolist()
        good = len(names) == count and len(set(names)) == count
        _require(path, arrays, good, f"channels {listed(names)}")
    elif len(wanted.named) == count:
        return wanted.named, list(range(count))
    else:
        names = [f"channel {number}" for number in range(1, count + 1)]
    for name in wanted.named:
        if name not in names:
            raise DataError(
                f"{path}: no channel {name!r}{did_you_mean(name, names)}; found {listed(names)}; "
                f"expected {listed(wanted.named)}; save an array channels with the names of all "
                f"{count} columns"
            )
    kept = wanted.named or tuple(names)
    return kept, [names.index(name) for name in kept]


def _rate(path: Path, arrays: Arrays) -> list[float]:
    if "rate" not in arrays:
        return []
    rate = arrays["rate"]
    good = rate.size == 1 and rate.dtype.kind in "fiu" and 0 < float(rate.item()) < np.inf
    _require(path, arrays, good, f"rate {str(rate)[:40]}")
    return [float(rate.item())]


def _names(path: Path, arrays: Arrays, name: str, count: int) -> LabelArray | None:
    """Return an array of names of the given length, if there is one."""
    if name not in arrays:
        return None
    array = arrays[name]
    _require(path, arrays, array.shape == (count,), f"{name} of shape {list(array.shape)}")
    names = _texts(array)
    _require(path, arrays, not (names == "").any(), f"an empty name among {name}")
    return names


def _padded(path: Path, arrays: Arrays) -> list[_Span]:
    """Return the spans of streams that are rows of [N, T, K]."""
    count, longest = arrays["values"].shape[:2]
    lengths = arrays.get("lengths", np.full(count, longest))
    good = lengths.shape == (count,) and lengths.dtype.kind in "iu"
    _require(path, arrays, good, f"lengths {lengths.dtype} of shape {list(lengths.shape)}")
    inside = (lengths >= 1) & (lengths <= longest)
    _require(path, arrays, bool(inside.all()), f"lengths outside 1 to {longest}")
    streams = _names(path, arrays, "streams", count)
    groups = _names(path, arrays, "groups", count)
    spans = []
    for row, length in enumerate(lengths.tolist()):
        name = str(row) if streams is None else str(streams[row])
        group = "" if groups is None else str(groups[row])
        frames = (row, slice(0, length))
        spans.append(_Span(name, group, frames, f"stream {name}, ", np.arange(length)))
    return spans


def _long(path: Path, arrays: Arrays) -> list[_Span]:
    """Return the spans of streams that follow each other, or are mixed, in [T, K]."""
    count = len(arrays["values"])
    streams = _names(path, arrays, "streams", count)
    groups = _names(path, arrays, "groups", count)
    names = streams if streams is not None else groups
    if names is None:
        return [_Span("", "", slice(None), "", np.arange(count))]
    spans = []
    words, first, codes = np.unique(names.astype(str), return_index=True, return_inverse=True)
    for number in np.argsort(first):
        frames = np.flatnonzero(codes == number)
        group = "" if groups is None else str(groups[frames[0]])
        same = groups is None or bool((groups[frames] == group).all())
        _require(path, arrays, same, f"several groups in stream {str(words[number])!r}")
        spans.append(_Span(str(words[number]), group, frames, "", frames))
    return spans
