"""Emoji, their names and groups; drawings are made by the tests but where the font is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, features

from pipelines.datasets import captions_drawn, openmoji_font
from pipelines.datasets.captions_drawn import draw
from pipelines.datasets.captions_options import CaptionOptions
from pipelines.datasets.openmoji import ABSENT, DAMAGED, SIDE, UNNAMEABLE, EmojiPictures, on_white
from pipelines.datasets.openmoji_font import EmojiFont
from pipelines.datasets.openmoji_names import (
    base_emoji,
    groups_of,
    name_of,
    standard_emoji,
    tones_of,
)
from pipelines.datasets.scenes import NOUNS
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError

LIGHT, DARK, JOIN, STYLE = "\U0001f3fb", "\U0001f3ff", "\u200d", "\ufe0f"
FEMALE, RIGHTWARDS = f"{JOIN}\u2640{STYLE}", f"{JOIN}\u27a1{STYLE}"
BIKER, WALKER, MAN, WOMAN = "\U0001f6b4", "\U0001f6b6", "\U0001f468", "\U0001f469"
STANDING, MAN_STANDING = "\U0001f9cd", f"\U0001f9cd{JOIN}\u2642{STYLE}"
APPLE, KEY, HEART, CROWN = "\U0001f34e", "\U0001f511", f"\u2764{STYLE}", "\U0001f451"
FRANCE, ENGLAND = (
    "\U0001f1eb\U0001f1f7",
    "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e" + ("\U000e0067\U000e007f"),
)
FONT = Path(__file__).parents[2] / "data" / "raw" / "openmoji" / "glyf_colr0.ttf"
with_font = pytest.mark.skipif(not FONT.is_file(), reason="needs the font of make data-captioning")


class Squares:
    """Stands for the font: emoji -> side of a black square, or None where it has none."""

    def __init__(self, sides: Mapping[str, int | None]) -> None:
        self.sides = sides

    def draw(self, emoji: str) -> Image.Image | None:
        side = self.sides[emoji]
        return None if side is None else Image.new("RGBA", (side, side), (0, 0, 0, 255))


def drawn(sides: Mapping[str, int | None], language: str = "en") -> EmojiPictures:
    return EmojiPictures(Squares(sides), language, list(sides))


@pytest.mark.parametrize(
    ("sequence", "name"),
    [
        (f"{BIKER}{DARK}{FEMALE}", "woman biking: dark skin tone"),
        (f"{WALKER}{DARK}{FEMALE}{RIGHTWARDS}", "woman walking facing right: dark skin tone"),
        (f"{WOMAN}{DARK}{JOIN}\U0001f9b1", "woman: dark skin tone, curly hair"),
        (f"{MAN}{JOIN}{WOMAN}{JOIN}\U0001f467", "family: man, woman, girl"),
        (
            f"{WOMAN}{LIGHT}{JOIN}{HEART}{JOIN}\U0001f48b{JOIN}{MAN}{DARK}",
            "kiss: woman, man, light skin tone, dark skin tone",
        ),
        (FRANCE, "flag: France"),
        (ENGLAND, "flag: England"),
        (f"\U0001f3f3{STYLE}{JOIN}\U0001f308", "rainbow flag"),
        (f"#{STYLE}\u20e3", "keycap: #"),
        ("\U0001f51f", "keycap: 10"),
        (f"\U0001f170{STYLE}", "A button (blood type)"),
        ("\U0001f550", "one o\u2019clock"),
        (APPLE, "red apple"),
    ],
)
def test_names_read_as_published(sequence: str, name: str) -> None:
    assert name_of(sequence) == name


def test_names_come_in_other_languages() -> None:
    sequence = f"{BIKER}{DARK}{FEMALE}"
    assert name_of(sequence, "de") == "radfahrerin dunkle hautfarbe"
    assert name_of(sequence, "es") == "mujer en bicicleta tono de piel oscuro"
    assert name_of(sequence, "fr") == "cycliste femme peau fonc\u00e9e"
    assert ", " in name_of(f"{WOMAN}{LIGHT}{JOIN}{HEART}{JOIN}\U0001f48b{JOIN}{MAN}{DARK}", "de")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (BIKER, f"{BIKER}{DARK}{FEMALE}"),
        (WALKER, f"{WALKER}{LIGHT}{FEMALE}{RIGHTWARDS}"),
        (MAN, f"{WOMAN}{DARK}{JOIN}\U0001f9b0"),
        ("\U0001f471", "\U0001f9d4"),
        (f"{MAN}{JOIN}\U0001f680", f"\U0001f9d1{LIGHT}{JOIN}\U0001f680"),
        ("\U0001f46b", f"\U0001f9d1{DARK}{JOIN}\U0001f91d{JOIN}\U0001f9d1{LIGHT}"),
        ("\U0001f48f", f"{WOMAN}{LIGHT}{JOIN}{HEART}{JOIN}\U0001f48b{JOIN}{MAN}{DARK}"),
        ("\U0001f491", f"{MAN}{JOIN}{HEART}{JOIN}{MAN}"),
        ("\U0001f46a", f"{MAN}{JOIN}{WOMAN}{JOIN}\U0001f467{JOIN}\U0001f466"),
        ("\U0001f91d", f"\U0001faf1{LIGHT}{JOIN}\U0001faf2{DARK}"),
        (f"#{STYLE}\u20e3", "\U0001f51f"),
        ("\U0001f550", "\U0001f567"),
    ],
)
def test_variants_have_one_base(one: str, two: str) -> None:
    assert base_emoji(one) == base_emoji(two)


def test_other_things_have_other_bases() -> None:
    things = [APPLE, KEY, BIKER, WALKER, MAN, "\U0001f46a", "\U0001f48f", "\U0001f491", FRANCE]
    astronaut = f"{MAN}{JOIN}\U0001f680"
    signs = [f"\u2640{STYLE}", f"\u2642{STYLE}", f"\u27a1{STYLE}"]
    bases = [base_emoji(it) for it in (*things, astronaut, *signs)]
    assert len(set(bases)) == len(bases)


def test_groups_of_all_emoji_keep_variants_together() -> None:
    everything = standard_emoji()
    groups = groups_of(everything)
    assert len(everything) == len(groups) == 3963
    assert 1_500 < len(set(groups.values())) < 1_650
    without_tone = {it for it in everything if not tones_of(it)}
    toned_groups = {groups[it] for it in everything if tones_of(it)}
    assert toned_groups <= {groups[it] for it in without_tone}
    assert groups[BIKER] == "person biking"
    assert groups[HEART] == groups["\U0001f499"] == "heart"
    assert groups[f"\u2b05{STYLE}"] == groups[f"\u2197{STYLE}"] == "arrow"
    assert groups[FRANCE] != groups["\U0001f1e9\U0001f1ea"]
    assert groups["\U0001f34a"] == "tangerine"


def test_tones_of_people_alike_count_once() -> None:
    couple = f"{MAN}{DARK}{JOIN}{HEART}{JOIN}{MAN}{DARK}"
    assert tones_of(couple) == tones_of(f"\U0001f491{DARK}") == DARK
    assert tones_of(f"{MAN}{DARK}{JOIN}{HEART}{JOIN}{MAN}{LIGHT}") == DARK + LIGHT
    assert tones_of(APPLE) == ""


def test_drawings_alike_come_once_with_all_true_names() -> None:
    pictures = list(drawn({STANDING: 90, APPLE: 60, MAN_STANDING: 90, KEY: 61}))
    assert [it.captions for it in pictures] == [
        ("person standing", "man standing"),
        ("red apple",),
        ("key",),
    ]
    assert [it.group for it in pictures] == ["person standing", "apple", "key"]
    assert pictures[0].name == STANDING


def test_names_that_tell_more_than_is_drawn_are_left_out() -> None:
    shown = drawn({BIKER: 50, f"{BIKER}{DARK}": 50, f"{WALKER}{DARK}": 80, f"{WALKER}{LIGHT}": 80})
    assert [it.captions for it in shown] == [("person biking",)]
    assert shown.left_out == {UNNAMEABLE: 2}


def test_what_the_font_lacks_or_draws_wrongly_is_counted() -> None:
    shown = drawn({APPLE: None, "\U0001f195": 70, KEY: 60})
    assert [it.captions for it in shown] == [("key",)]
    assert shown.left_out == {ABSENT: 1, DAMAGED: 1}
    assert len(shown) == 3


@pytest.mark.parametrize(("side", "expected"), [(100, 50), (184, 92), (230, 92)])
def test_a_drawing_is_centred_on_white_and_no_larger_than_fits(side: int, expected: int) -> None:
    picture = np.asarray(on_white(Image.new("RGBA", (side, side), (0, 0, 0, 255))))
    assert picture.shape == (SIDE, SIDE, 3)
    dark = np.flatnonzero((picture < 128).all(axis=(1, 2)) | (picture < 128).any(axis=(1, 2)))
    assert len(dark) == expected
    assert dark[0] + dark[-1] == SIDE - 1


def test_a_pillow_that_cannot_join_sequences_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openmoji_font.features, "check", lambda _: False)
    with pytest.raises(DataError, match=r"a\.ttf: this Pillow cannot join emoji.*reinstall Pillow"):
        EmojiFont(Path("a.ttf"), 20)


def test_the_set_is_stored_with_its_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "font.ttf").write_bytes(b"a font")
    font = {"font": tmp_path / "font.ttf"}
    monkeypatch.setattr(captions_drawn, "fetch", lambda *_, **__: font)
    sides = {APPLE: 40, KEY: 60, CROWN: None}
    monkeypatch.setattr(captions_drawn, "EmojiFont", lambda *_: Squares(sides))
    monkeypatch.setattr("pipelines.datasets.openmoji.standard_emoji", lambda: list(sides))
    folders = DataFolders(tmp_path / "raw", tmp_path / "cache")
    images, found = draw("openmoji:fr", CaptionOptions(), folders)
    rows = list(images)
    assert [it.image.captions for it in rows] == [("pomme rouge",), ("cl\u00e9",)]
    assert {it.split for it in rows} == {None}
    assert rows[1].image.origin == "openmoji:fr:2"
    assert found.name == "openmoji-fr"
    assert found.language == "fr"
    assert f"left out: 1 {ABSENT}" in found.notes


@with_font
def test_the_font_joins_sequences_and_lacks_what_it_lacks() -> None:
    font = EmojiFont(FONT, 64)
    couple = f"{WOMAN}{LIGHT}{JOIN}{HEART}{JOIN}\U0001f48b{JOIN}{MAN}{DARK}"
    for sequence in (APPLE, couple, FRANCE, f"#{STYLE}\u20e3"):
        picture = font.draw(sequence)
        assert picture is not None
        assert max(picture.size) <= 90
    assert font.draw("\U0001fadd") is None  # pickle, of Unicode 18
    assert font.draw(f"\U0001faf9{DARK}") is None  # drawn as two
    assert font.draw(f"{APPLE}{KEY}") is None
    assert font.draw(" ") is None
    assert font.draw("\U0010fffd") is None


@with_font
def test_the_font_has_a_coloured_drawing_of_every_noun_of_the_scenes() -> None:
    font = EmojiFont(FONT, 64)
    for sequence in NOUNS.values():
        drawing = font.draw(sequence)
        assert drawing is not None
        assert min(drawing.size) >= 20


@with_font
@pytest.mark.skipif(not features.check("raqm"), reason="needs a Pillow with Raqm")
def test_real_drawings_that_look_alike_are_joined() -> None:
    moon, circle = "\U0001f311", "\u26ab"
    emoji = [circle, moon, "\U0001f1eb\U0001f1f7", "\U0001f1f2\U0001f1eb", APPLE, "\U0001f34f"]
    pictures = list(EmojiPictures(EmojiFont(FONT, 156), emoji=emoji))
    assert [it.captions for it in pictures] == [
        ("black circle", "new moon"),
        ("flag: France", "flag: St. Martin"),
        ("red apple",),
        ("green apple",),
    ]
    assert pictures[2].group == pictures[3].group == "apple"
    assert pictures[2].image.tobytes() != pictures[3].image.tobytes()
