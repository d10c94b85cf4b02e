"""What a forecaster learns from its training part besides weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from pipelines.config import fingerprint
from pipelines.datasets.series import Column, SeriesLayout, WindowRows
from pipelines.datasets.series_options import SeriesOptions
from pipelines.errors import DataError
from pipelines.evaluation.backtest import mase_scales
from pipelines.layers.series_statistics import Scaling, fit_statistics
from pipelines.series.cycles import calendar_names, zone_changes
from pipelines.series.forecaster_config import ForecasterConfig, Transform

_SAMPLE = 200_000  # values of a series that skewness is measured on, at most
_SKEWED = 1.0  # the skewness of an exponential distribution is 2, of a normal one 0


@dataclass(frozen=True)
class SeriesArtifacts:
    """Columns, sizes, statistics of the training part.

    Attributes:
        layout: the columns; categories are those that occur in the training part.
        settings: history, horizon, season, levels, zone changes and reading options, as plain JSON.
        statistics: what `SeriesScaling` needs to know of the training part (`SeriesStatistics`).
        scales: series -> mean seasonal-naive error of each target over the training part, the
            unit of MASE.
    """

    layout: SeriesLayout
    settings: Mapping[str, Any]
    statistics: Mapping[str, list[float]]
    scales: Mapping[str, list[float]]

    @property
    def history(self) -> int:
        """Steps a forecast is made from."""
        return int(self.settings["history"])

    @property
    def horizon(self) -> int:
        """Steps a forecast is made for."""
        return int(self.settings["horizon"])

    @property
    def levels(self) -> tuple[float, ...]:
        """Levels of the quantiles."""
        return tuple(self.settings["levels"])

    def reading(self, given: SeriesOptions) -> SeriesOptions:
        """Return the options that tables of this model are read with; what is given wins."""
        plain = asdict(SeriesOptions())
        own = {name: _tuple(value) for name, value in self.settings["reading"].items()}
        chosen = {name: value for name, value in asdict(given).items() if value != plain[name]}
        sizes = {name: self.settings[name] for name in ("history", "horizon", "season")}
        return SeriesOptions(**{**own, **chosen, **sizes})

    def save(self, folder: Path) -> None:
        """Write series.json."""
        text = json.dumps(self._content(), indent=1, ensure_ascii=False)
        (folder / "series.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        content = json.loads((folder / "series.json").read_text(encoding="utf-8"))
        return cls(SeriesLayout.from_json(content.pop("layout")), **content)

    def fingerprint(self) -> str:
        """Return a hash of everything learned."""
        return fingerprint(self._content())

    def _content(self) -> dict[str, Any]:
        return {
            "layout": self.layout.to_json(),
            "settings": dict(self.settings),
            "statistics": dict(self.statistics),
            "scales": dict(self.scales),
        }

    def describe(self) -> dict[str, Any]:
        """Return names, units and sizes for the log and the manifest."""
        columns = {
            column.name: {"role": column.role, "unit": column.unit, "words": column.categories}
            for column in (*self.layout.columns, *self.layout.statics)
        }
        return {
            "history": self.history,
            "horizon": self.horizon,
            "frequency": self.layout.frequency.name,
            "time_zone": self.layout.time_zone,
            "season": self.settings["season"],
            "levels": list(self.levels),
            "columns": columns,
            "series": len(self.scales),
        }


def fit_series_artifacts(rows: WindowRows, config: ForecasterConfig) -> SeriesArtifacts:
    """Learn categories, statistics and scales from the steps that training windows touch.

    Raises:
        DataError: the training part has no value of a target.
    """
    layout, parts = rows.store.layout, [rows.part(number) for number in np.unique(rows.series)]
    static = rows.store.static[np.unique(rows.series)]
    columns = tuple(
        _seen(it, [part[:, n] for part in parts]) for n, it in enumerate(layout.columns)
    )
    statics = tuple(_seen(it, [static[:, n]]) for n, it in enumerate(layout.statics))
    _require_targets(layout, parts)
    counts = config.head == "negative-binomial"
    if counts:
        _require_counts(layout, parts)
    log = not counts and _wants_log(parts, layout.K, config.transform)
    # One series is its own measure; many of unequal size are each measured by their own window,
    # and so are counts, which no location may be taken from.
    usual: Scaling = "none" if len(rows.store) == 1 and not counts else "mean"
    scaling = usual if config.scaling == "auto" else config.scaling
    statistics = fit_statistics(
        parts,
        static if layout.statics else None,
        targets=layout.K,
        scaling=scaling,
        log=log,
    )
    season = config.season or layout.frequency.season()
    settings = {
        "history": rows.history,
        "horizon": rows.horizon,
        "season": season,
        "levels": list(config.quantiles),
        "log": log,
        "scaling": scaling,
        "weighted": config.head == "quantiles" and config.loss == "raw",
        "calendar": calendar_names(layout.frequency),
        "zone_changes": zone_changes(layout.time_zone),
        "reading": asdict(config.reading()) | dict(rows.store.reading),
    }
    return SeriesArtifacts(
        replace(layout, columns=columns, statics=statics),
        json.loads(json.dumps(settings)),
        {name: np.asarray(value).tolist() for name, value in asdict(statistics).items()},
        {name: scale.tolist() for name, scale in mase_scales(rows, season).items()},
    )


def _require_targets(layout: SeriesLayout, parts: list[np.ndarray]) -> None:
    """Refuse a target that the training part has no value of."""
    for number, name in enumerate(layout.targets):
        if not any(np.isfinite(part[:, number]).any() for part in parts):
            raise DataError(
                f"target {name!r} has no value in the training part, the first of the three parts "
                f"in time; expected some to learn from in {len(parts):,} series; give earlier "
                "values, or leave it out (--targets)"
            )


def _require_counts(layout: SeriesLayout, parts: list[np.ndarray]) -> None:
    """Refuse a target that cannot be a count."""
    for number, name in enumerate(layout.targets):
        least = min(np.nanmin(part[:, number], initial=0.0) for part in parts)
        if least < 0:
            raise DataError(
                f"target {name!r} falls to {least:g} in the training part; the head "
                "negative-binomial expects counts, 0 or more: choose another (--head)"
            )


def _seen(column: Column, parts: list[np.ndarray]) -> Column:
    """Forget the words of a column that no training step has; codes keep their meaning."""
    if not column.categories:
        return column
    seen = {int(code) for part in parts for code in np.unique(part[np.isfinite(part)])}
    last = max(seen, default=0) + 1  # at least one: a column of words stays one
    words = (word if n in seen else "" for n, word in enumerate(column.categories[:last]))
    return replace(column, categories=tuple(words))


def seen_codes(columns: Iterable[Column]) -> dict[int, npt.NDArray[np.float32]]:
    """Return, of each column of words by its place, the codes of those that training has."""
    return {
        place: np.flatnonzero(np.array(column.categories) != "").astype(np.float32)
        for place, column in enumerate(columns)
        if column.categories
    }


def _wants_log(parts: list[np.ndarray], targets: int, transform: Transform) -> bool:
    """Tell whether to forecast on a logarithmic scale."""
    if transform != "auto":
        return transform == "log"
    pooled = np.concatenate([part[:: max(1, len(part) // _SAMPLE), :targets] for part in parts])
    if np.nanmin(pooled) < 0:
        return False
    centred = pooled.astype(np.float64) - np.nanmean(pooled, axis=0)
    deviation = np.nanstd(centred, axis=0)
    skewness = np.nanmean(centred**3, axis=0) / np.where(deviation > 0, deviation, 1.0) ** 3
    return bool((skewness > _SKEWED).all())


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
