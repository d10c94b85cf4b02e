"""A causal frame labeller, one frame at a time: T steps equal one run over T frames.

The state of a stream is a flat list of tensors: the frames of the patch that is not yet complete,
how many they are, the state of the recurrent stack, and what is known of the label.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

State = list[Any]


class StreamReader:
    """Reads streams frame by frame with the layers of a causal model.

    Args:
        model: what `labeller.build` returned for a causal configuration.
    """

    def __init__(self, model: keras.Model) -> None:
        names = ("scaling", "patches", "stack", "scores", "persistence")
        self._scaling, self._patches, self.stack, self._scores, self._lasting = map(
            model.get_layer, names
        )
        self._size = self._patches.settings["size"]

    @property
    def state_specs(self) -> list[tuple[tuple[int, ...], str]]:
        """Return shape, without the first axis, and type of every tensor of a state."""
        widths = [*self.stack.state_sizes, self._scores.units - 1]
        waiting = (self._size, self._scaling.width)
        return [(waiting, "float32"), ((), "int32"), *(((size,), "float32") for size in widths)]

    def start(self, rows: Any) -> State:
        """Return the state of B streams before their first frame."""
        return [ops.zeros((rows, *shape), dtype) for shape, dtype in self.state_specs]

    def step(self, frame: Any, state: State) -> tuple[Any, State]:
        """Read a frame of each stream.

        Args:
            frame: float32[B, K], in the channels' own units.
            state: the state before.

        Returns:
            log-probabilities float32[B, C], up to a constant, and the state after.
        """
        waiting, count, *before, known = state
        scaled = self._scaling(frame)
        waiting = ops.concatenate([waiting[:, 1:], scaled[:, None]], axis=1)
        full = ops.equal(count + 1, self._size)
        patch = self._patches.embed(waiting[:, None])[:, 0]
        output, after = self.stack.step(patch, before)
        after = [_chosen(full, new, old) for new, old in zip(after, before, strict=True)]
        known = _chosen(full, self._lasting.advance(known, self._scores(output)), known)
        count = ops.where(full, 0, count + 1)
        return known, [waiting, count, *after, known]


def _chosen(full: Any, new: Any, old: Any) -> Any:
    return ops.where(full[:, None], new, old)
