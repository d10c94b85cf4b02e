"""Checks of the pictures: sizes, shapes, colour, and pictures alike in two splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.captions_pictures import Look, look_at_all
from pipelines.datasets.common_checks import QUANTILE_NAMES, quantile_cells
from pipelines.datasets.findings import Finding, Level, Table

NEAR_BITS = 6  # of 64; copies saved anew or scaled differ in fewer
NEAR_COLOURS = 8.0  # mean difference of 255 over a grid: rules out pictures of like outline alone
LONG_SHAPE = 3.0  # a longer side over so many times the shorter loses much when made a square
TINY = 48  # pixels; a network that sees 96 gets little more than a smear
MANY = 0.05
MANY_TINY = 0.2
_SHOWN = 5
_BLOCK = 256


@dataclass(frozen=True)
class Looked:
    """The images of a split that were looked at, and how many the split has."""

    name: str
    rows: Sequence[CaptionedImage]
    looks: Sequence[Look]
    total: int


def looked_at(name: str, rows: Sequence[CaptionedImage], total: int) -> Looked:
    """Decode images for the checks; those that cannot be decoded are passed over."""
    found = zip(rows, look_at_all([Path(row.path) for row in rows]), strict=True)
    pairs = [(row, look) for row, look in found if isinstance(look, Look)]
    return Looked(name, [row for row, _ in pairs], [look for _, look in pairs], total)


def picture_sizes_finding(samples: Sequence[Looked]) -> Finding:
    """Report how large the images are, and how many are tiny."""
    lines = []
    for it in samples:
        for side in ("width", "height"):
            values = [getattr(look, side) for look in it.looks]
            lines.append((it.name, f"{len(it.looks):,}", side, *quantile_cells(values)))
    table: Table = (("split", "looked at", "pixels", *QUANTILE_NAMES), *lines)
    train = samples[0]
    tiny = [look for look in train.looks if min(look.width, look.height) < TINY]
    share = len(tiny) / max(len(train.looks), 1)
    detail = f"{share:.1%} of the training images have a side below {TINY} pixels"
    if share > MANY_TINY:
        detail += "; little is to be seen there: give larger ones, or a smaller --image-size"
    return Finding("warning" if share > MANY_TINY else "ok", "Image sizes", detail, table)


def shapes_finding(train: Looked) -> Finding:
    """Report images much longer than wide, or wider than long: a square shows little of them."""
    ratios = np.array([max(it.width, it.height) / min(it.width, it.height) for it in train.looks])
    order = np.argsort(-ratios, kind="stable")[:_SHOWN].tolist()
    share = float((ratios > LONG_SHAPE).mean()) if len(ratios) else 0.0
    detail = f"{share:.1%} of the training images are over {LONG_SHAPE:g} times as long as wide"
    if share > MANY:
        detail += "; in a square they are padded or cut: look at --fit"
    lines = [
        (train.rows[number].name, f"{look.width:,} x {look.height:,}", f"{ratios[number]:.1f}")
        for number, look in ((number, train.looks[number]) for number in order)
        if ratios[number] > LONG_SHAPE
    ]
    table: Table = (("image", "pixels", "ratio"), *lines) if lines else ()
    level: Level = "warning" if share > MANY else "note" if lines else "ok"
    return Finding(level, "Shapes", detail, table)


def grey_finding(samples: Sequence[Looked]) -> Finding:
    """Report the share of images without colour, which should be alike in train and test."""
    shares = {
        it.name: sum(look.grey for look in it.looks) / max(len(it.looks), 1) for it in samples
    }
    detail = "images without colour: " + ", ".join(
        f"{it:.1%} {name}" for name, it in shares.items()
    )
    differ = abs(shares["train"] - shares["test"]) > max(MANY, shares["train"] / 2)
    if differ:
        detail += "; the splits differ: they may not come from the same source"
    return Finding("warning" if differ else "ok", "Grey images", detail)


def same_pictures_finding(samples: Sequence[Looked]) -> Finding:
    """Report pictures, equal to the pixel, that stand in two splits."""
    train, *others = samples
    known = {look.pixels: row for row, look in zip(train.rows, train.looks, strict=True)}
    lines = [
        (it.name, row.name, known[look.pixels].name)
        for it in others
        for row, look in zip(it.rows, it.looks, strict=True)
        if look.pixels in known
    ]
    if not lines:
        return Finding("ok", "Same pictures", "no valid or test image is a training image")
    detail = (
        f"{len(lines):,} valid or test image(s) are training images to the pixel; leave them out "
        "of train, or scores will be too high"
    )
    return Finding("error", "Same pictures", detail, (("split", "image", "is"), *lines[:_SHOWN]))


def near_pictures_finding(train: Looked, other: Looked) -> Finding:
    """Report images of a split that look almost like a training image: copies, frames of a film.

    Two are near if their difference hashes share all but a few bits and their colours agree.
    """
    title = f"Near-copies, {other.name}"
    near = _near(train, other)
    looked = f"{len(other.looks):,} of {other.total:,} against {len(train.looks):,} of train"
    if not near:
        return Finding("ok", title, f"no {other.name} image looks almost like a training image")
    share = len(near) / len(other.looks)
    detail = (
        f"{len(near):,} {other.name} image(s) ({share:.1%}) look almost like a training image "
        f"(looked at {looked})"
    )
    if share > MANY:
        detail += "; if they are copies, scores will be too high: leave them out, or split by group"
    lines = [(other.rows[a].name, train.rows[b].name) for a, b in near[:_SHOWN]]
    table: Table = ((other.name, "train"), *lines)
    return Finding("warning" if share > MANY else "note", title, detail, table)


def _near(train: Looked, other: Looked) -> list[tuple[int, int]]:
    """Return the pairs of near images, one a row of `other`, that of the most alike colours."""
    if not train.looks or not other.looks:
        return []
    bits = [np.array([look.likeness for look in it.looks], np.uint64) for it in (other, train)]
    colours = [_colours(it.looks) for it in (other, train)]
    pairs = []
    for start in range(0, len(bits[0]), _BLOCK):
        block = bits[0][start : start + _BLOCK, None]
        for row, columns in enumerate(np.bitwise_count(block ^ bits[1]) <= NEAR_BITS):
            candidates = np.flatnonzero(columns)
            if not len(candidates):
                continue
            differences = np.abs(colours[1][candidates] - colours[0][start + row]).mean(axis=1)
            if differences.min() <= NEAR_COLOURS:
                pairs.append((start + row, int(candidates[differences.argmin()])))
    return pairs


def _colours(looks: Sequence[Look]) -> npt.NDArray[np.int16]:
    grids = [np.frombuffer(look.thumbnail, np.uint8) for look in looks]
    return np.stack(grids).astype(np.int16)
