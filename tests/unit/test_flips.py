import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.captioning.flips import may_flip

FIXED = [
    "a red apple to the left of a dog", "Right-facing fist", "the leftmost house", "upside-right",
    "clockwise vertical arrows", "counter-clockwise", "the sun sets in the west", "north-eastern",
    "flag: Ireland", "one o'clock", "keycap: 3", "Latin letter b", "waxing crescent moon",
    "ein Hund links von einem Haus", "mit der rechten Hand", "gegen den Uhrzeigersinn", "im Osten",
    "ein linker Schuh", "Flagge: Irland",
    "un chien à gauche", "la main droite", "dans le sens des aiguilles d'une montre", "à l'est",
    "à l’ouest", "une lettre", "un drapeau",
    "a la izquierda", "mano derecha", "en sentido antihorario", "al este", "tres números",
    "à esquerda", "mão direita", "no sentido horário", "a leste", "uma bandeira",
    "a sinistra", "la mano destra", "in senso antiorario", "a ovest", "ore tre", "lettera",
]  # fmt: skip
FREE = [
    "a bright dog on the grass", "a cleft rock", "a red apple above a dog", "an upright piano",
    "the beast and the feast", "a vest and a nest", "seventh street", "destroyed towers",
    "Le chien est sur l'herbe", "este perro es grande", "ein Blatt",
    "uma casa vermelha", "una rosa rossa", "Post und Kost", "", "小さな犬",
]  # fmt: skip


@pytest.mark.parametrize("caption", FIXED)
def test_words_for_sides_and_what_a_mirror_spoils_forbid_it(caption):
    for form in ("NFC", "NFD"):
        assert not may_flip([unicodedata.normalize(form, caption)])
    assert not may_flip([caption.upper()])
    assert not may_flip(["a dog", caption])


@pytest.mark.parametrize("caption", FREE)
def test_other_captions_stay_true_in_a_mirror(caption):
    assert may_flip([caption, "a dog"])


def test_no_captions_forbid_nothing():
    assert may_flip([])


@settings(max_examples=30)
@given(st.text(max_size=20), st.sampled_from(FIXED), st.text(max_size=20))
def test_other_words_cannot_hide_one(before, caption, after):
    assert not may_flip([f"{before} {caption} {after}"])
