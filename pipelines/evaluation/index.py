"""One page that lists every run of every task."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.errors import EvaluationError
from pipelines.evaluation.report import headline_score, write_page


@dataclass(frozen=True)
class Run:
    """A version directory with its report, or with the reason why there is none."""

    version: str
    link: str
    made: str
    latest: bool
    score: dict[str, Any] | None
    source: str
    problem: str = ""


def write_index(saved_models: Path) -> Path:
    """Write `index.html` into the folder of all runs and return its path.

    Raises:
        EvaluationError: the folder does not exist.
    """
    if not saved_models.is_dir():
        raise EvaluationError(
            f"{saved_models}: no such folder; expected the folder that holds one folder per task: "
            "train a task first"
        )
    tasks = {
        folder.name: runs
        for folder in sorted(saved_models.iterdir())
        if folder.is_dir() and not folder.name.startswith(".") and (runs := _runs(folder))
    }
    path = saved_models / "index.html"
    write_page(path, "index.html.j2", tasks=tasks)
    return path


def _runs(task: Path) -> list[Run]:
    """All versions of a task, the newest first; `latest` is a link and not a version."""
    versions = [
        folder
        for folder in task.iterdir()
        if folder.name.isdigit() and folder.is_dir() and not folder.is_symlink()
    ]
    latest = (task / "latest").resolve()
    ordered = sorted(versions, key=lambda folder: int(folder.name), reverse=True)
    return [_run(folder, latest=folder.resolve() == latest) for folder in ordered]


def _run(version: Path, *, latest: bool) -> Run:
    path = version / "report" / "report.json"
    link = f"{version.parent.name}/{version.name}/report/report.html"
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        score = headline_score(report)
        source = str((report["data"] or {}).get("source", ""))
        made = (report["manifest"] or {}).get("created") or _modified(path)
    except (OSError, ValueError, KeyError, TypeError, EvaluationError) as error:
        problem = f"no readable report ({type(error).__name__})"
        return Run(version.name, link, "", latest, None, "", problem)
    return Run(version.name, link, str(made)[:16].replace("T", " "), latest, score, source)


def _modified(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="minutes")
