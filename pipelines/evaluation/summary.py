"""The few lines at the end of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.text import Text

from pipelines.evaluation import wording
from pipelines.evaluation.report import headline_score

_STYLES = {"better": "green", "worse": "red", "undecided": "yellow"}


def terminal_summary(report: Mapping[str, Any], paths: Mapping[str, Path]) -> Text:
    """Return headline, baselines, wall time and paths; plain ASCII, colours on a terminal only.

    Lines fit 80 columns as far as names and paths allow; paths are shown from the working folder.

    Args:
        report: the content of report.json.
        paths: what to name them -> where they are.
    """
    score = headline_score(report)
    lines = [Text(_value_line(score), style="bold")]
    lines += [_baseline_line(score, name) for name in score["baselines"]]
    seconds = (report.get("manifest") or {}).get("wall_seconds")
    if seconds is not None:
        lines.append(Text(f"wall time  {wording.duration(seconds)}"))
    width = max((len(name) for name in paths), default=0)
    lines += [Text(f"{name:{width}}  {_from_here(path)}") for name, path in paths.items()]
    return Text("\n").join(lines)


def _value_line(score: Mapping[str, Any]) -> str:
    text = f"{_ascii(wording.readable(score['name']))} "
    text += wording.with_unit(score["value"], score["unit"])
    if score.get("low") is not None:
        low, high = (wording.number(score[end], score["unit"]) for end in ("low", "high"))
        text += f" (95 % interval {low} to {high})"
    return f"{text} on {score['count']:,} test {score.get('counted', 'rows')}"


def _baseline_line(score: Mapping[str, Any], name: str) -> Text:
    outcome = wording.verdict(score, name)
    value = wording.number(score["baselines"][name], score["unit"])
    comparison = score.get("comparisons", {}).get(name)
    line = Text(f"  {name} {value}: ")
    gap = score["value"] - score["baselines"][name]
    words = f"model {_ascii(wording.difference(gap, score['unit'], signed=True))}"
    if comparison:
        words += f", {wording.p_value(comparison['p_value'])}"
    words += {"better": " (better)", "worse": " (worse)", "undecided": " (unclear)"}[outcome]
    return line.append(words, style=_STYLES[outcome])


def _from_here(path: Path) -> str:
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _ascii(text: str) -> str:
    return text.replace("–", "-").replace("−", "-")
