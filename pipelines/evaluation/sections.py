"""What a task hands the report: titled sections of prose, figures, tables and safe markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from markupsafe import Markup

Align = Literal["left", "right"]


@dataclass(frozen=True)
class Figure:
    """A drawing: inline SVG from `plots`, a caption, and what a reader who sees none is told."""

    svg: Markup
    caption: str
    alt: str
    kind: str = field(default="figure", init=False)


@dataclass(frozen=True)
class Table:
    """Rows under column names; cells are escaped unless they are `Markup`.

    Args:
        columns: one name per column.
        rows: one cell per column each.
        caption: says what the table shows.
        align: one per column; by default the first is left, the others right.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    align: Sequence[Align] = ()
    kind: str = field(default="table", init=False)

    def alignment(self, column: int) -> str:
        """Return "left" or "right" for a column number."""
        if column < len(self.align):
            return self.align[column]
        return "left" if column == 0 else "right"


@dataclass(frozen=True)
class Html:
    """Markup that its maker has made safe: every foreign string in it was escaped.

    Unless it is `wide`, it shares a line with neighbouring figures and tables where there is room.
    """

    markup: Markup
    wide: bool = True
    kind: str = field(default="html", init=False)


Block = Figure | Table | Html


@dataclass(frozen=True)
class Section:
    """A part of the report; `prose` is plain text, a blank line starts a new paragraph."""

    title: str
    prose: str = ""
    blocks: Sequence[Block] = ()

    @property
    def paragraphs(self) -> list[str]:
        """The prose, one string a paragraph."""
        return [part.strip() for part in self.prose.split("\n\n") if part.strip()]
