"""The report's page about generated scenes: objects, colours and relations, each by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pipelines.datasets.scene_grammar import COLOURS, RELATIONS
from pipelines.evaluation.bootstrap import proportion_interval
from pipelines.evaluation.caption_figures import heatmap, interval_chart
from pipelines.evaluation.caption_judged import MODEL, Array, Judged, interval_of
from pipelines.evaluation.confusion import confusion_block
from pipelines.evaluation.scene_scores import (
    NOTHING,
    SceneErrors,
    by_object_count,
    scene_errors,
    score_scenes,
)
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.slices import with_interval
from pipelines.evaluation.translation_compared import count_and_share
from pipelines.evaluation.wording import interval, number, readable

_DRAWN = ("object_accuracy", "colour_accuracy", "relation_accuracy", "scene_accuracy")
_MOST_NOUNS = 26
_LISTED = 10
_MARK = (
    "These images are generated: drawings of emoji in six colours, placed by a program that also "
    "wrote the sentences. Every test image shows combinations that training never held (pairs of "
    "colour and thing, or of things in a relation), so the figures tell composition, not memory. "
    "They say nothing about photographs."
)
_ADVICE = {
    "object_accuracy": "Things are taken for others: see the confusions below; larger images or a "
    "stronger encoder tell them apart.",
    "colour_accuracy": "Colours fail most: if new pairs of colour and thing fail, more training "
    "images with mixed pairs help, and no augmentation of colour.",
    "relation_accuracy": "Relations fail most: attention, coordinates in the encoder and a finer "
    "map of places help; see which direction is confused below.",
}


def scenes_section(found: Judged) -> Section:
    """Say what captions of scenes get right, apart, and what is taken for what."""
    scores = score_scenes(found.rows, found.outputs[MODEL], {}, seed=found.seed)
    counted = by_object_count(found.rows, found.outputs[MODEL], {}, seed=found.seed)
    errors = scene_errors(found.rows, found.outputs[MODEL])
    blocks: list[Block] = [*_count_blocks(scores, counted), *_colour_blocks(errors)]
    blocks += [*_noun_blocks(errors), *_unread_blocks(errors, len(found.rows))]
    return Section("Generated scenes", f"{_finding(scores)}\n\n{_MARK}\n\n{_READING}", blocks)


_READING = (
    "Captions are read back by the grammar of the set. Things count as a multiset, a colour only "
    "where the thing is right, a relation in either direction; a caption outside the grammar is "
    "wrong in all. A placement is a relation told between two things that are there and related: "
    "it is right or wrong whatever else is."
)


def _finding(scores: Sequence[Score]) -> str:
    known = {score.name: score for score in scores}
    told = ", ".join(
        f"{number(score.value, 'fraction')} "
        f"({interval(score.low, score.high, 'fraction')}) of {score.counted}"
        for score in (known[name] for name in _DRAWN[:1])
    )
    rest = [f"{_told(known[name])} of {what}" for name, what in _WHAT.items() if name in known]
    parts = [name for name in _ADVICE if name in known]
    worst = min(parts, key=lambda name: known[name].value)
    text = f"On unseen combinations the model gets {told} right, {', '.join(rest)}. "
    if known[worst].value >= 0.99:
        return text + "Nothing is left to repair here."
    return text + _ADVICE[worst]


_WHAT = {
    "colour_accuracy": "their colours",
    "relation_accuracy": "relations",
    "scene_accuracy": "whole scenes",
}


def _told(score: Score) -> str:
    ends = interval(score.low, score.high, "fraction")
    return f"{number(score.value, 'fraction')} ({ends})"


def _count_blocks(scores: Sequence[Score], counted: Mapping[int, list[Score]]) -> list[Block]:
    """Draw the accuracies by number of objects, and tabulate all of them."""
    by_name = {
        count: {score.name: score for score in each} for count, each in sorted(counted.items())
    }
    names = [f"{count} objects" for count in by_name]
    drawn = [name for name in _DRAWN if all(name in each for each in by_name.values())]
    measured = {
        readable(name).removesuffix(" accuracy"): [
            interval_of(each[name]) for each in by_name.values()
        ]
        for name in drawn
    }
    svg = interval_chart(names, measured, xlabel="objects in the scene", ylabel="accuracy")
    spoken = "; ".join(
        f"{name}: {', '.join(number(value.value, 'fraction') for value in values)}"
        for name, values in measured.items()
    )
    rows = [
        [
            readable(score.name),
            _told(score),
            *(_told(each[score.name]) if score.name in each else "–" for each in by_name.values()),
        ]
        for score in scores
    ]
    figure = Figure(svg, "Accuracy by number of objects, with 95 % intervals.", spoken)
    table = Table(
        ["score", "all", *names], rows, "Generated scenes of unseen combinations; 95 % intervals."
    )
    return [figure, table]


def _colour_blocks(errors: SceneErrors) -> list[Block]:
    """Show which colours and which relations are taken for which."""
    blocks: list[Block] = []
    if errors.colours:
        caption = "Colours of things named rightly; rows: the colour drawn, shares are of its row."
        blocks.append(confusion_block(matrix(errors.colours, COLOURS), COLOURS, caption=caption))
    if errors.relations:
        caption = "Relations between things named rightly; rows: the one that stands."
        short = [place.removeprefix("to the ").removesuffix(" of") for place in RELATIONS]
        counts = matrix(errors.relations, RELATIONS)
        blocks.append(confusion_block(counts, short, caption=caption))
    return blocks


def matrix(counts: Counter[tuple[str, str]], names: Sequence[str]) -> Array:
    """Lay counts of (is, said) out as a square, int[C, C]."""
    return np.array([[counts[is_, said] for said in names] for is_ in names], np.int64)


def _noun_blocks(errors: SceneErrors) -> list[Block]:
    """Show which things are missed, and what for."""
    if not errors.nouns:
        return []
    blocks: list[Block] = []
    wrong = Counter({pair: times for pair, times in errors.nouns.items() if pair[0] != NOTHING})
    nouns = _worst_nouns(errors)
    said = [noun for noun in _ranked(Counter(_by_said(wrong))) if noun != NOTHING][:_MOST_NOUNS]
    said += [NOTHING] if any(pair[1] == NOTHING for pair in wrong) else []
    rows = [noun for noun in nouns if any(pair[0] == noun for pair in wrong)][:_MOST_NOUNS]
    if rows and said:
        shares = np.array(
            [[wrong[noun, it] / max(1, errors.drawn[noun]) for it in said] for noun in rows]
        )
        svg = heatmap(shares, rows, [it or "(not named)" for it in said], xlabel="named instead")
        place = np.unravel_index(int(shares.argmax()), shares.shape)
        spoken = (
            f"Most often {rows[int(place[0])]} is taken for {said[int(place[1])] or 'nothing'}: "
            f"{100 * float(shares.max()):.1f} % of times drawn."
        )
        caption = f"Things drawn (left) that were named otherwise (below). {spoken}"
        blocks.append(Figure(svg, caption, spoken))
    cells = [
        [
            noun,
            f"{errors.drawn[noun]:,}",
            with_interval(proportion_interval(errors.named[noun], errors.drawn[noun])),
            _taken_for(wrong, noun),
        ]
        for noun in nouns[:_LISTED]
    ]
    columns = ["thing", "drawn", "named", "taken for"]
    caption = f"The {len(cells)} things most often missed."
    return [*blocks, Table(columns, cells, caption, ["left", "right", "right", "left"])]


def _worst_nouns(errors: SceneErrors) -> list[str]:
    return sorted(errors.drawn, key=lambda noun: (errors.named[noun] / errors.drawn[noun], noun))


def _by_said(wrong: Counter[tuple[str, str]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for (_, said), times in wrong.items():
        found[said] = found.get(said, 0) + times
    return found


def _ranked(counts: Counter[str]) -> list[str]:
    return sorted(counts, key=lambda name: (-counts[name], name))


def _taken_for(wrong: Counter[tuple[str, str]], noun: str) -> str:
    others = Counter({said: times for (is_, said), times in wrong.items() if is_ == noun})
    return (
        ", ".join(f"{said or '(not named)'} {others[said]}" for said in _ranked(others)[:3]) or "–"
    )


def _unread_blocks(errors: SceneErrors, images: int) -> list[Block]:
    """Show captions that are not of the grammar."""
    if not errors.unread:
        return []
    counts = Counter(errors.unread)
    rows = [[text or "(nothing)", f"{counts[text]:,}"] for text in _ranked(counts)[:_LISTED]]
    caption = f"Captions outside the grammar: {count_and_share(len(errors.unread), images)}."
    return [Table(["caption", "images"], rows, caption)]
