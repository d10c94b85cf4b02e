"""The report's section on gradients: warnings in words first, then curves and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, PercentFormatter

from pipelines.evaluation import wording
from pipelines.evaluation.plots import FAINT, INK, SERIES, Plot
from pipelines.evaluation.sections import Block, Figure, Section, Table
from pipelines.gradients.judging import LARGE_UPDATE, SATURATED, SMALL_UPDATE, remarks
from pipelines.gradients.records import EpochGradients, mean

MOST_LAYERS = 8  # in a figure: as many as four colours in two styles tell apart
EPOCHS_ENOUGH = 4
GOOD_UPDATE = 1e-3  # of the weights, a rule of thumb (Karpathy, CS231n)
FEW_DECADES = 50.0  # from end to end of an axis that needs more labels than those of decades
DASHED = (0, (4, 3))
Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]  # places and values, by name


def gradient_sections(
    content: Sequence[Mapping[str, Any]], *, clip_norm: float = 0.0
) -> list[Section]:
    """Return the section on what was measured of the gradients; none if nothing was.

    Args:
        content: an `EpochGradients` of every epoch, as plain JSON.
        clip_norm: largest norm of a step; 0: none.
    """
    epochs = [EpochGradients.from_json(one) for one in content]
    epochs = [epoch for epoch in epochs if epoch.norms]
    if not epochs:
        return []
    blocks: list[Block] = [_norm_figure(epochs, clip_norm)]
    if any(epoch.clipped_share for epoch in epochs):
        blocks.append(_clipped_figure(epochs))
    if _points(epochs) > 1:
        blocks += [_layer_norm_figure(epochs), _update_figure(epochs)]
    blocks.append(_layer_table(epochs))
    gates = [epoch for epoch in epochs if epoch.gates]
    blocks += [_gate_table(gates)] if gates else []
    return [Section("Gradients", _prose(epochs), blocks)]


def _prose(epochs: Sequence[EpochGradients]) -> str:
    said = [f"{wording.sentence(remark.text)}." for remark in remarks(epochs)]
    if not said:
        said = ["Nothing was conspicuous: no layer is dead, no gradient vanished or exploded."]
    return "\n\n".join(said)


def _points(epochs: Sequence[EpochGradients]) -> int:
    return sum(len(epoch.sampled) for epoch in epochs)


def _curve(epochs: Sequence[EpochGradients], name: str) -> tuple[list[float], list[float]]:
    """Return the values of a curve, and the epochs that were over when they were measured."""
    places = [epoch.epoch - 1 + share for epoch in epochs for share in epoch.at]
    return places, [value for epoch in epochs for value in getattr(epoch, name)]


def _norm_figure(epochs: Sequence[EpochGradients], clip_norm: float) -> Figure:
    places, norms = _curve(epochs, "norms")
    _, largest = _curve(epochs, "largest")
    with Plot() as plot:
        (axes,) = plot.axes
        axes.plot(places, _positive(largest), color=FAINT, linewidth=0.9, label="largest")
        axes.plot(places, _positive(norms), color=SERIES[0], label="mean")
        if clip_norm:
            axes.axhline(clip_norm, color=INK, linewidth=0.8, linestyle=DASHED, label="clip norm")
        _finish(axes, "norm of all gradients")
        plot.canvas.legend(loc="outside upper left", ncols=3)
        svg = plot.svg()
    caption = "Global norm of the gradients before clipping: mean and largest of a few steps each."
    if clip_norm:
        caption += (
            " Where the line is crossed, a step is cut to it; clipping counts every reading of a "
            "row of an embedding by itself, so that it may set in a little off the line."
        )
    ends = f"from {wording.number(norms[0])} to {wording.number(norms[-1])}"
    return Figure(svg, caption, f"Gradient norm {ends} over {len(epochs)} epochs")


def _clipped_figure(epochs: Sequence[EpochGradients]) -> Figure:
    places, shares = _curve(epochs, "clipped")
    if len(epochs) >= EPOCHS_ENOUGH:  # for a curve of their means
        places = [float(epoch.epoch) for epoch in epochs]
        shares = [epoch.clipped_share for epoch in epochs]
    with Plot() as plot:
        (axes,) = plot.axes
        axes.plot(places, shares, color=SERIES[0])
        axes.set(xlabel="epoch", ylabel="share of steps clipped", ylim=(-0.02, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        svg = plot.svg()
    share = f"{epochs[0].clipped_share:.0%} in the first epoch, {epochs[-1].clipped_share:.0%} in "
    return Figure(
        svg, "Share of the steps whose gradients were clipped.", f"Clipped: {share}the last"
    )


def _layer_norm_figure(epochs: Sequence[EpochGradients]) -> Figure:
    svg = _layer_lines(_layer_curves(epochs, "norms"), "norm of a layer's gradient", None)
    return Figure(svg, "Gradient norm by layer, before clipping.", _told(epochs, "norms"))


def _update_figure(epochs: Sequence[EpochGradients]) -> Figure:
    svg = _layer_lines(_layer_curves(epochs, "updates"), "update / weights", GOOD_UPDATE)
    caption = (
        "How far a step moves a layer: norm of the update over that of the weights. About 1e-3 "
        f"(dashed) is usual; below {SMALL_UPDATE:.0e} or above {LARGE_UPDATE:.0e} is warned of."
    )
    return Figure(svg, caption, _told(epochs, "updates"))


def _told(epochs: Sequence[EpochGradients], kind: str) -> str:
    parts = [
        f"{name} from {wording.number(values[0])} to {wording.number(values[-1])}"
        for name, (_, values) in _layer_curves(epochs, kind).items()
        if values
    ]
    return "; ".join(parts)


def _layer_curves(epochs: Sequence[EpochGradients], kind: str) -> dict[str, Any]:
    """Return curves of layers, evenly from the lowest to the topmost where there are too many."""
    names = list(epochs[-1].layers)
    if len(names) > MOST_LAYERS:
        last = len(names) - 1
        kept = {round(place * last / (MOST_LAYERS - 1)) for place in range(MOST_LAYERS)}
        names = [name for number, name in enumerate(names) if number in kept]
    curves = {}
    for name in names:
        known = [epoch for epoch in epochs if name in epoch.layers]
        places = [epoch.epoch - 1 + share for epoch in known for share in epoch.sampled]
        values = [value for epoch in known for value in getattr(epoch.layers[name], kind)]
        curves[name] = (places, values)
    return curves


def _layer_lines(curves: Curves, label: str, line: float | None) -> Markup:
    with Plot(height=3.0 + 0.16 * (1 + len(curves) // 2)) as plot:
        (axes,) = plot.axes
        for number, (name, (places, values)) in enumerate(curves.items()):
            axes.plot(
                places,
                _positive(values),
                color=SERIES[number % len(SERIES)],
                linestyle="-" if number < len(SERIES) else (0, (1, 1)),
                label=name,
            )
        if line is not None:
            axes.axhline(line, color=INK, linewidth=0.8, linestyle=DASHED)
        _finish(axes, label)
        plot.canvas.legend(loc="outside upper left", ncols=2 if _short(curves) else 1)
        return plot.svg()


def _short(names: Mapping[str, Any]) -> bool:
    return max(map(len, names), default=0) <= 30


def _positive(values: Sequence[float]) -> list[float]:
    """Return values for a logarithmic axis, with a gap where one is 0."""
    return [value if value > 0 else float("nan") for value in values]


def _finish(axes: Axes, label: str) -> None:
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.yaxis.set_minor_formatter("{x:g}" if high < FEW_DECADES * low else NullFormatter())
    axes.set(xlabel="epoch", ylabel=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _layer_table(epochs: Sequence[EpochGradients]) -> Table:
    rows = []
    for name, curve in epochs[-1].layers.items():
        first = epochs[0].layers.get(name, curve)
        pairs = ((first.norms, curve.norms), (first.updates, curve.updates))
        rows.append([name, *(f"{mean(one):.1g} to {mean(other):.1g}" for one, other in pairs)])
    frozen = any(epoch.frozen for epoch in epochs)
    return Table(
        columns=["layer", "gradient norm", "update / weights"],
        rows=rows,
        caption="Every layer, the lowest first: means of the first epoch and of the last, over the "
        "steps that were looked at."
        + (" Some layers were frozen in some epochs: their gradients are 0." if frozen else ""),
    )


def _gate_table(epochs: Sequence[EpochGradients]) -> Table:
    first, last = epochs[0], epochs[-1]
    rows = [
        [f"{name}: {gate}", f"{first.gates.get(name, {}).get(gate, share):.0%}", f"{share:.0%}"]
        for name, gates in last.gates.items()
        for gate, share in gates.items()
    ]
    return Table(
        columns=["gate", f"epoch {first.epoch}", f"epoch {last.epoch}"],
        rows=rows,
        caption="Share of the values of gates that are saturated, on a few validation rows: shut "
        f"is below {SATURATED[0]}, open above {SATURATED[1]}; a tanh unit is saturated beyond "
        f"{SATURATED[1]} to either side. A forget gate that stays open is how an LSTM remembers.",
    )
