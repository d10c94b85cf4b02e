"""The CRF beside its textbook forms: Viterbi in the graph, and a step of its likelihood.

The peer of Viterbi is the usual NumPy loop over steps, one sentence after another. The peer of the
step is the forward recursion in TensorFlow, differentiated by TensorFlow; it knows that transitions
are the same at every step, where ours takes any scores of pairs of tags, [B, T, K, K], so that
the step carries K times the numbers. Both sides work on the same sentences, and their answers are
compared before their times. Runs alternate. Times are the processor's, all threads together: other
work on the machine hardly touches them, and on a quiet one they bound the waiting from above.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import ROOT

sys.path.insert(0, str(ROOT))

BOUND_MS = 10.0  # in-graph Viterbi over 64 × 40 tokens × 20 tags takes single-digit milliseconds
Runs = dict[str, Callable[[], Any]]


def batch(rows: int, steps: int, tags: int) -> dict[str, np.ndarray]:
    """Return emissions float32[B, T, K], a mask bool[B, T] and codes int32[B, T] (0 is padding)."""
    random = np.random.default_rng(17)
    lengths = random.integers(steps // 2, steps + 1, rows)
    lengths[0] = steps
    mask = np.arange(steps) < lengths[:, None]
    emissions = random.normal(size=(rows, steps, tags)).astype(np.float32)
    codes = np.where(mask, random.integers(1, tags + 1, mask.shape), 0).astype(np.int32)
    return {"emissions": emissions, "mask": mask, "codes": codes}


def random_layer(tags: int) -> Any:
    """Return a CRF layer with random weights."""
    from pipelines.layers.crf import CRF

    random = np.random.default_rng(18)
    layer = CRF()
    layer.build((None, None, tags))
    layer.set_weights([random.normal(size=weight.shape) for weight in layer.weights])
    return layer


def decoders(rows: int, steps: int, tags: int) -> Runs:
    """Return ways to find the best tags of a batch, and what else a tagger may ask of it."""
    import tensorflow as tf

    from pipelines.layers.crf_decoding import marginals, n_best, path_confidences, viterbi

    data, layer = batch(rows, steps, tags), random_layer(tags)
    potentials = layer(data["emissions"], mask=data["mask"])
    spec = [tf.TensorSpec([None, None, tags, tags])]

    def compiled(function: Callable[[Any], Any]) -> Callable[[], Any]:
        graph = tf.function(function, input_signature=spec, autograph=False)
        return lambda: tf.nest.map_structure(lambda value: value.numpy(), graph(potentials))

    def numpy_loop() -> np.ndarray:
        weights = [np.array(weight) for weight in layer.get_weights()]
        answers = np.zeros((rows, steps), np.int32)
        for row, length in enumerate(data["mask"].sum(axis=1)):
            answers[row, :length] = textbook_viterbi(data["emissions"][row, :length], *weights)
        return answers

    runs = {
        "viterbi, tags alone": compiled(lambda p: viterbi(p)[0]),
        "viterbi with log-probability": compiled(viterbi),
        "viterbi and path confidences": compiled(lambda p: path_confidences(p, viterbi(p)[0])),
        "marginals": compiled(marginals),
        "5 best": compiled(lambda p: n_best(p, 5)),
        "NumPy, a sentence at a time": numpy_loop,
    }
    ours, theirs = runs["viterbi, tags alone"](), numpy_loop()
    if (np.where(data["mask"], ours, 0) != theirs).any():
        raise RuntimeError("the two Viterbi decoders answer differently")
    return runs


def textbook_viterbi(
    emissions: np.ndarray, moves: np.ndarray, start: np.ndarray, end: np.ndarray
) -> list[int]:
    """Return the best tags of one sentence, emissions float32[T, K]."""
    best, pointers = start + emissions[0], []
    for scores in emissions[1:]:
        candidates = best[:, None] + moves
        pointers.append(candidates.argmax(axis=0))
        best = candidates.max(axis=0) + scores
    path = [int((best + end).argmax())]
    for pointer in reversed(pointers):
        path.append(int(pointer[path[-1]]))
    return path[::-1]


def steps_of_learning(rows: int, steps: int, tags: int) -> Runs:
    """Return ways to compute the loss and the gradients of emissions and transitions."""
    import tensorflow as tf

    from pipelines.layers.crf import CRFLoss

    data, layer = batch(rows, steps, tags), random_layer(tags)
    inputs = [tf.constant(data[name]) for name in ("emissions", "mask", "codes")]
    loss = CRFLoss()
    weights = [weight.value for weight in layer.weights]

    def ours(emissions: Any, mask: Any, codes: Any) -> Any:
        return loss(codes, layer(emissions, mask=mask))

    def theirs(emissions: Any, mask: Any, codes: Any) -> Any:
        return textbook_loss(emissions, mask, codes, weights)

    def with_gradients(function: Callable[..., Any]) -> Callable[[], Any]:
        def step(*arguments: Any) -> Any:
            with tf.GradientTape() as tape:
                tape.watch(arguments[0])
                value = function(*arguments)
            return value, tape.gradient(value, [arguments[0], *weights])

        spec = [tf.TensorSpec([None, None, *array.shape[2:]], array.dtype) for array in inputs]
        graph = tf.function(step, input_signature=spec, autograph=False)
        return lambda: tf.nest.map_structure(lambda value: value.numpy(), graph(*inputs))

    runs = {
        "loss and gradients": with_gradients(ours),
        "recursion, differentiated": with_gradients(theirs),
    }
    (first, gradients), (second, others) = (run() for run in runs.values())
    np.testing.assert_allclose(first, second, rtol=1e-4)
    for gradient, other in zip(gradients, others, strict=True):
        np.testing.assert_allclose(gradient, other, atol=1e-4)
    return runs


def textbook_loss(emissions: Any, mask: Any, codes: Any, weights: list[Any]) -> Any:
    """Return the negative log-likelihood per token: the recursion, with padding steps skipped."""
    import tensorflow as tf

    moves, start, end = weights
    inside = tf.cast(mask, tf.float32)
    tags = tf.maximum(codes - 1, 0)
    lengths = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
    last = tf.gather(tags, lengths - 1, axis=1, batch_dims=1)

    def step(total: Any, now: tuple[Any, Any]) -> Any:
        scores, real = now
        summed = tf.reduce_logsumexp(total[:, :, None] + moves, axis=1) + scores
        return tf.where(real[:, None], summed, total)

    by_time = (tf.transpose(emissions[:, 1:], (1, 0, 2)), tf.transpose(mask[:, 1:]))
    total = tf.foldl(step, by_time, start + emissions[:, 0])
    chosen = tf.gather(emissions, tags, axis=2, batch_dims=2) * inside
    pairs = tf.gather_nd(moves, tf.stack([tags[:, :-1], tags[:, 1:]], axis=-1)) * inside[:, 1:]
    score = tf.reduce_sum(chosen, axis=1) + tf.reduce_sum(pairs, axis=1)
    score += tf.gather(start, tags[:, 0]) + tf.gather(end, last)
    surprise = tf.reduce_logsumexp(total + end, axis=1) - score
    return tf.reduce_sum(surprise) / tf.reduce_sum(inside)


def compare(runs: Runs, repeats: int) -> list[float]:
    """Alternate the runs; print milliseconds and ratios to the last one; return the first's."""
    for run in runs.values():
        run()  # compiles
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            started = time.process_time()
            run()
            times[name].append((time.process_time() - started) * 1e3)
    *_, peer = times
    for name, values in times.items():
        spread = f"{min(values):7.2f} {median(values):7.2f} {max(values):7.2f} ms"
        ratio = median(times[peer]) / median(values)
        print(f"  {name:30} min median max {spread}   {ratio:5.1f} × the speed of the last line")
    return next(iter(times.values()))


def main() -> int:
    """Compare both; 1 if Viterbi takes 10 ms or more."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    options = parser.parse_args()
    repeats = 5 if options.quick else options.repeats
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    print("decoding 64 sentences of up to 40 tokens, 20 tags")
    viterbi = compare(decoders(64, 40, 20), repeats)
    print("a step over 100 sentences of up to 40 tokens, 21 tags")
    compare(steps_of_learning(100, 40, 21), repeats)
    if median(viterbi) >= BOUND_MS:
        print(f"viterbi: {median(viterbi):.1f} ms, expected less than {BOUND_MS:.0f}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
