"""The parts of the report that every task has: scores, learning curves, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from pipelines.evaluation import plots, wording
from pipelines.evaluation.sections import Figure, Table

LABELS_SIDE_BY_SIDE = 6
MOST_SHOWN = 3  # baselines at the top of the report


def strongest(score: Mapping[str, Any]) -> list[str]:
    """Return the names of the baselines that come nearest to a score, or pass it; the best first.

    The few that a reader asks about: all of them, as long as they are few.
    """
    if len(score["baselines"]) <= MOST_SHOWN:
        return list(score["baselines"])
    target, sign = score.get("target"), -1 if score["better"] == "higher" else 1

    def rank(name: str) -> float:
        value = score["baselines"][name]
        return abs(value - target) if target is not None else sign * value

    return sorted(score["baselines"], key=rank)[:MOST_SHOWN]


def score_table(scores: Sequence[Mapping[str, Any]], headline: Mapping[str, Any]) -> Table:
    """Every score with its interval, and the strongest baselines' with the paired difference."""
    known = dict.fromkeys(name for score in scores for name in score["baselines"])
    names = strongest(headline) if len(known) > MOST_SHOWN else list(known)
    weaker = len(known) - len(names)
    return Table(
        columns=["score", "model", "95 % interval", *names],
        rows=[
            [
                _score_name(score),
                wording.with_unit(score["value"], score["unit"]),
                wording.interval(score["low"], score["high"], score["unit"]),
                *(_baseline_cell(score, name) for name in names),
            ]
            for score in scores
        ],
        caption="Scores on the test rows; below each baseline's, the model's difference from it."
        + (f" {weaker} weaker baselines are further down and in report.json." if weaker else ""),
    )


def _score_name(score: Mapping[str, Any]) -> str:
    direction = {"lower": ", lower is better", "higher": ""}.get(score["better"])
    if direction is None:
        direction = f", best is {wording.number(score['target'], score['unit'])}"
    return f"{wording.readable(score['name'])}{direction}"


def _baseline_cell(score: Mapping[str, Any], name: str) -> str:
    if name not in score["baselines"]:
        return "–"
    value = wording.number(score["baselines"][name], score["unit"])
    comparison = score.get("comparisons", {}).get(name)
    if comparison is None:
        return value
    unit = score["unit"]
    gap = wording.difference(comparison["difference"], unit, signed=True)
    if score.get("target") is not None:
        gap += " farther" if comparison["difference"] > 0 else " nearer"
    return Markup("{}<br><small>{}, {}</small>").format(
        value, gap, wording.p_value(comparison["p_value"])
    )


def training_sentence(training: Mapping[str, Any]) -> str:
    """Say how long was trained and which epoch's weights were kept."""
    if not training.get("epochs"):
        return ""
    count = training["epochs"]
    text = f"{count} epoch{'' if count == 1 else 's'} in "
    text += wording.duration(training.get("seconds"))
    if training.get("averaged_epochs"):
        text += f"; the mean of the weights of the last {training['averaged_epochs']} was kept, "
        text += "as better on validation than any epoch's own"
    elif training.get("best_epoch"):
        text += f"; the weights of epoch {training['best_epoch']} were kept, chosen on validation"
    if training.get("resumed_from_epoch") is not None:
        text += f"; resumed after epoch {training['resumed_from_epoch']}"
    return text + "."


def dropped_rows(data: Mapping[str, Any]) -> Table | None:
    """Rows left out and why; None when all were kept."""
    dropped = data.get("dropped") or {}
    if not dropped:
        return None
    rows = [[reason, f"{count:,}"] for reason, count in dropped.items()]
    return Table(columns=["left out because", "rows"], rows=rows, caption="Rows left out.")


def learning_figures(training: Mapping[str, Any]) -> list[Figure]:
    """Draw what `history` holds: losses on one figure, each other validation score on its own."""
    history = [row for row in training.get("history") or [] if "epoch" in row]
    if len(history) < 2:  # one point is no curve
        return []
    best = None if training.get("averaged_epochs") else training.get("best_epoch")
    names = [name for name, value in history[0].items() if isinstance(value, int | float)]
    losses = [name for name in names if name.endswith("loss")]
    scores = [name for name in names if name.startswith(("valid_", "val_")) and name not in losses]
    groups = [losses] if losses else []
    groups += [[name] for name in scores]
    return [_learning_figure(history, group, best) for group in groups]


def _learning_figure(
    history: Sequence[Mapping[str, Any]], names: Sequence[str], best: int | None
) -> Figure:
    epochs = [int(row["epoch"]) for row in history]
    titles = {name: _curve_name(name) for name in names}
    curves = {titles[name]: [row.get(name) for row in history] for name in names}
    label = "loss" if len(names) > 1 else titles[names[0]]
    caption = f"{wording.sentence(' and '.join(titles.values()))} after each epoch."
    ends = [
        f"{title} from {wording.number(values[0])} to {wording.number(values[-1])}"
        for title, values in curves.items()
    ]
    svg = plots.learning_curve(epochs, curves, best_epoch=best, label=label)
    return Figure(svg=svg, caption=caption, alt=f"{len(epochs)} epochs: " + "; ".join(ends))


def _curve_name(name: str) -> str:
    if name == "loss":
        return "training loss"
    for prefix in ("valid_", "val_"):
        if name.startswith(prefix):
            return f"validation {wording.readable(name.removeprefix(prefix))}"
    return wording.readable(name)


def data_counts(data: Mapping[str, Any]) -> Table | None:
    """Rows per split, and each label's count (the first thirty); None when nothing was counted.

    A row of the table is a split, or a label where there are more than fit side by side.
    """
    counts, by_label = data.get("counts") or {}, data.get("label_counts") or {}
    if not counts:
        return None
    labels = list(dict.fromkeys(label for split in by_label.values() for label in split))[:30]
    header = ["split", "rows", *labels]
    rows = [
        [split, f"{count:,}", *(f"{by_label.get(split, {}).get(label, 0):,}" for label in labels)]
        for split, count in counts.items()
    ]
    if len(labels) > LABELS_SIDE_BY_SIDE:
        header, *rows = (list(column) for column in zip(header, *rows, strict=True))
    caption = "Rows of each split, and how often each label occurs in them."
    return Table(columns=header, rows=rows, caption=caption)
