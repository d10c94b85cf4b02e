"""What intervals and tests draw anew: groups of rows where enough are known, else single rows."""

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
class Kind:
    """What rows and their groups are called.

    Attributes:
        rows: the rows, in the plural.
        group: what several rows are of.
        groups: the same in the plural.
        shared: what rows of one group have in common, after "rows of one group".
    """

    rows: str
    group: str
    groups: str
    shared: str


PAIRS_OF_DOCUMENTS = Kind("pairs", "document", "documents", "share its subject and style")
IMAGES_OF_GROUPS = Kind("images", "group", "groups", "are variants of one picture")


@dataclass(frozen=True)
class Units:
    """What intervals and tests draw: groups, such as documents, where enough are known; else rows.

    Attributes:
        groups: int[N], the document of each pair; None where pairs are drawn.
        count: how many units there are.
        kind: what pairs and documents are called here.
        apart: no two rows are known to be of one group, so drawing rows is right.
    """

    groups: Array | None
    count: int
    kind: Kind = PAIRS_OF_DOCUMENTS
    apart: bool = False

    @property
    def name(self) -> str:
        """What a unit is, in the plural."""
        return self.kind.rows if self.groups is None else self.kind.groups

    def sentence(self) -> str:
        """Say what was resampled, and why."""
        rows, group, kind = self.kind.rows, self.kind.group, self.kind
        drawn = f"Intervals and p-values resample the {self.count:,} {self.name}"
        if self.groups is not None:
            return f"{drawn}, since {rows} of one {group} {kind.shared}."
        if self.apart:
            return f"{drawn}."
        return (
            f"{drawn}, as fewer than {MIN_DOCUMENTS} {kind.groups} are known; {rows} of one "
            f"{group} are alike, so the true intervals may be wider."
        )


def units_of(documents: Sequence[str]) -> Units:
    """Decide what to resample from the document of each pair, "" where it is unknown."""
    names, numbers = np.unique(np.array(documents, object).astype(str), return_inverse=True)
    if "" in names or len(names) < MIN_DOCUMENTS:
        return Units(None, len(documents))
    return Units(numbers, len(names))


def image_units(groups: Sequence[str]) -> Units:
    """Decide what to resample from the group of each image; one of group "" is a group by itself.

    Groups are drawn where there are 20 or more and they are fewer than the images.
    """
    named = [group or f"\0{row}" for row, group in enumerate(groups)]
    names, numbers = np.unique(np.array(named, object).astype(str), return_inverse=True)
    if len(names) == len(groups) or len(names) < MIN_DOCUMENTS:
        return Units(None, len(groups), IMAGES_OF_GROUPS, apart=len(names) == len(groups))
    return Units(numbers, len(names), IMAGES_OF_GROUPS)
