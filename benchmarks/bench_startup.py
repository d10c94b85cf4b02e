"""Seconds until an answer: help and mistakes at once, one prediction little over TensorFlow itself.

The peer is a bare import of TensorFlow and Keras, which a stock script pays before anything else.
"""

from __future__ import annotations

import argparse
import sys
from statistics import median

from common import CommandFailed, measure

BOUND_SECONDS = 0.5
PEER = "import tensorflow and keras"
COMMANDS: dict[str, tuple[list[str], int]] = {
    PEER: (["-c", "import tensorflow, keras"], 0),
    "help": (["-m", "pipelines"], 0),
    "help of a task": (["-m", "pipelines", "train", "sentiment", "--help"], 0),
    "wrong option": (["-m", "pipelines", "train", "sentiment", "--epoch", "3"], 2),
    "unknown task": (["-m", "pipelines", "train", "sentimental"], 2),
    "predict one text": (["-m", "pipelines", "predict", "sentiment", "--text", "a fine film"], 0),
}
AT_ONCE = ("wrong option", "unknown task")


def main() -> int:
    """Measure every command in turn, several times; 1 if a mistake is not answered at once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):
        for name, (arguments, status) in COMMANDS.items():
            try:
                seconds[name].append(measure(arguments, status=status).seconds)
            except CommandFailed as error:
                if "no trained model" not in str(error):
                    raise
    peer = median(seconds[PEER])
    for name, values in seconds.items():
        if not values:
            print(f"  {name:28} skipped: train a model first (make train-sentiment)")
            continue
        spread = f"{min(values):.2f} {median(values):.2f} {max(values):.2f} s"
        print(f"  {name:28} min median max {spread}   {median(values) / peer:5.2f} of the import")
    slow = [name for name in AT_ONCE if median(seconds[name]) > BOUND_SECONDS]
    for name in slow:
        print(f"{name}: over {BOUND_SECONDS} s")
    return int(bool(slow))


if __name__ == "__main__":
    sys.exit(main())
