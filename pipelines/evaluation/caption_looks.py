"""Where a captioner looked, and what else its report is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Look:
    """Where the model looked while it wrote each token of a caption.

    Attributes:
        tokens: the T tokens written.
        weights: over the P places of its square map, row by row, float32[T, P]; each row sums to 1.
    """

    tokens: tuple[str, ...]
    weights: NDArray[np.float32]

    def maps(self) -> NDArray[np.float32]:
        """Return the weights as maps, float32[T, side, side]."""
        side = round(self.weights.shape[1] ** 0.5)
        return self.weights.reshape(-1, side, side)


@dataclass(frozen=True)
class Evidence:
    """Answers of other endpoints on the test rows.

    Attributes:
        greedy: captions without search, as `serve`'s outputs.
        look: of a row's number and a caption; None of a model without attention.
    """

    greedy: Mapping[str, NDArray[Any]]
    look: Callable[[int, str], Look | None]
