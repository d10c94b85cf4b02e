"""Memory does not grow with the corpus: csv files of growing size through every stage.

Each stage is a command of its own in a fresh process: reading and splitting, the whole training
run (one epoch of a small network; encoding, export, serving and evaluation included) and predicting
every row. Printed are rows a second, the largest process, the sum of all processes, and the
exponent e of memory ~ size^e between the smallest and the largest file.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import Measured, measure

VOCABULARY = 50_000
TELLING = 0.15  # share of words that lean towards the row's label
WORDS_A_ROW = (8, 24)
BLOCK_ROWS = 20_000
BOUND_MB = 2000
LETTERS = np.array(list("aeiourstlnmdcpbkgvfh"))
TRAIN = ["--epochs", "1", "--units", "16", "--embedding-size", "16"]
TRAIN += ["--max-tokens", "64", "--batch-tokens", "16384"]


def make_vocabulary(random: np.random.Generator) -> np.ndarray:
    """Return distinct made-up words, short ones first as in real text, object[VOCABULARY]."""
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        length = 2 + int(math.log2(1 + len(words)) * 0.35) + int(random.integers(0, 4))
        words["".join(random.choice(LETTERS, length))] = None
    return np.array(list(words), object)


def write_csv(path: Path, megabytes: int, seed: int = 17) -> int:
    """Write about `megabytes` of labelled rows of some 100 characters; return their number."""
    return _write(path, seed, lambda size, _: BLOCK_ROWS if size < megabytes * 1e6 else 0)


def write_rows(path: Path, rows: int, seed: int = 17) -> None:
    """Write so many labelled rows."""
    _write(path, seed, lambda _, written: min(BLOCK_ROWS, rows - written))


def _write(path: Path, seed: int, more: Callable[[int, int], int]) -> int:
    """Write rows as long as `more` says, by bytes and rows so far; return their number."""
    random = np.random.default_rng(seed)
    vocabulary = make_vocabulary(random)
    shares = 1 / np.arange(1, VOCABULARY + 1)  # Zipf
    edges = np.cumsum(shares / shares.sum())
    rows = 0
    with path.open("w", encoding="ascii") as file:
        file.write("text,label\n")
        while count := more(file.tell(), rows):
            file.writelines(_block(random, vocabulary, edges)[:count])
            rows += count
    return rows


def _block(random: np.random.Generator, vocabulary: np.ndarray, edges: np.ndarray) -> list[str]:
    lengths = random.integers(*WORDS_A_ROW, BLOCK_ROWS)
    labels = random.integers(0, 2, BLOCK_ROWS)
    ids = np.searchsorted(edges, random.random(int(lengths.sum())))
    # A telling word has an even number in one kind of row and an odd one in the other.
    leaning = (ids & ~1) | np.repeat(labels, lengths)
    telling = random.random(len(ids)) < TELLING
    words = vocabulary[np.minimum(np.where(telling, leaning, ids), VOCABULARY - 1)].tolist()
    stops = np.cumsum(lengths).tolist()
    names = ("negative", "positive")
    return [
        f"{' '.join(words[start:stop])},{names[label]}\n"
        for start, stop, label in zip([0, *stops], stops, labels.tolist(), strict=False)
    ]


def write_lines(csv: Path, path: Path) -> None:
    """Write the texts of a csv of `write_csv`, one a line."""
    with csv.open() as rows, path.open("w") as lines:
        next(rows)
        lines.writelines(row.rpartition(",")[0] + "\n" for row in rows)


def run_size(megabytes: int, folder: Path) -> dict[str, Measured]:
    """Run every stage on one file, print a line for each, and return what they cost."""
    csv, lines = folder / f"{megabytes}.csv", folder / f"{megabytes}.txt"
    command = [sys.executable, __file__, "--make", str(csv), "--megabytes", str(megabytes)]
    rows = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    environment = {"DATA_HOME": str(folder / "data"), "SAVED_MODELS": str(folder / "models")}
    print(f"\n{csv.stat().st_size / 1e6:,.0f} MB, {rows:,} rows", flush=True)
    stages = {
        "data": ["data", "sentiment", "--data", str(csv)],
        "train": ["train", "sentiment", "--data", str(csv), *TRAIN],
        "predict": ["predict", "sentiment", "--file", str(lines)],
    }
    write_lines(csv, lines)
    results = {}
    for name, arguments in stages.items():
        result = measure(["-m", "pipelines", *arguments], environment=environment)
        results[name] = result
        print_line(name, result, rows)
        if name == "train":
            print_stages(result)
    shutil.rmtree(folder / "data")
    csv.unlink()
    lines.unlink()
    return results


def print_line(name: str, result: Measured, rows: int) -> None:
    """Print what one command cost."""
    print(
        f"  {name:10} {result.seconds:8.1f} s {rows / result.seconds:10,.0f} rows/s   "
        f"largest process {result.peak_mb:6,.0f} MB   all together {result.together_mb:6,.0f} MB",
        flush=True,
    )


def print_stages(result: Measured) -> None:
    """Print seconds and memory of the stages of a training run."""
    before = 0.0
    for name, (seconds, together) in result.stages.items():
        print(f"    {name:12} {seconds - before:8.1f} s {together:31,.0f} MB together", flush=True)
        before = seconds


def main() -> int:
    """Run the sizes asked for; 1 if the bound on memory does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10,30", help="megabytes, by comma")
    parser.add_argument("--full", action="store_true", help="also 1000 MB: about an hour")
    parser.add_argument("--folder", type=Path, help="where to work; needs 12 times the size")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--megabytes", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="1 and 3 MB")
    options = parser.parse_args()
    options.sizes = "1,3" if options.quick else options.sizes
    if options.make:  # in a process of its own, so that the measuring one stays small
        print(write_csv(options.make, options.megabytes))
        return 0
    sizes = [int(size) for size in options.sizes.split(",") if size] + [1000] * options.full
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        results = {size: run_size(size, Path(name)) for size in sorted(set(sizes))}
    return summarise(results)


def summarise(results: dict[int, dict[str, Measured]]) -> int:
    """Print growth of memory with size, and whether the bound holds."""
    small, large = min(results), max(results)
    print(f"\nmemory from {small} to {large} MB of csv, bound {BOUND_MB:,} MB a process")
    broken = False
    for name in results[large]:
        peaks = {size: result[name].peak_mb for size, result in results.items()}
        growth = math.log(peaks[large] / peaks[small]) / max(math.log(large / small), 1e-9)
        shown = ", ".join(f"{peak:,.0f}" for peak in peaks.values())
        print(f"  {name:10} {shown} MB: ~ size^{growth:.2f}")
        broken |= max(peaks.values()) > BOUND_MB
    print("the bound is broken" if broken else "the bound holds")
    return int(broken)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    sys.exit(main())
