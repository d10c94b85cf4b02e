"""What all pages of studies say alike."""

from __future__ import annotations

from typing import Any

from pipelines.evaluation import wording
from pipelines.evaluation.sections import Section, Table
from pipelines.studies.runs import Desk, Quality


def quality_words(quality: Quality) -> str:
    """Write the value that runs are judged by, and which way it improves if that is not plain."""
    name = wording.readable(quality.name)
    return f"{name} (lower is better)" if quality.better == "lower" else name


def data_section(desk: Desk) -> Section:
    """Return what was learned from, as a section."""
    splits = desk.prepared.splits
    rows = [[name, f"{len(part):,}"] for name, part in splits.named()]
    notes = [f"From {splits.card.source}; the same rows in every run."]
    if desk.task.config.limit is not None:
        notes.append(f"Cut by --limit {desk.task.config.limit}: a quick look, not a result.")
    if getattr(desk.task.config, "linear", True) is False:
        notes.append("The part that counts n-grams is left out (--linear False) in every run.")
    return Section("Data", " ".join(notes), [Table(("split", "rows"), rows)])


def described(desk: Desk, quality: Quality | None) -> dict[str, Any]:
    """Return what study.json of any study holds."""
    card = desk.prepared.splits.card
    return {
        "task": desk.task.name,
        "source": card.source,
        "fingerprint": card.fingerprint,
        "settings": desk.task.config,
        "quality": quality,
    }
