"""Regular series on disk: what their columns are, and their values end to end."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pipelines.datasets.series_clock import to_wall
from pipelines.datasets.series_frequency import Frequency

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
Role = Literal["target", "past", "known", "static"]


@dataclass(frozen=True)
class Column:
    """One measured quantity.

    Args:
        name: as in the table.
        role: forecast, known up to now, known for the future too, or one value a series.
        categories: of a column of words, the word that each code stands for.
        unit: of the values, if known.
    """

    name: str
    role: Role
    categories: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True)
class SeriesLayout:
    """What the columns of a store are.

    Args:
        columns: F of them: targets, then past, then known covariates.
        statics: one value a series each.
        frequency: of all series.
        time_zone: of sub-daily stamps, which are UTC then; "" means stamps are as written.
    """

    columns: tuple[Column, ...]
    statics: tuple[Column, ...]
    frequency: Frequency
    time_zone: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        """Names of the targets."""
        return self._named("target")

    @property
    def past(self) -> tuple[str, ...]:
        """Names of the covariates known up to the origin."""
        return self._named("past")

    @property
    def known(self) -> tuple[str, ...]:
        """Names of the covariates known for the future too."""
        return self._named("known")

    def wall_times(self, stamps: IntArray) -> IntArray:
        """Turn stamps, int64[...], into the seconds that the data's own clock shows."""
        if self.time_zone and self.frequency.is_sub_daily:
            return to_wall(stamps, self.time_zone)
        return stamps

    def _named(self, role: Role) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.role == role)

    @property
    def K(self) -> int:
        """How many targets there are."""
        return len(self.targets)

    @property
    def P(self) -> int:
        """How many past covariates there are."""
        return len(self.past)

    @property
    def G(self) -> int:
        """How many known-future covariates there are."""
        return len(self.known)

    def to_json(self) -> dict[str, Any]:
        """Return a dict that `json` can write."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> SeriesLayout:
        """Build a layout from what `to_json` returned."""
        columns, statics = (
            tuple(Column(**{**it, "categories": tuple(it["categories"])}) for it in content[name])
            for name in ("columns", "statics")
        )
        return cls(columns, statics, Frequency(**content["frequency"]), content["time_zone"])


@dataclass(frozen=True)
class SeriesStore:
    """Regular series end to end, memory-mapped if they come from a folder; missing is NaN.

    Args:
        layout: what the columns are.
        names: of the S series.
        starts: stamp of the first step of each, int64[S].
        offsets: row of `values` at which each begins, then their number, int64[S+1].
        values: as measured, float32[N, F].
        static: float32[S, statics].
        reading: options that read another table the same way, every choice made filled in.
    """

    layout: SeriesLayout
    names: list[str]
    starts: IntArray
    offsets: IntArray
    values: FloatArray
    static: FloatArray
    reading: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        layout: SeriesLayout,
        series: Mapping[str, tuple[int, npt.ArrayLike]],
        static: npt.ArrayLike | None = None,
    ) -> SeriesStore:
        """Hold series in memory: name -> stamp of the first step and values [n, F]."""
        blocks = [np.asarray(values, np.float32) for _, values in series.values()]
        width = len(layout.columns)
        values = np.concatenate([np.zeros((0, width), np.float32), *blocks])
        statics = np.zeros((len(series), 0)) if static is None else static
        return cls(
            layout,
            list(series),
            np.array([start for start, _ in series.values()], np.int64),
            np.cumsum([0, *(len(block) for block in blocks)]).astype(np.int64),
            values,
            np.asarray(statics, np.float32).reshape(len(series), len(layout.statics)),
        )

    @classmethod
    def open(cls, folder: Path) -> SeriesStore:
        """Map the folder that `write_store` made."""
        head = json.loads((folder / "series.json").read_text(encoding="utf-8"))
        layout = SeriesLayout.from_json(head["layout"])
        with np.load(folder / "series.npz") as arrays:
            starts, offsets, static = arrays["starts"], arrays["offsets"], arrays["static"]
        shape = (int(offsets[-1]), len(layout.columns))
        values = _mapped(folder / "values.bin", shape)
        return cls(layout, head["names"], starts, offsets, values, static)

    def __len__(self) -> int:
        return len(self.names)

    def series(self, number: int) -> FloatArray:
        """Return the values of one series as measured, float32[n, F], a view."""
        return self.values[self.offsets[number] : self.offsets[number + 1]]

    def times(self, number: int, first: int, limit: int) -> IntArray:
        """Return the stamps of steps `first` to `limit` of one series; they may lie outside it."""
        return self.layout.frequency.time(self.starts[number], np.arange(first, limit))

    def number_of(self, name: str) -> int:
        """Return which series has this name; KeyError if none has."""
        try:
            return self.names.index(name)
        except ValueError:
            raise KeyError(name) from None


def write_store(
    folder: Path,
    layout: SeriesLayout,
    series: Iterable[tuple[str, int, FloatArray]],
    static: npt.ArrayLike,
) -> SeriesStore:
    """Write series one at a time, then return the store.

    Args:
        folder: where; it exists and is empty.
        layout: what the columns are.
        series: name, stamp of the first step and values [n, F].
        static: [S, statics].
    """
    names, starts, offsets = [], [], [0]
    with (folder / "values.bin").open("wb") as stream:
        for name, start, values in series:
            stream.write(np.ascontiguousarray(values, np.float32).data)
            names.append(name)
            starts.append(start)
            offsets.append(offsets[-1] + len(values))
    np.savez(
        folder / "series.npz",
        starts=np.array(starts, np.int64),
        offsets=np.array(offsets, np.int64),
        static=np.asarray(static, np.float32).reshape(len(names), len(layout.statics)),
    )
    head = {"layout": layout.to_json(), "names": names}
    (folder / "series.json").write_text(json.dumps(head, ensure_ascii=False), encoding="utf-8")
    return SeriesStore.open(folder)


def _mapped(path: Path, shape: tuple[int, int]) -> FloatArray:
    if not shape[0] or not shape[1]:  # an empty file cannot be mapped
        return np.zeros(shape, np.float32)
    return np.memmap(path, np.float32, mode="r", shape=shape)
