"""Tables as a reader gives them, for tests of what is made of them."""

from types import SimpleNamespace

import numpy as np

from pipelines.datasets.series import Column, SeriesLayout, SeriesStore
from pipelines.datasets.series_frequency import parse_frequency


def stamp(text):
    return int(np.datetime64(text, "s").astype(np.int64))


def stamps(first, count, step="1h"):
    unit = {"h": "h", "D": "D", "m": "m", "M": "M"}[step[-1]]
    start = np.datetime64(first, "M" if unit == "M" else "s")
    times = start + np.arange(count) * np.timedelta64(int(step[:-1]), unit)
    return times.astype("M8[s]").astype(np.int64)


def raw_table(
    times, values=None, *, series=None, names=None, columns=None, aware=False, static=None
):
    times = np.asarray([stamp(it) if isinstance(it, str) else it for it in times], np.int64)
    if values is None:
        values = np.arange(len(times), dtype=float)
    values = np.asarray(values, np.float64)
    values = values.reshape(len(times), -1) if values.ndim == 1 else values
    series = np.zeros(len(times), np.int32) if series is None else np.asarray(series, np.int32)
    names = names or [f"s{number}" for number in range(int(series.max(initial=0)) + 1)]
    columns = columns or (
        Column("y", "target"),
        *(Column(f"x{n}", "past") for n in range(1, values.shape[1])),
    )
    return SimpleNamespace(
        columns=columns,
        statics=(),
        names=names,
        series=series,
        times=times,
        aware=aware,
        values=values,
        static=np.zeros((len(names), 0)) if static is None else static,
        place=lambda row: f"t.csv:{row + 2}",
        notes=(),
        dropped={},
    )


def layout(frequency="h", targets=1, past=0, known=0):
    columns = (
        *(Column(f"y{n}", "target") for n in range(targets)),
        *(Column(f"p{n}", "past") for n in range(past)),
        *(Column(f"k{n}", "known") for n in range(known)),
    )
    return SeriesLayout(columns, (), parse_frequency(frequency))


def store(*series, frequency="h", start="2020-01-01", **counts):
    """Return a store of series given as lists of values or arrays [n, F]."""
    blocks = {}
    for number, values in enumerate(series):
        values = np.asarray(values, np.float32)
        blocks[f"s{number}"] = (stamp(start), values.reshape(len(values), -1))
    return SeriesStore.of(layout(frequency, **counts), blocks)
