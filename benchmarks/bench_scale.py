"""How time and memory grow: with the corpus, with the length of sequences, with the units.

Corpora are generated csv files of 1, 10 and 100 times as many rows. Two processes read each: the
command `data`, and one that reads, splits, counts words, encodes and trains an epoch of a small
network, as `train` does. Imports, tracing and compiling take the same time whatever the corpus, so
that seconds are a + b size^e. The differences of three sizes n, rn and r^2 n have no a in them, and
the quotient of both is r^e. Memory is the whole peak, and its e the least-squares slope of log cost
over log size, nothing subtracted; so is that of steps of training over T steps or with U units.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from bench_memory import write_rows
from common import ROOT, CommandFailed, measure, peak_mb
from pairing import interleave, verdict

sys.path.insert(0, str(ROOT))

ROWS, QUICK_ROWS = (3_000, 30_000, 300_000), (500, 2_500, 12_500)  # each times the same
LENGTHS, QUICK_LENGTHS = (50, 100, 200, 400, 800, 1600), (50, 200, 800)
UNITS, QUICK_UNITS = (64, 128, 256, 512, 1024), (64, 256)
TRAIN = {
    "epochs": 1, "units": 16, "embedding_size": 16, "max_tokens": 64, "batch_tokens": 16_384,
}  # fmt: skip
WIDTH = 64  # of the inputs of a layer
LINEAR, FLAT = 1.05, 0.05

Costs = Mapping[int, float]


def exponent(costs: Costs) -> float:
    """Return the least-squares slope of log cost over log size."""
    sizes, values = np.log(list(costs)), np.log(np.maximum(list(costs.values()), 1e-9))
    return float(np.polyfit(sizes, values, 1)[0])


def beyond_start(costs: Costs) -> float:
    """Return e of cost = a + b size^e, from three sizes of which each is r times the one before.

    NaN where the larger half of the growth is no growth: other work on the machine hides it.
    """
    (small, least), (size, middle), (_, most) = costs.items()
    first, second = middle - least, most - middle
    if first <= 0 or second <= 0:
        return math.nan
    return math.log(second / first) / math.log(size / small)


def show(what: str, costs: Costs, unit: str, growth: Callable[[Costs], float] = exponent) -> None:
    """Print what each size costs, and the exponent."""
    shown = "  ".join(f"{size:,}: {cost:,.1f}" for size, cost in costs.items())
    print(f"  {what:22} {shown} {unit}   ~ size^{growth(costs):.2f}", flush=True)


def corpus(sizes: tuple[int, ...], folder: Path) -> None:
    """Read, encode and train on files of growing size, each in processes of its own."""
    seconds: dict[str, dict[int, float]] = {}
    peaks: dict[str, dict[int, float]] = {}
    for rows in sizes:
        path = folder / f"{rows}.csv"
        measure([__file__, "--make", str(path), "--rows", str(rows)])
        found = {"command data": _command(path, folder)} | _stages(path, folder)
        for name, (cost, peak) in found.items():
            seconds.setdefault(name, {})[rows] = cost
            peaks.setdefault(name, {})[rows] = peak
        path.unlink()
    print("\nrows of a corpus: seconds of each stage; the exponent leaves fixed costs out")
    for name, costs in seconds.items():
        show(name, costs, "s", beyond_start)
    print("\nrows of a corpus: peak of the process until the end of each stage")
    for name, costs in peaks.items():
        show(name, costs, "MB")
    for name, costs in seconds.items():
        verdict(f"time of {name}, exponent", beyond_start(costs), LINEAR, at_least=False)
    for name, costs in peaks.items():
        verdict(f"memory of {name}, exponent", exponent(costs), FLAT, at_least=False)


def _command(path: Path, folder: Path) -> tuple[float, float]:
    """Return the seconds and the peak of the command `data`."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        environment = {"DATA_HOME": name, "SAVED_MODELS": name}
        arguments = ["-m", "pipelines", "data", "sentiment", "--data", str(path)]
        result = measure(arguments, environment=environment)
    return result.seconds, result.peak_mb


def _stages(path: Path, folder: Path) -> dict[str, tuple[float, float]]:
    """Return seconds and peak of every stage of training, in one process."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        lines = measure([__file__, "--stages", str(path), "--folder", name]).output.splitlines()
    return {name: (cost, peak) for name, cost, peak in json.loads(lines[-1])}


class _Clock:
    """Seconds of each stage, and the most memory taken until its end."""

    def __init__(self) -> None:
        self.found: list[tuple[str, float, float]] = []
        self.began = self.started = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.found.append((name, now - self.started, peak_mb()))
        self.started = time.perf_counter()


def stages(path: Path, folder: Path) -> None:
    """Read, encode and train as `train` does; print what each stage cost."""
    from rich.console import Console

    from pipelines import pipeline
    from pipelines.quiet import import_quietly
    from pipelines.stages import Stages
    from pipelines.task import Prepared
    from pipelines.workspace import Folders
    from tasks.sentiment import Sentiment, SentimentConfig

    import_quietly("tensorflow", "keras")
    folders = replace(Folders.default(), cache=folder / "cache", saved_models=folder / "models")
    task, clock = Sentiment(SentimentConfig(**TRAIN)), _Clock()
    splits = task.load_data(str(path), folders)
    clock.lap("read, split")
    artifacts = task.fit_artifacts(splits)
    clock.lap("count words")
    corpora = {
        name: pipeline.encoded(task, rows, artifacts, (splits.card.fingerprint, name), folders)
        for name, rows in splits.named()
    }
    clock.lap("encode")
    prepared = Prepared(splits, artifacts, corpora)
    pipeline.fit(task, prepared, folders=folders, stages=Stages(Console(file=sys.stderr)))
    clock.lap("an epoch")
    total = time.perf_counter() - clock.began
    print(json.dumps([*clock.found, ("all of them", total, peak_mb())]))


def layers(lengths: tuple[int, ...], units: tuple[int, ...], repeats: int) -> None:
    """Time steps of training of one layer, default settings, over lengths and over units."""
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    by_length = {steps: trainer(steps, 128, rows=16) for steps in lengths}
    costs = _timed(by_length, repeats)
    print("\nsteps of a sequence: a training step, 128 units, 16 rows")
    show("time", costs, "ms")
    verdict("time of a step over length, exponent", exponent(costs), LINEAR, at_least=False)
    by_units = {size: trainer(50, size, rows=32) for size in units}
    print("\nunits of a layer: a training step, 50 steps, 32 rows (its weights grow as units^2)")
    show("time", _timed(by_units, repeats), "ms")


def _timed(runs: Mapping[int, Callable[[], Any]], repeats: int) -> dict[int, float]:
    times = interleave({str(size): run for size, run in runs.items()}, repeats, warm_ups=2)
    return {size: 1e3 * median(times.wall[str(size)]) for size in runs}


def trainer(steps: int, units: int, *, rows: int) -> Callable[[], Any]:
    """Return a step of training of the stack that the sentiment task makes."""
    import keras

    from pipelines.layers.recurrent import RecurrentStack
    from tasks.sentiment import SentimentConfig

    config = SentimentConfig(units=units, depth=1)
    inputs = keras.Input((steps, WIDTH))
    stack = RecurrentStack.from_run_config(config)
    model = keras.Model(inputs, keras.layers.Dense(1)(stack(inputs)))
    model.compile("adam", "mse", jit_compile=False)
    random = np.random.default_rng(0)
    read = random.normal(size=(rows, steps, WIDTH)).astype(np.float32)
    wanted = random.normal(size=(rows, steps, 1)).astype(np.float32)
    return partial(model.train_on_batch, read, wanted)


PARTS = ("corpus", "layers")


def main() -> int:
    """Measure growth; targets missed are said, and are no failure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="small sizes, once")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, help="where to work")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--stages", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:  # in a process of its own, so that the measuring one stays small
        write_rows(options.make, options.rows)
        return 0
    if options.stages:
        stages(options.stages, options.folder)
        return 0
    quick = options.quick
    if "corpus" in options.only:
        with tempfile.TemporaryDirectory(dir=options.folder) as name:
            corpus(QUICK_ROWS if quick else ROWS, Path(name))
    if "layers" in options.only:
        lengths, units = (QUICK_LENGTHS, QUICK_UNITS) if quick else (LENGTHS, UNITS)
        layers(lengths, units, 1 if quick else options.repeats)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as error:
        sys.exit(f"error: {error}")
