"""Findings of a look at data, and their rendering on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

Level = Literal["ok", "note", "warning", "error"]
Table = tuple[tuple[str, ...], ...]
_STYLES = {"ok": "green", "note": "cyan", "warning": "yellow", "error": "bold red"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: how grave it is, in words, and a small table (first row: header)."""

    level: Level
    title: str
    detail: str
    table: Table = ()


def render_findings(findings: Iterable[Finding], console: Console) -> None:
    """Print each finding with its table, then how many there are of each level."""
    counts = dict.fromkeys(_STYLES, 0)
    for finding in findings:
        counts[finding.level] += 1
        # Text, not markup: data may hold square brackets.
        level = Text(f"{finding.level:8}", _STYLES[finding.level])
        console.print(level + Text(finding.title, "bold") + Text(f": {finding.detail}"))
        if finding.table:
            console.print(_rich_table(finding.table))
    summary = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    console.print(Text(f"checks: {summary or 'none'}"))


def _rich_table(table: Table) -> RichTable:
    header, *lines = table
    drawn = RichTable(box=None, padding=(0, 2), show_edge=False)
    for number, name in enumerate(header):
        values = [line[number] for line in lines]
        numeric = all(_is_number(value) for value in values)
        drawn.add_column(Text(name), justify="right" if numeric else "left")
    for line in lines:
        drawn.add_row(*(Text(value) for value in line))
    return drawn


def _is_number(value: str) -> bool:
    return value.replace(",", "").replace(".", "").rstrip("%").isdigit()
