"""What the functions of a lane hand to one another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

Array = np.ndarray


class Lane(NamedTuple):
    """Which rows a lane has, and how they are read.

    Attributes:
        gru: whether the cell is a GRU; else an LSTM.
        backward: whether rows are read from the last step to the first.
        flipped: whether their outputs then stand at their steps; else in the order of reading.
        zero_masked: whether outputs at masked steps are 0; else they repeat the one before.
        numbers: of the lane's rows in the batch, int32[R], the longest first.
        counts: of real steps of the batch's rows, int32[B].
        positions: of real steps in the order of reading, then of masked ones, int32[B, T].
    """

    gru: bool
    backward: bool
    flipped: bool
    zero_masked: bool
    numbers: Array
    counts: Array
    positions: Array


class Flow(NamedTuple):
    """What goes into a layer and comes out, or its gradients.

    Attributes:
        inputs: float32[B, T, D].
        outputs: float32[B, T, units].
        masks: of recurrent dropout, float32[Q, B, units]; float32[1, 1, units] of 1 for none.
    """

    inputs: Array
    outputs: Array
    masks: Array


class Weights(NamedTuple):
    """Panels, float32[P, depth, 16], of the kernel and of Q recurrent kernels; see `packing`."""

    kernel: Array
    recurrent: Array


class Packed(NamedTuple):
    """What the way back needs of every row of every block.

    Attributes:
        read: what the kernel multiplied: the inputs, a 1 that the bias multiplies, zeros.
        hidden: what the recurrent kernel multiplied: h, a 1, zeros; once for each dropout mask.
        state: c of an LSTM, h of a GRU, before the step.
        gates: see `cells`.
    """

    read: Array
    hidden: Array
    state: Array
    gates: Array


class Gradients(NamedTuple):
    """Gradients of a lane's final states, which become those of its initial ones, and of weights.

    Attributes:
        hidden, memory: of h and c, float32[R, width].
        kernel, recurrent: to be added to, laid out as rows of gates are.
    """

    hidden: Array
    memory: Array
    kernel: Array
    recurrent: Array
