"""Calendar features of time stamps, in the graph: the same operations at training and serving.

Stamps are int64 seconds since 1970-01-01, of the wall clock as written, or UTC where a time zone
is known. A feature is a sine or cosine of a phase in [0, 1): of the day, the week, the month or the
year. Several harmonics of one phase let a linear layer tell hours, weekdays and months apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines.datasets.series_frequency import DAY, Frequency
from pipelines.series.cycles import HARMONICS, cycles_of

_WEEK = 7 * DAY


def step_times(frequency: Frequency, origin: Any, steps: Any) -> tf.Tensor:
    """Return the stamps of steps counted from an origin, int64[B, L].

    Args:
        frequency: of the series.
        origin: stamp of step 0 of each row, int64[B].
        steps: int64[L], negative ones for the past.
    """
    origin = tf.cast(origin, tf.int64)[:, None]
    steps = tf.cast(steps, tf.int64)[None, :]
    if frequency.unit == "second":
        return origin + steps * frequency.count
    months = _months_since_1970(tf.math.floordiv(origin, DAY)) + steps * frequency.count
    if frequency.anchor == "end":
        return (_first_day(months + 1) - 1) * DAY
    return _first_day(months) * DAY


class Calendar:
    """Turns stamps into features, float32[B, L, C].

    Args:
        frequency: of the series.
        zone_changes: what `cycles.zone_changes` returned for their time zone.
    """

    def __init__(
        self, frequency: Frequency, zone_changes: Sequence[Sequence[int]] = ((), (0,))
    ) -> None:
        self.frequency = frequency
        self._changes, self._offsets = ([int(it) for it in part] for part in zone_changes)

    def __call__(self, times: Any) -> tf.Tensor:
        """Return the features of stamps int64[B, L]."""
        local = self.local(tf.cast(times, tf.int64))
        phases = {name: self._phase(name, local) for name in cycles_of(self.frequency)}
        waves = [
            wave(2 * np.pi * harmonic * phase)
            for name, phase in phases.items()
            for harmonic in range(1, HARMONICS[name] + 1)
            for wave in (tf.sin, tf.cos)
        ]
        return tf.stack(waves or [tf.zeros_like(local, tf.float32)], axis=-1)

    def local(self, times: tf.Tensor) -> tf.Tensor:
        """Return the wall-clock seconds of stamps, int64."""
        if not self._changes:
            return times + self._offsets[0]
        changes = tf.constant(self._changes, tf.int64)
        place = tf.searchsorted(changes, tf.reshape(times, [-1]), side="right")
        offsets = tf.gather(tf.constant(self._offsets, tf.int64), place)
        return times + tf.reshape(offsets, tf.shape(times))

    def _phase(self, name: str, local: tf.Tensor) -> tf.Tensor:
        """Return where in its cycle each stamp lies, float32 in [0, 1)."""
        if name == "day":
            return _share(tf.math.floormod(local, DAY), DAY)
        if name == "week":
            return _share(tf.math.floormod(local + 3 * DAY, _WEEK), _WEEK)  # 1970: a Thursday
        day = tf.math.floordiv(local, DAY)
        months = _months_since_1970(day)
        if name == "month":
            first = _first_day(months)
            length = _first_day(months + 1) - first
            return tf.cast(day - first, tf.float32) / tf.cast(length, tf.float32)
        if self.frequency.unit == "month":
            return _share(tf.math.floormod(months, 12), 12)
        january = _first_day(tf.math.floordiv(months, 12) * 12)
        return _share(local - january * DAY, 366 * DAY)


def _share(part: tf.Tensor, whole: int) -> tf.Tensor:
    # Divided as int64 -> float32 only after the remainder: float32 cannot hold stamps.
    return tf.cast(part, tf.float32) / float(whole)


def _months_since_1970(day: tf.Tensor) -> tf.Tensor:
    """Return the month of a day since 1970, int64 (Hinnant, chrono-compatible date algorithms)."""
    shifted = day + 719_468
    era = tf.math.floordiv(shifted, 146_097)
    of_era = shifted - era * 146_097
    year_of_era = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    from_march = (5 * of_year + 2) // 153
    return (year_of_era + 400 * era - 1970) * 12 + from_march + 2


def _first_day(months: tf.Tensor) -> tf.Tensor:
    """Return the day since 1970 of the first of a month since January 1970, int64."""
    from_march = months - 2
    year = tf.math.floordiv(from_march, 12) + 1970
    month = tf.math.floormod(from_march, 12)
    era = tf.math.floordiv(year, 400)
    of_era = year - era * 400
    days = of_era * 365 + of_era // 4 - of_era // 100 + (153 * month + 2) // 5
    return era * 146_097 + days - 719_468
