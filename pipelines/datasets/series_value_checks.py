"""Looks at the values of time series: signs, levels, outliers, season, and copies of a target."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pipelines.datasets.findings import Finding, Level
from pipelines.datasets.series import WindowRows
from pipelines.datasets.series_clock import describe_time
from pipelines.datasets.series_store import SeriesStore

SAMPLE_SERIES = 200  # evenly chosen; looked at one by one
SAMPLE_STEPS = 50_000  # the last of a series
MANY_ZEROS = 0.3
SHIFT = 0.5  # standard deviations between the means of train and test
RATIO = 1.5  # of the standard deviations of train and test
FAR = 10.0  # times the distance of the quartiles from the median
CLEARLY = 0.1  # in autocorrelation
LEAST_LAGS = 400
MOST_LAGS = 60  # steps ahead at which copies of a target are looked for
Array = npt.NDArray[np.float64]


def sign_finding(store: SeriesStore) -> Finding:
    """Report negative values, which rule out a logarithm, and zeros, which mean rare events."""
    parts, level = [], "ok"
    for number, name in enumerate(store.layout.targets):
        values = store.values[:, number]
        seen = max(int((~np.isnan(values)).sum()), 1)
        negative, zero = int((values < 0).sum()), int((values == 0).sum()) / seen
        parts.append(f"{name!r}: {negative:,} negative values, {zero:.1%} zeros")
        if zero > MANY_ZEROS:
            level = "warning"
            parts[-1] += " (intermittent: percentages of error mean little; consider counts)"
        elif negative and level == "ok":
            level = "note"
    return Finding(_level(level), "Signs", "; ".join(parts))


def _level(name: str) -> Level:
    return "warning" if name == "warning" else "note" if name == "note" else "ok"


def _sampled(rows: WindowRows) -> list[int]:
    numbers = np.unique(rows.series)
    chosen = np.linspace(0, len(numbers) - 1, min(len(numbers), SAMPLE_SERIES)).astype(int)
    return [int(number) for number in numbers[chosen]]


def level_finding(train: WindowRows, test: WindowRows) -> Finding:
    """Compare mean and spread of each target between the training and the test part."""
    parts, moved = [], False
    for number, name in enumerate(train.store.layout.targets):
        shifts = [it for series in _sampled(test) for it in _shift(train, test, series, number)]
        if not shifts:
            continue
        shift, ratio = np.median(np.array(shifts), axis=0)
        moved |= abs(shift) > SHIFT or not 1 / RATIO < ratio < RATIO
        parts.append(
            f"{name!r}: the mean moves by {shift:+.2f} standard deviations from train to test, "
            f"the standard deviation becomes {ratio:.2f} times as large"
        )
    if not parts:
        return Finding("note", "Level shift", "no series is in both train and test")
    if moved:
        parts.append("what was learned may not hold: look for a change of unit or of method")
    return Finding("warning" if moved else "ok", "Level shift", "; ".join(parts))


def _shift(train: WindowRows, test: WindowRows, series: int, target: int) -> Iterator[list[float]]:
    before, after = (rows.part(series)[:, target].astype(np.float64) for rows in (train, test))
    before, after = before[~np.isnan(before)], after[~np.isnan(after)]
    if len(before) > 1 and len(after) > 1 and before.std() > 0:
        yield [(after.mean() - before.mean()) / before.std(), after.std() / before.std()]


def outliers_finding(store: SeriesStore) -> Finding:
    """Look for single targets far from all others."""
    found: list[tuple[str, str, str, str]] = []
    count = 0
    chosen = np.linspace(0, len(store) - 1, min(len(store), SAMPLE_SERIES)).astype(int)
    for series in np.unique(chosen).tolist():
        for target, name in enumerate(store.layout.targets):
            values = store.series(series)[:, target].astype(np.float64)
            far = _far(values)
            count += len(far)
            for step in far[: max(0, 10 - len(found))].tolist():
                time = describe_time(int(store.times(series, step, step + 1)[0]))
                found.append((store.names[series], name, time, f"{values[step]:g}"))
    if not count:
        return Finding("ok", "Outliers", f"no target further than {FAR:g} quartile distances away")
    detail = (
        f"{count:,} targets are further from the median than {FAR:g} times its distance to the "
        "quartiles; are they real, or marks of missing values such as -999?"
    )
    return Finding("warning", "Outliers", detail, (("series", "target", "time", "value"), *found))


def _far(values: Array) -> npt.NDArray[np.intp]:
    seen = values[~np.isnan(values)]
    if len(seen) < 20:
        return np.zeros(0, np.intp)
    low, middle, high = np.quantile(seen, [0.25, 0.5, 0.75])
    below, above = middle - low, high - middle
    if not below or not above:  # mostly one value: any other is far away
        return np.zeros(0, np.intp)
    reach = FAR * max(below, above)
    return np.flatnonzero((values < middle - reach) | (values > middle + reach))


def autocorrelation(values: Array, lags: int) -> Array:
    """Return the correlation of a series with itself 0 to `lags` steps before, float64[lags+1].

    A straight line is taken out first; missing values count for nothing.
    """
    steps = np.arange(len(values))
    seen = ~np.isnan(values)
    line = np.polyfit(steps[seen], values[seen], 1)
    centred = np.where(seen, values - np.polyval(line, steps), 0.0)
    size = 1 << (2 * len(values) - 1).bit_length()
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    pairs = np.fft.irfft(np.abs(np.fft.rfft(seen.astype(float), size)) ** 2, size)[: lags + 1]
    products = np.fft.irfft(power, size)[: lags + 1]
    covariance = products / np.maximum(np.round(pairs), 1)
    return covariance / covariance[0] if covariance[0] > 0 else np.zeros(lags + 1)


def season_finding(train: WindowRows, season: int | None = None) -> Finding:
    """Compare the season with the lag at which a series is most like itself.

    Args:
        train: windows whose part is looked at, of the longest series.
        season: steps; None: of the frequency.
    """
    store = train.store
    season = season or int(store.reading.get("season") or store.layout.frequency.season())
    longest = max(_sampled(train), key=lambda number: len(train.part(number)))
    values = train.part(longest)[-SAMPLE_STEPS:, 0].astype(np.float64)
    lags = min(len(values) // 3, max(4 * season, LEAST_LAGS))
    if (~np.isnan(values)).sum() < 20 or lags < 3 or np.nanstd(values) == 0:
        return Finding("note", "Season", "too few values to look for one")
    similar = autocorrelation(values, lags)
    rise = similar - np.minimum.accumulate(similar)  # neighbours in time are alike without a season
    best = int(np.flatnonzero(rise >= rise.max() - 0.05)[0])
    best += int(rise[best : best + max(2, best // 4)].argmax())
    if rise[best] < max(2 * CLEARLY, 4 / len(values) ** 0.5):
        return Finding("note", "Season", f"no clear one; {season} steps are taken")
    own = float(rise[season]) if season <= lags else 0.0
    detail = (
        f"{_name(train)} most like itself {best} steps before (autocorrelation {similar[best]:.2f},"
        f" {rise[best]:.2f} above what lies between); the season is {season} steps ({own:.2f})"
    )
    if rise[best] <= own + CLEARLY:
        return Finding("ok", "Season", detail)
    return Finding("note", "Season", f"{detail}; consider --season {best}")


def _name(rows: WindowRows) -> str:
    return "the longest series is" if len(rows.store) > 1 else "the series is"


def copies_finding(train: WindowRows) -> Finding:
    """Look for covariates that are a target, or tell what a target will be."""
    layout = train.store.layout
    series = max(_sampled(train), key=lambda number: len(train.part(number)))
    values = train.part(series)[-SAMPLE_STEPS:].astype(np.float64)
    leaks, same = [], []
    for number, column in enumerate(layout.columns[layout.K :], layout.K):
        for target, name in enumerate(layout.targets):
            lag = _copied_lag(values[:, number], values[:, target], train.horizon)
            if lag is None:
                continue
            if lag or column.role == "known":
                when = f"{lag} steps later" if lag else "at the same step"
                leaks.append(f"{column.name!r} ({column.role}) is {name!r} {when}")
            else:
                same.append(f"{column.name!r} is {name!r} itself")
    if leaks:
        detail = (
            f"{'; '.join(leaks)}: nobody has such values when a forecast is made; leave them out"
        )
        return Finding("error", "Target copies", detail)
    if same:
        return Finding("note", "Target copies", f"{'; '.join(same)}: such columns add nothing")
    return Finding("ok", "Target copies", "no covariate is a target, or tells its future")


def _copied_lag(covariate: Array, target: Array, horizon: int) -> int | None:
    """Return how many steps ahead of a target a covariate runs, if it is but a copy of it."""
    for lag in range(min(horizon, MOST_LAGS, len(target) // 2) + 1):
        later = target[lag:]
        seen = (
            ~np.isnan(later) & ~np.isnan(covariate[: len(later)]) & ~np.isnan(target[: len(later)])
        )
        if seen.sum() < 20:
            continue
        told, usual = (_unlike(it[: len(later)][seen], later[seen]) for it in (covariate, target))
        # A smooth series is much like itself one step on; a copy is far more so.
        if told < 1e-4 and (lag == 0 or told < 0.1 * usual):
            return lag
    return None


def _unlike(first: Array, second: Array) -> float:
    """Return 1 minus the correlation; 1 if one of them never changes."""
    if first.std() == 0 or second.std() == 0:
        return 1.0
    return float(1 - abs(np.corrcoef(first, second)[0, 1]))
