"""The page of a study: what is told to people and to programs."""

import json
from pathlib import Path

from pipelines.evaluation.sections import Section, Table
from pipelines.evaluation.study_page import write_study


def _page(folder: Path) -> str:
    sections = [
        Section("First & last", "One.\n\nTwo.", [Table(["cell", "value"], [["<gru>", "0.5"]])]),
        Section("Second"),
    ]
    lead = "It is <clear>.\n\nOr not."
    path = write_study(
        folder, title="A study", lead=lead, sections=sections, data={"best": float("nan")}
    )
    assert path == folder / "study.html"
    return path.read_text(encoding="utf-8")


def test_page_holds_lead_and_sections_escaped(tmp_path: Path) -> None:
    page = _page(tmp_path / "new" / "1")
    assert "<p>It is &lt;clear&gt;.</p>" in page
    assert "<p>Or not.</p>" in page
    assert "<h2>First &amp; last</h2>" in page
    assert "&lt;gru&gt;" in page
    assert 'href="#section-2"' in page


def test_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert "http://" not in page
    assert "https://" not in page
    assert "src=" not in page


def test_json_is_strict_and_no_partial_file_is_left(tmp_path: Path) -> None:
    _page(tmp_path)
    assert json.loads((tmp_path / "study.json").read_text()) == {"best": None}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["study.html", "study.json"]
