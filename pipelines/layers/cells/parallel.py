"""A recurrent layer that computes all steps in parallel."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from pipelines.layers.cells.parallel_cells import PARALLEL
from pipelines.layers.cells.scanning import linear_recurrence


@keras.saving.register_keras_serializable(package="pipelines")
class ParallelRecurrence(keras.layers.Layer):
    """A minGRU, minLSTM or SRU over a sequence, float[B, T, D] to float[B, T, units].

    Equal to its `cell` stepped through the sequence. As a Keras recurrent layer it may stand in a
    Bidirectional; unlike one its outputs at masked steps are 0.

    Args:
        kind: "mingru", "minlstm" or "sru" (see `parallel_cells`).
        units: size of the state.
        seed: of the weights.
        return_sequences: must be True: every step is computed.
        return_state: return the outputs and then every tensor of the final state.
        go_backwards: read from the last step to the first; outputs stand in the order of reading.
    """

    stateful = False
    states: Any = None  # nothing is kept between calls; Bidirectional reads it

    def __init__(
        self,
        kind: str,
        units: int,
        *,
        seed: int | None = None,
        return_sequences: bool = True,
        return_state: bool = False,
        go_backwards: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.kind, self.units, self.seed = kind, units, seed
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards = go_backwards
        self.supports_masking = True
        self.input_spec = keras.layers.InputSpec(ndim=3)  # Bidirectional reads it
        self.cell = PARALLEL[kind](units, seed=seed, dtype=self.dtype_policy, name=f"{kind}_cell")

    def build(self, input_shape: tuple[int | None, ...], *_: Any) -> None:
        """Create the weights for inputs [B, T, D]."""
        self.cell.build((input_shape[0], input_shape[-1]))
        self.built = True

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool = False,  # noqa: ARG002 - Keras' signature of a recurrent layer
    ) -> Any:
        """Read a sequence.

        Args:
            sequences: float[B, T, D].
            initial_state: every tensor of a state, float[B, units]; None is 0.
            mask: bool[B, T], False where a step is skipped: the state is carried on.
            training: changes nothing.

        Returns:
            float[B, T, units]; see `return_state`.
        """
        if self.go_backwards:
            sequences = ops.flip(sequences, axis=1)
            mask = None if mask is None else ops.flip(mask, axis=1)
        start = self._start(sequences, initial_state)
        real = None if mask is None else ops.cast(mask, self.compute_dtype)[..., None]
        blocks = self.cell.project(sequences)
        factors, terms = self.cell.terms(blocks)
        if real is not None:
            factors, terms = factors * real + (1 - real), terms * real
        carried = linear_recurrence(factors, terms, start[-1])
        outputs = self.cell.give_out(blocks, sequences, carried)
        outputs = outputs if real is None else outputs * real
        return (
            (outputs, *self._final(outputs, carried, real, start)) if self.return_state else outputs
        )

    def _start(self, sequences: Any, initial_state: Any) -> list[Any]:
        if initial_state is None:
            return self.get_initial_state(ops.shape(sequences)[0])
        given = initial_state if isinstance(initial_state, (list, tuple)) else [initial_state]
        return [ops.cast(part, self.compute_dtype) for part in given]

    def _final(self, outputs: Any, carried: Any, real: Any, start: list[Any]) -> list[Any]:
        """Return the state after the last real step."""
        if len(start) == 1:
            return [carried[:, -1]]
        if real is None:
            return [outputs[:, -1], carried[:, -1]]
        read = ops.cumsum(real, axis=1)
        last = real * ops.cast(read == read[:, -1:], real.dtype)
        nothing = ops.cast(read[:, -1] == 0, real.dtype)
        return [ops.sum(outputs * last, axis=1) + nothing * start[0], carried[:, -1]]

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Return zeros for every tensor of the state; the size may be a number or a tensor."""
        count = 1 if isinstance(self.cell.state_size, int) else len(self.cell.state_size)
        return [ops.zeros((batch_size, self.units), dtype=self.compute_dtype)] * count

    def compute_output_shape(self, sequences_shape: Any, *_: Any) -> Any:
        """Return [B, T, units], and the shapes of the final state where it is returned."""
        outputs = (*sequences_shape[:2], self.units)
        if not self.return_state:
            return outputs
        size = self.cell.state_size
        count = 1 if isinstance(size, int) else len(size)
        return (outputs, *[(sequences_shape[0], self.units)] * count)

    def compute_mask(self, _: Any, mask: Any = None) -> Any:
        """Pass the mask on with the outputs; a state has none."""
        if not self.return_state:
            return mask
        return [mask, *[None] * len(self.get_initial_state(1))]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        names = ("kind", "units", "seed", "return_sequences", "return_state", "go_backwards")
        return super().get_config() | {name: getattr(self, name) for name in names}
