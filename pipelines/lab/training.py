"""Train one cell on one problem at one length, compiled as a whole.

Back-propagation through time is exact, and worked in segments: forwards only the state between
segments is kept, backwards each segment is run once more (Chen et al., 2016, "Training deep nets
with sublinear memory cost"). XLA's loops slow down as what they keep outgrows the caches: at 1,000
steps this is about four times as fast as one loop over all of them.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pipelines.cell_rules import PARALLEL_CELLS
from pipelines.lab.problems import Batch, Problem
from pipelines.layers.recurrent import RecurrentStack

SEGMENT = 50


def segments_of(length: int, *, least: int, most: int) -> tuple[int, int, int]:
    """Cut a length into equal segments and a last one that is no longer than they.

    Args:
        length: steps in all.
        least: steps that the last segment has at least.
        most: steps that a segment has at most.

    Returns:
        how many segments there are before the last, their steps, and the steps of the last.
    """
    for steps in range(most, least, -1):
        last = (length - 1) % steps + 1
        if last >= least:
            return (length - last) // steps, steps, last
    return 0, 1, length


class Learner:
    """A recurrent stack with a dense layer on top, and a compiled training step.

    Args:
        stack: forward, of any depth.
        problem: what is learned.
        length: steps of every sequence.
        batch: sequences of a training step.
        learning_rate: of Adam.
        clip_norm: largest norm of all gradients together.
    """

    def __init__(
        self,
        stack: RecurrentStack,
        problem: Problem,
        *,
        length: int,
        batch: int,
        learning_rate: float,
        clip_norm: float,
        seed: int,
    ) -> None:
        self.stack, self.problem, self.batch = stack, problem, batch
        # XLA refuses Keras' associative scan; compiled, steps in turn are faster on a processor.
        self._read = self._step_by_step if stack.settings["cell"] in PARALLEL_CELLS else self._whole
        self.before, self.steps, self.last = segments_of(
            length, least=problem.readout, most=SEGMENT
        )
        self.outputs = problem.answers * problem.classes // problem.readout
        self.head = keras.layers.Dense(
            self.outputs, kernel_initializer=keras.initializers.GlorotUniform(seed)
        )
        stack.build((batch, length, problem.channels))
        self.head.build((batch, stack.width))
        self.weights = [*stack.trainable_variables, *self.head.trainable_variables]
        self.optimizer = keras.optimizers.Adam(learning_rate, global_clipnorm=clip_norm)
        self.optimizer.build(self.weights)
        self._train = tf.function(self._step, jit_compile=True, autograph=False)
        self._answer = tf.function(self._forward, jit_compile=True, autograph=False)

    @property
    def parameters(self) -> int:
        """Return how many numbers are learned."""
        return sum(int(np.prod(weight.shape)) for weight in self.weights)

    def train(self, batch: Batch) -> float:
        """Take one step and return the loss before it."""
        return float(self._train(batch.inputs, batch.answers))

    def gradients(self, batch: Batch) -> tuple[Any, list[Any]]:
        """Return the loss and its gradients by the weights, and change nothing."""
        compiled = tf.function(self._gradients, jit_compile=True, autograph=False)
        return compiled(batch.inputs, batch.answers)

    def error(self, batch: Batch) -> float:
        """Return the problem's error on sequences, of which there are multiples of the batch."""
        blocks = range(0, len(batch.inputs), self.batch)
        outputs = [self._answer(batch.inputs[n : n + self.batch]).numpy() for n in blocks]
        return self.problem.error(np.concatenate(outputs), batch.answers)

    def _step(self, inputs: Any, answers: Any) -> Any:
        loss, gradients = self._gradients(inputs, answers)
        self.optimizer.apply(gradients, self.weights)
        return loss

    def _gradients(self, inputs: Any, answers: Any) -> tuple[Any, list[Any]]:
        segments, last = self._cut(inputs)
        states, kept = self._read_all_but_last(segments)
        with tf.GradientTape() as tape:
            tape.watch(states)
            loss = self._loss(self._outputs(last, states), answers)
        sums, upstream = tape.gradient(
            loss, (self._values(), states), unconnected_gradients=tf.UnconnectedGradients.ZERO
        )
        return loss, self._read_back(segments, kept, sums, upstream)

    def _forward(self, inputs: Any) -> Any:
        segments, last = self._cut(inputs)
        states, _ = self._read_all_but_last(segments)
        return self._outputs(last, states)

    def _cut(self, inputs: Any) -> tuple[Any, Any]:
        """Cut float32[B, T, D] into float32[segments, B, steps, D] and the last segment."""
        shape = (self.batch, self.before, self.steps, self.problem.channels)
        cut = inputs.shape[1] - self.last
        return tf.transpose(tf.reshape(inputs[:, :cut], shape), (1, 0, 2, 3)), inputs[:, cut:]

    def _values(self) -> list[Any]:
        return [weight.value for weight in self.weights]

    def _whole(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        return self.stack.run(inputs, None, states, True)

    def _step_by_step(self, inputs: Any, states: list[Any]) -> tuple[Any, list[Any]]:
        steps, in_time = inputs.shape[1], tf.transpose(inputs, (1, 0, 2))
        outputs = tf.TensorArray(
            tf.float32, size=steps, element_shape=(self.batch, self.stack.width)
        )

        def body(number: Any, states: list[Any], outputs: Any) -> tuple[Any, ...]:
            read, after = self.stack.step(in_time[number], states)
            return number + 1, after, outputs.write(number, read)

        _, states, outputs = tf.while_loop(
            lambda number, *_: number < steps,
            body,
            (0, list(states), outputs),
            maximum_iterations=steps,
        )
        return tf.transpose(outputs.stack(), (1, 0, 2)), states

    def _read_all_but_last(self, segments: Any) -> tuple[list[Any], list[Any]]:
        """Return the state before the last segment, and arrays of those before the others."""
        start = self.stack.zero_state(self.batch)
        arrays = [
            tf.TensorArray(part.dtype, size=max(1, self.before), element_shape=part.shape)
            for part in start
        ]

        def body(number: Any, states: list[Any], kept: list[Any]) -> tuple[Any, ...]:
            kept = [array.write(number, part) for array, part in zip(kept, states, strict=True)]
            _, after = self._read(segments[number], states)
            return number + 1, list(after), kept

        if not self.before:
            return start, arrays
        _, states, arrays = tf.while_loop(
            lambda number, *_: number < self.before,
            body,
            (0, start, arrays),
            maximum_iterations=self.before,
        )
        return states, arrays

    def _read_back(self, segments: Any, kept: list[Any], sums: Any, upstream: Any) -> list[Any]:
        """Carry the gradient to the first step; return the sums of the weights' gradients."""
        if not self.before:
            return list(sums)
        kept = [array.stack() for array in kept]

        def body(number: Any, sums: list[Any], upstream: list[Any]) -> tuple[Any, ...]:
            states = [part[number] for part in kept]
            with tf.GradientTape() as tape:
                tape.watch(states)
                _, after = self._read(segments[number], states)
            parts, before = tape.gradient(
                after,
                (self._values(), states),
                output_gradients=upstream,
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
            sums = [one + other for one, other in zip(sums, parts, strict=True)]
            return number - 1, sums, before

        _, sums, _ = tf.while_loop(
            lambda number, *_: number >= 0,
            body,
            (self.before - 1, list(sums), list(upstream)),
            maximum_iterations=self.before,
        )
        return sums

    def _outputs(self, inputs: Any, states: list[Any]) -> Any:
        """Return outputs float32[B, A, classes] of the last segment."""
        read, _ = self._read(inputs, states)
        outputs = self.head(read[:, -self.problem.readout :])
        return tf.reshape(outputs, (self.batch, self.problem.answers, self.problem.classes))

    def _loss(self, outputs: Any, answers: Any) -> Any:
        if self.problem.loss == "squared error":
            return tf.reduce_mean(tf.square(outputs - answers))
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=answers, logits=outputs)
        )
