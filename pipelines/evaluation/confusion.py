"""The confusion matrix as a shaded table, and as a list of pairs where classes are many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipelines.evaluation.sections import Block, Html, Table

MOST_CLASSES = 15  # a wider table is no longer read
_SHOWN_PAIRS = 20
_BESIDE_ANOTHER = 4  # classes that leave room for the table of scores beside it
_ROOMY = 10  # classes that leave room for shares in the cells
_CAPTION = "Rows: the right label; shares are of its row."


def confusion_block(
    matrix: NDArray[Any],
    labels: Sequence[str],
    *,
    most_classes: int = MOST_CLASSES,
    caption: str = _CAPTION,
) -> Block:
    """Show counts [C, C] (row: gold, column: answer) in the form that suits their number.

    Args:
        matrix: the counts.
        labels: of rows and columns.
        most_classes: with more, the frequent pairs are listed instead.
        caption: of the table.
    """
    if len(labels) <= most_classes:
        return _shaded_table(matrix, labels, caption)
    return _frequent_pairs(matrix, labels)


def _shaded_table(matrix: NDArray[Any], labels: Sequence[str], caption: str) -> Html:
    totals = matrix.sum(axis=1)
    roomy = len(labels) <= _ROOMY
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(label) for label in labels)
    rows = Markup("").join(
        Markup('<tr><th scope="row">{}</th>{}</tr>').format(label, _cells(counts, total, roomy))
        for label, counts, total in zip(labels, matrix, totals, strict=True)
    )
    return Html(
        Markup(
            '<div class="table"><div class="scroll" tabindex="0" role="region" '
            'aria-label="confusion matrix"><table class="confusion{}"><thead><tr><th></th>'
            '<th colspan="{}">the model says</th>'
            "</tr><tr><th></th>{}</tr></thead><tbody>{}</tbody></table></div>"
            '<p class="caption">{}</p></div>'
        ).format("" if roomy else " dense", len(labels), head, rows, caption),
        wide=len(labels) > _BESIDE_ANOTHER,
    )


def _cells(counts: NDArray[Any], total: int, roomy: bool) -> Markup:
    cell = Markup('<td style="--share:{}">{}<small>{}</small></td>')
    if not roomy:
        cell = Markup('<td style="--share:{0}" title="{2}">{1}</td>')
    shares = counts / max(total, 1)
    return Markup("").join(
        cell.format(f"{share:.3f}", f"{count:,}", f"{share:.0%}")
        for count, share in zip(counts.tolist(), shares.tolist(), strict=True)
    )


def _frequent_pairs(matrix: NDArray[Any], labels: Sequence[str]) -> Table:
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(wrong, axis=None)[::-1][:_SHOWN_PAIRS]
    pairs = [divmod(int(place), len(labels)) for place in order if wrong.flat[place]]
    totals = matrix.sum(axis=1)
    return Table(
        columns=["right label", "the model says", "rows", "share of the label"],
        rows=[
            [labels[g], labels[p], f"{wrong[g, p]:,}", f"{wrong[g, p] / totals[g]:.1%}"]
            for g, p in pairs
        ],
        caption=f"The most frequent confusions among {len(labels)} labels.",
        align=("left", "left", "right", "right"),
    )
