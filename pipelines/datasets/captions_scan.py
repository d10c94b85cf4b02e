"""Join the captions of each image, look at every image once, and note what placement needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pipelines.datasets.captions_options import CaptionedImage, CaptionOptions, RawImage
from pipelines.datasets.captions_pictures import Fault, look_at_all
from pipelines.datasets.package_index import Progress
from pipelines.datasets.parallel_scan import clean_side
from pipelines.datasets.remarks import SHOWN_PLACES, Remarks
from pipelines.datasets.splits import SPLIT_NAMES
from pipelines.errors import DataError

LEFT_OUT = "image(s) left out: "
EMPTY, REPEATED = "empty caption(s), left out", "caption(s) repeated for an image, left out"
TWO_SPLITS = "image(s) named in two splits, kept in the later one"
NO_CAPTION = "no caption"
COPY = "copy of another image"
_NO_SPLIT = -1


@dataclass(slots=True)
class _Entry:
    """An image and what was read of it so far; `captions` keeps the order and drops repeats."""

    image: CaptionedImage
    split: int
    reason: str
    captions: dict[str, None] = field(default_factory=dict)
    pixels: str = ""


class CaptionScan:
    """Joins what was read of each image; holds the captions, never the pictures.

    Args:
        options: the share of images that may be unreadable.
    """

    def __init__(self, options: CaptionOptions) -> None:
        self.options, self.remarks = options, Remarks()
        self._entries: dict[str, _Entry] = {}

    def read(
        self,
        streams: Iterable[Callable[[Remarks], Iterator[RawImage]]],
        *,
        all_as: str | None = None,
    ) -> None:
        """Read all captions, one stream a file.

        Args:
            streams: of images with captions.
            all_as: the split to put every image in, whatever its source says.
        """
        for stream in streams:
            for raw in stream(self.remarks):
                self._add(raw._replace(split=all_as or raw.split))

    def _add(self, raw: RawImage) -> None:
        image, split = raw.image, raw.split
        code = _NO_SPLIT if split is None else SPLIT_NAMES.index(split)
        entry = self._entries.setdefault(image.path, _Entry(image, code, raw.reason))
        if code != entry.split:
            if min(code, entry.split) > _NO_SPLIT:
                self.remarks.add(TWO_SPLITS, image.origin or image.name)
            entry.split = max(code, entry.split)
        for caption in image.captions:
            clean = clean_side(caption)
            if not clean:
                self.remarks.add(EMPTY, image.origin or image.name)
            elif clean in entry.captions:
                self.remarks.add(REPEATED, image.origin or image.name)
            else:
                entry.captions[clean] = None

    def look(self, source: str, progress: Progress | None) -> None:
        """Decode every image once; leave out those that cannot be used, and copies.

        Raises:
            DataError: there is no image, none was found, or too many are unreadable.
        """
        named = len(self._entries)
        usable = []
        for entry in self._entries.values():
            reason = entry.reason or ("" if entry.captions else NO_CAPTION)
            if reason:
                self._leave_out(reason, f"{entry.image.origin} ({entry.image.name})")
            else:
                usable.append(entry)
        if not usable:
            raise self._nothing(source, named)
        kept, faults = [], []
        looks = look_at_all([Path(it.image.path) for it in usable], progress)
        for entry, look in zip(usable, looks, strict=True):
            if isinstance(look, Fault):
                faults.append(f"{entry.image.path}: {look.reason}")
                self._leave_out(look.kind, faults[-1])
            else:
                entry.pixels = look.pixels
                kept.append(entry)
        self._require_whole(source, faults, len(usable))
        self._entries = {it.image.path: it for it in self._without_copies(kept)}

    def _leave_out(self, reason: str, place: str) -> None:
        self.remarks.add(LEFT_OUT + reason, place)

    def _nothing(self, source: str, named: int) -> DataError:
        notes = "; ".join(self.remarks.notes()) or "no caption was read"
        return DataError(
            f"{source}: no image with a caption, of {named:,} named: {notes}; expected names of "
            "image files with captions; check them, or give the folder of the images as --images"
        )

    def _require_whole(self, source: str, faults: list[str], looked: int) -> None:
        """Refuse images of which more than --max-broken cannot be used."""
        most = self.options.max_broken
        if len(faults) <= most * looked and len(faults) < looked:
            return
        first = "; ".join(faults[:SHOWN_PLACES])
        raise DataError(
            f"{source}: {len(faults):,} of {looked:,} images cannot be used: {first}; expected at "
            f"most {most:.0%} (--max-broken), in PNG, JPEG, GIF, WebP or BMP; copy or convert "
            "them, or raise --max-broken to leave them out"
        )

    def _without_copies(self, entries: list[_Entry]) -> list[_Entry]:
        """Keep one of equal pictures: that of test, else of valid, else the first.

        Captions of copies in the same split are joined; those of others would change what a given
        valid or test split is judged by.
        """
        by_pixels: dict[str, list[_Entry]] = {}
        for entry in entries:
            by_pixels.setdefault(entry.pixels, []).append(entry)
        gone = set()
        for same in by_pixels.values():
            kept = max(same, key=lambda it: it.split)
            for copy in same:
                if copy is not kept:
                    gone.add(copy.image.path)
                    self._drop_copy(copy, kept)
        return [it for it in entries if it.image.path not in gone]

    def _drop_copy(self, copy: _Entry, kept: _Entry) -> None:
        place = f"{copy.image.path} is {kept.image.path}"
        if copy.split == kept.split:
            kept.captions.update(copy.captions)
            self._leave_out(f"{COPY}, captions joined", place)
        else:
            self._leave_out(f"{COPY} in {SPLIT_NAMES[kept.split]}", place)

    def images(self) -> Iterator[CaptionedImage]:
        """Yield the images that are kept, in the order in which they were first named."""
        for entry in self._entries.values():
            it = entry.image
            yield CaptionedImage(
                path=it.path,
                captions=tuple(entry.captions),
                name=it.name,
                group=it.group,
                origin=it.origin,
                scene=it.scene,
                pixels=entry.pixels,
            )

    def splits(self) -> npt.NDArray[np.int8]:
        """Return the split each kept image came with: -1 none, 0 train, 1 valid, 2 test, [N]."""
        return np.array([it.split for it in self._entries.values()], np.int8)

    def groups(self) -> list[str]:
        """Return a name for each kept image, equal for those that must share a split, [N]."""
        # The name, not the path: the same images in another folder are split alike.
        images = (it.image for it in self._entries.values())
        return [f"group {it.group}" if it.group else f"image {it.name or it.path}" for it in images]

    def keys(self) -> npt.NDArray[np.uint64]:
        """Return a number of each kept image's picture, uint64[N]."""
        return np.array([int(it.pixels, 16) for it in self._entries.values()], np.uint64)

    def dropped(self) -> dict[str, int]:
        """Return reason -> images left out."""
        counts = self.remarks.counts.items()
        return {what.removeprefix(LEFT_OUT): it for what, it in counts if what.startswith(LEFT_OUT)}
