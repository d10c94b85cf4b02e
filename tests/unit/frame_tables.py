"""Small labelled streams, and tables and npz files of them, for tests of what reads them."""

import csv

import numpy as np

from pipelines.datasets.frames_streams import FrameRows, FrameStream

CHANNELS = ("ax", "ay")


def stream(name, labels, *, group=None, seed=0, pieces=(0,), channels=2):
    """Build a stream of noise around a level that its label decides."""
    labels = np.array(list(labels), object)
    noise = np.random.default_rng([seed, len(labels), *name.encode()])
    level = np.array([len(label) + ord(label[0]) for label in labels.tolist()])
    values = noise.normal(size=(len(labels), channels)) + level[:, None]
    return FrameStream(
        name, group or name, values.astype(np.float32), labels, np.array(pieces, np.int64)
    )


def rows(streams, *, rate=50.0, channels=CHANNELS):
    classes = sorted({str(label) for it in streams for label in it.labels})
    return FrameRows(streams, channels=channels, rate=rate, classes=classes)


def write(path, header, lines):
    with path.open("w", newline="", encoding="utf-8") as sink:
        csv.writer(sink).writerows([header, *lines])
    return path


def table(path, streams, *, group=False, rate=None):
    """Write streams as a csv, with a stream column, and a group and a time column if asked to."""
    header = ["stream", *(["subject"] if group else []), *(["time"] if rate else [])]
    lines = []
    for it in streams:
        for number, (values, label) in enumerate(zip(it.values, it.labels, strict=True)):
            more = [it.group] * group + ([number / rate] if rate else [])
            cells = ["" if np.isnan(value) else repr(float(value)) for value in values]
            lines.append([it.name, *more, *cells, label])
    return write(path, [*header, *CHANNELS[: streams[0].values.shape[1]], "label"], lines)


def arrays(path, streams, **more):
    """Write streams as padded arrays."""
    longest = max(len(it) for it in streams)
    values = np.zeros((len(streams), longest, streams[0].values.shape[1]), np.float32)
    labels = np.full((len(streams), longest), "padding", "U20")
    for row, it in enumerate(streams):
        values[row, : len(it)] = it.values
        labels[row, : len(it)] = it.labels.astype(str)
    content = {
        "values": values,
        "labels": labels,
        "lengths": np.array([len(it) for it in streams]),
        "streams": np.array([it.name for it in streams]),
        "groups": np.array([it.group for it in streams]),
        "channels": np.array(CHANNELS[: values.shape[2]]),
    }
    np.savez(path, **{name: it for name, it in {**content, **more}.items() if it is not None})
    return path
