"""What a look at images with captions finds."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.datasets import captions_checks
from pipelines.datasets.captions import CaptionedImage
from pipelines.datasets.captions_checks import check_captions
from pipelines.datasets.findings import Finding
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits


def smooth(seed: int, size: tuple[int, int] = (96, 64)) -> Image.Image:
    """Return a picture of large patches, as photographs have, that no other seed gives."""
    values = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


class Album:
    """Images of a folder, written as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def row(self, name: str, image: Image.Image, *captions: str) -> CaptionedImage:
        path = self.folder / name
        image.save(path, quality=95)
        return CaptionedImage(str(path), captions or (f"a picture of {name}",), name)

    def splits(self, *parts: Sequence[CaptionedImage], **card: object) -> Splits[CaptionedImage]:
        rows = [Rows.of(CaptionedImage, part) for part in parts]
        counts = {"train": len(rows[0]), "valid": len(rows[1]), "test": len(rows[2])}
        return Splits(*rows, DataCard(source="here", counts=counts, **card))  # type: ignore[arg-type]


@pytest.fixture
def album(tmp_path: Path) -> Album:
    return Album(tmp_path)


def found(splits: Splits[CaptionedImage]) -> dict[str, Finding]:
    return {it.title: it for it in check_captions(splits)}


def plain(album: Album) -> list[list[CaptionedImage]]:
    numbers = (range(8), range(8, 10), range(10, 12))
    return [[album.row(f"{it}.png", smooth(it)) for it in part] for part in numbers]


def test_a_sound_set_gives_no_warning_but_of_its_size(album: Album) -> None:
    findings = found(album.splits(*plain(album)))
    warned = [it.title for it in findings.values() if it.level in ("warning", "error")]
    assert warned == ["Sizes", "Unknown words"]
    assert findings["Sizes"].table[1] == ("train", "8", "8", "8", "0")
    assert "under 2,000 training images an encoder learns little" in findings["Sizes"].detail
    assert findings["Near-copies, test"].level == "ok"


def test_pictures_in_two_splits_are_found(album: Album) -> None:
    train, valid, test = plain(album)
    test.append(album.row("same.bmp", smooth(3)))
    test.append(album.row("scaled.jpg", smooth(4).resize((60, 40))))
    findings = found(album.splits(train, valid, test))
    same = findings["Same pictures"]
    assert same.level == "error" and same.table[1] == ("test", "same.bmp", "3.png")
    assert "1 valid or test image(s) are training images to the pixel" in same.detail
    near = findings["Near-copies, test"]
    assert near.level == "warning"
    assert near.table[1:] == (("same.bmp", "3.png"), ("scaled.jpg", "4.png"))
    assert "2 test image(s) (50.0%)" in near.detail


def test_odd_shapes_tiny_and_grey_images_are_told(album: Album) -> None:
    train, valid, test = plain(album)
    train += [
        album.row("long.png", smooth(20, (200, 20))),
        album.row("tiny.png", smooth(21, (9, 9))),
    ]
    train += [album.row("wee.png", smooth(22, (12, 12)))]
    test = [album.row(f"g{it}.png", smooth(it).convert("L")) for it in range(30, 34)]
    findings = found(album.splits(train, valid, test))
    shapes = findings["Shapes"]
    assert shapes.level == "warning" and shapes.table[1] == ("long.png", "200 x 20", "10.0")
    sizes = findings["Image sizes"]
    assert sizes.level == "warning" and "27.3% of the training images have a side below 48" in (
        sizes.detail
    )
    grey = findings["Grey images"]
    assert grey.level == "warning"
    assert grey.detail.startswith("images without colour: 0.0% train, 0.0% valid, 100.0% test;")


def test_captions_in_two_splits_sides_and_uneven_numbers_are_told(album: Album) -> None:
    train, valid, test = plain(album)
    train += [album.row("a.png", smooth(40), "A dog to the left of a cat", "a dog")]
    train += [album.row("b.png", smooth(41), "a dog")]
    test += [album.row("c.png", smooth(42), "A dog", "two dogs")]
    findings = found(album.splits(train, valid, test))
    known = findings["Known captions, test"]
    assert known.level == "warning" and known.table[1] == ("'A dog'", "1")
    assert known.detail.startswith("1 test captions (25.0%) stand in train too")
    assert findings["Shared captions"].table[1] == ("'a dog'", "2")
    sides = findings["Sides"]
    assert sides.level == "note" and "'A dog to the left of a cat'" in sides.detail
    assert sides.detail.startswith("10.0% of the training images")
    captions = findings["Captions"]
    assert captions.level == "note" and "1.33 test" in captions.detail


def test_left_out_images_come_with_their_notes(album: Album) -> None:
    splits = album.splits(*plain(album), dropped={"unreadable": 1}, notes=("first: x.png",))
    finding = found(splits)["Images left out"]
    assert finding.level == "warning"  # one is enough: its file should be looked at
    assert finding.detail == "1 of 13 images (7.7%); first: x.png"


def test_large_splits_are_looked_at_in_part(album: Album, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(captions_checks, "SAMPLE_PICTURES", {"train": 3, "valid": 1, "test": 1})
    monkeypatch.setattr(captions_checks, "SAMPLE_IMAGES", 4)
    findings = found(album.splits(*plain(album)))
    assert [line[1] for line in findings["Image sizes"].table[1::2]] == ["3", "1", "1"]
    assert findings["Sizes"].table[1] == ("train", "8", "4", "4", "0")
