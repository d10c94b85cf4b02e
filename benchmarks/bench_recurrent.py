"""A training step of a recurrent layer: ours, stock Keras, PyTorch, its matrix products alone.

Forward and backward, with the gradients of inputs and weights, on one machine and the same numbers:
the outputs and gradients of ours and Keras' are compared before the times, PyTorch's layer has the
same shapes. The products alone are the six large ones of the whole sequence: no step waits for
another, so nothing that computes the layer can be faster. Runs alternate; ratios are taken within a
repeat, so that other work on the machine disturbs both sides. "wall" is time passed, "cpu" the
processor time of all threads together, which other work hardly touches.

PyTorch is optional (its CPU build): absent, it is left out.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # PyTorch's idle threads would spin

import numpy as np
from common import ROOT
from pairing import OURS, Times, has_peer, interleave, print_times, verdict

sys.path.insert(0, str(ROOT))

Runs = dict[str, Callable[[], Any]]
STOCK, TORCH, PRODUCTS = "stock Keras", "PyTorch", "matrix products alone"


@dataclass(frozen=True)
class Case:
    """A layer and a batch; `masked` and `bidirectional` as the tasks run it."""

    kind: str
    batch: int
    steps: int
    width: int
    units: int
    bidirectional: bool = False
    masked: bool = False

    def __str__(self) -> str:
        flags = " bidirectional" * self.bidirectional + " masked" * self.masked
        return (
            f"{self.kind} {self.units} units, {self.batch} × {self.steps} steps, "
            f"inputs {self.width}{flags}"
        )


ISSUE = [
    Case(kind, 64, steps, units, units)
    for units in (128, 512)
    for steps in (50, 200, 500)
    for kind in ("lstm", "gru")
]
# What batches of 4,096 tokens look like: film reviews, tagged sentences.
TASKS = [
    Case(kind, batch, steps, width, units, bidirectional=True, masked=True)
    for kind, units in (("lstm", 64), ("gru", 64), ("lstm", 128))
    for batch, steps, width in ((200, 8, 100), (136, 30, 300), (100, 40, 200), (64, 60, 100))
]


def keras_layer(case: Case) -> Any:
    """Return a built Keras layer; the forward one of a bidirectional layer comes first."""
    import keras

    kinds = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}
    layer = kinds[case.kind](case.units, return_sequences=True, use_cudnn=False)
    if case.bidirectional:
        layer = keras.layers.Bidirectional(layer)
    layer.build((None, None, case.width))
    return layer


def tensorflow_runs(case: Case) -> Runs:
    """Return a step of ours, of stock Keras and of the products."""
    import tensorflow as tf

    from pipelines.layers.fast_recurrent import run_fast

    random = np.random.default_rng(3)
    layer = keras_layer(case)
    weights = [weight.value for weight in layer.weights]
    inputs = tf.constant(random.normal(size=(case.batch, case.steps, case.width)), tf.float32)
    lengths = random.integers(max(1, case.steps * 3 // 4), case.steps + 1, case.batch)
    lengths[0] = case.steps
    mask = tf.constant(np.arange(case.steps) < lengths[:, None]) if case.masked else None
    outputs = case.units * (2 if case.bidirectional else 1)
    upstream = random.normal(size=(case.batch, case.steps, outputs)) / case.batch
    upstream = tf.constant(upstream, tf.float32)

    def step_of(call: Callable[[Any], Any]) -> Callable[[], Any]:
        def step(inputs: Any, upstream: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                states = call(inputs)
                loss = tf.reduce_sum(states * upstream)
            return [states, *tape.gradient(loss, [inputs, *weights])]

        spec = [
            tf.TensorSpec([None, None, case.width]),
            tf.TensorSpec([None, None, outputs]),
        ]
        graph = tf.function(step, input_signature=spec, autograph=False)
        return lambda: tf.nest.map_structure(lambda value: value.numpy(), graph(inputs, upstream))

    runs = {
        OURS: step_of(lambda inputs: run_fast(layer, inputs, mask)[0]),
        STOCK: step_of(lambda inputs: layer(inputs, mask=mask, training=True)),
    }
    runs[PRODUCTS] = products(case)
    return runs


def products(case: Case) -> Callable[[], Any]:
    """Return the products of the layer, each over all steps at once."""
    import tensorflow as tf

    gates = case.units * {"lstm": 4, "gru": 3}[case.kind]
    rows = case.batch * case.steps
    random = np.random.default_rng(4)

    def matrix(*shape: int) -> Any:
        return tf.constant(random.normal(size=shape), tf.float32)

    inputs, states, gradient = (matrix(rows, n) for n in (case.width, case.units, gates))
    kernel, recurrent = matrix(case.width, gates), matrix(case.units, gates)

    def multiply() -> Any:
        values = []
        for left, right in ((inputs, kernel), (states, recurrent)):
            values.append(tf.matmul(left, right))
            values.append(tf.matmul(left, gradient, transpose_a=True))
            values.append(tf.matmul(gradient, right, transpose_b=True))
        return values

    graph = tf.function(multiply, autograph=False)
    directions = 2 if case.bidirectional else 1
    return lambda: [value.numpy() for _ in range(directions) for value in graph()]


def torch_run(case: Case) -> Callable[[], Any]:
    """Return a step of PyTorch's layer; packed by lengths when masked."""
    import torch

    random = np.random.default_rng(3)
    kinds = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}
    layer = kinds[case.kind](
        case.width, case.units, batch_first=True, bidirectional=case.bidirectional
    )
    shape = (case.batch, case.steps, case.width)
    inputs = torch.tensor(random.normal(size=shape), dtype=torch.float32, requires_grad=True)
    lengths = random.integers(max(1, case.steps * 3 // 4), case.steps + 1, case.batch)
    lengths[0] = case.steps

    def step() -> Any:
        layer.zero_grad()
        inputs.grad = None
        given: Any = inputs
        if case.masked:
            given = torch.nn.utils.rnn.pack_padded_sequence(
                inputs, torch.tensor(lengths), batch_first=True, enforce_sorted=False
            )
        states, _ = layer(given)
        if case.masked:
            states, _ = torch.nn.utils.rnn.pad_packed_sequence(states, batch_first=True)
        states.sum().backward()
        return states

    return step


def first_seconds(runs: Runs) -> dict[str, float]:
    """Return the seconds of each first call: tracing, and for ours compiling; check the answers."""
    seconds, answers = {}, {}
    for name, run in runs.items():
        started = time.perf_counter()
        answers[name] = run()
        seconds[name] = time.perf_counter() - started
    for ours, theirs in zip(answers[OURS], answers[STOCK], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
    return seconds


def judge(case: Case, times: Times) -> None:
    """Print the figures that the layer has to reach."""
    verdict(f"{STOCK} / ours", times.ratio(STOCK), 1.8, at_least=True)
    if TORCH in times.wall:
        verdict("PyTorch / ours", times.ratio(TORCH), 1.0, at_least=True)
    if (case.units, case.steps, case.kind) == (128, 200, "lstm"):
        verdict("ours / matrix products", times.ratio(OURS, PRODUCTS), 1.5, at_least=False)


def main() -> int:
    """Measure the cases asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--only", default="", help="part of a case's line, such as 'lstm 128'")
    parser.add_argument("--quick", action="store_true", help="the shortest cases, few repeats")
    arguments = parser.parse_args()
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    has_torch = has_peer("torch", "PyTorch")
    cases = [case for case in ISSUE + TASKS if arguments.only in str(case)]
    if arguments.quick:
        cases, arguments.repeats = [case for case in cases if case.units * case.steps <= 6400], 3
    for case in cases:
        print(case)
        runs = tensorflow_runs(case)
        if has_torch:
            runs[TORCH] = torch_run(case)
        first = first_seconds(runs)
        print("  first call: " + ", ".join(f"{name} {s:.1f} s" for name, s in first.items()))
        times = interleave(runs, arguments.repeats)
        print_times(times)
        if case in ISSUE:
            judge(case, times)
    return 0


if __name__ == "__main__":
    sys.exit(main())
