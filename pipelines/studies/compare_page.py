"""The page of `compare-cells`: a table, two drawings, and what they say in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from pipelines.evaluation import wording
from pipelines.evaluation.sections import Figure, Section, Table
from pipelines.evaluation.study_page import write_study
from pipelines.studies import figures
from pipelines.studies.compare import Compared
from pipelines.studies.facts import data_section, described, quality_words
from pipelines.studies.runs import Desk, Quality
from pipelines.studies.seeds import is_clear, mean_of, welch_p_values

FEW_SEEDS = 5
COLUMNS = (
    "", "network", "quality on test", "95 % interval", "validation", "training",
    "tokens/s, training", "rows/s, reading", "trained weights", "units", "all weights", "size",
)  # fmt: skip


def write_comparison(
    folder: Path, desk: Desk, quality: Quality, budget: int, found: Sequence[Compared]
) -> Path:
    """Write the page of a grid, at least one combination of which was trained."""
    ranked = sorted(
        (entry for entry in found if entry.runs),
        key=lambda entry: -quality.sign * mean_of(entry.values("test")).value,
    )
    best = chosen_on_validation(ranked, quality)
    against = welch_p_values(
        best.values("test"), {e.combination.name: e.values("test") for e in ranked if e is not best}
    )
    sections = [
        Section("Which differences are clear", _reading(ranked, best, against, quality)),
        Section("All networks", "", [_table(ranked)]),
        Section("Drawn", "", _drawings(ranked, quality)),
        *_failures(found),
        Section("How this was measured", _method(desk, quality, budget, best)),
        data_section(desk),
    ]
    return write_study(
        folder,
        title=f"{wording.sentence(wording.readable(desk.task.name))}: cells compared",
        lead=_lead(best, quality, budget),
        sections=sections,
        data={
            "study": "compare-cells",
            **described(desk, quality),
            "budget": budget,
            "networks": [_network(entry, against) for entry in ranked],
            "left_out": {entry.combination.name: entry.failure for entry in found if entry.failure},
        },
    )


def chosen_on_validation(ranked: Sequence[Compared], quality: Quality) -> Compared:
    """Return the combination whose validation values have the best mean."""
    return max(ranked, key=lambda entry: quality.sign * mean_of(entry.values("valid")).value)


def _lead(best: Compared, quality: Quality, budget: int) -> str:
    mean = mean_of(best.values("test"))
    interval = (
        "" if mean.low is None else f", 95 % interval {wording.interval(mean.low, mean.high)}"
    )
    return (
        f"With about {budget:,} trained weights each, {best.combination.name} did best on the "
        f"validation split. On the test split it reaches {quality_words(quality)} "
        f"{wording.number(mean.value)} (mean of {_seeds(best)}{interval})."
    )


def _seeds(entry: Compared) -> str:
    count = len(entry.runs)
    return f"{count} seed{'s' if count != 1 else ''}"


def _reading(
    ranked: Sequence[Compared], best: Compared, against: dict[str, float], quality: Quality
) -> str:
    middle = mean_of(best.values("test")).value
    clear: list[str] = []
    unclear: list[str] = []
    for entry in ranked:
        if entry is best:
            continue
        name = entry.combination.name
        gap = quality.sign * (mean_of(entry.values("test")).value - middle)
        side = (
            f"{'better' if gap > 0 else 'worse'} by {wording.number(abs(gap))}" if gap else "equal"
        )
        words = f"{name} ({side}, {wording.p_value(against[name])})"
        (clear if is_clear(against[name]) else unclear).append(words)
    kept = best.combination.name
    parts = [
        f"Clearly different from {kept}: {'; '.join(clear)}." if clear else "",
        f"Not to be told from {kept} by these runs: {'; '.join(unclear)}." if unclear else "",
        "" if against else "There is nothing to compare it with.",
        _caution(min(len(entry.runs) for entry in ranked)),
    ]
    return "\n\n".join(part for part in parts if part)


def _caution(seeds: int) -> str:
    if seeds < 2:
        return (
            "With one seed nothing is known of how much a result changes from training to "
            "training, so no difference is called clear: give --study-seeds 3 or more."
        )
    if seeds < FEW_SEEDS:
        return (
            f"With {seeds} seeds only large differences can be shown: that one is not clear does "
            "not mean that there is none. More seeds narrow the intervals."
        )
    return ""


def _table(ranked: Sequence[Compared]) -> Table:
    rows = [_row(number, entry) for number, entry in enumerate(ranked, start=1)]
    caption = "Best on the test split first; means over seeds. Training is the time of one run."
    align = ("right", "left") + ("right",) * (len(COLUMNS) - 2)
    return Table(COLUMNS, rows, caption, align)  # type: ignore[arg-type]


def _row(number: int, entry: Compared) -> list[str]:
    test = mean_of(entry.values("test"))
    mean = {name: mean_of(entry.values(name)).value for name in _COSTS}
    return [
        str(number),
        Markup('<span class="nowrap">{}</span>').format(entry.combination.name),
        wording.number(test.value),
        wording.interval(test.low, test.high),
        wording.number(mean["valid"]),
        wording.duration(mean["seconds"]),
        f"{mean['tokens_per_second']:,.0f}",
        f"{mean['rows_per_second']:,.0f}",
        f"{entry.weights:,}",
        f"{entry.units:,}",
        f"{mean['parameters']:,.0f}",
        wording.size(mean["bytes"]),
    ]


_COSTS = ("valid", "seconds", "tokens_per_second", "rows_per_second", "parameters", "bytes")


def _drawings(ranked: Sequence[Compared], quality: Quality) -> list[Figure]:
    names = [f"{place}  {entry.combination.name}" for place, entry in enumerate(ranked, start=1)]
    means = [mean_of(entry.values("test")) for entry in ranked]
    seconds = [mean_of(entry.values("seconds")).value for entry in ranked]
    label = f"{quality_words(quality)} on test"
    values = [mean.value for mean in means]
    told = "; ".join(
        f"{name}: {wording.number(value)}" for name, value in zip(names, values, strict=True)
    )
    costs = figures.costs(range(1, len(names) + 1), seconds, values, ylabel=label)
    return [
        Figure(
            figures.dots(names, means, xlabel=label),
            "Mean over seeds with its 95 % interval; lines that leave the drawing go on.",
            told,
        ),
        Figure(
            costs,
            "Quality against the time of one training; numbers are those of the table.",
            "; ".join(f"{n}: {s:.0f} s" for n, s in zip(names, seconds, strict=True)),
        ),
    ]


def _failures(found: Sequence[Compared]) -> list[Section]:
    rows = [[entry.combination.name, entry.failure] for entry in found if entry.failure]
    if not rows:
        return []
    table = Table(("network", "reason"), rows, align=("left", "left"))
    return [Section("Left out", "Runs that could not be.", [table])]


def _method(desk: Desk, quality: Quality, budget: int, best: Compared) -> str:
    config = desk.task.config
    return (
        f"Quality is {quality_words(quality)}: the value by which training chooses its epoch on "
        "the validation split, here measured once on the test split, with the weights of that "
        "epoch, in memory. It is that of the trained network; what a task fits by other means, "
        "and how the exported model scores, is in the report of make train.\n\n"
        f"The budget of {budget:,} weights counts all that training changes but the embedding "
        "tables, which are the same in every network: recurrent or other encoder layers, and "
        "the layers that read their states. --units was chosen to come nearest to it; the table "
        "gives what was reached. All other settings are the same in every run: at most "
        f"{config.epochs} epoch{'s' * (config.epochs > 1)}, patience {config.patience}, learning "
        f"rate {config.learning_rate:g}. A network that would want another rate is not "
        "done justice.\n\n"
        "Intervals are Student's t over seeds: they say what another training on the same rows "
        "may give, not what other test rows may. Differences are from "
        f"{best.combination.name}, the choice of the validation split, by Welch's t-test over "
        "seeds with Holm's correction for the number of comparisons. Rows per second are those of "
        "the network in memory, in batches; size is that of all weights in float32."
    )


def _network(entry: Compared, against: dict[str, float]) -> dict[str, Any]:
    return {
        "name": entry.combination.name,
        "settings": {**entry.combination.changes, "units": entry.units},
        "trained_weights": entry.weights,
        "test": mean_of(entry.values("test")),
        "p_value": against.get(entry.combination.name),
        "runs": list(entry.runs),
    }
