"""The steps of a decoder: what its recurrence reads, and when it looks at the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from pipelines.layers.attentional_state import AttentionalState
from pipelines.layers.decoder_settings import DecoderOrder, loops
from pipelines.layers.decoder_state import (
    DecoderStack,
    Prepared,
    State,
    as_hypotheses,
    as_rows,
    repeated,
)
from pipelines.layers.input_feeding import Advance, draw_loop_noise, feed_through


@dataclass(frozen=True)
class DecoderSteps:
    """Runs a recurrence and what looks at the memory together.

    Attributes:
        stack: the recurrence.
        look: what looks at the memory.
        order: whether the state after a token asks what to look at, or the one before it.
        feeds: whether the recurrence reads what was attended to a step earlier.
    """

    stack: DecoderStack
    look: AttentionalState
    order: DecoderOrder
    feeds: bool

    def first(self, stack: list[Any]) -> State:
        """Return the state before the first token, given that of the recurrence, [B, ...]."""
        state: State = {"stack": stack}
        if self.feeds:
            state["fed"] = ops.zeros((ops.shape(stack[0])[0], self.look.size), stack[0].dtype)
        return state

    def run(
        self, vectors: Any, start: State, prepared: Prepared, training: bool
    ) -> tuple[Any, Any]:
        """Return features [B, T, E] and attention [B, T, S], or None, of all steps.

        Args:
            vectors: of the tokens, float[B, T, E].
            start: the state before the first, of leaves [B, ...].
            prepared: what all steps share.
            training: whether dropout acts.
        """
        if loops(self.order, self.feeds):
            attention = self.look.attention if training else None
            noise = draw_loop_noise(self.stack, attention, vectors, prepared.memory)
            return feed_through(
                vectors, start, prepared, noise, stack=self.stack, step=self._step_by
            )
        inputs = _with_context(vectors, prepared)
        states, _ = self.stack.run(inputs, None, start["stack"], training)
        features, weights, _ = self.look(states, prepared, training=training)
        return features, weights

    def step(self, vectors: Any, state: State, prepared: Prepared) -> tuple[Any, Any, State]:
        """Return features [B, K, E], attention [B, K, S] or None, and the state after a step.

        Args:
            vectors: of the last token of every hypothesis, float[B, K, E].
            state: the state before, of leaves [B, K, ...].
            prepared: what all steps share.
        """

        def advance(inputs: Any, before: Any) -> tuple[Any, list[Any]]:
            rows = [as_rows(part) for part in before]
            output, after = self.stack.step(as_rows(inputs), rows)
            return as_hypotheses(output, inputs), [as_hypotheses(part, inputs) for part in after]

        return self._step_by(advance, vectors, state, prepared)

    def _step_by(
        self, advance: Advance, vectors: Any, state: State, prepared: Prepared, noise: Any = None
    ) -> tuple[Any, Any, State]:
        # Not by calling `look`, which would round a history to half precision where that is used.
        if self.order == "bahdanau":
            asking, history = self.stack.top(state["stack"]), None
            context, weights, _ = self.look.find(asking, prepared, noise)
            output, after = advance(ops.concatenate([vectors, context], axis=-1), state["stack"])
        else:
            inputs = _with_context(vectors, prepared, state.get("fed"))
            output, after = advance(inputs, state["stack"])
            past = state.get("history")
            context, weights, history = self.look.find(output, prepared, noise, past)
        features = self.look.combine(context, output)
        new = {"stack": after, "history": history, "fed": features if self.feeds else None}
        return features, weights, {name: part for name, part in new.items() if part is not None}


def _with_context(vectors: Any, prepared: Prepared, fed: Any = None) -> Any:
    """Return the recurrence's inputs [B, N, D] for token vectors [B, N, E]."""
    if fed is not None:
        return ops.concatenate([vectors, fed], axis=-1)
    if prepared.summary is None:
        return vectors
    return ops.concatenate([vectors, repeated(prepared.summary, vectors)], axis=-1)
