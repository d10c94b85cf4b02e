"""Gate values of recurrent layers, computed in NumPy from what the layers read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pipelines.gradients.judging import SATURATED

GATES = {"lstm": ("input", "forget", "output"), "gru": ("update", "reset"), "simple": ("tanh",)}


class Gates(NamedTuple):
    """What a layer did, in the order of reading.

    Attributes:
        values: float32[T, B, H] by gate.
        real: bool[T, B], True on real steps.
        hidden: its states after every step, float32[T, B, H].
    """

    values: dict[str, np.ndarray]
    real: np.ndarray
    hidden: np.ndarray


def gate_values(
    cell: str,
    weights: Sequence[np.ndarray],
    *,
    inputs: np.ndarray,
    mask: np.ndarray | None,
    state: Sequence[np.ndarray] = (),
    backwards: bool = False,
) -> Gates:
    """Run a recurrent layer of Keras and return the values of its gates.

    Args:
        cell: "lstm", "gru" (with its reset gate after the product) or "simple".
        weights: kernel [D, G·H], recurrent kernel [H, G·H] and bias, as Keras keeps them.
        inputs: float[B, T, D].
        mask: bool[B, T], True on real steps; None: all are.
        state: what it starts from, [B, H] each; empty: 0.
        backwards: whether the last step is read first.
    """
    kernel, recurrent, bias = weights
    steps = np.swapaxes(np.asarray(inputs, np.float32), 0, 1)
    real = np.ones(steps.shape[:2], bool) if mask is None else mask.T
    if backwards:
        steps, real = steps[::-1], real[::-1]
    before, within = bias if bias.ndim == 2 else (bias, np.zeros_like(bias))
    projected = steps @ kernel + before
    zero = np.zeros((steps.shape[1], recurrent.shape[0]), np.float32)
    now = [np.asarray(part, np.float32) for part in state] or [zero, zero]
    step = {"lstm": _lstm, "gru": _gru, "simple": _simple}[cell]
    kept: list[list[np.ndarray]] = [[] for _ in GATES[cell]]
    hidden: list[np.ndarray] = []
    for number, row in enumerate(projected):
        values, new = step(row, now[0] @ recurrent + within, now)
        for place, value in enumerate(values):
            kept[place].append(value)
        there = real[number][:, None]
        now = [np.where(there, one, old) for one, old in zip(new, now, strict=False)]
        hidden.append(now[0])
    by_gate = {name: np.stack(kept[place]) for place, name in enumerate(GATES[cell])}
    return Gates(by_gate, real, np.stack(hidden))


_Step = tuple[list[np.ndarray], list[np.ndarray]]  # values of gates, and the state after


def _lstm(read: np.ndarray, kept: np.ndarray, state: Sequence[np.ndarray]) -> _Step:
    first, forget, new, out = np.split(read + kept, 4, axis=-1)
    opened, forgotten, shown = _sigmoid(first), _sigmoid(forget), _sigmoid(out)
    memory = forgotten * state[1] + opened * np.tanh(new)
    return [opened, forgotten, shown], [shown * np.tanh(memory), memory]


def _gru(read: np.ndarray, kept: np.ndarray, state: Sequence[np.ndarray]) -> _Step:
    parts = zip(np.split(read, 3, axis=-1), np.split(kept, 3, axis=-1), strict=True)
    (read_z, kept_z), (read_r, kept_r), (read_h, kept_h) = parts
    update, reset = _sigmoid(read_z + kept_z), _sigmoid(read_r + kept_r)
    new = np.tanh(read_h + reset * kept_h)
    return [update, reset], [update * state[0] + (1 - update) * new]


def _simple(read: np.ndarray, kept: np.ndarray, state: Sequence[np.ndarray]) -> _Step:
    del state
    hidden = np.tanh(read + kept)
    return [hidden], [hidden]


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * values)))  # which does not overflow


def saturated_shares(values: Mapping[str, np.ndarray], real: np.ndarray) -> dict[str, float]:
    """Return the share of the values of real steps that are saturated, by gate and side.

    A gate is "shut" below 0.05 and "open" above 0.95; a tanh unit is "saturated" where its size is
    above 0.95.
    """
    low, high = SATURATED
    shares: dict[str, float] = {}
    for name, gate in values.items():
        there = gate[real]
        if not there.size:
            continue
        if name == "tanh":
            shares["tanh saturated"] = float((np.abs(there) > high).mean())
            continue
        shares[f"{name} shut"] = float((there < low).mean())
        shares[f"{name} open"] = float((there > high).mean())
    return shares
