"""What a forecaster reads off the window directly, besides the states of its recurrent stack.

A recurrent state is a narrow path for exact values. What linear forecasters are made of, the last
value, the values one season before each step, recent means, is therefore handed to the decoder as
it is (Lai et al., 2018, sec. 3.5, give LSTNet a linear path for the same reason), and a blend of it
is where the forecast starts from.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

PACKAGE = "pipelines"
LEAST_SPREAD = 1e-3  # in scales of the window
MOST_LAGS = 7  # seasons looked back: a week of days


def lag_count(length: int, season: int) -> int:
    """Return how many seasons before every step of the horizon lie within a window."""
    return min(MOST_LAGS, length // season)


@keras.saving.register_keras_serializable(package=PACKAGE)
class SeasonalLags(keras.layers.Layer):
    """Values one, two, ... seasons before each step of the horizon.

    Maps float32[B, T, K] without NaN to [B, H, L, K]; lag 0 is the nearest season whose step lies
    within the window, L is `lag_count(T, season)`.

    Args:
        season: steps of a season.
        horizon: H.
    """

    def __init__(self, season: int, horizon: int, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False})
        self.season, self.horizon = season, horizon

    def call(self, values: Any) -> Any:
        """Return the lagged values."""
        places = self.places(values.shape[1])
        picked = ops.take(values, places.ravel(), axis=1)
        # Not -1: a window shorter than the season has no lag, and nothing tells its rows.
        return ops.reshape(picked, (ops.shape(values)[0], *places.shape, values.shape[-1]))

    def places(self, length: int) -> np.ndarray:
        """Return the step of the window behind each value, int[H, L]."""
        ahead = np.arange(1, self.horizon + 1)[:, None]
        back = -(-ahead // self.season) + np.arange(lag_count(length, self.season))
        return length - 1 + ahead - self.season * back

    def compute_output_shape(self, shape: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return [B, H, L, K]."""
        return (shape[0], self.horizon, lag_count(shape[1], self.season), shape[2])

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"season": self.season, "horizon": self.horizon}


@keras.saving.register_keras_serializable(package=PACKAGE)
class RecentValues(keras.layers.Layer):
    """The last values of a window and its means over ever longer stretches, flat.

    Maps float32[B, T, D] without NaN to [B, (P + M) × D].

    Args:
        places: steps back, 0 for the last one, P of them; those beyond the window are left out.
        means: lengths of the stretches at the window's end, M of them; likewise.
    """

    def __init__(self, places: list[int], means: list[int], **kwargs: Any) -> None:
        super().__init__(**kwargs | {"trainable": False})
        self.places, self.means = list(places), list(means)

    def call(self, values: Any) -> Any:
        """Return values, then means."""
        length = values.shape[1]
        places = [place for place in self.places if place < length]
        means = [size for size in self.means if size <= length]
        parts = [values[:, length - 1 - place] for place in places]
        parts += [ops.mean(values[:, length - size :], axis=1) for size in means]
        return ops.concatenate(parts, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return super().get_config() | {"places": self.places, "means": self.means}


def recent_places(length: int) -> list[int]:
    """Return steps back that grow roughly by half each: 0, 1, 2, 3, 5, 8, 12, ..."""
    places, place = [0], 1
    while place < length and len(places) < 10:
        places.append(place)
        place = max(place + 1, round(1.5 * place))
    return places


def recent_stretches(length: int, season: int) -> list[int]:
    """Return lengths of means: parts of a season, a season, three seasons, the window."""
    wanted = {season // 8, season // 4, season // 2, season, 3 * season, length}
    return sorted(size for size in wanted if 1 < size <= length)
