"""Where a captioner looked, and what else its report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.errors import EvaluationError
from pipelines.evaluation.attention_picture import whole_words
from pipelines.evaluation.translation import Alignment

_NAMES = (
    ("upper left", "top", "upper right"),
    ("left", "middle", "right"),
    ("lower left", "bottom", "lower right"),
)


@dataclass(frozen=True)
class Look:
    """Where the model looked while it wrote each token of a caption.

    Attributes:
        tokens: the T tokens written.
        weights: over the P places of its square map, row by row, float32[T, P]; each row sums to 1.
        fit: how the image became the square that the map covers: "pad", "crop" or "stretch".
    """

    tokens: tuple[str, ...]
    weights: NDArray[np.float32]
    fit: str = "pad"

    def maps(self) -> NDArray[np.float32]:
        """Return the weights as maps, float32[T, side, side]."""
        side = round(self.weights.shape[1] ** 0.5)
        return self.weights.reshape(-1, side, side)

    def by_words(self) -> Look:
        """Join pieces of words; a word's weights are the mean of its pieces'.

        Raises:
            EvaluationError: the weights do not fit the tokens or no square, or there is no token.
        """
        shape = np.shape(self.weights)
        square = len(shape) == 2 and round(shape[1] ** 0.5) ** 2 == shape[1] > 0
        if not square or shape[0] != len(self.tokens) or not self.tokens:
            raise EvaluationError(
                f"attention over an image: weights of shape {list(shape)} for {len(self.tokens)} "
                "tokens; expected [tokens, places], one token or more and a square number of "
                "places: cut padding from the weights as from the tokens"
            )
        places = tuple(str(place) for place in range(shape[1]))
        joined = whole_words(Alignment(places, self.tokens, self.weights))
        weights = np.asarray(joined.weights, np.float32)
        return replace(self, tokens=tuple(joined.target_tokens), weights=weights)


def where(weights: NDArray[Any]) -> str:
    """Say in which part of an image the most weight of a map lies: "upper left", "middle".

    Args:
        weights: of one word, float[side, side].
    """
    total = max(float(weights.sum()), 1e-9)
    places = (np.arange(len(weights)) + 0.5) / len(weights)
    row, column = (
        min(2, int(3 * float((weights.sum(axis=axis) * places).sum()) / total)) for axis in (1, 0)
    )
    return _NAMES[row][column]


@dataclass(frozen=True)
class Evidence:
    """Answers of other endpoints on the test rows.

    Attributes:
        greedy: captions without search, as `serve`'s outputs.
        look: of a row's number and a caption; None of a model without attention.
    """

    greedy: Mapping[str, NDArray[Any]]
    look: Callable[[int, str], Look | None]
