"""What intervals and tests draw anew: documents where enough are known, else single rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
TRIALS = 1000
MIN_DOCUMENTS = 20  # fewer say too little about how documents vary


@dataclass(frozen=True)
class Units:
    """What intervals and tests draw: documents where enough are known, else single pairs.

    Attributes:
        groups: int[N], the document of each pair; None where pairs are drawn.
        count: how many units there are.
    """

    groups: Array | None
    count: int

    @property
    def name(self) -> str:
        """What a unit is, in the plural."""
        return "pairs" if self.groups is None else "documents"

    def sentence(self) -> str:
        """Say what was resampled, and why."""
        if self.groups is not None:
            return (
                f"Intervals and p-values resample the {self.count:,} documents, since pairs of "
                "one document share its subject and style."
            )
        return (
            f"Intervals and p-values resample the {self.count:,} pairs, as fewer than "
            f"{MIN_DOCUMENTS} documents are known; pairs of one document are alike, so the true "
            "intervals may be wider."
        )


def units_of(documents: Sequence[str]) -> Units:
    """Decide what to resample from the document of each pair, "" where it is unknown."""
    names, numbers = np.unique(np.array(documents, object).astype(str), return_inverse=True)
    if "" in names or len(names) < MIN_DOCUMENTS:
        return Units(None, len(documents))
    return Units(numbers, len(names))
