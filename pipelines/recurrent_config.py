"""Settings of the recurrent stack, the same for every task."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pipelines.cell_rules import check_cell_settings
from pipelines.errors import require

Cell = Literal["simple", "gru", "lstm", "mingru", "minlstm", "sru"]
RecurrentInit = Literal["orthogonal", "identity", "glorot"]
Direction = Literal["forward", "backward", "both", "alternating"]


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """How the recurrent layers of a task are built and regularised."""

    cell: Cell = "lstm"
    """Recurrent cell: simple (tanh), gru or lstm, which read step by step; mingru, minlstm or sru,
    whose gates do not see the state, so that all steps are computed in parallel."""
    forget_bias: float = 1.0
    """Bias of an LSTM's forget gate at the start (Jozefowicz et al., 2015)."""
    peephole: bool = False
    """Let the gates of an LSTM see its memory (Gers et al., 2002)."""
    recurrent_init: RecurrentInit = "orthogonal"
    """Recurrent matrix at the start: orthogonal, identity (Le et al., 2015) or glorot."""
    units: int = 64
    """Units of a recurrent layer, in each direction."""
    depth: int = 1
    """Recurrent layers on top of one another."""
    layer_units: tuple[int, ...] = ()
    """Units of each recurrent layer, the lowest first, instead of --units and --depth."""
    direction: Direction = "both"
    """Read forward; backward; in both directions, with the states concatenated; or alternating from
    layer to layer."""
    deep_input: int = 0
    """Dense layers between the input and the lowest recurrent layer (Pascanu et al., 2014)."""
    deep_transition: int = 0
    """Dense layers between a state and the next one, within a recurrent layer (same source)."""
    deep_output: int = 0
    """Dense layers on the states of the top recurrent layer (same source)."""
    skips: bool = False
    """Shortcuts: every recurrent layer also reads the input, the output concatenates all layers,
    and a deep transition also hands the old state on directly."""
    norm_preserving: float = 0.0
    """Weight of the regulariser that keeps the norm of gradients on their way back through time
    (Pascanu et al., 2013), of the simple cell."""
    input_dropout: float = 0.2
    """Share of a recurrent layer's input values dropped, drawn anew at every step."""
    variational_dropout: float = 0.0
    """Share of input channels dropped, the same ones at every step (Gal & Ghahramani, 2016)."""
    recurrent_dropout: float = 0.0
    """Share of recurrent state channels dropped, the same ones at every step."""
    weight_dropout: float = 0.0
    """Share of recurrent weights dropped, the same ones for a whole batch: DropConnect (Merity et
    al., 2018)."""
    locked_output_dropout: float = 0.0
    """Share of the top recurrent layer's channels dropped, the same ones at every step."""
    activation_penalty: float = 0.0
    """Added to the training loss: this times the mean square of the top recurrent layer's states
    (Merity et al., 2017)."""
    temporal_activation_penalty: float = 0.0
    """Added to the training loss: this times the mean square of their change from step to step."""
    layer_norm: bool = False
    """Normalise the output of every recurrent layer (Ba et al., 2016)."""
    residual: bool = False
    """Add a recurrent layer's input to its output where the widths agree."""
    fast: bool = True
    """Train LSTM and GRU layers by our own loops on a CPU: same weights and numbers, faster."""

    def __post_init__(self) -> None:
        """Refuse values that cannot work, before any data is read."""
        for name in ("units", "depth"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        sizes = all(size >= 1 for size in self.layer_units)
        require(sizes, "layer_units", self.layer_units, "at least 1 each")
        for name in (
            "input_dropout",
            "variational_dropout",
            "recurrent_dropout",
            "weight_dropout",
            "locked_output_dropout",
        ):
            require(0 <= getattr(self, name) < 1, name, getattr(self, name), "in [0, 1)")
        for name in ("activation_penalty", "temporal_activation_penalty", "norm_preserving"):
            require(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "0 or more")
        for name in ("deep_input", "deep_transition", "deep_output"):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more layers")
        check_cell_settings(vars(self))

    @property
    def sizes(self) -> tuple[int, ...]:
        """Return the units of each recurrent layer, the lowest first."""
        return self.layer_units or (self.units,) * self.depth

    @property
    def directions(self) -> int:
        """Return how many directions the states of the top layer concatenate."""
        return 2 if self.direction == "both" else 1
