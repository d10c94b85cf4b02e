"""Images with captions from any source: read, looked at, split, and cached on disk."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pipelines.datasets.captions_options import CaptionedImage, CaptionOptions
from pipelines.datasets.captions_pictures import Look, look_at_all
from pipelines.datasets.captions_placement import place_images
from pipelines.datasets.captions_scan import CaptionScan
from pipelines.datasets.captions_sources import CaptionSource, find_caption_source
from pipelines.datasets.package_index import Progress
from pipelines.datasets.prepared import Preparation, Prepared, Unsplit, fingerprint
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import Splits, replaced_test, require_shares
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.text_files import codec_name
from pipelines.errors import DataError, require

READER_VERSION = 1  # raise it when the same files would give other images
_LOOKED_FOR = 50  # files of a cached split, evenly spaced
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
    """Read, look at, split and cache images with captions.

    Each image is one row with all its captions; it is decoded once, and left out and counted if it
    is broken, absent or without a caption. Equal pictures are kept once. Splits that the source
    brings stay as they are, others are drawn by group.

    Args:
        source: a folder of images and captions, a caption file, a built-in name, or `tfds:NAME`.
        options: folder of the images, columns, split files, shares, seed.
        folders: where fetched and prepared data are kept; default data/raw and data/cache.
        progress: told of a download, and of the images looked at, a few times a second.

    Returns:
        the three splits, on disk, with their data card; the images stay where they are.

    Raises:
        ConfigError: an option cannot be.
        DataError: the source is absent or unreadable, holds no images or captions, too many images
            are broken, or the cache cannot be written.
    """
    options, folders = options or CaptionOptions(), folders or DataFolders()
    require_options(options)
    found = find_caption_source(source, options, folders, progress)
    preparation = _preparation(source, found, options, folders)

    def read(path: Path) -> Prepared:
        scan = _scan(found, options, source, path, progress)
        rows = place_images(source, scan.groups(), scan.splits(), options)
        return Prepared(rows, {}, dropped=scan.dropped(), notes=scan.remarks.notes())

    splits = preparation.load(read, unit="images")
    _restore(found, splits)
    return splits


def require_options(options: CaptionOptions) -> None:
    """Refuse values that cannot work, before any data is read.

    Raises:
        ConfigError: the message names the option.
        DataError: the encoding is unknown.
    """
    require_shares(options.valid_share, options.test_share)
    broken, scenes = options.max_broken, options.scenes
    require(0 <= broken < 1, "max_broken", broken, "a share from 0 to below 1")
    require(scenes > 0, "scenes", scenes, "1 or more")
    codec_name(options.encoding)


def _preparation(
    source: str, found: CaptionSource, options: CaptionOptions, folders: DataFolders
) -> Preparation[CaptionedImage]:
    key = fingerprint(("captions", READER_VERSION), dataclasses.asdict(options), found)
    return Preparation(CaptionedImage, source, found, key, folders.cache)


def _scan(
    found: CaptionSource,
    options: CaptionOptions,
    source: str,
    path: Path,
    progress: Progress | None = None,
    *,
    all_as: str | None = None,
) -> CaptionScan:
    """Store the images' paths and captions at `path`."""
    scan = CaptionScan(options)
    scan.read(found.streams, all_as=all_as)
    scan.look(source, progress)
    Rows.of(CaptionedImage, scan.images(), path)
    return scan


def _restore(found: CaptionSource, splits: Splits[CaptionedImage]) -> None:
    """Make the pictures of a drawn or fetched set anew if someone emptied their folder."""
    if not _gone(splits):
        return
    for stream in found.streams:
        for _ in stream(Remarks()):
            pass
    gone = _gone(splits)
    if gone:
        raise DataError(
            f"{gone[0]}: this image is in the prepared data of {splits.card.source}, but no longer "
            "on disk; expected it where it was; put it back, or clear data/cache"
        )


def _gone(splits: Splits[CaptionedImage]) -> list[str]:
    looked = [row.path for _, rows in splits.named() for row in evenly(rows, _LOOKED_FOR)]
    return [path for path in looked if not Path(path).is_file()]


def load_captions_to_score(
    source: str, options: CaptionOptions | None = None, *, folders: DataFolders | None = None
) -> Splits[CaptionedImage]:
    """Read images with captions without splitting them: all are the test split, each once.

    Train and valid are empty.

    Args:
        source: as of `load_captions`.
        options: as of `load_captions`.
        folders: as of `load_captions`.

    Raises:
        ConfigError: an option cannot be.
        DataError: as of `load_captions`.
    """
    options, folders = options or CaptionOptions(), folders or DataFolders()
    require_options(options)
    found = find_caption_source(source, options, folders, None)

    def read(path: Path) -> Unsplit:
        scan = _scan(found, options, source, path, all_as="test")
        return Unsplit(scan.keys(), scan.dropped(), scan.remarks.notes())

    preparation = _preparation(source, found, options, folders)
    return preparation.load_to_score(read, repeats="copy of another image")


def without_known_images(
    rows: Splits[CaptionedImage], training: Splits[CaptionedImage]
) -> Splits[CaptionedImage]:
    """Leave out images to score that are, to the pixel, among the train or valid images.

    Raises:
        DataError: no image is left.
    """
    known = set(_pictures(training.train)) | set(_pictures(training.valid))
    fresh = [number for number, it in enumerate(_pictures(rows.test)) if it not in known]
    kept = rows.test.select(np.array(fresh, np.int64))
    return replaced_test(rows, kept, "image that was trained on")


def _pictures(rows: Iterable[CaptionedImage]) -> list[str]:
    """Return what tells pictures apart; an unreadable one is told by its path."""
    rows = list(rows)
    unknown = [row.path for row in rows if not row.pixels]
    looks = dict(zip(unknown, look_at_all([Path(it) for it in unknown]), strict=True))
    return [row.pixels or _told(looks[row.path], row.path) for row in rows]


def _told(look: object, path: str) -> str:
    return look.pixels if isinstance(look, Look) else path
