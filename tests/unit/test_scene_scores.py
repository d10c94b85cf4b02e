from types import SimpleNamespace

import numpy as np
import pytest

from pipelines.datasets.scene_grammar import (
    ABOVE,
    COLOURS,
    LEFT,
    RELATIONS,
    Relation,
    Scene,
    SceneObject,
    parse,
    sentences,
)
from pipelines.errors import EvaluationError
from pipelines.evaluation.scene_scores import (
    by_object_count,
    colours_right,
    objects_right,
    placements_right,
    relations_right,
    scene_errors,
    score_scenes,
)

PAIR = Scene(
    (SceneObject("dog", "red"), SceneObject("cat", "blue")),
    (Relation(0, LEFT, 1),),
)
# The dog is left of the cat, the bird above the cat.
THREE = Scene(
    (SceneObject("dog", "red"), SceneObject("cat", "blue"), SceneObject("bird", "green")),
    (Relation(0, LEFT, 1), Relation(2, ABOVE, 1)),
)
NOUNS = ("dog", "cat", "bird", "house", "tree")


def rows_of(*scenes):
    return [SimpleNamespace(scene=scene.to_json(), group="") for scene in scenes]


def outputs(*captions):
    return {"caption": np.array(captions, object)}


def named(scores):
    return {score.name: score for score in scores}


def drawn_scenes(count, seed=0):
    random = np.random.default_rng(seed)
    found = []
    for row in range(count):
        size = 2 + row % 2
        nouns = random.permutation(NOUNS)[:size].tolist()
        things = tuple(SceneObject(noun, str(random.choice(COLOURS))) for noun in nouns)
        relations = [Relation(0, str(random.choice(RELATIONS)), 1)]
        if size == 3:
            relations.append(Relation(2, str(random.choice(RELATIONS)), int(random.integers(2))))
        found.append(Scene(things, tuple(relations)))
    return found


@pytest.mark.parametrize(
    ("scene", "caption", "objects", "colours", "relations", "placements"),
    [
        (PAIR, "a blue cat to the right of a red dog", (2, 2), (2, 2), (1, 1), (1, 1)),
        (PAIR, "a red cat to the left of a blue dog", (2, 2), (0, 2), (0, 1), (0, 1)),
        (PAIR, "a red dog to the left of a blue tree", (1, 2), (1, 1), (0, 1), (0, 0)),
        (PAIR, "a red dog", (1, 2), (1, 1), (0, 1), (0, 0)),
        # One thing too many, and one noun twice.
        (
            PAIR,
            "a red dog to the left of a blue cat and above a red dog",
            (2, 3), (2, 2), (1, 2), (1, 1),
        ),
        (PAIR, "a red dog above a blue dog", (1, 2), (1, 1), (0, 1), (0, 0)),
        # Told in both directions: one fact.
        (
            PAIR,
            "a red dog to the left of a blue cat that is to the right of a red dog",
            (2, 3), (2, 2), (1, 1), (1, 1),
        ),
        # True to the eye perhaps, but the dog and the bird stand in no relation.
        (THREE, "a green bird to the right of a red dog", (2, 3), (2, 2), (0, 2), (0, 0)),
        (THREE, "a green bird above a blue cat", (2, 3), (2, 2), (1, 2), (1, 1)),
        (THREE, "a red dog of a", (0, 3), (0, 3), (0, 2), (0, 0)),
    ],
)  # fmt: skip
def test_counts_by_hand(scene, caption, objects, colours, relations, placements):
    told = parse(caption)
    assert objects_right(scene, told) == objects
    assert colours_right(scene, told) == colours
    assert relations_right(scene, told) == relations
    assert placements_right(scene, told) == placements


def test_every_true_sentence_is_right_in_all():
    scenes = drawn_scenes(40)
    rows, said = zip(
        *((row, text) for row, scene in zip(rows_of(*scenes), scenes, strict=True)
          for text in sentences(scene)), strict=True
    )  # fmt: skip
    scores = score_scenes(rows, outputs(*said), {"silent": outputs(*[""] * len(rows))})
    assert [score.name for score in scores] == [
        "object_accuracy", "colour_accuracy", "relation_accuracy", "placement_accuracy",
        "scene_accuracy", "grammar_rate",
    ]  # fmt: skip
    for score in scores:
        assert score.value == 1.0
        assert score.baselines["silent"].value == 0.0
        assert score.baselines["silent"].p_value < 0.005


def test_scores_add_up_over_scenes():
    rows = rows_of(PAIR, THREE, PAIR)
    model = outputs("a red dog to the left of a blue cat", "a red dog", "no sentence")
    scores = named(score_scenes(rows, model, {}))
    assert (scores["object_accuracy"].value, scores["object_accuracy"].count) == (3 / 7, 7)
    assert (scores["colour_accuracy"].value, scores["colour_accuracy"].count) == (3 / 5, 5)
    assert (scores["relation_accuracy"].value, scores["relation_accuracy"].count) == (1 / 4, 4)
    assert scores["scene_accuracy"].value == pytest.approx(1 / 3)
    assert scores["grammar_rate"].value == pytest.approx(2 / 3)
    apart = by_object_count(rows, model, {"same": model})
    assert list(apart) == [2, 3]
    assert named(apart[3])["object_accuracy"].value == pytest.approx(1 / 3)
    assert named(apart[2])["object_accuracy"].baselines["same"].value == 2 / 4
    # No relation told between objects of the scene: nothing to measure.
    assert "placement_accuracy" not in named(apart[3])


def test_errors_say_what_was_taken_for_what():
    rows = rows_of(PAIR, PAIR, THREE, PAIR, PAIR)
    found = scene_errors(
        rows,
        outputs(
            "a blue dog above a blue cat",
            "a blue bird to the left of a red tree",  # by colour: cat -> bird, dog -> tree
            "a red dog to the left of a blue cat",
            "a red dog to the left of a blue cat and above a green sun",
            "?",
        ),
    )
    assert found.nouns == {("cat", "bird"): 1, ("dog", "tree"): 1, ("bird", ""): 1, ("", "sun"): 1}
    assert found.colours == {("red", "blue"): 1, ("red", "red"): 2, ("blue", "blue"): 3}
    assert found.relations == {(LEFT, ABOVE): 1, (LEFT, LEFT): 2}
    assert found.named == {"dog": 3, "cat": 3}
    assert found.drawn == {"dog": 5, "cat": 5, "bird": 1}
    assert found.unread == ["?"]


def test_of_a_noun_named_twice_the_right_one_counts():
    found = scene_errors(rows_of(PAIR), outputs("a green dog above a red dog"))
    assert found.colours == {("red", "red"): 1}
    assert found.nouns == {("cat", "dog"): 1}


def test_images_without_scenes_are_refused():
    rows = [*rows_of(PAIR), SimpleNamespace(scene="", group="")]
    with pytest.raises(EvaluationError, match="1 of 2 test images tell no scene.*leave the others"):
        score_scenes(rows, outputs("a", "b"), {})
    with pytest.raises(EvaluationError, match="0 of 0 test images"):
        score_scenes([], outputs(), {})
    with pytest.raises(EvaluationError, match="1 captions for 2 test images"):
        by_object_count(rows_of(PAIR, PAIR), outputs("a"), {})
