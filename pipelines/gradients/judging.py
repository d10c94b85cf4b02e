"""What a reader should know of the gradients, in words: pure functions on what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.gradients.records import EpochGradients, mean

TINY_NORM = 1e-6  # of all gradients: values near Adam's epsilon, 1e-7, which its steps fade below
WEAK_SHARE = 1e-4  # of the strongest layer's norm: Glorot & Bengio (2010) saw no such gap learn
GROWTH = 100.0  # times the norm of the run's beginning
MOST_CLIPPED = 0.5  # share of an epoch's steps
SMALL_UPDATE, LARGE_UPDATE = 1e-5, 1e-1  # of the weights; 1e-3 is a good step (Karpathy, CS231n)
MOST_SATURATED = 0.8  # share of a gate's values
SATURATED = (0.05, 0.95)  # of a gate's values; of a tanh unit, beyond 0.95 to either side


@dataclass(frozen=True)
class Remark:
    """One thing to know; `kind` and `layer` tell whether it was said before."""

    kind: str
    layer: str
    epoch: int
    text: str


def remarks(epochs: Sequence[EpochGradients]) -> list[Remark]:
    """Return all remarks on the epochs of a run, each kind once for a layer, the first time."""
    found: dict[tuple[str, str], Remark] = {}
    for number in range(len(epochs)):
        for remark in latest_remarks(epochs[: number + 1]):
            found.setdefault((remark.kind, remark.layer), remark)
    return list(found.values())


def latest_remarks(epochs: Sequence[EpochGradients]) -> Iterator[Remark]:
    """Yield what is remarkable of the last epoch, seen against those before it."""
    if not epochs or not epochs[-1].norms:
        return
    yield from _vanishing(epochs[-1])
    yield from _exploding(epochs)
    yield from _dead(epochs[-1])
    yield from _updates(epochs)
    yield from _saturated(epochs[-1])


def _vanishing(last: EpochGradients) -> Iterator[Remark]:
    if last.mean_norm < TINY_NORM:
        yield Remark(
            "vanishing", "", last.epoch,
            f"the gradients vanish: their norm is {last.mean_norm:.1g} in epoch {last.epoch}, so "
            "nothing more is learned; unless the loss is near 0 already, try --cell lstm, a "
            "smaller --depth, or --layer-norm",
        )  # fmt: skip
        return
    norms = {name: mean(curve.norms) for name, curve in last.layers.items()}
    strongest = max(norms.values(), default=0.0)
    for name, norm in norms.items():
        if 0 < norm < WEAK_SHARE * strongest:
            yield Remark(
                "vanishing", name, last.epoch,
                f"the gradient vanishes on its way down to {name}: its norm is {norm:.1g} in epoch "
                f"{last.epoch}, that of the strongest layer {strongest:.1g}; try --residual, "
                "--layer-norm, --cell lstm or a smaller --depth",
            )  # fmt: skip


def _exploding(epochs: Sequence[EpochGradients]) -> Iterator[Remark]:
    last, first = epochs[-1], epochs[0]
    start, now = median(first.norms[: max(1, len(first.norms) // 4)]), median(last.norms)
    if now > GROWTH * start > 0:
        yield Remark(
            "exploding", "", last.epoch,
            f"the gradients explode: their norm is {now:.1g} in epoch {last.epoch}, "
            f"{now / start:.0f} times that of the beginning; lower --learning-rate or --clip-norm",
        )  # fmt: skip
    if last.clipped_share > MOST_CLIPPED:
        yield Remark(
            "clipped", "", last.epoch,
            f"{last.clipped_share:.0%} of the steps of epoch {last.epoch} were clipped, where the "
            f"norm was {last.mean_norm:.2g} on average: clipping, not the learning rate, sets the "
            "length of most steps; lower --learning-rate, or raise --clip-norm if training is calm",
        )  # fmt: skip


def _dead(last: EpochGradients) -> Iterator[Remark]:
    if last.frozen:  # whose gradients are zero on purpose
        return
    for name, curve in last.layers.items():
        if curve.norms and max(curve.norms) == 0:
            yield Remark(
                "dead", name, last.epoch,
                f"{name} is dead: its gradient was exactly 0 all through epoch {last.epoch}, so it "
                "does not learn; look for units that never fire, or for inputs that are always 0",
            )  # fmt: skip


def _updates(epochs: Sequence[EpochGradients]) -> Iterator[Remark]:
    last = epochs[-1]
    for name, curve in last.layers.items():
        moved = [update for update in curve.updates if update > 0]
        if not moved:
            continue
        before = (one.layers[name].updates for one in epochs[:-1] if name in one.layers)
        # The rate rises and falls within a run: judged too small is what was never larger.
        most = max([*moved, *(update for updates in before for update in updates)])
        if most < SMALL_UPDATE:
            yield Remark(
                "small updates", name, last.epoch,
                f"{name} hardly moves: a step changes its weights by {most:.1g} of their norm at "
                f"most, expected about 1e-3 (from {SMALL_UPDATE:.0e}); raise --learning-rate",
            )  # fmt: skip
        if median(moved) > LARGE_UPDATE:
            yield Remark(
                "large updates", name, last.epoch,
                f"{name} moves too fast: a step of epoch {last.epoch} changes its weights by "
                f"{median(moved):.1g} of their norm, expected about 1e-3 (up to "
                f"{LARGE_UPDATE:.0e}); lower --learning-rate",
            )  # fmt: skip


def _saturated(last: EpochGradients) -> Iterator[Remark]:
    for name, gates in last.gates.items():
        for gate, share in gates.items():
            # A forget gate that stays open is how an LSTM remembers.
            if share <= MOST_SATURATED or gate == "forget open":
                continue
            yield Remark(
                f"saturated {gate}", name, last.epoch,
                f"{name} is saturated: {share:.0%} of the values of its {_side(gate)} after epoch "
                f"{last.epoch}, where gradients are nearly 0; lower --learning-rate, or use "
                "--layer-norm",
            )  # fmt: skip


def _side(gate: str) -> str:
    """Say in words what "input shut" and the like mean."""
    name, state = gate.split()
    if name == "tanh":
        return f"tanh units are beyond {SATURATED[1]} to either side"
    bound = f"below {SATURATED[0]}" if state == "shut" else f"above {SATURATED[1]}"
    return f"{name} gate are {bound}"
