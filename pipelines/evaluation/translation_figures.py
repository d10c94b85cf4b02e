"""Drawings of a translator's report: scores in bins, how far its own score helps, attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup
from numpy.typing import NDArray

from pipelines.evaluation import plots
from pipelines.evaluation.attention_picture import alignment_drawing, whole_words
from pipelines.evaluation.bootstrap import Interval
from pipelines.evaluation.plots import FAINT, INK, SERIES, Plot
from pipelines.evaluation.sections import Block, Figure, Html, Table
from pipelines.evaluation.slices import Slice
from pipelines.evaluation.translation_compared import MODEL, NAMES, Compared, with_interval
from pipelines.evaluation.wording import number

if TYPE_CHECKING:
    from pipelines.evaluation.translation import Alignment

Array = NDArray[Any]
_DASHES = (0, (4, 3))
_POINTS_OF_FIGURE = 338.0  # width of the report's other figures, so that letters are equally large
_PIXELS_PER_POINT = 478 / _POINTS_OF_FIGURE
_PAGE_PIXELS = 992


def slice_blocks(
    compared: Compared,
    slices: Sequence[Slice],
    *,
    property_name: str,
    column: str,
    metrics: Sequence[str] = ("bleu", "chrf"),
) -> list[Block]:
    """Draw scores of the model and the strongest baseline in bins of the rows, and tabulate them.

    Args:
        compared: the systems.
        slices: the bins; those without a row are left out.
        property_name: what the bins are bins of, for the axis.
        column: the same for the head of the table.
        metrics: what is drawn, one figure each.
    """
    bins = [part for part in slices if part.rows.any()]
    found = {
        (system, metric): [compared.interval(system, metric, part.rows) for part in bins]
        for system in compared.drawn
        for metric in metrics
    }
    blocks: list[Block] = []
    for metric in metrics:
        drawn = {system: found[system, metric] for system in compared.drawn}
        svg = plots.grouped_intervals(
            [part.name for part in bins],
            {system: _lines(values) for system, values in drawn.items()},
            xlabel=property_name,
            ylabel=NAMES[metric],
        )
        spoken = "; ".join(
            f"{part.name}: {number(value.value)}"
            for part, value in zip(bins, drawn[MODEL], strict=True)
        )
        caption = f"{NAMES[metric]} by {property_name}, with 95 % intervals."
        blocks.append(Figure(svg, caption, f"The model's {NAMES[metric]}. {spoken}"))
    columns = [column, "pairs"]
    columns += [f"{NAMES[metric]}, {system}" for metric in metrics for system in compared.drawn]
    columns.append("length ratio")
    rows = [
        [
            part.name,
            f"{part.rows.sum():,}",
            *(with_interval(found[s, m][place]) for m in metrics for s in compared.drawn),
            number(compared.length_ratio(MODEL, part.rows), "fraction"),
        ]
        for place, part in enumerate(bins)
    ]
    caption = "Length ratio: words of the model's translations for one word of the references."
    return [*blocks, Table(columns, rows, caption)]


def coverage_chart(shares: Array, kept: Array, best: Array, mean: float) -> Markup:
    """Draw the mean score of the rows that are kept over their share.

    Args:
        shares: of rows kept, rising to 1, float[M].
        kept: mean score of that share with the highest confidence.
        best: the same, were the true scores known.
        mean: of all rows.
    """
    with Plot() as plot:
        (axes,) = plot.axes
        axes.plot(100 * shares, best, color=FAINT, linestyle=_DASHES, label="could one know")
        axes.plot(100 * shares, kept, color=SERIES[0], label="by the model's score")
        axes.axhline(mean, color=INK, linewidth=0.9, linestyle=":", label="by chance")
        axes.set(xlabel="share of translations kept, %", ylabel="mean sentence chrF++")
        axes.set_xlim(0, 100)
        axes.legend(loc="upper right")
        return plot.svg()


def interval_chart(
    names: Sequence[str], values: Sequence[Interval], *, xlabel: str, ylabel: str
) -> Markup:
    """Draw the model's value in every bin, with its interval."""
    return plots.grouped_intervals(names, {MODEL: _lines(values)}, xlabel=xlabel, ylabel=ylabel)


def _lines(values: Sequence[Interval]) -> tuple[list[float], list[float], list[float]]:
    return [v.value for v in values], [v.low for v in values], [v.high for v in values]


def attention_block(alignment: Alignment, title: str) -> Html:
    """Draw one alignment by whole words, as large as its words need: a wide one is scrolled."""
    words = whole_words(alignment)
    drawing = alignment_drawing(words)
    pixels = round(drawing.width * _PIXELS_PER_POINT)
    written = " ".join(words.target_tokens)
    spoken = f"Attention while writing: {written}"
    return Html(
        Markup(
            '<figure style="max-width:{}px;flex:0 1 auto"><div class="scroll" tabindex="0" '
            'role="region" aria-label="{}"><div role="img" aria-label="{}" style="width:{}px">{}'
            "</div></div><figcaption>{}</figcaption></figure>"
        ).format(max(pixels, 320), title, spoken, pixels, drawing.svg, title),
        wide=pixels > _PAGE_PIXELS // 2,
    )
