"""Images with captions from any source: read, looked at, split, and cached on disk."""

from __future__ import annotations

from pipelines.datasets.captions_options import CaptionedImage, CaptionOptions
from pipelines.datasets.package_index import Progress
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

__all__ = [
    "CaptionOptions",
    "CaptionedImage",
    "load_captions",
    "load_captions_to_score",
    "without_known_images",
]


def load_captions(
    source: str,
    options: CaptionOptions | None = None,
    *,
    folders: DataFolders | None = None,
    progress: Progress | None = None,
) -> Splits[CaptionedImage]:
    """Read, look at, split and cache images with captions."""
    del options, folders, progress
    raise DataError(f"{source}: captions cannot be read yet")


def load_captions_to_score(
    source: str, options: CaptionOptions | None = None, *, folders: DataFolders | None = None
) -> Splits[CaptionedImage]:
    """Read images with captions without splitting them: all are the test split."""
    del options, folders
    raise DataError(f"{source}: captions cannot be read yet")


def without_known_images(
    rows: Splits[CaptionedImage], training: Splits[CaptionedImage]
) -> Splits[CaptionedImage]:
    """Leave out images to score that are among the train or valid images."""
    del training
    return rows
