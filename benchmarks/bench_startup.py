"""Seconds until a command answers, as a user types it: help and mistakes at once.

One prediction should take little more than TensorFlow itself. The peer is a bare import of
TensorFlow and Keras, which a stock script pays before anything else. Commands go through make,
whose own share is that of `make help`, which runs no Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from statistics import median

from common import ROOT
from pairing import interleave, quartiles, verdict

BOUND_SECONDS = 0.5
PEER = "import tensorflow and keras"
WRONG = "make, a wrong option"
PREDICT = "make predict-sentiment"
MAKE = ["make", "--silent"]
PYTHON = [sys.executable, "-m", "pipelines"]
COMMANDS: dict[str, tuple[list[str], int]] = {
    PEER: ([sys.executable, "-c", "import tensorflow, keras"], 0),
    "make help": ([*MAKE, "help"], 0),
    "make help-sentiment": ([*MAKE, "help-sentiment"], 0),
    WRONG: ([*MAKE, "train-sentiment", "ARGS=--epoch 3"], 2),
    "make, an unknown task": ([*MAKE, "train-sentimental"], 2),
    "the same option, no make": ([*PYTHON, "train", "sentiment", "--epoch", "3"], 2),
    PREDICT: ([*MAKE, "predict-sentiment", "TEXT=a fine film"], 0),
}
AT_ONCE = (WRONG, "make, an unknown task", "the same option, no make")
NO_MODEL = "no trained model"


def run(arguments: list[str], status: int) -> str:
    """Run a command from the project's root; return what it printed on standard error.

    Raises:
        SystemExit: it ended with another status.
    """
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run(
        arguments, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if result.returncode != status and NO_MODEL not in result.stderr:
        sys.exit(
            f"{' '.join(arguments)}: ended with status {result.returncode}, expected {status}: "
            f"{result.stderr[-2000:]}"
        )
    return result.stderr


def main() -> int:
    """Run every command in turn, several times; 0 whatever is found, it is a measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="once, without a prediction")
    options = parser.parse_args()
    commands = dict(COMMANDS)
    if options.quick or NO_MODEL in run(*commands[PREDICT]):
        del commands[PREDICT]
        print(f"{PREDICT} left out: needs a model that make train-sentiment made, and no --quick")
    runs = {name: lambda given=given: run(*given) for name, given in commands.items()}
    few = options.quick
    times = interleave(runs, 1 if few else options.repeats, warm_ups=0 if few else 1)
    for name, each in times.wall.items():
        share = quartiles(times.ratios(name, PEER), ".2f")
        print(f"  {name:28} {quartiles(each, '6.2f')} s   / {PEER}: {share}", flush=True)
    for name in AT_ONCE:
        verdict(f"{name}, seconds", median(times.wall[name]), BOUND_SECONDS, at_least=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
