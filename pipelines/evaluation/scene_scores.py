"""What captions of generated scenes get right: objects, colours, relations, and the whole.

A scene is known exactly, so a caption can be read back (`scene_grammar.parse`) and checked. One
that is not of the grammar names nothing: all of its scene's objects, colours and relations are
wrong. Each accuracy is right ones over all of them, in all scenes together:

- `object_accuracy`: nouns drawn and named. Nouns are matched as multisets, so their order does not
  count; all are those drawn, or those named where the caption names more.
- `colour_accuracy`: of the objects so matched, those named in their colour.
- `relation_accuracy`: relations told that stand in the scene, in either direction ("a left of b"
  is "b right of a"); telling one twice counts once. All are those of the scene, or those told where
  the caption tells more. One between wrong objects is wrong, whatever its place.
- `placement_accuracy`: of the relations told between two objects of the scene that stand in a
  relation there, those with the right place: what `relation_accuracy` is without the objects'
  errors. Captions outside the grammar tell none and are left out of it.
- `scene_accuracy`: captions that tell the whole scene and nothing else (`scene_grammar.true_of`).
- `grammar_rate`: captions that can be read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.scene_grammar import Parsed, Scene, parse, stands, true_of
from pipelines.errors import EvaluationError
from pipelines.evaluation.captioning import captions_of, image_share
from pipelines.evaluation.measures import ratio_measure, score_of
from pipelines.evaluation.scores import Score
from pipelines.evaluation.units import Units, image_units

Array = NDArray[Any]
Outputs = Mapping[str, Array]
Told = Parsed | None
Thing = tuple[str, str]  # colour and noun
Counted = Callable[[Scene, Told], tuple[int, int]]  # right ones, and all
NOTHING = ""  # stands for the other side of an object that only one side has


class DrawnScene(Protocol):
    """What is needed of a test image."""

    @property
    def scene(self) -> str:
        """JSON of what is drawn."""

    @property
    def group(self) -> str:
        """Images of one group are alike; "" where it is alone."""


@dataclass(frozen=True)
class SceneErrors:
    """What was taken for what, and how often each thing was right.

    Attributes:
        nouns: (drawn, named) -> times, where they differ; "" where an object is missing, or is
            named and not drawn. Of several, those of one colour are held against each other first.
        colours: (drawn, named) -> times, of objects whose noun is right.
        relations: (place that stands, place told) -> times, between objects that stand in one.
        named: noun -> times it was named where drawn; captions outside the grammar name none.
        drawn: noun -> times it was drawn.
        unread: captions outside the grammar, in order.
    """

    nouns: Counter[tuple[str, str]] = field(default_factory=Counter)
    colours: Counter[tuple[str, str]] = field(default_factory=Counter)
    relations: Counter[tuple[str, str]] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    drawn: Counter[str] = field(default_factory=Counter)
    unread: list[str] = field(default_factory=list)


def score_scenes(
    rows: Sequence[DrawnScene],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    seed: int = 17,
) -> list[Score]:
    """Score what captions of scenes get right, as the module defines it.

    Args:
        rows: the test images.
        outputs: the exported model's: "caption" object[N].
        baselines: outputs of other systems on the same images.
        seed: of the resampling.

    Raises:
        EvaluationError: there is no row, one has no scene, or outputs do not fit the rows.
    """
    scenes = scenes_of(rows)
    told = {
        name: [parse(caption) for caption in captions_of(found, len(rows), name)]
        for name, found in {"model": outputs, **baselines}.items()
    }
    return _scores(scenes, told, image_units([row.group for row in rows]), seed)


def by_object_count(
    rows: Sequence[DrawnScene],
    outputs: Outputs,
    baselines: Mapping[str, Outputs],
    *,
    seed: int = 17,
) -> dict[int, list[Score]]:
    """Score scenes of 2, 3, ... objects apart: number of objects -> `score_scenes` of them."""
    counts = np.array([len(scene.objects) for scene in scenes_of(rows)])
    systems = {
        name: np.array(captions_of(found, len(rows), name), object)
        for name, found in {"model": outputs, **baselines}.items()
    }
    found = {}
    for count in np.unique(counts).tolist():
        kept = np.flatnonzero(counts == count).tolist()
        taken = {name: {"caption": captions[kept]} for name, captions in systems.items()}
        model = taken.pop("model")
        found[count] = score_scenes([rows[row] for row in kept], model, taken, seed=seed)
    return found


def scenes_of(rows: Sequence[DrawnScene]) -> list[Scene]:
    """Read what is drawn on each image.

    Raises:
        EvaluationError: there is no row, or one has no scene.
    """
    if not rows or not all(row.scene for row in rows):
        bare = sum(not row.scene for row in rows)
        raise EvaluationError(
            f"scores of scenes: {bare} of {len(rows)} test images tell no scene; every one must, "
            "as generated ones do: leave the others out"
        )
    return [Scene.from_json(row.scene) for row in rows]


def scene_errors(rows: Sequence[DrawnScene], outputs: Outputs) -> SceneErrors:
    """Tell what captions take for what.

    Raises:
        EvaluationError: there is no row, one has no scene, or outputs do not fit the rows.
    """
    found = SceneErrors()
    captions = captions_of(outputs, len(rows))
    for scene, caption in zip(scenes_of(rows), captions, strict=True):
        found.drawn.update(thing.noun for thing in scene.objects)
        told = parse(caption)
        if told is None:
            found.unread.append(caption)
        else:
            _add_errors(found, scene, told)
    return found


def _add_errors(found: SceneErrors, scene: Scene, told: Parsed) -> None:
    missing = [(thing.colour, thing.noun) for thing in scene.objects]
    extra = list(told.objects)
    same_noun = [
        *_paired(missing, extra, lambda mine, theirs: mine == theirs),
        *_paired(missing, extra, lambda mine, theirs: mine[1] == theirs[1]),
    ]
    found.named.update(noun for (_, noun), _ in same_noun)
    found.colours.update((mine[0], theirs[0]) for mine, theirs in same_noun)
    mistaken = [
        *_paired(missing, extra, lambda mine, theirs: mine[0] == theirs[0]),
        *_paired(missing, extra, lambda _mine, _theirs: True),
    ]
    found.nouns.update((mine[1], theirs[1]) for mine, theirs in mistaken)
    found.nouns.update((noun, NOTHING) for _, noun in missing)
    found.nouns.update((NOTHING, noun) for _, noun in extra)
    found.relations.update(_places(scene, told))


def _paired(
    missing: list[Thing], extra: list[Thing], alike: Callable[[Thing, Thing], bool]
) -> list[tuple[Thing, Thing]]:
    """Take pairs that are alike out of both lists."""
    pairs = []
    for mine in list(missing):
        theirs = next((thing for thing in extra if alike(mine, thing)), None)
        if theirs is not None:
            missing.remove(mine)
            extra.remove(theirs)
            pairs.append((mine, theirs))
    return pairs


def _scores(
    scenes: Sequence[Scene], told: Mapping[str, Sequence[Told]], units: Units, seed: int
) -> list[Score]:
    def ratio(name: str, count: Counted, counted: str) -> Score | None:
        found = {system: _each(count, scenes, captions) for system, captions in told.items()}
        measure = ratio_measure(name, found, counted=counted, unit="fraction", better="higher")
        return score_of(measure, units, seed=seed) if measure.count else None

    def images(name: str, holds: Callable[[Scene, Told], bool]) -> Score:
        hits = {
            system: np.array(
                [holds(scene, caption) for scene, caption in zip(scenes, captions, strict=True)],
                bool,
            )
            for system, captions in told.items()
        }
        return image_share(name, hits, units, seed=seed)

    found = [
        ratio("object_accuracy", objects_right, "objects"),
        ratio("colour_accuracy", colours_right, "objects"),
        ratio("relation_accuracy", relations_right, "relations"),
        ratio("placement_accuracy", placements_right, "relations"),
        images("scene_accuracy", lambda scene, it: it is not None and true_of(it, scene)),
        images("grammar_rate", lambda _, it: it is not None),
    ]
    return [score for score in found if score is not None]


def objects_right(scene: Scene, told: Told) -> tuple[int, int]:
    """Count nouns drawn and named, and those drawn or, if more, named."""
    drawn = Counter(thing.noun for thing in scene.objects)
    if told is None:
        return 0, drawn.total()
    named = Counter(noun for _, noun in told.objects)
    return (drawn & named).total(), max(drawn.total(), named.total())


def colours_right(scene: Scene, told: Told) -> tuple[int, int]:
    """Count objects named in their colour, and those named; all of them if none can be read."""
    if told is None:
        return 0, len(scene.objects)
    drawn = Counter((thing.colour, thing.noun) for thing in scene.objects)
    return (drawn & Counter(told.objects)).total(), objects_right(scene, told)[0]


def relations_right(scene: Scene, told: Told) -> tuple[int, int]:
    """Count different relations told that stand, and those of the scene or, if more, told."""
    if told is None:
        return 0, len(scene.relations)
    facts = _facts(told)
    right = sum(stands(scene, *fact) for fact in facts)
    return right, max(len(scene.relations), len(facts))


def placements_right(scene: Scene, told: Told) -> tuple[int, int]:
    """Count different relations told between related objects: those that stand, and all."""
    places = [] if told is None else _places(scene, told)
    return sum(place == said for place, said in places), len(places)


def _places(scene: Scene, told: Parsed) -> list[tuple[str, str]]:
    """Return (place that stands, place told) of what is told between related objects."""
    nouns = [thing.noun for thing in scene.objects]
    known = {
        (nouns[it.first], nouns[it.second]): it.place
        for relation in scene.relations
        for it in (relation, relation.turned())
    }
    return [
        (known[first, second], place)
        for first, place, second in _facts(told)
        if (first, second) in known
    ]


def _facts(told: Parsed) -> list[tuple[str, str, str]]:
    """Return (noun, place, noun) of what is told, each fact once though told in both directions."""
    nouns = [noun for _, noun in told.objects]
    facts: dict[tuple[str, str, str], None] = {}
    for relation in told.relations:
        fact, turned = (
            (nouns[it.first], it.place, nouns[it.second]) for it in (relation, relation.turned())
        )
        if turned not in facts:
            facts[fact] = None
    return list(facts)


def _each(count: Counted, scenes: Sequence[Scene], told: Sequence[Told]) -> Array:
    return np.array([count(scene, it) for scene, it in zip(scenes, told, strict=True)], float)
