"""Which recurrent cells the lab compares. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

CellName = Literal[
    "simple",
    "simple-identity",
    "simple-norm",
    "gru",
    "lstm",
    "lstm-open",
    "lstm-peephole",
    "mingru",
    "minlstm",
    "sru",
]


@dataclass(frozen=True)
class Contestant:
    """A cell as the recurrent stack builds it, and how it is drawn.

    Attributes:
        settings: of the stack, beside the sizes.
        text: what it is, in words.
        colour: number of its colour: cells of a family share one.
        dashes: of its line, as matplotlib has it.
        marker: of its points, as matplotlib has it.
        gated: whether it has gates.
        learning_rate: of Adam; cells without gates diverge at the rates that others learn fast at.
    """

    settings: Mapping[str, Any]
    text: str
    colour: int
    dashes: str = "-"
    marker: str = "o"
    gated: bool = True
    learning_rate: float = 0.01


CONTESTANTS: dict[str, Contestant] = {
    "simple": Contestant(
        {"cell": "simple"},
        "tanh (Elman, 1990), orthogonal recurrent matrix",
        0,
        gated=False,
        learning_rate=0.004,
    ),
    "simple-identity": Contestant(
        {"cell": "simple", "recurrent_init": "identity"},
        "tanh, its recurrent matrix the identity at the start (after Le et al., 2015)",
        *(0, "--", "s"),
        gated=False,
        learning_rate=0.004,
    ),
    "simple-norm": Contestant(
        {"cell": "simple", "norm_preserving": 1.0},
        "tanh, trained to keep the norm of gradients, 50 steps at a time (Pascanu et al., 2013)",
        *(0, ":", "D"),
        gated=False,
        learning_rate=0.004,
    ),
    "gru": Contestant({"cell": "gru"}, "Cho et al. (2014)", 1),
    "mingru": Contestant(
        {"cell": "mingru"}, "gates that do not see the state (Feng et al., 2024)", 1, "--", "s"
    ),
    "lstm": Contestant({"cell": "lstm"}, "Hochreiter & Schmidhuber (1997), forget bias 1", 2),
    "lstm-open": Contestant(
        {"cell": "lstm", "forget_bias": 5.0},
        "forget bias 5: it keeps 99 % of its memory a step (after Jozefowicz et al., 2015)",
        *(2, "-.", "^"),
    ),
    "lstm-peephole": Contestant(
        {"cell": "lstm", "peephole": True}, "gates see the memory (Gers et al., 2002)", 2, ":", "D"
    ),
    "minlstm": Contestant(
        {"cell": "minlstm"}, "gates that do not see the state (Feng et al., 2024)", 2, "--", "s"
    ),
    "sru": Contestant({"cell": "sru"}, "gates that do not see the state (Lei et al., 2018)", 3),
}
