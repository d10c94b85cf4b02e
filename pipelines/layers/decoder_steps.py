"""One step of a decoder: what its recurrence reads, and when it looks at the memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from pipelines.layers.attentional_state import AttentionalState
from pipelines.layers.decoder_settings import DecoderOrder
from pipelines.layers.decoder_state import DecoderStack, Prepared, State, repeated

# Advances the recurrence: inputs [B, K, D] and the stack's state -> output [B, K, H] and the state.
Advance = Callable[[Any, Any], tuple[Any, Any]]


def with_context(vectors: Any, prepared: Prepared, fed: Any = None) -> Any:
    """Return the recurrence's inputs [B, N, D] for token vectors [B, N, E].

    Args:
        vectors: of the tokens.
        prepared: its summary is read at every step, unless something is fed or it is None.
        fed: what was attended to a step earlier, float[B, N, E], or None.
    """
    if fed is not None:
        return ops.concatenate([vectors, fed], axis=-1)
    if prepared.summary is None:
        return vectors
    return ops.concatenate([vectors, repeated(prepared.summary, vectors)], axis=-1)


def attended_step(
    vectors: Any,
    state: State,
    prepared: Prepared,
    *,
    order: DecoderOrder,
    stack: DecoderStack,
    advance: Advance,
    look: AttentionalState,
    noise: Any = None,
) -> tuple[Any, Any, State]:
    """Return features [B, K, E], attention [B, K, S] or None, and the state after.

    The state of the recurrence in it is what `advance` returned.

    Args:
        vectors: of the tokens, float[B, K, E].
        state: the state before, of leaves [B, K, ...].
        prepared: what all steps share.
        order: whether the state after the token asks what to look at, or the one before it.
        stack: the recurrence.
        advance: advances it.
        look: what looks at the memory.
        noise: of the attention, or None.
    """
    if order == "bahdanau":
        context, weights, _ = look.find(stack.top(state["stack"]), prepared, noise)
        output, after = advance(ops.concatenate([vectors, context], axis=-1), state["stack"])
        return look.combine(context, output), weights, {"stack": after}
    inputs = with_context(vectors, prepared, state.get("fed"))
    output, after = advance(inputs, state["stack"])
    features, weights, history = look(output, prepared, noise, state.get("history"))
    new: State = {"stack": after}
    if "history" in state:
        new["history"] = history
    if "fed" in state:
        new["fed"] = features
    return features, weights, new
