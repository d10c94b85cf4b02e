"""The report's page about generated scenes: objects, colours and relations, each by itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipelines.datasets.scene_grammar import COLOURS, RELATIONS, Relation, Scene, parse
from pipelines.evaluation.bootstrap import proportion_interval
from pipelines.evaluation.caption_figures import heatmap, interval_chart
from pipelines.evaluation.caption_judged import MODEL, Array, Judged, interval_of
from pipelines.evaluation.captioning import Outputs
from pipelines.evaluation.confusion import confusion_block
from pipelines.evaluation.scene_scores import (
    NOTHING,
    SceneErrors,
    by_object_count,
    scene_errors,
    scenes_of,
    score_scenes,
)
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Block, Figure, Html, Section, Table
from pipelines.evaluation.slices import with_interval
from pipelines.evaluation.translation_compared import count_and_share
from pipelines.evaluation.wording import interval, number, readable

_DRAWN = ("object_accuracy", "colour_accuracy", "relation_accuracy", "scene_accuracy")
_MOST_NOUNS = 26
_LISTED = 10
NEW_COLOUR, NEW_RELATION, NEW_BOTH, KNOWN = "new colour", "new relation", "both new", "nothing new"
_MARK = (
    "These images are generated: drawings of emoji in six colours, placed by a program that also "
    "wrote the sentences. They say nothing about photographs."
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
    captions = {"caption": np.array(found.captions[MODEL], object)}
    scores = score_scenes(found.rows, captions, {}, seed=found.seed)
    counted = by_object_count(found.rows, captions, {}, seed=found.seed)
    kinds = novelty(scenes_of(found.rows), found.train_captions)
    errors = scene_errors(found.rows, captions)
    apart = {f"{count} objects": each for count, each in sorted(counted.items())}
    if len(kinds) > 1:
        apart |= {name: _of_kind(found, captions, rows) for name, rows in kinds.items()}
    blocks: list[Block] = [_count_figure(counted), _score_table(scores, apart)]
    blocks += [*_colour_blocks(errors), *_noun_blocks(errors)]
    blocks += _unread_blocks(errors, len(found.rows))
    prose = [_finding(scores, kinds), f"{_MARK} {_novelty_prose(kinds)}", _READING]
    return Section("Generated scenes", "\n\n".join(prose), blocks)


def novelty(scenes: Sequence[Scene], train_captions: Collection[str]) -> dict[str, Array]:
    """Tell what of each scene no training caption holds: kind -> bool[N]; kinds without are absent.

    What may be new is a colour of a thing, or two things in a relation, told in either direction.
    """
    told = [it for it in map(parse, train_captions) if it is not None]
    pairs = {thing for it in told for thing in it.objects}
    facts = {fact for it in told for fact in _facts([noun for _, noun in it.objects], it.relations)}
    colour = np.array(
        [any((it.colour, it.noun) not in pairs for it in scene.objects) for scene in scenes], bool
    )
    place = np.array(
        [not facts.issuperset(_facts([it.noun for it in s.objects], s.relations)) for s in scenes],
        bool,
    )
    found = {
        NEW_COLOUR: colour & ~place,
        NEW_RELATION: place & ~colour,
        NEW_BOTH: colour & place,
        KNOWN: ~(colour | place),
    }
    return {name: rows for name, rows in found.items() if rows.any()}


def _facts(nouns: Sequence[str], relations: Sequence[Relation]) -> set[tuple[str, str, str]]:
    """Return (noun, place, noun) of every relation, in both directions."""
    either = [way for it in relations for way in (it, it.turned())]
    return {(nouns[it.first], it.place, nouns[it.second]) for it in either}


def _of_kind(found: Judged, captions: Outputs, rows: Array) -> list[Score]:
    chosen = [found.rows[row] for row in np.flatnonzero(rows).tolist()]
    return score_scenes(chosen, {"caption": captions["caption"][rows]}, {}, seed=found.seed)


def _novelty_prose(kinds: Mapping[str, Array]) -> str:
    """Say how many scenes show what training never held."""
    if list(kinds) == [NEW_BOTH]:
        return (
            "Every test scene shows a colour of a thing, and two things in a relation, that no "
            "training caption holds: the figures tell composition, not memory."
        )
    count = len(next(iter(kinds.values())))
    told = [f"{name} {count_and_share(int(rows.sum()), count)}" for name, rows in kinds.items()]
    text = (
        f"Of {count:,} test scenes, by what of them no training caption holds (a colour of a "
        f"thing, or two things in a relation): {', '.join(told)}."
    )
    if KNOWN in kinds:
        return f"{text} Where nothing is new, a right caption may be memory."
    return f"{text} All show something new, so the figures tell composition, not memory."


_READING = (
    "Captions are read back by the grammar of the set. Things count as a multiset, a colour only "
    "where the thing is right, a relation in either direction; a caption outside the grammar is "
    "wrong in all. A placement is a relation told between two things that are there and related: "
    "it is right or wrong whatever else is."
)


def _finding(scores: Sequence[Score], kinds: Mapping[str, Array]) -> str:
    known = {score.name: score for score in scores}
    told = [f"{_told(known[name])} of {what}" for name, what in _WHAT.items() if name in known]
    parts = [name for name in _ADVICE if name in known]
    worst = min(parts, key=lambda name: known[name].value)
    where = "On" if KNOWN in kinds else "On unseen combinations, in"
    scenes = f"{where} {known['scene_accuracy'].count:,} generated scenes"
    text = f"{scenes}, the model gets right {', '.join(told)}. "
    if known[worst].value >= 0.99:
        return f"{text}There is little left to repair."
    return text + _ADVICE[worst]


_WHAT = {
    "object_accuracy": "the objects",
    "colour_accuracy": "their colours",
    "relation_accuracy": "the relations",
    "scene_accuracy": "the scenes as a whole",
}


def _told(score: Score) -> str:
    ends = interval(score.low, score.high, "fraction")
    return f"{number(score.value, 'fraction')} ({ends})"


def _count_figure(counted: Mapping[int, list[Score]]) -> Figure:
    """Draw the accuracies by number of objects."""
    scores = [{it.name: it for it in each} for _, each in sorted(counted.items())]
    drawn = [name for name in _DRAWN if all(name in each for each in scores)]
    measured = {
        readable(name).removesuffix(" accuracy"): [interval_of(each[name]) for each in scores]
        for name in drawn
    }
    names = [str(count) for count in sorted(counted)]
    svg = interval_chart(names, measured, xlabel="objects in the scene", ylabel="accuracy")
    spoken = "; ".join(
        f"{name}: {', '.join(number(value.value, 'fraction') for value in values)}"
        for name, values in measured.items()
    )
    return Figure(svg, "Accuracy by number of objects, with 95 % intervals.", spoken)


def _score_table(scores: Sequence[Score], apart: Mapping[str, Sequence[Score]]) -> Table:
    """Tabulate the scores of all scenes, and of some of them apart."""
    parts = [{it.name: it for it in each} for each in apart.values()]
    rows = [
        [readable(score.name), _told(score), *(_value(part, score.name) for part in parts)]
        for score in scores
    ]
    columns = ["score", "all", *apart]
    return Table(columns, rows, "Generated scenes; of all of them with 95 % intervals.")


def _value(scores: Mapping[str, Score], name: str) -> str:
    return number(scores[name].value, "fraction") if name in scores else "–"


def _colour_blocks(errors: SceneErrors) -> list[Block]:
    """Show which colours and which relations are taken for which."""
    blocks: list[Block] = []
    if errors.colours:
        caption = "Colours of things named rightly; rows: the colour drawn, shares are of its row."
        blocks.append(_confusions(matrix(errors.colours, COLOURS), COLOURS, caption))
    if errors.relations:
        caption = "Relations between things named rightly; rows: the one that stands."
        short = [place.removeprefix("to the ").removesuffix(" of") for place in RELATIONS]
        blocks.append(_confusions(matrix(errors.relations, RELATIONS), short, caption))
    return blocks


def _confusions(counts: Array, names: Sequence[str], caption: str) -> Block:
    block = confusion_block(counts, names, caption=caption)
    # So few columns leave room beside them.
    return replace(block, wide=False) if isinstance(block, Html) else block


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
    told = [f"{said or 'not named'} {others[said]}" for said in _ranked(others)[:3]]
    return ", ".join(each.replace(" ", "\u00a0") for each in told) or "–"


def _unread_blocks(errors: SceneErrors, images: int) -> list[Block]:
    """Show captions that are not of the grammar."""
    if not errors.unread:
        return []
    counts = Counter(errors.unread)
    rows = [[text or "(nothing)", f"{counts[text]:,}"] for text in _ranked(counts)[:_LISTED]]
    caption = f"Captions outside the grammar: {count_and_share(len(errors.unread), images)}."
    return [Table(["caption", "images"], rows, caption)]
