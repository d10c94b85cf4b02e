"""Input feeding: the loop over steps of a decoder that reads what it attended to a step earlier.

Luong et al. (2015, sec. 3.3). `keras.ops.scan`, through which gradients run on every backend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from keras import ops

from pipelines.layers.attention import Attention
from pipelines.layers.decoder_state import DecoderStack, Prepared, State, StepNoise


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
    attend: Callable[..., tuple[Any, Any]],
) -> tuple[Any, Any]:
    """Return features [B, T, H] and attention weights float32[B, T, S] of every step.

    Args:
        vectors: of the tokens, float[B, T, E].
        start: the state before the first, of leaves [B, ...].
        prepared: what all steps share.
        noise: of `draw_loop_noise`.
        stack: the recurrence; it reads [B, E + H].
        attend: states [B, 1, H], prepared and noise [B, 1, S] or None -> features and weights.
    """

    def step(carried: Any, now: dict[str, Any]) -> tuple[Any, Any]:
        before, fed, _ = carried
        read = ops.concatenate([now["vectors"], fed], axis=-1)
        output, after = _advance(stack, read, before, noise.stack, now)
        factors = now["attention"][:, None] if "attention" in now else None
        features, weights = attend(output[:, None], prepared, factors)
        # TensorFlow's scan wants the outputs of a step to be like what is carried.
        carried = (after, features[:, 0], weights[:, 0])
        return carried, carried

    rows, width = ops.shape(vectors)[0], ops.shape(prepared.memory)[1]
    carried = (start["stack"], start["fed"], ops.zeros((rows, width), "float32"))
    _, (_, features, weights) = ops.scan(step, carried, _by_step(vectors, noise))
    return ops.transpose(features, (1, 0, 2)), ops.transpose(weights, (1, 0, 2))


def _by_step(vectors: Any, noise: LoopNoise) -> dict[str, Any]:
    """Return what the loop reads at each step, all of it [T, B, ...]."""
    read = {"vectors": ops.transpose(vectors, (1, 0, 2))}
    if noise.attention is not None:
        read["attention"] = ops.transpose(noise.attention, (1, 0, 2))
    parts = noise.stack.inputs if noise.stack is not None else []
    return read | {f"layer_{n}": part for n, part in enumerate(parts) if part is not None}


def _advance(
    stack: DecoderStack, inputs: Any, state: Any, noise: StepNoise | None, now: dict[str, Any]
) -> tuple[Any, list[Any]]:
    """Advance the recurrence by one step, with dropout if any was drawn."""
    if noise is None:
        return stack.step(inputs, state)
    factors = [now.get(f"layer_{number}") for number in range(len(noise.inputs))]
    return stack.noisy_step(inputs, state, StepNoise(factors, noise.state))
