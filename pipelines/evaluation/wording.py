"""Numbers and comparisons in words, the same in the report, the index and the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

SIGNIFICANT = 0.05
_NAMES = {
    "f1": "F1",
    "ece": "calibration error (ECE)",
    "auc": "AUC",
    "mae": "MAE",
    "rmse": "RMSE",
    "mase": "MASE",
    "smape": "sMAPE",
    "crps": "CRPS",
    "wql": "weighted quantile loss",
    "bleu": "BLEU",
    "ner": "NER",
    "pos": "POS",
    "chrf": "chrF++",
    "ter": "TER",
    "cider-d": "CIDEr-D",
    **{f"bleu-{order}": f"BLEU-{order}" for order in range(1, 5)},
    "rouge-l": "ROUGE-L",
    "meteor": "METEOR",
}
# Names of two parts, which their fields join by a hyphen.
_HYPHENATED = re.compile(r"(?<![^_])(cider_d|bleu_[1-4]|rouge_l)(?![^_])")


def readable(name: str) -> str:
    """Turn an identifier into words: `macro_f1` into "macro F1".

    What follows a colon is a name from the data, such as a column's, and stays as it is.
    """
    name, colon, rest = name.partition(":")
    if share := re.fullmatch(r"(coverage|width)_(\d+)", name):
        words = f"{share[1]} of the {share[2]} % interval"
    elif overlap := re.fullmatch(r"f1_(\d+)", name):
        words = f"F1@{overlap[1]}"
    else:
        parts = _HYPHENATED.sub(lambda found: found[1].replace("_", "-"), name).split("_")
        words = " ".join(_NAMES.get(part, part) for part in parts)
    return words + colon + rest


def name_after(unit: str, name: str) -> str:
    """Write a score's name behind its unit: "bits" "per character", not "bits bits per ..."."""
    return readable(name).removeprefix(f"{unit} ") if unit else readable(name)


def number(value: float | None, unit: str = "") -> str:
    """Write a measured value: three decimals for fractions, else three significant digits."""
    if value is None or not math.isfinite(value):
        return "–"
    return _digits(value, unit).replace("-", "−") if value < 0 else _digits(value, unit)


def _digits(value: float, unit: str) -> str:
    if unit == "fraction":
        return f"{value:.3f}"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size and size < 0.001:
        return f"{value:.1e}"
    decimals = max(0, 2 - math.floor(math.log10(size))) if size else 0
    return f"{value:.{min(decimals, 4)}f}"


def with_unit(value: float | None, unit: str) -> str:
    """Write a value and its unit; a fraction needs none."""
    return number(value, unit) if unit in ("fraction", "") else f"{number(value, unit)} {unit}"


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """Write an interval as "0.790–0.834"; an en dash between negative numbers would mislead."""
    if low is None or high is None:
        return "–"
    separator = " to " if low < 0 else "–"
    return f"{number(low, unit)}{separator}{number(high, unit)}"


def p_value(p: float | None) -> str:
    """Write a p-value: "p = 0.03", "p < 0.001"."""
    if p is None:
        return "p not computed"
    if p < 0.001:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.0095 else f"p = {p:.2f}"


def difference(value: float, unit: str, *, signed: bool = False) -> str:
    """Write a difference: of fractions in points (hundredths), otherwise in the unit."""
    shown = value if signed else abs(value)
    sign = "+" if signed and value > 0 else ""
    if unit == "fraction":
        text = f"{shown * 100:.1f}"
        return f"{sign}{text} point{'' if text.lstrip('-') == '1.0' else 's'}".replace("-", "−")
    return f"{sign}{with_unit(shown, unit)}"


def difference_interval(comparison: Mapping[str, Any], unit: str) -> str:
    """Write the interval of a difference, signed: "-0.2 to +2.9 points"."""
    low, high = comparison["low"], comparison["high"]
    if unit == "fraction":
        return f"{_signed(low * 100)} to {_signed(high * 100)} points"
    ends = [f"{'+' if end > 0 else ''}{number(end)}" for end in (low, high)]
    return f"{ends[0]} to {ends[1]}" + (f" {unit}" if unit else "")


def verdict(score: Mapping[str, Any], baseline: str) -> str:
    """Return "better", "worse" or "undecided" for a score against one of its baselines.

    Without a paired comparison (a score that has values only) nothing is claimed.
    """
    comparison = score.get("comparisons", {}).get(baseline)
    if comparison is None or comparison["p_value"] >= SIGNIFICANT or comparison["difference"] == 0:
        return "undecided"
    # Differences of distances from a target are, like those of errors, better when negative.
    gained = (comparison["difference"] > 0) == (score["better"] == "higher")
    return "better" if gained else "worse"


def headline(score: Mapping[str, Any]) -> str:
    """Write a score with its interval and the rows it was measured on."""
    text = f"{with_unit(score['value'], score['unit'])} {name_after(score['unit'], score['name'])}"
    if score.get("low") is not None:
        text += f" (95 % interval {interval(score['low'], score['high'], score['unit'])})"
    return f"{text} on {score['count']:,} test {score.get('counted', 'rows')}"


def against(score: Mapping[str, Any], baseline: str) -> str:
    """Write how a score compares with a baseline: "1.4 points above X (0.798), p = 0.03"."""
    unit, value = score["unit"], score["baselines"][baseline]
    if score.get("target") is not None:
        return _against_target(score, baseline)
    gap = score["value"] - value
    place = f"{difference(gap, unit)} {'above' if gap > 0 else 'below'}"
    if gap == 0:
        place = "equal to"
    text = f"{place} {baseline} ({number(value, unit)})"
    comparison = score.get("comparisons", {}).get(baseline)
    return f"{text}, {p_value(comparison['p_value'])}" if comparison else text


def _against_target(score: Mapping[str, Any], baseline: str) -> str:
    """Compare distances from a target: "2.1 points nearer to 0.800 than X (0.771), p = 0.04"."""
    unit, value, target = score["unit"], score["baselines"][baseline], score["target"]
    gap = abs(score["value"] - target) - abs(value - target)
    side = "nearer to" if gap < 0 else "farther from"
    text = f"{difference(gap, unit)} {side} {number(target, unit)} than"
    if gap == 0:
        text = f"as near to {number(target, unit)} as"
    text = f"{text} {baseline} ({number(value, unit)})"
    comparison = score.get("comparisons", {}).get(baseline)
    return f"{text}, {p_value(comparison['p_value'])}" if comparison else text


def judgement(score: Mapping[str, Any], baseline: str) -> str:
    """State the outcome against a baseline plainly, good or bad."""
    outcome = verdict(score, baseline)
    if outcome == "better":
        return f"The model is better than {baseline}."
    if outcome == "worse":
        return f"The model is worse than {baseline}."
    return f"These rows do not show the model to be better or worse than {baseline}."


def sentence(text: str) -> str:
    """Raise the first letter and leave the rest as it is."""
    return text[:1].upper() + text[1:]


def size(count: float | None) -> str:
    """Write a number of bytes in MB or kB."""
    if count is None:
        return "–"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def duration(seconds: float | None) -> str:
    """Write seconds as "48 s", "2 min 5 s" or "3 h 12 min"."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
