"""The page of `ladder`: how big the model should be, and the drawing that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.evaluation import wording
from pipelines.evaluation.sections import Figure, Section, Table
from pipelines.evaluation.study_page import write_study
from pipelines.studies import figures
from pipelines.studies.climbing import Ladder, Rung
from pipelines.studies.facts import data_section, described, quality_words
from pipelines.studies.runs import Desk, Quality
from pipelines.studies.seeds import mean_of
from pipelines.studies.stopping import PATIENCE, noise

COLUMNS = (
    "size", "trained weights", "validation", "train", "gap", "training", "epochs", "seeds",
)  # fmt: skip


def write_ladder(folder: Path, desk: Desk, quality: Quality, climbed: Ladder) -> Path:
    """Write the page of a ladder that was climbed."""
    rungs = [*climbed.wider, *climbed.deeper[1:]]
    sections = [
        Section("How big should it be?", _answer(climbed, quality)),
        Section("Quality by size", "", _drawings(climbed, quality)),
        Section("Every rung", "", [_table(rungs, climbed.chosen)]),
        Section("How this was measured", _method(desk, quality)),
        data_section(desk),
    ]
    return write_study(
        folder,
        title=f"{wording.sentence(wording.readable(desk.task.name))}: how big should it be?",
        lead=_lead(climbed, quality),
        sections=sections,
        data={
            "study": "ladder",
            **described(desk, quality),
            "chosen": _rung(climbed.chosen, with_test=True),
            "rungs": [_rung(rung, with_test=False) for rung in rungs],
        },
    )


def _lead(climbed: Ladder, quality: Quality) -> str:
    chosen = climbed.chosen
    mean = mean_of(chosen.values("test"))
    interval = (
        "" if mean.low is None else f", 95 % interval {wording.interval(mean.low, mean.high)}"
    )
    return (
        f"{chosen.name}: {_weights(chosen):,} trained weights. No larger model that was tried is "
        "better on the validation split by more than the noise between seeds. On the test split "
        f"this one reaches {quality_words(quality)} {wording.number(mean.value)} (mean of "
        f"{len(chosen.runs)} seed{'s' * (len(chosen.runs) > 1)}{interval})."
    )


def _weights(rung: Rung) -> int:
    return int(rung.runs[0]["trained_weights"])


def _answer(climbed: Ladder, quality: Quality) -> str:
    chosen, largest = climbed.chosen, climbed.wider[-1]
    values = [rung.values("valid") for rung in (*climbed.wider, *climbed.deeper[1:])]
    spread = noise(values)
    parts = [
        f"Take --units {chosen.units} --depth {chosen.depth}. The validation value is "
        f"{wording.number(mean_of(chosen.values('valid')).value)}; at {largest.units} units and "
        f"one layer it is {wording.number(mean_of(largest.values('valid')).value)}.",
        _ending(climbed),
        f"Between seeds of one size the validation value varies by {wording.number(spread)} "
        "(standard deviation)."
        if spread
        else "With one seed the noise is not known, so any gain counts: give --study-seeds 3.",
        _gap(chosen, quality),
    ]
    return "\n\n".join(part for part in parts if part)


def _ending(climbed: Ladder) -> str:
    if not climbed.ended:
        return (
            f"The ladder ended at its last rung, {climbed.wider[-1].units} units, before "
            "validation had stopped gaining: a larger model may be better. "
            "Give a higher --study-most-units."
        )
    deep = climbed.deeper[1:]
    layers = " and ".join(str(rung.depth) for rung in deep)
    more = f" {wording.sentence(layers)} layers were tried at the units chosen." if deep else ""
    return (
        f"More units gained nothing on {PATIENCE} rungs in a row, so the ladder ends there.{more}"
    )


def _gap(chosen: Rung, quality: Quality) -> str:
    gap = quality.sign * (
        mean_of(chosen.values("train")).value - mean_of(chosen.values("valid")).value
    )
    return (
        f"On the rows it learned from, this model is {wording.number(abs(gap))} "
        f"{'better' if gap >= 0 else 'worse'} than on validation rows. A gap that widens while "
        "validation stands still is memory, not skill; regularisation may then do more than size."
    )


def _drawings(climbed: Ladder, quality: Quality) -> list[Figure]:
    drawn = [_drawing(climbed.wider, climbed.chosen, quality, "one layer, rising units")]
    if len(climbed.deeper) > 1:
        caption = f"{climbed.deeper[0].units} units, rising depth"
        drawn.append(_drawing(climbed.deeper, climbed.chosen, quality, caption))
    return drawn


def _drawing(rungs: Any, chosen: Rung, quality: Quality, caption: str) -> Figure:
    curves = {name: [rung.values(key) for rung in rungs] for name, key in _CURVES.items()}
    place = next((n for n, rung in enumerate(rungs) if rung is chosen), None)
    svg = figures.ladder(
        [_weights(rung) for rung in rungs], curves, place, ylabel=quality_words(quality)
    )
    told = "; ".join(
        f"{_weights(rung):,} weights: {wording.number(mean_of(rung.values('valid')).value)}"
        for rung in rungs
    )
    mark = "; the dashed line marks the size chosen" if place is not None else ""
    return Figure(svg, f"{wording.sentence(caption)}: means and single seeds{mark}.", told)


_CURVES = {"validation": "valid", "rows learned from": "train"}


def _table(rungs: list[Rung], chosen: Rung) -> Table:
    rows = []
    for rung in rungs:
        mean = {name: mean_of(rung.values(name)).value for name in ("valid", "train", "seconds")}
        rows.append(
            [
                rung.name + (" (chosen)" if rung is chosen else ""),
                f"{_weights(rung):,}",
                wording.number(mean["valid"]),
                wording.number(mean["train"]),
                wording.number(mean["train"] - mean["valid"]),
                wording.duration(mean["seconds"]),
                f"{mean_of(rung.values('epochs')).value:.1f}",
                str(len(rung.runs)),
            ]
        )
    return Table(COLUMNS, rows, "Means over seeds; embedding tables are not counted.")


def _method(desk: Desk, quality: Quality) -> str:
    config = desk.task.config
    return (
        f"Each rung is trained anew from several seeds, for at most {config.epochs} "
        f"epoch{'s' * (config.epochs > 1)} with early stopping, with every "
        "setting but --units and --depth as given. Its value is "
        f"{quality_words(quality)} of the best epoch on the validation split.\n\n"
        f"Units double until {PATIENCE} rungs in a row bring no gain over the chosen one; then "
        "layers double at its units, until one rung brings none. The rung chosen is the smallest "
        "that no larger one betters by more than a standard error of the difference of their "
        "means, with the deviation over seeds pooled over rungs (the rule of one standard error, "
        "Breiman et al., 1984): of models that cannot be told apart, the smallest.\n\n"
        "The test split is shown of the chosen rung only, or choosing among rungs would have used "
        "it. Values on the rows learned from are drawn for the gap and are no measure of quality."
    )


def _rung(rung: Rung, *, with_test: bool) -> dict[str, Any]:
    hidden = () if with_test else ("test",)
    runs = [{k: v for k, v in run.items() if k not in hidden} for run in rung.runs]
    return {"units": rung.units, "depth": rung.depth, "runs": runs}
