"""The loop over steps of a decoder whose recurrence reads what attention found.

A step earlier: input feeding (Luong et al., 2015, sec. 3.3). For the state before: the order of
Bahdanau et al. (2015). `keras.ops.scan`, through which gradients run on every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from pipelines.layers.attention import Attention
from pipelines.layers.decoder_state import DecoderStack, Prepared, State, StepNoise, widened

# Advances a recurrence: inputs [B, K, D] and its state of leaves [B, K, ...] -> output [B, K, H]
# and the state after.
Advance = Callable[[Any, Any], tuple[Any, list[Any]]]


class LoopNoise(NamedTuple):
    """Dropout of all steps, drawn before the loop.

    Attributes:
        stack: that of the recurrence, or None.
        attention: factors of attention weights, float32[B, T, S], or None.
    """

    stack: StepNoise | None = None
    attention: Any = None


def draw_loop_noise(
    stack: DecoderStack, attention: Attention | None, vectors: Any, memory: Any
) -> LoopNoise:
    """Draw the dropout of a training step; none without `attention`.

    Args:
        stack: the recurrence.
        attention: None when not training.
        vectors: float[B, T, E].
        memory: float[B, S, D].
    """
    if attention is None:
        return LoopNoise()
    rows, steps, _ = ops.shape(vectors)
    factors = attention.draw_noise(rows, steps, ops.shape(memory)[1])
    return LoopNoise(stack.draw_noise(rows, steps), factors)


def feed_through(
    vectors: Any,
    start: State,
    prepared: Prepared,
    noise: LoopNoise,
    *,
    stack: DecoderStack,
    step: Callable[..., tuple[Any, Any, State]],
) -> tuple[Any, Any]:
    """Return features [B, T, E] and attention weights float32[B, T, S] of every step.

    Args:
        vectors: of the tokens, float[B, T, E].
        start: the state before the first, of leaves [B, ...].
        prepared: what all steps share.
        noise: of `draw_loop_noise`.
        stack: the recurrence.
        step: how to advance it, vectors [B, 1, E], state, prepared and noise [B, 1, S] or None ->
            features, weights and the state after.
    """
    joined, widths = _by_step(vectors, noise)
    feeds = "fed" in start

    def one(carried: Any, now: Any) -> tuple[Any, Any]:
        before, fed, _ = carried
        parts, factors = _parted(now, widths), None
        if "attention" in parts:
            factors = ops.cast(parts["attention"][:, None], "float32")

        def advance(inputs: Any, state: Any) -> tuple[Any, list[Any]]:
            rows = [part[:, 0] for part in state]
            output, after = _advance(stack, inputs[:, 0], rows, noise.stack, parts)
            return output[:, None], [part[:, None] for part in after]

        state = widened({"stack": before} | ({"fed": fed} if feeds else {}))
        features, weights, new = step(advance, parts["vectors"][:, None], state, prepared, factors)
        # TensorFlow's scan wants the outputs of a step to be like what is carried.
        carried = ([part[:, 0] for part in new["stack"]], features[:, 0], weights[:, 0])
        return carried, carried

    rows, width = ops.shape(vectors)[0], ops.shape(prepared.memory)[1]
    # Features are as wide as a token's vector.
    carried = (start["stack"], ops.zeros_like(vectors[:, 0]), ops.zeros((rows, width), "float32"))
    _, (_, features, weights) = ops.scan(one, carried, joined)
    return ops.transpose(features, (1, 0, 2)), ops.transpose(weights, (1, 0, 2))


def _by_step(vectors: Any, noise: LoopNoise) -> tuple[Any, dict[str, int]]:
    """Return what the loop reads, side by side as [T, B, W], and the width of each part.

    One tensor, as Keras' scan under TensorFlow reads no two where T is unknown. Attention's part,
    whose width may be unknown, comes last.
    """
    parts = {"vectors": ops.transpose(vectors, (1, 0, 2))}
    layers = noise.stack.inputs if noise.stack is not None else []
    parts |= {f"layer_{n}": part for n, part in enumerate(layers) if part is not None}
    widths = {name: int(part.shape[-1]) for name, part in parts.items()}
    if noise.attention is not None:
        parts["attention"] = ops.transpose(noise.attention, (1, 0, 2))
        widths["attention"] = 0
    same = [ops.cast(part, vectors.dtype) for part in parts.values()]
    return ops.concatenate(same, axis=-1), widths


def _parted(now: Any, widths: dict[str, int]) -> dict[str, Any]:
    """Cut one step, [B, W], into its parts."""
    found, start = {}, 0
    for name, width in widths.items():
        found[name] = now[:, start : start + width] if width else now[:, start:]
        start += width
    return found


def _advance(
    stack: DecoderStack, inputs: Any, state: Any, noise: StepNoise | None, now: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Advance the recurrence by one step, with dropout if any was drawn."""
    if noise is None:
        return stack.step(inputs, state)
    factors = [now.get(f"layer_{number}") for number in range(len(noise.inputs))]
    return stack.noisy_step(inputs, state, StepNoise(factors, noise.state, noise.weights))
