"""Images with captions: how they are split, what is left out, and what is refused."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.datasets import captions_sources
from pipelines.datasets.captions import (
    CaptionedImage,
    CaptionOptions,
    load_captions,
    load_captions_to_score,
    without_known_images,
)
from pipelines.datasets.locate import Found
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError, DataError


def picture(seed: int, size: tuple[int, int] = (12, 9)) -> Image.Image:
    """Return a small picture that no other seed gives."""
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values)


def folder_of(tmp_path: Path, names: Sequence[str]) -> Path:
    """Write a picture under each name, in a folder."""
    folder = tmp_path / "photos"
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path)
    return folder


def captions_csv(folder: Path, names: Sequence[str], *, each: int = 2) -> Path:
    lines = ["image,caption"]
    lines += [f"{name},picture {name} said {it}" for name in names for it in range(each)]
    path = folder / "captions.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NAMES = [f"{number:02}.png" for number in range(20)]


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = folder_of(tmp_path, NAMES)
    captions_csv(folder, NAMES)
    return folder


def folders(tmp_path: Path) -> DataFolders:
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def load(tmp_path: Path, source: Path | str, **options: object) -> Splits[CaptionedImage]:
    return load_captions(str(source), CaptionOptions(**options), folders=folders(tmp_path))  # type: ignore[arg-type]


def score(tmp_path: Path, source: Path | str, **options: object) -> Splits[CaptionedImage]:
    return load_captions_to_score(str(source), CaptionOptions(**options), folders=folders(tmp_path))  # type: ignore[arg-type]


def refusal(tmp_path: Path, source: Path | str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(tmp_path, source, **options)
    return str(caught.value)


def names(rows: Sequence[CaptionedImage]) -> list[str]:
    return [row.name for row in rows]


def by_name(splits: Splits[CaptionedImage]) -> dict[str, CaptionedImage]:
    return {row.name: row for _, rows in splits.named() for row in rows}


def notes(splits: Splits[CaptionedImage]) -> str:
    return "\n".join(splits.card.notes)


def test_a_folder_is_split_by_image_and_read_back_from_the_cache(
    tmp_path: Path, album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load(tmp_path, album)
    assert (len(first.train), len(first.valid), len(first.test)) == (16, 2, 2)
    assert sorted(by_name(first)) == NAMES
    row = by_name(first)["03.png"]
    assert row.captions == ("picture 03.png said 0", "picture 03.png said 1")
    assert Path(row.path).is_absolute() and Path(row.path).samefile(album / "03.png")
    assert row.origin == f"{album / 'captions.csv'}:8"
    monkeypatch.setattr("pipelines.datasets.captions_scan.look_at_all", None)
    again = load(tmp_path, album)
    assert [list(rows) for _, rows in again.named()] == [list(rows) for _, rows in first.named()]


def test_the_split_depends_on_the_seed_but_not_on_where_the_folder_is(
    tmp_path: Path, album: Path
) -> None:
    here = load(tmp_path, album)
    moved = album.rename(tmp_path / "elsewhere")
    there, other = load(tmp_path, moved), load(tmp_path, moved, seed=3)
    assert names(here.test) == names(there.test) != names(other.test)
    assert here.card.fingerprint != there.card.fingerprint  # rows hold paths


def test_a_changed_image_makes_the_data_anew(tmp_path: Path, album: Path) -> None:
    first = load(tmp_path, album)
    picture(99, (30, 30)).save(album / "03.png")
    second = load(tmp_path, album)
    assert by_name(first)["03.png"].pixels != by_name(second)["03.png"].pixels


def test_missing_images_and_captions_are_counted_with_their_place(
    tmp_path: Path, album: Path
) -> None:
    table = captions_csv(album, [*NAMES[:18], "gone.png", "18.png"])
    table.write_text(table.read_text() + "18.png,\n18.png,picture 18.png said 0\n")
    splits = load(tmp_path, album)
    assert splits.card.dropped == {"file not found": 1}
    assert f"1 image(s) left out: file not found: {table}:38 (gone.png)" in notes(splits)
    assert f"1 image file(s) without a caption, not used: {album / '19.png'}" in notes(splits)
    assert f"1 row(s) without a caption or an image, left out: {table}:42" in notes(splits)
    assert f"1 caption(s) repeated for an image, left out: {table}:43" in notes(splits)


@pytest.mark.parametrize(
    "written",
    [
        "sub/Café.png",
        "sub\\Cafe\u0301.png",
        "./SUB/CAFÉ.PNG",
        "/home/someone/photos/Café.png",
        "Café",
        "café.png#3",
    ],
)
def test_an_image_is_found_however_its_name_is_written(tmp_path: Path, written: str) -> None:
    folder = folder_of(tmp_path, [*NAMES[:5], "sub/Café.png", "sub/.hidden.png"])
    captions_csv(folder, [*NAMES[:5], written])
    splits = load(tmp_path, folder)
    assert [it for it in by_name(splits).values() if Path(it.path).parent.name == "sub"]
    assert splits.card.dropped == {}


def test_a_name_of_several_files_is_none(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [*NAMES[:5], "a/x.png", "b/x.png"])
    captions_csv(folder, [*NAMES[:5], "x.png"])
    assert load(tmp_path, folder).card.dropped == {"name of several files": 1}


def test_a_few_broken_images_are_left_out_and_many_are_refused(tmp_path: Path, album: Path) -> None:
    (album / "07.png").write_bytes(b"")
    splits = load(tmp_path, album)
    assert splits.card.dropped == {"unreadable": 1}
    assert f"{album / '07.png'}: the file is empty" in notes(splits)
    (album / "08.png").write_bytes(b"II*\0")
    message = refusal(tmp_path, album)
    assert "2 of 20 images cannot be used" in message
    assert "07.png: the file is empty" in message and "08.png: TIFF; convert it" in message
    assert message.endswith(
        "expected at most 5% (--max-broken), in PNG, JPEG, GIF, WebP or BMP; copy or convert "
        "them, or raise --max-broken to leave them out"
    )
    dropped = load(tmp_path, album, max_broken=0.2).card.dropped
    assert dropped == {"unreadable": 1, "format not supported": 1}


def test_equal_pictures_are_one_image_with_all_captions(tmp_path: Path, album: Path) -> None:
    picture(3).save(album / "twin.png", optimize=True)
    captions_csv(album, [*NAMES, "twin.png"], each=1)
    splits = load(tmp_path, album)
    assert splits.card.dropped == {"copy of another image, captions joined": 1}
    wanted = ("picture 03.png said 0", "picture twin.png said 0")
    assert by_name(splits)["03.png"].captions == wanted
    assert f"{album / 'twin.png'} is {album / '03.png'}" in notes(splits)


def split_column(album: Path, split_of: dict[str, str], extra: Sequence[str] = ()) -> None:
    rows = [f"{name},{split_of[name]},picture {name}" for name in [*NAMES, *extra]]
    (album / "captions.csv").write_text("\n".join(["image,split,caption", *rows]))


def test_given_splits_stay_and_training_copies_of_test_images_go(
    tmp_path: Path, album: Path
) -> None:
    picture(2).save(album / "twin.png")
    given = dict.fromkeys(NAMES, "train") | {"02.png": "test", "05.png": "dev"}
    split_column(album, {**given, "twin.png": "train"}, ["twin.png"])
    splits = load(tmp_path, album)
    assert (names(splits.valid), names(splits.test)) == (["05.png"], ["02.png"])
    assert len(splits.train) == 18
    assert splits.test[0].captions == ("picture 02.png",)
    assert splits.card.dropped == {"copy of another image in test": 1}


def test_a_missing_split_is_drawn_from_train(tmp_path: Path, album: Path) -> None:
    split_column(album, {name: "test" if name < "04" else "train" for name in NAMES})
    splits = load(tmp_path, album, valid_share=0.25)
    assert names(splits.test) == NAMES[:4]
    assert (len(splits.train), len(splits.valid)) == (12, 4)


def test_an_image_named_in_two_splits_is_kept_in_the_later(tmp_path: Path, album: Path) -> None:
    split_column(album, {name: "test" if name < "04" else "train" for name in NAMES})
    table = album / "captions.csv"
    table.write_text(table.read_text() + "\n03.png,train,again\n")
    splits = load(tmp_path, album)
    assert names(splits.test) == NAMES[:4]
    assert f"1 image(s) named in two splits, kept in the later one: {table}:22" in notes(splits)


def drawn(tmp_path: Path, count: int) -> Iterator[tuple[CaptionedImage, str | None]]:
    folder = tmp_path / "cache" / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = folder / f"{number}.png"
        picture(number).save(path)
        group = f"base {number // 4}"
        yield CaptionedImage(str(path), (f"emoji {number}",), str(number), group, "", "{}"), None


@pytest.fixture
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: Found[None] = Found(name="scenes", streams=(), files={"font": "0"}, layout="drawn")
    found = replace(found, licence="CC", notes=("generated",))
    monkeypatch.setattr(
        captions_sources, "draw", lambda name, options, *_: (drawn(tmp_path, options.scenes), found)
    )


def test_drawn_images_of_one_group_share_a_split(tmp_path: Path, built_in: None) -> None:
    splits = load(tmp_path, "scenes", scenes=80)
    groups = [{row.group for row in rows} for _, rows in splits.named()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert [len(it) for it in groups] == [16, 2, 2]
    assert splits.card.licence == "CC" and "generated" in splits.card.notes
    assert by_name(splits)["7"].scene == "{}"


def test_pictures_swept_from_the_cache_are_made_again(tmp_path: Path, built_in: None) -> None:
    splits = load(tmp_path, "scenes", scenes=20)
    for path in (tmp_path / "cache" / "pictures").iterdir():
        path.unlink()
    again = load(tmp_path, "scenes", scenes=20)
    assert list(again.train) == list(splits.train)
    assert all(Path(row.path).is_file() for row in again.train)


def test_options_of_files_do_not_go_with_a_drawn_set(tmp_path: Path, built_in: None) -> None:
    assert "do not go with a built-in set; leave them out" in refusal(
        tmp_path, "scenes", test_file="x.txt"
    )


def test_all_images_to_score_are_the_test_split(tmp_path: Path, album: Path) -> None:
    splits = score(tmp_path, album)
    assert [len(rows) for _, rows in splits.named()] == [0, 0, 20]


def test_images_that_were_trained_on_are_left_out_of_a_score(tmp_path: Path, album: Path) -> None:
    training = load(tmp_path, album)
    known = sorted([*names(training.train), *names(training.valid)])
    other = tmp_path / "other"
    other.mkdir()
    for name in NAMES:
        picture(int(name[:2])).save(other / f"new-{name}", optimize=True)
    captions_csv(other, [f"new-{name}" for name in NAMES])
    rows = without_known_images(score(tmp_path, other), training)
    assert names(rows.test) == [f"new-{name}" for name in names(training.test)]
    assert rows.card.dropped == {"image that was trained on": len(known)}
    with pytest.raises(DataError, match="all 2 rows were left out: image that was trained on"):
        without_known_images(rows, replace(training, train=training.test))


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, NAMES[:2])
    captions_csv(folder, NAMES[:2])
    message = refusal(tmp_path, folder)
    assert "too few images: 2 in 2 group(s) to draw 3 splits from" in message
    assert message.endswith("hundreds to learn from; give more")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_broken": 1.0}, "option --max-broken is 1.0; it must be a share from 0 to below 1"),
        ({"scenes": 0}, "option --scenes is 0; it must be 1 or more"),
        ({"valid_share": 0.0}, "option --valid-share is 0.0; it must be a share between 0 and 1"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, "nowhere", **options)
