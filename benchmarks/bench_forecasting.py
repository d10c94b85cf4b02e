"""Forecasting at scale: two million minutes, thousands of series, many targets.

`stream` reads the household-power file (2,075,259 minutes), splits and encodes it, and reads an
epoch of batches, in a process of its own. `gather` reads random batches of its windows beside two
peers: an array that holds every window, and `keras.utils.timeseries_dataset_from_array`. `train`
runs the whole command: reading to report. Memory is that of the largest process of a command.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import ROOT, CommandFailed, Measured, measure

sys.path.insert(0, str(ROOT))

SOURCE = "household-power"
BOUND_MB = 1500
BATCH_ROWS = 256
GATHERED = 20_000  # windows that every system reads in one repeat
HOURS = 100  # of each short series
SHORT = ["--history", "48", "--horizon", "12"]
FEW = ["--epochs", "1", "--windows-per-epoch", "2000"]


def folders_in(home: Path) -> Any:
    """Return folders in which nothing is prepared yet; raw files are those already fetched."""
    from pipelines.workspace import Folders

    return Folders(raw=Folders.default().raw, cache=home / "cache", saved_models=home / "models")


def stream(home: Path) -> None:
    """Read, split, encode, and load the batches of one epoch; print seconds and windows/s."""
    from pipelines.corpus import write_corpus
    from tasks.forecasting import Forecasting, ForecastingConfig

    task = Forecasting(ForecastingConfig())
    with told("read and split") as note:
        splits = task.load_data(SOURCE, folders_in(home))
        steps = len(splits.train.store.values)
        note.append(f"{steps:,} steps, {len(splits.train):,} training windows")
    with told("artifacts"):
        artifacts = task.fit_artifacts(splits)
    with told("TensorFlow"):
        import tensorflow as tf  # noqa: F401 - encoding needs it, and its start is no encoding
    corpora = {}
    for name, rows in splits.named():
        with told(f"encode {name}", len(rows)):
            corpora[name] = write_corpus(home / name, task.encode(rows, artifacts, name))
    size = sum(path.stat().st_size for path in home.glob("*/*.bin"))
    whole = len(splits.train) * row_bytes(corpora["train"])
    print(f"  on disk {size / 1e6:,.0f} MB; training windows one by one {whole / 1e6:,.0f} MB")
    batches = task.batches(corpora["train"], _Inputs(corpora["train"]), seed=17)
    plan = batches.epoch(0)
    with told("an epoch of batches", sum(len(rows) for rows in plan.rows)):
        for inputs, _, _ in plan:
            del inputs
    _, _, test = (rows for _, rows in splits.named())
    with told("windows one by one", min(len(test), 2000)):
        for window in test[:2000]:
            del window


def row_bytes(corpus: Any) -> int:
    """Return the bytes of one window, materialised."""
    return sum(values.nbytes for values in corpus.gather(np.zeros(1, np.int64)).values())


class _Inputs:
    """Stands in for a model that takes every feature but the target."""

    def __init__(self, corpus: Any) -> None:
        self.inputs = [_Named(name) for name in corpus.names if name != "target"]


class _Named:
    def __init__(self, name: str) -> None:
        self.name = name


@contextmanager
def told(what: str, rows: int = 0) -> Iterator[list[str]]:
    """Print how long a block took, and how many windows a second that is."""
    notes: list[str] = []
    started = time.perf_counter()
    yield notes
    seconds = time.perf_counter() - started
    if rows:
        notes.append(f"{rows:,} windows, {rows / max(seconds, 1e-9):,.0f} a second")
    print(f"  {what:22} {seconds:7.1f} s   {'; '.join(notes)}", flush=True)


def gather(home: Path, repeats: int) -> None:
    """Time random batches of the same windows, system beside system."""
    from pipelines.corpus import write_corpus
    from tasks.forecasting import Forecasting, ForecastingConfig

    task = Forecasting(ForecastingConfig())
    splits = task.load_data(SOURCE, folders_in(home))
    rows = splits.train.select(np.arange(GATHERED * 4))
    corpus = write_corpus(home / "train", task.encode(rows, task.fit_artifacts(splits), "train"))
    orders = [np.random.default_rng(seed).permutation(len(corpus))[:GATHERED] for seed in range(9)]
    systems = {
        "ours, all features": _by_batch(orders, lambda at: corpus.gather(at)),
        "ours, history alone": _by_batch(orders, lambda at: corpus.gather(at, ["history"])),
        "materialised array": _by_batch(orders, _materialised(corpus)),
        "keras utility": _stock(splits.train, rows),
    }
    seconds: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(repeats + 1):
        for name, run in systems.items():
            started = time.perf_counter()
            run(number)
            if number:  # the first pays for set-up
                seconds[name].append(time.perf_counter() - started)
    ours = np.array(seconds["ours, history alone"])
    for name, taken in seconds.items():
        speeds = ", ".join(f"{GATHERED / each:,.0f}" for each in _spread(taken))
        share = [f"{each:.2f}" for each in _spread((np.array(taken) / ours).tolist())]
        print(f"  {name:22} {speeds:>32} windows/s   {', '.join(share)} of ours in time")


def _spread(values: list[float]) -> tuple[float, float, float]:
    return min(values), median(values), max(values)


def _by_batch(orders: list[np.ndarray], read: Callable[[np.ndarray], Any]) -> Callable[[int], None]:
    def run(number: int) -> None:
        order = orders[number % len(orders)]
        for first in range(0, len(order), BATCH_ROWS):
            read(order[first : first + BATCH_ROWS])

    return run


def _materialised(corpus: Any) -> Callable[[np.ndarray], Any]:
    """Hold every history as an array of its own: [M, T, F]."""
    parts = np.array_split(np.arange(len(corpus)), 20)
    windows = np.concatenate([corpus.gather(part, ["history"])["history"] for part in parts])
    print(f"  the materialised array holds {windows.nbytes / 1e6:,.0f} MB", flush=True)
    return lambda at: windows[at]


def _stock(train: Any, rows: Any) -> Callable[[int], None]:
    """Read the same stretch through the utility of Keras, shuffled."""
    import keras

    last = int(rows.origins.max()) + 1
    values = np.asarray(train.store.series(0)[:last])
    batches = keras.utils.timeseries_dataset_from_array(
        values, None, train.history, shuffle=True, batch_size=BATCH_ROWS
    )

    def run(_: int) -> None:
        for batch in batches.take(-(-GATHERED // BATCH_ROWS)):
            del batch

    return run


def write_short_series(path: Path, count: int, seed: int = 3) -> int:
    """Write many short noisy daily waves of unequal size in a long layout; return the rows."""
    random = np.random.default_rng(seed)
    hours = np.arange(HOURS)
    stamps = np.datetime_as_string(np.datetime64("2024-01-01T00:00") + 60 * hours)
    with path.open("w", encoding="ascii") as file:
        file.write("series,time,value\n")
        for number in range(count):
            wave = 2 + np.sin(2 * np.pi * (hours / 24 + random.random()))
            values = random.lognormal(3) * (wave + 0.3 * random.normal(size=HOURS))
            lines = zip(stamps, values.tolist(), strict=True)
            file.writelines(f"s{number:05},{stamp},{value:.4g}\n" for stamp, value in lines)
    return count * HOURS


def write_wide(path: Path, targets: int, hours: int, seed: int = 4) -> int:
    """Write one table of many columns, a wave each; return the rows."""
    random = np.random.default_rng(seed)
    steps = np.arange(hours)
    stamps = np.datetime_as_string(np.datetime64("2023-01-01T00:00") + 60 * steps)
    waves = 2 + np.sin(2 * np.pi * (steps[:, None] / 24 + random.random(targets)))
    values = random.lognormal(3, size=targets) * (waves + 0.3 * random.normal(size=waves.shape))
    with path.open("w", encoding="ascii") as file:
        file.write(",".join(["time", *target_names(targets)]) + "\n")
        for stamp, row in zip(stamps, values.tolist(), strict=True):
            file.write(",".join([stamp, *(f"{value:.4g}" for value in row)]) + "\n")
    return hours


def target_names(count: int) -> list[str]:
    """Return names of columns."""
    return [f"c{number:02}" for number in range(count)]


def run_part(part: str, repeats: int) -> Measured:
    """Run a part of this file in a process of its own and print what it printed, and its peak."""
    print(f"\n{part}", flush=True)
    result = measure([__file__, "--part", part, "--repeats", str(repeats)])
    print(result.output, end="")
    print(f"  {'peak memory':22} {result.peak_mb:,.0f} MB")
    return result


def train(title: str, arguments: list[str], home: Path) -> Measured:
    """Run the whole `train` command and print what its stages cost."""
    print(f"\ntrain: {title}", flush=True)
    environment = {"DATA_HOME": str(home / "data"), "SAVED_MODELS": str(home / "models")}
    command = ["-m", "pipelines", "train", "forecasting", *arguments]
    result = measure(command, environment=environment)
    before = 0.0
    for name, (seconds, together) in result.stages.items():
        print(f"  {name:22} {seconds - before:7.1f} s {together:8,.0f} MB all processes together")
        before = seconds
    report = home / "models" / "forecasting" / "latest" / "report"
    sizes = (f"{path.name} {path.stat().st_size / 1e6:.2f} MB" for path in report.iterdir())
    print(f"  {'all':22} {result.seconds:7.1f} s   {'; '.join(sorted(sizes))}")
    print(f"  {'peak memory':22} {result.peak_mb:,.0f} MB in the largest process", flush=True)
    return result


def train_all(home: Path, *, full: bool) -> list[Measured]:
    """Train on many short series; with `full` also on the minutes and on thirty targets."""
    (home / "data").mkdir()
    from pipelines.workspace import Folders

    (home / "data" / "raw").symlink_to(Folders.default().raw.resolve())
    series = 5000 if full else 500
    rows = write_short_series(home / "short.csv", series)
    given = ["--data", str(home / "short.csv"), *SHORT]
    results = [train(f"{series:,} series of {HOURS} hours, {rows:,} rows", [*given, *FEW], home)]
    if full:
        rows = write_wide(home / "wide.csv", 30, 8760)
        wide = ["--data", str(home / "wide.csv"), *FEW]
        joint = [*wide, "--layout", "long", "--targets", *target_names(30)]
        results += [
            train("2,075,259 minutes", ["--data", SOURCE, *FEW], home),
            train(f"30 series side by side, {rows:,} hours", wide, home),
            train(f"30 targets of one series, {rows:,} hours", joint, home),
        ]
    return results


def main() -> int:
    """Run every part; 1 if streaming or training on the minutes breaks the bound on memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="train on all of it: some 20 minutes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--part", choices=("stream", "gather"), help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="one repeat, and nothing is trained")
    options = parser.parse_args()
    options.repeats = 1 if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as name:
        if options.part == "stream":
            stream(Path(name))
            return 0
        if options.part == "gather":
            gather(Path(name), options.repeats)
            return 0
        streamed = run_part("stream", options.repeats)
        run_part("gather", options.repeats)
        trained = [] if options.quick else train_all(Path(name), full=options.full)
    broken = max(result.peak_mb for result in [streamed, *trained]) > BOUND_MB
    print(f"\n{'broken' if broken else 'held'}: bound of {BOUND_MB:,} MB a process")
    return int(broken)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as error:
        sys.exit(f"error: {error}")
