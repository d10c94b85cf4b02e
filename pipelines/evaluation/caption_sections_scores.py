"""The report's pages about what scores depend on: search, number of references, length."""

from __future__ import annotations

import dataclasses

import numpy as np

from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.caption_figures import interval_chart, length_chart
from pipelines.evaluation.caption_judged import GREEDY, MODEL, Judged, interval_of
from pipelines.evaluation.captioning import by_reference_count, score_captions
from pipelines.evaluation.overview import score_table
from pipelines.evaluation.scores import Score
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.evaluation.slices import quantile_slices
from pipelines.evaluation.translation_compared import count_and_share, with_interval
from pipelines.evaluation.wording import number, readable, with_unit

_SEARCH = (
    "cider_d",
    "bleu_1",
    "bleu_4",
    "rouge_l",
    "meteor",
    "exact_match",
    "distinct_captions",
    "novel_caption_share",
    "repetition_rate",
)
_REFERENCES = ("cider_d", "bleu_1", "bleu_4", "rouge_l", "meteor")
_SAME = 0.005  # of CIDEr-D: what two decimals do not show


def search_section(found: Judged) -> Section | None:
    """Hold the captions served against those of greedy decoding."""
    if not found.greedy:
        return None
    served, greedy = found.captions[MODEL], found.captions[GREEDY]
    other = [row for row, text in enumerate(served) if text != greedy[row]]
    gain = found.cider[MODEL] - found.cider[GREEDY]
    scores = score_captions(
        found.rows,
        found.outputs[MODEL],
        {GREEDY: found.greedy},
        train_captions=found.train_captions,
        seed=found.seed,
    )
    kept = [score for score in scores if score.name in _SEARCH]
    table = score_table([score.as_json() for score in kept], kept[0].as_json())
    columns = ["score", "as served", "95 % interval", GREEDY]
    caption = "As served and greedy; below greedy's, the difference of what is served."
    blocks: list[Block] = [dataclasses.replace(table, columns=columns, caption=caption)]
    if other:
        blocks.append(_differences(found, other, gain))
    return Section("Search and greedy decoding", _search_prose(found, other, gain, kept[0]), blocks)


def _search_prose(found: Judged, other: list[int], gain: np.ndarray, score: Score) -> str:
    text = (
        "The captions served were searched for; greedy takes the most probable word at every step. "
        f"They differ on {count_and_share(len(other), len(found.rows))} of the images"
    )
    if not other:
        return f"{text}: nothing is lost by the faster greedy endpoint."
    up, down = int((gain > _SAME).sum()), int((gain < -_SAME).sum())
    text += f"; what is served is nearer to the references on {up:,} of these, greedy on {down:,}. "
    compared = score.baselines[GREEDY]
    if compared.p_value >= 0.05:
        return text + (
            "These images do not show that searching is worth its time: the greedy endpoint is "
            "faster and does as well."
        )
    if compared.difference > 0:
        return text + "Searching is worth its time; use greedy only where speed counts more."
    return text + "Searching makes captions worse here: serve greedy, or search with a lower beam."


def _differences(found: Judged, other: list[int], gain: np.ndarray) -> Table:
    """Show where searching gained and lost most."""
    order = sorted(other, key=lambda row: -abs(gain[row]))
    better = [row for row in order if gain[row] > _SAME][:4]
    worse = [row for row in order if gain[row] < -_SAME][:4]
    chosen = [*better, *worse] or order[:4]
    rows = [
        [
            found.rows[row].captions[found.closest[row]],
            found.captions[MODEL][row] or "(nothing)",
            found.captions[GREEDY][row] or "(nothing)",
            f"{gain[row]:+.2f}".replace("-", "−"),
        ]
        for row in chosen
    ]
    columns = ["reference", "as served", GREEDY, "gain"]
    caption = "Where searching gains and loses most, by CIDEr-D of the image."
    return Table(columns, rows, caption, ["left", "left", "left", "right"])


def references_section(found: Judged) -> Section | None:
    """Show how scores change with the number of references an image."""
    counted = by_reference_count(found.rows, found.outputs[MODEL], found.seed)
    if not counted:
        return None
    scores = {
        name: [next(it for it in each.scores if it.name == name) for each in counted]
        for name in _REFERENCES
    }
    names = [str(each.references) for each in counted]
    drawn = [name for name in _REFERENCES if scores[name][0].unit == "fraction"]
    svg = interval_chart(
        names,
        {readable(name): [interval_of(score) for score in scores[name]] for name in drawn},
        xlabel="references an image",
        ylabel="score",
    )
    rows = [
        [name, *(f"{with_unit(scores[it][place].value, scores[it][place].unit)}" for it in scores)]
        for place, name in enumerate(names)
    ]
    spoken = "; ".join(f"{readable(n)} {number(scores[n][-1].value, 'fraction')}" for n in drawn)
    first, last = scores["cider_d"][0], scores["cider_d"][-1]
    prose = (
        f"The same captions of {counted[0].images:,} images, held against 1 to {len(counted)} "
        "references each. BLEU, ROUGE-L and METEOR take the best match, so they rise with the "
        "number of references and are comparable only at the same number; CIDEr-D is a mean over "
        f"references: with 1 it is {number(first.value)}, with {len(counted)} "
        f"{number(last.value)}. Compare scores measured elsewhere with the line of as many "
        "references."
    )
    caption = "Scores by references an image, with 95 % intervals."
    figure = Figure(svg, caption, f"With {len(counted)} references: {spoken}")
    table = Table(["references", *map(readable, scores)], rows)
    return Section("By number of references", prose, [figure, table])


def length_section(found: Judged) -> Section:
    """Hold lengths of captions against those of references, and scores against lengths."""
    own = np.array([len(words) for words in found.tokens[MODEL]])
    theirs = np.array([len(words) for known in found.references for words in known])
    wanted = np.array(
        [round(float(np.mean([len(words) for words in known]))) for known in found.references]
    )
    svg = length_chart({MODEL: own, "references": theirs})
    spoken = f"The model's captions have {own.mean():.1f} words, references {theirs.mean():.1f}."
    figure = Figure(svg, "How long captions are, in words.", spoken)
    parts = quantile_slices(wanted, 5)
    names = [part.name for part in parts]
    measured = {
        system: [found.mean(found.cider[system], part.rows) for part in parts]
        for system in found.drawn
    }
    chart = interval_chart(names, measured, xlabel="words in the references", ylabel="CIDEr-D")
    told = "; ".join(
        f"{name}: {number(value.value)}" for name, value in zip(names, measured[MODEL], strict=True)
    )
    rows = [
        [
            part.name,
            f"{part.rows.sum():,}",
            f"{own[part.rows].mean():.1f}",
            *(with_interval(measured[system][place]) for system in measured),
        ]
        for place, part in enumerate(parts)
    ]
    columns = ["words", "images", "model's words", *(f"CIDEr-D, {name}" for name in measured)]
    caption = "By words in the references (their mean where there are several)."
    blocks: list[Block] = [
        figure,
        Figure(chart, "CIDEr-D by length, with 95 % intervals.", f"The model's CIDEr-D. {told}"),
        Table(columns, rows, caption),
    ]
    return Section("By length", _length_prose(own, wanted, measured[MODEL], names), blocks)


def _length_prose(
    own: np.ndarray, wanted: np.ndarray, values: list[Interval], names: list[str]
) -> str:
    ratio = float(own.sum() / max(1, wanted.sum()))
    text = (
        f"The model's captions have {own.mean():.1f} words on average, references "
        f"{wanted.mean():.1f}. "
    )
    if ratio < 0.9:
        text += "It says less than they do: raise the length penalty, or train longer. "
    elif ratio > 1.1:
        text += "It says more than they do: lower the length penalty, or look for loops. "
    else:
        text += "That is as long. "
    if len(values) < 2:
        return text.strip()
    best = max(range(len(values)), key=lambda place: values[place].value)
    worst = min(range(len(values)), key=lambda place: values[place].value)
    if values[worst].high < values[best].low:
        text += (
            f"Captions of {names[worst]} words fare worst, of {names[best]} best; CIDEr-D of fewer "
            "than four words cannot reach 10, as they hold no run of four."
        )
    else:
        text += "Differences between lengths lie within what these few images can tell."
    return text
