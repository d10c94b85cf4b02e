"""Built-in sets of images with captions: drawings of emoji, and scenes composed of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import emoji
import PIL
from PIL import features

from pipelines.datasets import openmoji, scenes
from pipelines.datasets.captions_options import CaptionedImage, CaptionOptions
from pipelines.datasets.locate import Found
from pipelines.datasets.openmoji_font import EmojiFont, Picture
from pipelines.datasets.openmoji_names import LANGUAGES
from pipelines.datasets.package_index import Progress
from pipelines.datasets.scenes_combinations import TEST, TRAIN, VALID
from pipelines.datasets.sources import fetch, find_source
from pipelines.datasets.splits import require_shares
from pipelines.datasets.storage import DataFolders, file_sha256, new_folder
from pipelines.errors import DataError, did_you_mean, require

OPENMOJI, SCENES = "openmoji", "scenes"
BUILT_IN: Mapping[str, str] = {
    OPENMOJI: "emoji drawings and their standard names",
    **{f"{OPENMOJI}:{code}": f"the same, named in {code}" for code in LANGUAGES if code != "en"},
    SCENES: "generated scenes of two or three emoji drawings",
}
DRAWING_VERSION = 2  # raise it when the same font would give other pictures or captions
LEAST_SCENES = 30
_INDEX, _NOTES = "pictures.jsonl", "notes.json"
_IN_A_FOLDER, _EVERY = 1_000, 200  # pictures
_COMPRESSION = 3  # a third of the default's time for a few per cent of its bytes


class DrawnImage(NamedTuple):
    """An image of a built-in set, and its split where the set fixes it (else its group does)."""

    image: CaptionedImage
    split: str | None


class _Pictures(Protocol):
    """Pictures drawn one by one; the length is an upper bound of their number."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Picture]: ...


class _Plan(NamedTuple):
    """How a set is drawn, what of the options it depends on, and what to say of it."""

    pictures: Callable[[], _Pictures]
    settings: Mapping[str, object]
    notes: Callable[[_Pictures], list[str]]


def draw(
    name: str, options: CaptionOptions, folders: DataFolders, progress: Progress | None = None
) -> tuple[Iterator[DrawnImage], Found[None]]:
    """Draw a built-in set, unless it is there, and read it.

    Args:
        name: a key of `BUILT_IN`.
        options: for scenes their number, the seed and the shares of valid and test.
        folders: the font is fetched to `raw`; the pictures go to a folder of `cache`.
        progress: told of the download and of the drawing a few times a second.

    Returns:
        the images, read one by one from disk, and what identifies them.

    Raises:
        ConfigError: too few scenes, or shares that cannot be.
        DataError: no such set, no network, or a disk that cannot be written.
    """
    if name not in BUILT_IN:
        raise DataError(
            f"no built-in set of images {name!r}{did_you_mean(name, BUILT_IN)}; "
            f"known: {', '.join(BUILT_IN)}"
        )
    kind, _, language = name.partition(":")
    if kind == SCENES:
        _require_options(options)
    font = fetch(find_source(OPENMOJI), folders.raw, progress=progress)["font"]
    plan = _scenes(font, options) if kind == SCENES else _openmoji(font, language or "en")
    sha256 = file_sha256(font)
    settings = json.dumps([DRAWING_VERSION, name, sha256, _versions(), plan.settings])
    key = hashlib.sha256(settings.encode()).hexdigest()[:16]
    folder = folders.cache / f"{name.replace(':', '-')}-pictures-{key}"
    if not (folder / _INDEX).is_file():
        _store(plan, folder, name, progress or (lambda _: None))
    return _read(folder, name), _found(name, font, sha256, settings, folder)


def _require_options(options: CaptionOptions) -> None:
    require_shares(options.valid_share, options.test_share)
    least = f"at least {LEAST_SCENES}"
    require(options.scenes >= LEAST_SCENES, "scenes", options.scenes, least)


def _versions() -> list[str]:
    """Return the versions of all that may change a picture or a name."""
    libraries = [str(features.version(it)) for it in ("freetype2", "raqm", "harfbuzz")]
    return [emoji.__version__, PIL.__version__, *libraries]


def _openmoji(font: Path, language: str) -> _Plan:
    def pictures() -> openmoji.EmojiPictures:
        return openmoji.EmojiPictures(EmojiFont(font, openmoji.TYPE_PIXELS), language)

    def notes(drawn: _Pictures) -> list[str]:
        left_out = drawn.left_out if isinstance(drawn, openmoji.EmojiPictures) else {}
        return [
            "drawings with short names, not photographs with sentences",
            *(f"left out: {count:,} {what}" for what, count in sorted(left_out.items())),
        ]

    return _Plan(pictures, {}, notes)


def _scenes(font: Path, options: CaptionOptions) -> _Plan:
    counts = _scene_counts(options)

    def pictures() -> scenes.ScenePictures:
        drawings = EmojiFont(font, scenes.TYPE_PIXELS)
        return scenes.ScenePictures(drawings, counts, options.seed)

    def notes(_: _Pictures) -> list[str]:
        return [
            f"generated: {options.scenes:,} scenes composed of recoloured drawings by a program, "
            f"their sentences by a grammar (seed {options.seed}); nobody drew or described them",
            "no noun of the test has its colour in training, nor stands beside, above or below "
            "another noun as it does there; half of the validation scenes are of such kinds too",
        ]

    return _Plan(pictures, {"counts": counts, "seed": options.seed}, notes)


def _scene_counts(options: CaptionOptions) -> dict[str, int]:
    valid = max(1, round(options.scenes * options.valid_share))
    test = max(1, round(options.scenes * options.test_share))
    return {TRAIN: options.scenes - valid - test, VALID: valid, TEST: test}


def _store(plan: _Plan, folder: Path, name: str, progress: Progress) -> None:
    """Write the pictures as PNG files and a list of them, one by one."""
    with new_folder(folder) as partial:
        pictures = plan.pictures()
        progress(f"drawing {name}: {len(pictures):,} pictures")
        with (partial / _INDEX).open("w", encoding="utf-8") as index:
            for number, picture in enumerate(pictures):
                file = _picture_path(number)
                (partial / file).parent.mkdir(exist_ok=True)
                picture.image.save(partial / file, compress_level=_COMPRESSION)
                index.write(_index_line(file, picture))
                if number % _EVERY == 0:
                    progress(f"drawing {name}: {number:,} of {len(pictures):,}")
        notes = json.dumps(plan.notes(pictures), indent=1)
        (partial / _NOTES).write_text(notes, encoding="utf-8")


def _picture_path(number: int) -> str:
    return f"{number // _IN_A_FOLDER:03}/{number:06}.png"


def _index_line(file: str, picture: Picture) -> str:
    row = {
        "file": file,
        "captions": picture.captions,
        "name": picture.name,
        "group": picture.group,
        "split": picture.split,
        "scene": picture.scene,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def _read(folder: Path, name: str) -> Iterator[DrawnImage]:
    with (folder / _INDEX).open(encoding="utf-8") as index:
        for number, line in enumerate(index, 1):
            row = json.loads(line)
            image = CaptionedImage(
                path=str(folder / row["file"]),
                captions=tuple(row["captions"]),
                name=row["name"],
                group=row["group"],
                origin=f"{name}:{number}",
                scene=row["scene"],
            )
            yield DrawnImage(image, row["split"] or None)


def _found(name: str, font: Path, sha256: str, settings: str, folder: Path) -> Found[None]:
    kind, _, language = name.partition(":")
    published = find_source(kind)
    return Found(
        name=name.replace(":", "-"),
        streams=(),
        files={str(font): sha256},
        layout=settings,
        licence=published.licence,
        citation=published.citation,
        language=language or "en",
        notes=tuple(json.loads((folder / _NOTES).read_text(encoding="utf-8"))),
    )
