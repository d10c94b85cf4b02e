"""What every reader of captioned images takes and gives: options, captions read, images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


@dataclass(frozen=True, kw_only=True)
class CaptionOptions:
    """How to read images and their captions; an empty value means to find it out."""

    images: str = ""
    """Folder of the images, where the captions are in a file elsewhere."""
    image_column: str = ""
    """Of tables, the column of the image's file name (in jsonl its key): its name, or number from
    1."""
    caption_column: str = ""
    """The same for the caption, or the list of captions."""
    delimiter: str = ""
    """Of csv files; empty means that the first line tells it."""
    encoding: str = "utf-8"
    """Of caption files."""
    valid_file: str = ""
    """Captions of the validation images, or a list of their names such as Flickr_8k.devImages.txt;
    a bare name is looked for beside the captions too."""
    test_file: str = ""
    """The same for the test images."""
    valid_share: float = 0.1
    """Share of the images to set aside for validation, if the source brings no such split."""
    test_share: float = 0.1
    """The same for the test."""
    max_broken: float = 0.05
    """Share of the images that may be unreadable; more of them are an error."""
    scenes: int = 12_000
    """Of the built-in set "scenes", how many to generate."""
    seed: int = 17
    """Draws the split where the source has none, and the generated scenes."""


@dataclass(frozen=True)
class CaptionedImage:
    """An image on disk and what people said of it.

    Args:
        path: the image's file.
        captions: one or more, each without outer blanks, on one line.
        name: what the image is called in its source.
        group: images of one group other than "" share a split.
        origin: where its first caption was read, as "captions.txt:7".
        scene: JSON of what is drawn; generated scenes only.
        pixels: hash of what it shows, equal for equal pictures; "" where nobody looked at it yet.
    """

    path: str
    captions: tuple[str, ...]
    name: str = ""
    group: str = ""
    origin: str = ""
    scene: str = ""
    pixels: str = ""


class RawImage(NamedTuple):
    """An image as its source names it, with some or all of its captions, before any check.

    Several of one image may come, from several lines; they are joined later. `split` is the one
    that the source names; `reason` says why the image cannot be used, such as a file not found.
    """

    image: CaptionedImage
    split: str | None = None
    reason: str = ""


class RawCaptions(NamedTuple):
    """Captions as read, with what their file calls the image, before it was looked for."""

    image: str
    captions: tuple[str, ...]
    origin: str
    split: str | None = None
