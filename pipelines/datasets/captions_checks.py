"""What a careful person would look at in images with captions before training on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipelines.captioning.flips import may_flip
from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.captions_picture_checks import (
    Looked,
    grey_finding,
    looked_at,
    near_pictures_finding,
    picture_sizes_finding,
    same_pictures_finding,
    shapes_finding,
)
from pipelines.datasets.common_checks import (
    QUANTILE_NAMES,
    left_out_finding,
    lengths_finding,
    quantile_cells,
)
from pipelines.datasets.findings import Finding, Table
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.text_checks import debris_finding, script_finding, unknown_words_finding

SAMPLE_IMAGES = 20_000  # of a split, for its captions
SAMPLE_PICTURES = {"train": 4_000, "valid": 1_000, "test": 1_000}  # to decode: some ten seconds
FEW_TRAINING, FEW_TEST = 2_000, 200
MANY_KNOWN = 0.2
_SHOWN = 5


@dataclass(frozen=True)
class _Caption:
    """A caption, as checks of texts take it."""

    text: str


@dataclass(frozen=True)
class _Sample:
    """Images of a split, evenly spaced, all their captions, and how many images there are."""

    name: str
    rows: Sequence[CaptionedImage]
    captions: Sequence[_Caption]
    total: int


def check_captions(splits: Splits[CaptionedImage]) -> list[Finding]:
    """Look at sizes, images left out, captions, words, sides, and at the pictures themselves.

    Args:
        splits: as `load_captions` returns them; of large ones a sample is looked at, and of a
            smaller one the pictures are decoded.

    Returns:
        findings in the order a person would ask; levels "ok", "note", "warning" and "error".
    """
    samples = [_sample(name, rows) for name, rows in splits.named()]
    train, valid, test = samples
    return [
        _sizes(samples),
        _left_out(splits.card),
        _captions_an_image(samples),
        _lengths(samples),
        unknown_words_finding(train.captions, test.captions),
        *(_known_captions(train, it) for it in (test, valid)),
        _repeated(train),
        _sides(train),
        debris_finding(train.captions),
        script_finding(train.captions),
        *_pictures(splits),
        _examples(train),
    ]


def _left_out(card: DataCard) -> Finding:
    """Warn of any image left out, since training says warnings alone: a broken one has a name."""
    finding = left_out_finding(card, "images", card.notes)
    return replace(finding, level="warning") if card.dropped else finding


def _sample(name: str, rows: Rows[CaptionedImage]) -> _Sample:
    looked = list(evenly(rows, SAMPLE_IMAGES))
    captions = [_Caption(text) for row in looked for text in row.captions]
    return _Sample(name, looked, captions, len(rows))


def _pictures(splits: Splits[CaptionedImage]) -> list[Finding]:
    looked: list[Looked] = []
    for name, rows in splits.named():
        looked.append(looked_at(name, list(evenly(rows, SAMPLE_PICTURES[name])), len(rows)))
    train, valid, test = looked
    return [
        picture_sizes_finding(looked),
        shapes_finding(train),
        grey_finding(looked),
        same_pictures_finding(looked),
        near_pictures_finding(train, test),
        near_pictures_finding(train, valid),
    ]


def _sizes(samples: Sequence[_Sample]) -> Finding:
    lines = []
    for it in samples:
        groups = len({row.group for row in it.rows if row.group})
        cells = (it.total, len(it.rows), len(it.captions), groups)
        lines.append((it.name, *(f"{number:,}" for number in cells)))
    header = ("split", "images", "looked at", "captions", "groups")
    train, test = samples[0].total, samples[2].total
    few = train < FEW_TRAINING or test < FEW_TEST
    detail = f"{train:,} images to learn from, {test:,} to be judged on"
    if few:
        detail += (
            f"; under {FEW_TRAINING:,} training images an encoder learns little from scratch, and "
            f"under {FEW_TEST:,} test images scores are uncertain"
        )
    return Finding("warning" if few else "ok", "Sizes", detail, (header, *lines))


def _captions_an_image(samples: Sequence[_Sample]) -> Finding:
    """Compare the number of captions: scores are the higher the more references there are."""
    counts = {it.name: [len(row.captions) for row in it.rows] for it in samples}
    lines = [(name, *quantile_cells(it)) for name, it in counts.items()]
    means = {name: sum(it) / max(len(it), 1) for name, it in counts.items()}
    detail = "captions an image: " + ", ".join(f"{it:.2f} {name}" for name, it in means.items())
    uneven = len(set(counts["test"])) > 1
    if uneven:
        detail += "; test images differ in number, and those with more are easier to score on"
    table: Table = (("split", *QUANTILE_NAMES), *lines)
    return Finding("note" if uneven else "ok", "Captions", detail, table)


def _words(text: str) -> int:
    return len(text.split())


def _lengths(samples: Sequence[_Sample]) -> Finding:
    words = {it.name: [_words(caption.text) for caption in it.captions] for it in samples}
    lines = [(name, *quantile_cells(it)) for name, it in words.items()]
    table: Table = (("split", *QUANTILE_NAMES), *lines)
    return lengths_finding(words["train"], words["test"], table, unit="words a caption")


def _known_captions(train: _Sample, other: _Sample) -> Finding:
    """Report captions of a split that stand in train: who repeats them gets them right."""
    title = f"Known captions, {other.name}"
    known = {caption.text.casefold() for caption in train.captions}
    found = [it.text for it in other.captions if it.text.casefold() in known]
    if not found:
        return Finding("ok", title, f"no {other.name} caption stands in train")
    share = len(found) / len(other.captions)
    detail = f"{len(found):,} {other.name} captions ({share:.1%}) stand in train too"
    if share > MANY_KNOWN:
        detail += "; a model can score by choosing among known captions: look at the baselines"
    lines = [(repr(text[:80]), f"{count:,}") for text, count in Counter(found).most_common(_SHOWN)]
    table: Table = (("caption", "times"), *lines)
    return Finding("warning" if share > MANY_KNOWN else "note", title, detail, table)


def _repeated(train: _Sample) -> Finding:
    """Report captions that many training images share, such as a phrase for no caption at all."""
    counts = Counter(text for row in train.rows for text in set(row.captions))
    lines = [
        (repr(text[:80]), f"{count:,}") for text, count in counts.most_common(_SHOWN) if count > 1
    ]
    if not lines:
        return Finding("ok", "Shared captions", "no two training images share a caption")
    share = counts.most_common(1)[0][1] / len(train.rows)
    shared = sum(1 for count in counts.values() if count > 1)
    detail = f"{shared:,} captions stand at several training images, one at {share:.1%} of them"
    if share > MANY_KNOWN / 2:
        detail += "; if it says nothing of the image, leave it out"
    table: Table = (("caption", "images"), *lines)
    return Finding(
        "warning" if share > MANY_KNOWN / 2 else "note", "Shared captions", detail, table
    )


def _sides(train: _Sample) -> Finding:
    """Report how many images are never mirrored in training, since that would make captions lie."""
    kept = [row for row in train.rows if not may_flip(row.captions)]
    share = len(kept) / max(len(train.rows), 1)
    if not kept:
        detail = "no training caption names a side or what reads otherwise in a mirror"
        return Finding("ok", "Sides", detail)
    shown = next(it for it in kept[0].captions if not may_flip([it]))
    detail = (
        f"{share:.1%} of the training images have a caption that a mirror image would make false, "
        f"such as {shown[:80]!r}; training never mirrors those"
    )
    return Finding("note", "Sides", detail)


def _examples(train: _Sample) -> Finding:
    """Show training captions, for the eye that no check replaces."""
    order = np.random.default_rng(0).permutation(len(train.rows))[:6].tolist()
    lines = [(row.path, row.captions[0][:100]) for row in (train.rows[it] for it in order)]
    header = ("image", "first caption")
    return Finding("ok", "Examples", "do these fit each other?", (header, *lines))
