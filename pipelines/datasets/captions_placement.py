"""Decide which image is in which split: as its source says, else by group and seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipelines.datasets.captions_options import CaptionOptions
from pipelines.datasets.placement import TEST, VALID
from pipelines.datasets.splits import IntArray, group_split
from pipelines.errors import DataError


def place_images(
    source: str, groups: Sequence[str], splits: npt.NDArray[np.int8], options: CaptionOptions
) -> tuple[IntArray, IntArray, IntArray]:
    """Keep the splits that images came with; draw those that are missing, whole groups at a time.

    Args:
        source: named in messages.
        groups: of each image, N names; images of one group share a drawn split.
        splits: -1 none given, 0 train, 1 valid, 2 test, int8[N].
        options: shares of valid and test, seed.

    Returns:
        image numbers of train, valid and test, each sorted.

    Raises:
        DataError: there are fewer groups than splits to draw.
    """
    given = {split: np.flatnonzero(splits == split) for split in (VALID, TEST)}
    free = np.flatnonzero(splits < VALID)
    shares = {VALID: options.valid_share, TEST: options.test_share}
    drawn = {split: 0.0 if len(given[split]) else share for split, share in shares.items()}
    names = [groups[number] for number in free.tolist()]
    wanted = 1 + sum(share > 0 for share in drawn.values())
    if len(set(names)) < wanted:
        raise DataError(
            f"{source}: too few images: {len(free)} in {len(set(names))} group(s) to draw {wanted} "
            f"splits from; given are {len(given[VALID])} valid and {len(given[TEST])} test images; "
            "expected at least one image a split, and hundreds to learn from; give more"
        )
    fractions = (1.0 - sum(drawn.values()), drawn[VALID], drawn[TEST])
    train, valid, test = (free[part] for part in group_split(names, options.seed, fractions))
    return (
        train,
        given[VALID] if len(given[VALID]) else valid,
        given[TEST] if len(given[TEST]) else test,
    )
