"""Generated scenes, composed of drawings that the tests make; no font is needed."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipelines.datasets import captions_drawn
from pipelines.datasets.captions_drawn import BUILT_IN, draw
from pipelines.datasets.captions_options import CaptionOptions
from pipelines.datasets.scene_grammar import (
    ABOVE,
    BELOW,
    COLOURS,
    LEFT,
    RELATIONS,
    RIGHT,
    Scene,
    parse,
    true_of,
)
from pipelines.datasets.scenes import NOUNS, RGB, ScenePictures, recoloured
from pipelines.datasets.scenes_combinations import TEST, TRAIN, VALID, Combinations, deal
from pipelines.datasets.scenes_layout import SIDE, compose
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError, DataError

SHAPES = {noun: (60 + 13 * n % 90, 150 - 17 * n % 100) for n, noun in enumerate(NOUNS)}
MANY = 250  # scenes a split


class Blocks:
    """Stands for the font: a grey block with a black outline, of another size for each emoji."""

    def __init__(self, *_: object, absent: str = "") -> None:
        self.absent = absent

    def draw(self, emoji: str) -> Image.Image | None:
        number = crc32(emoji.encode())
        width, height = 60 + number % 90, 60 + number // 90 % 90
        drawing = Image.new("RGBA", (width, height), (255, 255, 255, 0))
        box = (2, 2, width - 3, height - 3)
        ImageDraw.Draw(drawing).rectangle(box, fill=(180, 180, 180, 255), outline="black", width=5)
        return None if emoji == self.absent else drawing


def composed(split: str, seed: int = 17, count: int = MANY) -> list[Scene]:
    dealt = deal(tuple(NOUNS), COLOURS, seed)
    return [
        compose(dealt, split, SHAPES, np.random.default_rng([seed, number]))
        for number in range(count)
    ]


def pairs_of(scene: Scene) -> set[tuple[str, str]]:
    return {(it.colour, it.noun) for it in scene.objects}


def triples_of(scene: Scene) -> set[tuple[str, str, str]]:
    """Facts in both directions of telling them."""
    return {
        (scene.objects[it.first].noun, it.place, scene.objects[it.second].noun)
        for relation in scene.relations
        for it in (relation, relation.turned())
    }


@pytest.fixture(scope="module")
def scenes() -> dict[str, list[Scene]]:
    return {split: composed(split) for split in (TRAIN, VALID, TEST)}


@pytest.mark.parametrize("seed", [0, 17, 4])
def test_every_combination_is_dealt_once(seed: int) -> None:
    dealt = deal(tuple(NOUNS), COLOURS, seed)
    pairs = Counter(
        (colour, noun)
        for split in (TRAIN, VALID, TEST)
        for noun, colours in dealt.pairs[split].items()
        for colour in colours
    )
    assert set(pairs) == set(itertools.product(COLOURS, NOUNS))
    assert set(pairs.values()) == {1}
    for place in (LEFT, ABOVE):
        triples = Counter(
            it for split in (TRAIN, VALID, TEST) for it in dealt.triples[split][place]
        )
        assert set(triples) == set(itertools.permutations(NOUNS, 2))
        assert set(triples.values()) == {1}


def test_each_noun_colour_and_place_is_met_in_training_in_many_combinations() -> None:
    dealt = deal(tuple(NOUNS), COLOURS, 17)
    assert {len(colours) for colours in dealt.pairs[TRAIN].values()} == {4, 5}
    met = Counter(colour for colours in dealt.pairs[TRAIN].values() for colour in colours)
    assert set(met.values()) == {len(NOUNS) * 9 // 12}
    for place in (LEFT, ABOVE):
        for side in (0, 1):
            met = Counter(pair[side] for pair in dealt.triples[TRAIN][place])
            assert set(met.values()) == {len(NOUNS) - 1 - 4 - 3}


def test_the_test_holds_nothing_that_training_or_validation_shows(
    scenes: dict[str, list[Scene]],
) -> None:
    for of in (pairs_of, triples_of):
        shown = {split: set().union(*map(of, scenes[split])) for split in scenes}  # type: ignore[arg-type]
        assert not shown[TEST] & (shown[TRAIN] | shown[VALID])
        assert shown[VALID] - shown[TRAIN]


def test_validation_is_half_as_training_and_half_unseen() -> None:
    dealt = deal(tuple(NOUNS), COLOURS, 17)
    known = {
        (first, place, second)
        for place in (LEFT, ABOVE)
        for first, second in dealt.triples[TRAIN][place]
    }
    told = [bool(triples_of(scene) & known) for scene in composed(VALID)]
    assert 0.4 < np.mean(told) < 0.6


def test_boxes_keep_apart_and_stand_only_as_told(scenes: dict[str, list[Scene]]) -> None:
    for scene in itertools.chain(*scenes.values()):
        for it in scene.objects:
            left, top, right, bottom = it.box
            assert 0 < left < right < SIDE
            assert 0 < top < bottom < SIDE
            assert 36 <= max(right - left, bottom - top) <= 44
        for (i, one), (j, two) in itertools.combinations(enumerate(scene.objects), 2):
            across = two.box[0] - one.box[2] >= 3 or one.box[0] - two.box[2] >= 3
            upright = two.box[1] - one.box[3] >= 3 or one.box[1] - two.box[3] >= 3
            related = any({it.first, it.second} == {i, j} for it in scene.relations)
            assert across or upright
            assert related != (across and upright)  # diagonal things are in no relation


def test_relations_are_those_of_the_boxes(scenes: dict[str, list[Scene]]) -> None:
    for scene in itertools.chain(*scenes.values()):
        for relation in scene.relations:
            one, two = scene.objects[relation.first].box, scene.objects[relation.second].box
            holds = {
                LEFT: one[2] < two[0],
                RIGHT: two[2] < one[0],
                ABOVE: one[3] < two[1],
                BELOW: two[3] < one[1],
            }
            assert holds[relation.place]
            axis = 1 if relation.place in (LEFT, RIGHT) else 0
            middles = [(box[axis] + box[axis + 2]) / 2 for box in (one, two)]
            assert abs(middles[0] - middles[1]) <= 9


def test_two_and_three_objects_are_as_frequent(scenes: dict[str, list[Scene]]) -> None:
    counts = Counter(len(scene.objects) for scene in itertools.chain(*scenes.values()))
    assert set(counts) == {2, 3}
    assert 0.8 < counts[2] / counts[3] < 1.25


def test_captions_are_true_and_none_of_them_comes_first_always() -> None:
    pictures = list(ScenePictures(Blocks(), {TRAIN: 60}, seed=5))
    first_places = set()
    for picture in pictures:
        scene = Scene.from_json(picture.scene)
        assert len(picture.captions) == len(set(picture.captions)) == (2, 4)[len(scene.objects) - 2]
        for caption in picture.captions:
            parsed = parse(caption)
            assert parsed is not None
            assert true_of(parsed, scene)
        first_places.add(parse(picture.captions[0]).relations[0].place)  # type: ignore[union-attr]
    assert first_places == set(RELATIONS)


def test_the_same_seed_gives_the_same_scenes_however_many() -> None:
    few = [it.image.tobytes() for it in ScenePictures(Blocks(), {TRAIN: 3, TEST: 2}, seed=1)]
    many = [it.image.tobytes() for it in ScenePictures(Blocks(), {TRAIN: 5, TEST: 3}, seed=1)]
    other = [it.image.tobytes() for it in ScenePictures(Blocks(), {TRAIN: 3, TEST: 2}, seed=2)]
    assert few == [*many[:3], *many[5:7]]
    assert not set(few) & set(other)


def test_the_background_is_white_or_a_light_tint() -> None:
    corners = [it.image.getpixel((0, 0)) for it in ScenePictures(Blocks(), {TRAIN: 40}, seed=3)]
    white = sum(it == (255, 255, 255) for it in corners)
    assert 10 < white < 30
    assert min(min(it) for it in corners) >= 228  # type: ignore[type-var, arg-type]


def test_a_drawing_takes_its_colour_in_fills_and_keeps_black_outlines() -> None:
    drawing = Blocks().draw("x")
    assert drawing is not None
    drawing.putpixel((30, 30), (90, 90, 90, 255))  # a shade
    painted = recoloured(drawing, RGB["blue"])
    assert painted.getpixel((drawing.width // 2, drawing.height // 2)) == (*RGB["blue"], 255)
    assert painted.getpixel((3, drawing.height // 2)) == (0, 0, 0, 255)
    assert painted.getpixel((0, 0))[3] == 0  # type: ignore[index]
    shade = np.array(painted.getpixel((30, 30))[:3]) / RGB["blue"]  # type: ignore[index]
    assert np.ptp(shade) < 0.05
    assert 0.4 < shade.mean() < 0.9


def test_colours_are_far_from_each_other() -> None:
    assert tuple(RGB) == COLOURS
    for one, two in itertools.combinations(RGB.values(), 2):
        assert np.linalg.norm(np.subtract(one, two)) > 80


def test_a_drawing_that_is_absent_is_named() -> None:
    with pytest.raises(DataError, match="no drawing of 'key'.*delete data/raw/openmoji"):
        ScenePictures(Blocks(absent=NOUNS["key"]), {TRAIN: 1}, seed=1)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolders:
    font = tmp_path / "font.ttf"
    font.write_bytes(b"a font")
    monkeypatch.setattr(captions_drawn, "fetch", lambda *_, **__: {"font": font})
    monkeypatch.setattr(captions_drawn, "EmojiFont", Blocks)
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def test_scenes_are_stored_once_and_read_from_disk(folders: DataFolders) -> None:
    told: list[str] = []
    options = CaptionOptions(scenes=40, valid_share=0.25, test_share=0.1)
    images, found = draw("scenes", options, folders, told.append)
    rows = list(images)
    assert Counter(it.split for it in rows) == {"train": 26, "valid": 10, "test": 4}
    assert rows[0].image.origin == "scenes:1"
    assert rows[0].image.name == "generated scene train 0"
    assert found.name == "scenes"
    assert found.licence == "CC BY-SA 4.0"
    assert "generated: 40 scenes" in found.notes[0]
    assert told == ["drawing scenes: 40 pictures", "drawing scenes: 0 of 40"]
    before = {it.image.path: Path(it.image.path).stat().st_mtime_ns for it in rows}
    again, same = draw("scenes", options, folders, told.append)
    assert list(again) == rows
    assert same == found
    assert len(told) == 2
    assert before == {path: Path(path).stat().st_mtime_ns for path in before}
    assert Image.open(rows[0].image.path).size == (SIDE, SIDE)


def test_files_are_the_same_bytes_and_another_seed_is_another_folder(
    folders: DataFolders, tmp_path: Path
) -> None:
    def digests(cache: Path, seed: int) -> list[str]:
        options = CaptionOptions(scenes=30, seed=seed)
        images, _ = draw("scenes", options, DataFolders(folders.raw, cache))
        return [hashlib.sha256(Path(it.image.path).read_bytes()).hexdigest() for it in images]

    first = digests(tmp_path / "one", 1)
    assert first == digests(tmp_path / "two", 1)
    assert not set(first) & set(digests(tmp_path / "one", 2))
    assert len(list((tmp_path / "one").iterdir())) == 2


def test_too_few_scenes_and_unknown_sets_are_refused(folders: DataFolders) -> None:
    with pytest.raises(ConfigError, match=r"option --scenes is 3; it must be at least 30"):
        draw("scenes", CaptionOptions(scenes=3), folders)
    with pytest.raises(ConfigError, match="--test-share"):
        draw("scenes", CaptionOptions(valid_share=0.5, test_share=0.5), folders)
    with pytest.raises(DataError, match="no built-in set of images 'scene'; did you mean 'scenes'"):
        draw("scene", CaptionOptions(), folders)
    assert {"openmoji", "openmoji:de", "scenes"} < set(BUILT_IN)


def test_a_noun_without_a_colour_of_its_own_takes_one_of_training() -> None:
    dealt = Combinations({TRAIN: {"dog": ("red",)}, VALID: {}}, {})
    assert dealt.colours(VALID, "dog") == ("red",)
