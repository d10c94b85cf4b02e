"""What the gradient monitor costs: steps with it against steps without, of the same network.

Chunks of steps of both alternate in one process, on the same batches; seconds are those of the
processor, so that other programs count for little. Two networks: that of the film reviews (a table
of 20,000 rows, whose gradient is sparse) and a small LSTM whose steps are short.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import ROOT

sys.path.insert(0, str(ROOT))

STEPS = 40  # of a chunk: a few samples of layers are among them
EPOCH_STEPS = 100  # of the film reviews, which say how often layers are looked at


def network(rows: int, size: int, units: int, *, monitor: bool) -> Any:
    """Return a compiled text classifier."""
    import keras

    from pipelines.config import RunConfig
    from pipelines.layers.recurrent import RecurrentStack, SequencePooling
    from pipelines.optimizing import compile_model
    from pipelines.training import Objective

    config = RunConfig(units=units, monitor=monitor, epochs=1)
    keras.utils.set_random_seed(1)
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    mask = keras.ops.not_equal(tokens, 0)
    states = keras.layers.Embedding(rows, size)(tokens)
    states = RecurrentStack.from_run_config(config)(states, mask=mask)
    pooled = SequencePooling(("max", "mean"))(states, mask)
    model = keras.Model([tokens], keras.layers.Dense(2, activation="softmax")(pooled))
    objective = Objective(keras.losses.SparseCategoricalCrossentropy(), [], "loss")
    compile_model(model, objective, config, EPOCH_STEPS)
    model.optimizer.build(model.trainable_variables)
    return model


def compare(name: str, shape: tuple[int, int], repeats: int, sizes: tuple[int, int, int]) -> None:
    """Alternate chunks and print what the monitor adds."""
    rng = np.random.default_rng(0)
    tokens = rng.zipf(1.3, (STEPS, *shape)).clip(1, sizes[0] - 1).astype(np.int32)
    labels = rng.integers(0, 2, (STEPS, shape[0])).astype(np.int32)
    models = [network(*sizes, monitor=monitor) for monitor in (True, False)]

    def chunk(model: Any) -> float:
        if model.optimizer.place is not None:  # as the trainer does after an epoch
            model.optimizer.place.assign([0, -1])
        started = time.process_time()
        for row, label in zip(tokens, labels, strict=True):
            model.train_on_batch(row, label)
        return time.process_time() - started

    for model in models:
        chunk(model)
    pairs = []
    for number in range(repeats):
        order = models if number % 2 else models[::-1]
        seconds = {id(model): chunk(model) for model in order}
        pairs.append([seconds[id(model)] for model in models])
    ratios = [watched / plain for watched, plain in pairs]
    step = 1000 * median(plain for _, plain in pairs) / STEPS
    print(
        f"  {name:24} step {step:6.2f} ms of processor time   with the monitor: "
        f"min median max {min(ratios):.3f} {median(ratios):.3f} {max(ratios):.3f} of that   "
        f"best against best {min(w for w, _ in pairs) / min(p for _, p in pairs):.3f}",
        flush=True,
    )


def main() -> int:
    """Measure both networks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=12)
    parser.add_argument("--quick", action="store_true", help="few repeats")
    options = parser.parse_args()
    options.repeats = 3 if options.quick else options.repeats
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    compare("film reviews", (80, 24), options.repeats, (20_000, 64, 64))
    compare("small LSTM", (16, 20), options.repeats, (200, 16, 16))
    return 0


if __name__ == "__main__":
    sys.exit(main())
