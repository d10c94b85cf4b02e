"""The grammar of scenes: what is written can be read back, and is true."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.scene_grammar import (
    ABOVE,
    BELOW,
    COLOURS,
    INVERSE,
    LEFT,
    RELATIONS,
    RIGHT,
    Parsed,
    Relation,
    Scene,
    SceneObject,
    parse,
    sentences,
    stands,
    true_of,
)

NOUNS = ("apple", "dog", "cup", "tree", "t-shirt")
APPLE, DOG, CUP = (
    SceneObject("apple", "orange", (4, 5, 44, 45)),
    SceneObject("dog", "blue", (50, 5, 90, 45)),
    SceneObject("cup", "green", (4, 50, 44, 90)),
)
PAIR = Scene((APPLE, DOG), (Relation(0, LEFT, 1),))
CORNER = Scene((APPLE, DOG, CUP), (Relation(0, LEFT, 1), Relation(2, BELOW, 0)))


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    nouns = draw(st.lists(st.sampled_from(NOUNS), min_size=2, max_size=3, unique=True))
    colours = draw(st.lists(st.sampled_from(COLOURS), min_size=3, max_size=3))
    objects = tuple(map(SceneObject, nouns, colours))
    places = draw(st.lists(st.sampled_from(RELATIONS), min_size=2, max_size=2))
    pairs = list(itertools.combinations(draw(st.permutations(range(len(nouns)))), 2))
    chosen = pairs[: len(nouns) - 1]
    return Scene(
        objects, tuple(Relation(a, it, b) for (a, b), it in zip(chosen, places, strict=False))
    )


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_every_sentence_is_read_back_and_true(scene: Scene) -> None:
    told = sentences(scene)
    assert len(set(told)) == len(told) == (2 if len(scene.objects) == 2 else 4)
    for sentence in told:
        parsed = parse(sentence)
        assert parsed is not None
        assert true_of(parsed, scene)
    assert Scene.from_json(scene.to_json()) == scene


@settings(max_examples=60, deadline=None)
@given(scenes(), st.data())
def test_a_sentence_changed_anywhere_is_not_true(scene: Scene, data: st.DataObject) -> None:
    parsed = parse(data.draw(st.sampled_from(sentences(scene))))
    assert parsed is not None
    number = data.draw(st.integers(0, len(parsed.objects) - 1))
    objects = list(parsed.objects)
    colour, noun = objects[number]
    objects[number] = ("red" if colour != "red" else "blue", noun)
    assert not true_of(Parsed(tuple(objects), parsed.relations), scene)
    objects[number] = (colour, "whale")
    assert not true_of(Parsed(tuple(objects), parsed.relations), scene)
    first = parsed.relations[0]
    for place in set(RELATIONS) - {first.place}:
        changed = (first._replace(place=place), *parsed.relations[1:])
        assert not true_of(Parsed(parsed.objects, changed), scene)
    assert not true_of(Parsed(parsed.objects, ()), scene)


def test_sentences_are_these() -> None:
    assert sentences(PAIR) == (
        "an orange apple to the left of a blue dog",
        "a blue dog to the right of an orange apple",
    )
    assert set(sentences(CORNER)) == {
        "an orange apple to the left of a blue dog and above a green cup",
        "an orange apple above a green cup and to the left of a blue dog",
        "a blue dog to the right of an orange apple that is above a green cup",
        "a green cup below an orange apple that is to the left of a blue dog",
    }


def test_and_speaks_of_the_first_thing_that_is_of_the_second() -> None:
    both = parse("a red dog above a blue cup and to the left of a green tree")
    chain = parse("A red dog  above a blue cup that is to the left of a green tree")
    assert both is not None
    assert chain is not None
    assert both.objects == chain.objects == (("red", "dog"), ("blue", "cup"), ("green", "tree"))
    assert both.relations == (Relation(0, ABOVE, 1), Relation(0, LEFT, 2))
    assert chain.relations == (Relation(0, ABOVE, 1), Relation(1, LEFT, 2))


@pytest.mark.parametrize(
    "sentence",
    [
        "",
        "a orange apple to the left of a blue dog",
        "an red apple",
        "a red apple to the left of",
        "a red apple left of a blue dog",
        "a red apple and a blue dog",
        "a mauve apple above a blue dog",
        "a red apple above a blue dog and",
        "a red apple above a blue dog above a green cup",
        "a red apple above a blue dog.",
        "red apple above blue dog",
    ],
)
def test_what_is_not_of_the_grammar_is_not_read(sentence: str) -> None:
    assert parse(sentence) is None


def test_one_thing_alone_is_read() -> None:
    assert parse("an orange t-shirt") == Parsed((("orange", "t-shirt"),), ())


def test_relations_hold_in_both_directions_and_not_diagonally() -> None:
    assert stands(CORNER, "apple", LEFT, "dog")
    assert stands(CORNER, "dog", RIGHT, "apple")
    assert not stands(CORNER, "dog", LEFT, "apple")
    assert not any(stands(CORNER, "dog", place, "cup") for place in RELATIONS)
    assert all(INVERSE[INVERSE[place]] == place for place in RELATIONS)


def test_a_part_of_the_scene_is_not_the_whole() -> None:
    part = parse(sentences(PAIR)[0])
    assert part is not None
    assert true_of(part, PAIR)
    assert not true_of(part, CORNER)


def test_a_scene_without_a_sentence_is_refused() -> None:
    lone = dataclasses.replace(PAIR, relations=())
    with pytest.raises(ValueError, match="2 objects with 0 relations; expected two with one"):
        sentences(lone)
    twice = dataclasses.replace(CORNER, relations=(Relation(0, LEFT, 1), Relation(1, RIGHT, 0)))
    with pytest.raises(ValueError, match="two that share an object"):
        sentences(twice)


@pytest.mark.parametrize("text", ["{}", "[]", '{"objects": [{"noun": "dog"}], "relations": []}'])
def test_json_that_is_no_scene_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no scene"):
        Scene.from_json(text)
