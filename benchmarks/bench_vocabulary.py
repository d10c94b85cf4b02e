"""A training step as the vocabulary grows: ours, stock Keras, PyTorch dense and sparse.

The same network everywhere: token vectors of 128, an LSTM of 128 units, its last state, a dense
layer over 3 classes. 64 rows of 50 to 200 words a step, drawn by Zipf's law from the whole
vocabulary. Adam at a constant rate, gradients clipped to a global norm of 1. Ours runs as the tasks
do, with the gradient monitor, and once more with weight decay and an average of the weights, which
the others lack here. PyTorch's sparse way is `Embedding(sparse=True)` under `SparseAdam`, whose
moments stand still where Adam's fade: its losses are compared over fewer steps.

Sizes alternate within a system, and every time is given in units of the same system's step at the
smallest vocabulary. What ours puts off, catching up all rows after an epoch, is timed by itself.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# PyTorch's threads spin while they wait for one another, which slows other programs' steps.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
from common import ROOT
from pairing import has_peer, interleave, print_times, quartiles, verdict

sys.path.insert(0, str(ROOT))

ROWS, SIZE, UNITS, CLASSES, RATE, CLIP = 64, 128, 128, 3, 2e-3, 1.0
VOCABULARIES = (1_000, 20_000, 100_000, 500_000)
EPSILON = 1e-7 * 0.001**-0.5  # added after Adam's correction: as Keras' in the first step
STEPS = 3  # of a run
OURS, ALL, STOCK = "ours", "ours, decay and average", "stock Keras"
TORCH, SPARSE = "PyTorch", "PyTorch, SparseAdam"
COMPARED = {OURS: 4, STOCK: 4, TORCH: 4, SPARSE: 2}  # steps, the first before any update
CLOSE = 3e-3  # losses of two systems, as a share: PyTorch's Adam adds epsilon elsewhere

Batch = tuple[np.ndarray, np.ndarray]
Step = Callable[[Batch], float]  # learns from a batch and returns its loss before
Weights = dict[str, np.ndarray]


@dataclass
class Trainer:
    """A network of one system at one vocabulary; `catch_up` is what it puts off, if anything."""

    step: Step
    catch_up: Callable[[], None] | None = None


def batches(vocabulary: int, length: int) -> list[Batch]:
    """Draw batches of words 1 to `vocabulary` - 1, the n-th most frequent 1/n as often."""
    rng = np.random.default_rng(length)
    shares = np.cumsum(1.0 / np.arange(1, vocabulary))
    drawn = rng.random((STEPS, ROWS, length)) * shares[-1]
    words = 1 + np.searchsorted(shares, drawn).clip(0, vocabulary - 2)
    return list(zip(words.astype(np.int32), rng.integers(0, CLASSES, (STEPS, ROWS)), strict=True))


def initial(vocabulary: int) -> Weights:
    """Draw the weights all systems begin with, in Keras' order of gates."""
    rng = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape, np.float32) * UNITS**-0.5).astype(np.float32)

    bias = np.zeros(4 * UNITS, np.float32)
    bias[UNITS : 2 * UNITS] = 1.0
    return {
        "kernel": drawn(SIZE, 4 * UNITS), "recurrent": drawn(UNITS, 4 * UNITS), "bias": bias,
        "output": drawn(UNITS, CLASSES), "table": drawn(vocabulary, SIZE),
    }  # fmt: skip


def ours(vocabulary: int, **changes: Any) -> Trainer:
    """Train with the layers and the optimizer of the tasks."""
    import keras

    from pipelines.config import RunConfig
    from pipelines.layers.recurrent import RecurrentStack, SequencePooling
    from pipelines.layers.row_embedding import RowEmbedding
    from pipelines.optimizing import make_optimizer

    config = RunConfig(
        cell="lstm", units=UNITS, depth=1, direction="forward", input_dropout=0.0, fast=True,
        epochs=1,
        learning_rate=RATE, schedule="constant", clip_norm=CLIP, **changes,
    )  # fmt: skip
    tokens = keras.Input((None,), dtype="int32")
    mask = keras.ops.not_equal(tokens, 0)
    stack = RecurrentStack.from_run_config(config)
    states = stack(RowEmbedding(vocabulary, SIZE)(tokens), mask=mask)
    last = SequencePooling(("last",))(states, mask)
    model = keras.Model(tokens, keras.layers.Dense(CLASSES)(last))
    optimizer = make_optimizer(config, steps=1_000)
    step = _keras_step(model, optimizer, vocabulary)
    return Trainer(step, optimizer.settle)


def stock(vocabulary: int) -> Trainer:
    """Train with Keras' own layers and optimizer."""
    import keras

    tokens = keras.Input((None,), dtype="int32")
    states = keras.layers.LSTM(UNITS)(keras.layers.Embedding(vocabulary, SIZE)(tokens))
    model = keras.Model(tokens, keras.layers.Dense(CLASSES)(states))
    return Trainer(
        _keras_step(model, keras.optimizers.Adam(RATE, global_clipnorm=CLIP), vocabulary)
    )


def _keras_step(model: Any, optimizer: Any, vocabulary: int) -> Step:
    import keras

    begin = initial(vocabulary)
    model.set_weights([begin[name] for name in ("table", "kernel", "recurrent", "bias", "output")]
                      + [np.zeros(CLASSES, np.float32)])  # fmt: skip
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=False)
    optimizer.build(model.trainable_variables)

    def step(batch: Batch) -> float:
        model.reset_metrics()
        return float(model.train_on_batch(*batch))

    return step


def torch_trainer(vocabulary: int, *, sparse: bool) -> Trainer:
    """Train with PyTorch, its embedding's gradient dense or sparse."""
    import torch
    from torch import nn

    torch.set_num_threads(os.cpu_count() or 1)
    begin = {name: torch.from_numpy(value) for name, value in initial(vocabulary).items()}
    table = nn.Embedding(vocabulary, SIZE, sparse=sparse)
    lstm, output = nn.LSTM(SIZE, UNITS, batch_first=True), nn.Linear(UNITS, CLASSES)
    with torch.no_grad():
        table.weight.copy_(begin["table"])
        lstm.weight_ih_l0.copy_(begin["kernel"].T)  # PyTorch has the gates in the same order
        lstm.weight_hh_l0.copy_(begin["recurrent"].T)
        lstm.bias_ih_l0.copy_(begin["bias"])
        lstm.bias_hh_l0.zero_()
        lstm.bias_hh_l0.requires_grad_(requires_grad=False)  # Keras has one bias
        output.weight.copy_(begin["output"].T)
        output.bias.zero_()
    network = [one for part in (lstm, output) for one in part.parameters() if one.requires_grad]
    dense = network if sparse else [*network, table.weight]
    optimizers = [torch.optim.Adam(dense, RATE, eps=EPSILON)]
    if sparse:
        optimizers.append(torch.optim.SparseAdam([table.weight], RATE, eps=EPSILON))

    def step(batch: Batch) -> float:
        for optimizer in optimizers:
            optimizer.zero_grad()
        words, classes = map(torch.from_numpy, batch)
        states, _ = lstm(table(words))
        loss = nn.functional.cross_entropy(output(states[:, -1]), classes)
        loss.backward()
        nn.utils.clip_grad_norm_(dense, CLIP)
        for optimizer in optimizers:
            optimizer.step()
        return float(loss.detach())

    return Trainer(step)


def systems() -> dict[str, Callable[[int], Trainer]]:
    """Return what makes a trainer of every system that is installed."""
    found: dict[str, Callable[[int], Trainer]] = {
        OURS: ours,
        ALL: partial(ours, weight_decay=0.01, weight_average=0.98),
        STOCK: stock,
    }
    if has_peer("torch", "PyTorch"):
        found[TORCH] = partial(torch_trainer, sparse=False)
        found[SPARSE] = partial(torch_trainer, sparse=True)
    return found


def same_losses(made: dict[str, Callable[[int], Trainer]], vocabulary: int, length: int) -> bool:
    """Tell whether all systems' losses agree over their first steps."""
    given = batches(vocabulary, length)
    losses = {}
    for name, steps in COMPARED.items():
        if name in made:
            trainer = made[name](vocabulary)
            losses[name] = [trainer.step(given[number % STEPS]) for number in range(steps)]
    own, agreed = losses[OURS], True
    for name, values in losses.items():
        gap = max(abs(one / other - 1) for one, other in zip(values, own, strict=False))
        agreed = agreed and gap <= CLOSE
        print(f"  losses of {len(values)} steps, {name}: within {gap:.1e} of ours", flush=True)
    return agreed


def measure(
    name: str, make: Callable[[int], Trainer], sizes: tuple[int, ...], length: int, repeats: int
) -> dict[int, list[float]]:
    """Time a system at all sizes in turn; return the ratios to the smallest."""
    trainers = {f"{name}, {size:,}": make(size) for size in sizes}
    names = list(trainers)

    def run(trainer: Trainer, given: list[Batch]) -> None:
        for batch in given:
            trainer.step(batch)

    runs = {
        key: partial(run, trainer, batches(size, length))
        for (key, trainer), size in zip(trainers.items(), sizes, strict=True)
    }
    times = interleave(runs, repeats, warm_ups=2)
    print_times(times, to=names[0], unit=1e3 / STEPS)
    for key, trainer in trainers.items():
        if trainer.catch_up is not None:
            started = time.perf_counter()
            trainer.catch_up()
            spent = (time.perf_counter() - started) * STEPS / np.median(times.wall[key])
            print(f"  {key}: catching up all rows once an epoch takes {spent:.1f} steps")
    return {size: times.ratios(key, names[0]) for key, size in zip(names, sizes, strict=True)}


def judge(ratios: dict[str, dict[int, list[float]]], length: int) -> None:
    """Set the figures beside the targets."""
    for name, bound, size, at_least in (
        (OURS, 1.2, 500_000, False), (ALL, 1.2, 500_000, False), (STOCK, 2.0, 100_000, True)
    ):  # fmt: skip
        found = ratios[name].get(size)
        if found:
            what = (
                f"{name}, {length} words a row: {size:,} words / 1,000, {quartiles(found, '.2f')}"
            )
            verdict(what, float(np.median(found)), bound, at_least=at_least)


def main() -> int:
    """Compare losses, then measure every system at every size; 1 if losses differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="small sizes, few repeats")
    options = parser.parse_args()
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    made, agreed = systems(), True
    repeats = 3 if options.quick else options.repeats
    sizes = VOCABULARIES[:2] if options.quick else VOCABULARIES
    for length in (50,) if options.quick else (50, 200):
        print(f"\n{ROWS} rows of {length} words, vectors and LSTM of {UNITS}", flush=True)
        agreed = same_losses(made, sizes[1], length) and agreed
        ratios = {}
        for name, make in made.items():
            ratios[name] = measure(name, make, sizes, length, repeats)
            gc.collect()
        judge(ratios, length)
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
