"""Sentences that say what is where in a scene: written, read back and checked against it.

One fixed grammar, lower case, without punctuation:

    sentence = thing [ place thing [ "and" place thing | "that is" place thing ] ]
    thing    = ("a" | "an") colour noun
    place    = "to the left of" | "to the right of" | "above" | "below"

Both places joined by "and" belong to the first thing; "that is" speaks of the second.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

LEFT, RIGHT, ABOVE, BELOW = "to the left of", "to the right of", "above", "below"
INVERSE = {LEFT: RIGHT, RIGHT: LEFT, ABOVE: BELOW, BELOW: ABOVE}
RELATIONS = tuple(INVERSE)
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple")
_WHICH, _AND = "that is", "and"
_VOWELS = "aeiou"


class Relation(NamedTuple):
    """One object's place beside another.

    Args:
        first: number of the object whose place is told, from 0.
        place: one of `RELATIONS`.
        second: number of the object it is told by.
    """

    first: int
    place: str
    second: int

    def turned(self) -> Relation:
        """Return the same fact told of the other object."""
        return Relation(self.second, INVERSE[self.place], self.first)


@dataclass(frozen=True)
class SceneObject:
    """A drawing in a scene.

    Args:
        noun: what it is.
        colour: one of `COLOURS`.
        box: left, top, right and bottom in pixels, the last two exclusive.
    """

    noun: str
    colour: str
    box: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class Scene:
    """Two or three drawings and how they stand to each other.

    Args:
        objects: no two of the same noun.
        relations: each fact once, in one of its two directions.
    """

    objects: tuple[SceneObject, ...]
    relations: tuple[Relation, ...]

    def to_json(self) -> str:
        """Write the scene on one line."""
        return json.dumps(
            {
                "objects": [
                    {"noun": it.noun, "colour": it.colour, "box": list(it.box)}
                    for it in self.objects
                ],
                "relations": [list(it) for it in self.relations],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Scene:
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no scene.
        """
        try:
            content = json.loads(text)
            objects = tuple(
                SceneObject(it["noun"], it["colour"], tuple(it["box"])) for it in content["objects"]
            )
            return cls(objects, tuple(Relation(*it) for it in content["relations"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no scene: {text[:80]!r} ({error!r})") from error


class Parsed(NamedTuple):
    """What a sentence says.

    Args:
        objects: colour and noun of each thing, in order of mention.
        relations: told between them, by their numbers in `objects`.
    """

    objects: tuple[tuple[str, str], ...]
    relations: tuple[Relation, ...]


def sentences(scene: Scene) -> tuple[str, ...]:
    """Return every true sentence of the grammar that tells the whole scene.

    Two objects have two, since either may come first; three have four: the object that both
    relations share may begin ("and") or stand between the others ("that is").

    Raises:
        ValueError: the scene is neither a pair nor three objects of which one is in both relations.
    """
    told = [either for it in scene.relations for either in (it, it.turned())]
    if len(scene.objects) == 2 and len(scene.relations) == 1:
        return tuple(_plain(scene, it) for it in told)
    if len(scene.objects) == 3 and len(scene.relations) == 2:
        found = [_both(scene, one, two) for one in told for two in told if _join(one, two)]
        if len(found) == 4:
            return tuple(found)
    raise ValueError(
        f"{len(scene.objects)} objects with {len(scene.relations)} relations; expected two with "
        "one, or three with two that share an object"
    )


def _join(one: Relation, two: Relation) -> bool:
    """Tell whether the second relation goes on from the first to the object left over."""
    known = {one.first, one.second}
    return two.first in known and two.second not in known


def _plain(scene: Scene, relation: Relation) -> str:
    first, second = scene.objects[relation.first], scene.objects[relation.second]
    return f"{_thing(first)} {relation.place} {_thing(second)}"


def _both(scene: Scene, one: Relation, two: Relation) -> str:
    word = _AND if one.first == two.first else _WHICH
    return f"{_plain(scene, one)} {word} {two.place} {_thing(scene.objects[two.second])}"


def _thing(drawn: SceneObject) -> str:
    return f"{'an' if drawn.colour[0] in _VOWELS else 'a'} {drawn.colour} {drawn.noun}"


_THING = rf"(?:a(?= [^{_VOWELS}])|an(?= [{_VOWELS}])) ({'|'.join(COLOURS)}) ((?:[^\W\d_]|-)+)"
_PLACE = f"({'|'.join(RELATIONS)})"
_SENTENCE = re.compile(f"{_THING}(?: {_PLACE} {_THING}(?: ({_AND}|{_WHICH}) {_PLACE} {_THING})?)?")


def parse(sentence: str) -> Parsed | None:
    """Read a sentence of the grammar; case and runs of blanks do not count.

    A noun is any one word, known or not. One thing alone is a sentence too, without relations.

    Returns:
        what it says; None if it is not of the grammar, "a orange" for "an orange" included.
    """
    match = _SENTENCE.fullmatch(" ".join(sentence.lower().split()))
    if match is None:
        return None
    colour, noun, place, second_colour, second_noun, word, further, *third = match.groups()
    objects, relations = [(colour, noun)], []
    if place:
        objects.append((second_colour, second_noun))
        relations.append(Relation(0, place, 1))
    if word:
        objects.append((third[0], third[1]))
        relations.append(Relation(0 if word == _AND else 1, further, 2))
    return Parsed(tuple(objects), tuple(relations))


def stands(scene: Scene, first: str, place: str, second: str) -> bool:
    """Tell whether the object of one noun has this place beside that of another.

    Only a scene's own relations count, in either direction: objects that stand diagonally to each
    other are in none.
    """
    nouns = [drawn.noun for drawn in scene.objects]
    return any(
        (nouns[it.first], it.place, nouns[it.second]) == (first, place, second)
        for relation in scene.relations
        for it in (relation, relation.turned())
    )


def true_of(parsed: Parsed, scene: Scene) -> bool:
    """Tell whether a sentence names every object in its colour and only relations that hold.

    A sentence that leaves out an object or a relation of the scene is not true of the whole of it.
    """
    drawn = Counter((it.colour, it.noun) for it in scene.objects)
    if Counter(parsed.objects) != drawn or len(parsed.relations) != len(scene.relations):
        return False
    nouns = [noun for _, noun in parsed.objects]
    return all(
        stands(scene, nouns[it.first], it.place, nouns[it.second]) for it in parsed.relations
    )
