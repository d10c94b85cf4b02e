"""One page of a study: what many trainings together say, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.evaluation.plain import plain
from pipelines.evaluation.report import write_page, write_whole
from pipelines.evaluation.sections import Section


def write_study(
    folder: Path,
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
    data: Mapping[str, Any],
) -> Path:
    """Write study.json and study.html; each appears under its name once complete.

    Args:
        folder: made if absent.
        title: of the page.
        lead: what came out, in plain text under the title; a blank line starts a new paragraph.
        sections: in order, as in a report.
        data: what study.json holds; NaN and infinity become null.

    Returns:
        the path of study.html, which is self-contained and looks like report.html.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(data), indent=2, ensure_ascii=False, allow_nan=False)
    write_whole(folder / "study.json", text + "\n")
    path = folder / "study.html"
    paragraphs = Section("", lead).paragraphs
    write_page(path, "study.html.j2", title=title, lead=paragraphs, sections=sections)
    return path
