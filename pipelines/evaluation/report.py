"""The evaluation report: report.json for programs and report.html for people."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pipelines.errors import EvaluationError
from pipelines.evaluation import facts, overview, wording
from pipelines.evaluation.plain import plain
from pipelines.evaluation.sections import Block, Figure, Html, Section, Table

__all__ = ["Block", "Figure", "Html", "Section", "Table", "write_page", "write_report"]

_REQUIRED = (
    "task",
    "headline",
    "scores",
    "data",
    "training",
    "model",
    "serving",
    "parity",
    "manifest",
)
_SCORE_KEYS = ("name", "value", "unit", "better", "count", "low", "high", "baselines")
_TEMPLATES = Path(__file__).parent / "templates"


def write_report(directory: Path, report: Mapping[str, Any], sections: Sequence[Section]) -> None:
    """Write report.json and report.html; each appears under its name once complete.

    Args:
        directory: made if absent.
        report: the form of `report.json` in the design. `training`, `serving` and `parity` may be
            None where a run has none, as when an existing model is scored on other rows.
        sections: the task's own sections, in order.

    Raises:
        EvaluationError: a key is missing, or a score is not a finite number.
    """
    content = plain(_checked(report))
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(directory / "report.json", text + "\n")
    write_page(directory / "report.html", "report.html.j2", **_page_context(content, sections))


def write_page(path: Path, template: str, **context: Any) -> None:
    """Render a template of this package to a file; `wording` is at hand in every template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    style = Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8"))
    page = environment.get_template(template).render(style=style, wording=wording, **context)
    write_whole(path, page)


def write_whole(path: Path, text: str) -> None:
    """Write a text file beside its place and move it there, so that no half of it is ever seen."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="\n")
    partial.replace(path)


def headline_score(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the score that `report["headline"]` names.

    Raises:
        EvaluationError: no score has that name.
    """
    names = [score["name"] for score in report["scores"]]
    if report["headline"] not in names:
        raise EvaluationError(
            f"report: the headline is {report['headline']!r} but the scores are {names}; the "
            "headline must be one of them: check the task's `headline`"
        )
    return dict(report["scores"][names.index(report["headline"])])


def _checked(report: Mapping[str, Any]) -> Mapping[str, Any]:
    missing = [key for key in _REQUIRED if key not in report]
    if missing:
        raise EvaluationError(
            f"report: keys {missing} are missing (found {sorted(report)}); a report holds "
            f"{list(_REQUIRED)}: add them, as None where the run has none"
        )
    for number, score in enumerate(report["scores"]):
        _check_score(score, number)
    headline_score(report)
    return report


def _check_score(score: Mapping[str, Any], number: int) -> None:
    missing = [key for key in _SCORE_KEYS if key not in score]
    if missing:
        raise EvaluationError(
            f"report: scores[{number}] ({score.get('name')!r}) lacks {missing}; a score holds "
            f"{list(_SCORE_KEYS)}: make it with Score(...).as_json()"
        )
    if not math.isfinite(score["value"]):
        raise EvaluationError(
            f"report: score {score['name']!r} is {score['value']}; expected a finite number: look "
            "for empty classes, or for NaN in the model's outputs"
        )


def _page_context(report: dict[str, Any], sections: Sequence[Section]) -> dict[str, Any]:
    data, training = report["data"] or {}, report["training"] or {}
    headline = headline_score(report)
    return {
        "report": report,
        "score": headline,
        "strongest": overview.strongest(headline),
        "sections": sections,
        "score_table": overview.score_table(report["scores"], headline),
        "training_sentence": overview.training_sentence(training),
        "curves": overview.learning_figures(training),
        "data_counts": overview.data_counts(data),
        "facts": {
            "data": facts.data_facts(data),
            "model": facts.model_facts(report["model"] or {}, training, report["serving"] or {}),
            "manifest": facts.manifest_facts(report["manifest"] or {}),
        },
        "dropped": overview.dropped_rows(data),
        "manifest_json": json.dumps(report["manifest"], indent=2, ensure_ascii=False),
    }
