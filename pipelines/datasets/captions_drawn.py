"""Built-in sets of images with captions: drawings of emoji, and scenes composed of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pipelines.datasets.captions_options import CaptionedImage, CaptionOptions
from pipelines.datasets.locate import Found
from pipelines.datasets.package_index import Progress
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

BUILT_IN: Mapping[str, str] = {
    "openmoji": "emoji drawings and their standard names",
    "scenes": "generated scenes of two or three emoji drawings",
}


class DrawnImage(NamedTuple):
    """An image of a built-in set, and its split where the set fixes it (else its group does)."""

    image: CaptionedImage
    split: str | None


def draw(
    name: str, options: CaptionOptions, folders: DataFolders, progress: Progress | None = None
) -> tuple[Iterator[DrawnImage], Found[None]]:
    """Draw a built-in set, unless it is there, and read it.

    Args:
        name: a key of `BUILT_IN`.
        options: its seed, and of scenes their number and the shares of valid and test.
        folders: the font is fetched to `raw`; the pictures go to a folder of `cache`.
        progress: told of the download and of the drawing a few times a second.

    Returns:
        the images, read one by one from disk, and what identifies them.

    Raises:
        DataError: no such set, no network, or a disk that cannot be written.
    """
    del options, folders, progress
    raise DataError(f"{name}: cannot be drawn yet")
