"""An epoch on real text: ours, the stock Keras way, and PyTorch with packed sequences.

Film reviews and tweets are classified, the words of Porttinari tagged, verses translated, by the
same network in every system: embedding, dropout, a bidirectional LSTM of the task's default size;
then pooling and a dense layer, or a dense layer for every word, or a decoder with attention that is
given the words so far. What only our tasks have is off: pretrained vectors, n-grams, spelling, CRF,
history of attention, lexicon.

Ours reads length buckets from a corpus on disk. The stock way pads every row to the longest one of
the corpus; its batches have the tokens of ours, once counted with their padding, as memory and time
do, and once without, which takes fewer steps an epoch. Both are judged. PyTorch gets the very
batches of ours from memory, packed. All use Adam, clip gradients to the same norm, start from the
same weights and know tokens by the same numbers: their losses over the first steps without dropout
are compared before the times. Tokens are the real ones, so tokens/s compare the same work.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# PyTorch's threads spin while they wait for one another: with anything else on the machine, and be
# it another system's idle threads, a step takes up to a hundred times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
from common import ROOT, measure
from epoch_cases import CASES, Case, System, Text, ours, read
from epoch_stock import stock
from pairing import OURS, Times, has_peer, interleave, print_times, verdict

sys.path.insert(0, str(ROOT))

STEPS = 3  # over which losses are compared: the gradients and the optimizer must agree too
STOCK_TIMES, TORCH_TIMES = 4.0, 1.2  # what an epoch of theirs must take, in epochs of ours
QUICK_ROWS = {"film": 1_000, "tweets": 1_000, "tags": 500, "verses": 96}


def run_case(case: Case, rows: int | None, repeats: int) -> bool:
    """Compare the systems on one case; tell whether their losses agree."""
    with tempfile.TemporaryDirectory() as name:
        text = read(case, Path(name) / "rows", rows)
        count, batches = len(text.batches.lengths), len(text.batches)
        print(f"\n{case.title}: {count:,} rows, {text.batches.tokens:,} tokens, "
              f"{batches} batches of ours", flush=True)  # fmt: skip
        padded = max(1, text.task.config.batch_tokens // max(map(int, text.batches.lengths)))
        systems = [ours(text), stock(text, padded), stock(text, round(count / batches))]
        systems += peers(text)
        agreed = same_losses(systems)
        times = interleave({system.name: system.epoch for system in systems}, repeats)
    print_times(times, unit=1, unit_name="s")
    judge(text, systems, times)
    return agreed


def peers(text: Text) -> list[System]:
    """Return PyTorch's system, if it is installed."""
    if not has_peer("torch", "PyTorch"):
        return []
    import torch
    from epoch_torch import packed

    torch.set_num_threads(os.cpu_count() or 1)
    return [packed(text)]


def same_losses(systems: list[System]) -> bool:
    """Print the losses of the first steps without dropout; tell whether they agree."""
    losses = [system.losses(STEPS) for system in systems]
    agreed = bool(np.allclose(losses, losses[0], rtol=1e-3))
    for system, values in zip(systems, losses, strict=True):
        steps = " ".join(f"{value:.5f}" for value in values)
        print(f"  {system.name:28} losses of {STEPS} steps on one batch: {steps}", flush=True)
    if not agreed:
        print("  BROKEN: losses differ, so the work is not the same", flush=True)
    return agreed


def judge(text: Text, systems: list[System], times: Times) -> None:
    """Print tokens/s, and whether the ratios are what they must be."""
    for system in systems:
        speed = text.batches.tokens / median(times.wall[system.name])
        print(f"  {system.name:28} {speed:10,.0f} tokens/s", flush=True)
    for system, alike in zip(systems[1:3], ("padded", "real"), strict=True):
        ratio = times.ratio(system.name)
        what = f"{system.name} (as many {alike} tokens a batch) / {OURS}"
        verdict(what, ratio, STOCK_TIMES, at_least=True)
    for system in systems[3:]:
        verdict(f"{system.name} / {OURS}", times.ratio(system.name), TORCH_TIMES, at_least=True)


def whole_command() -> None:
    """Time `train sentiment` from the command to the report."""
    with tempfile.TemporaryDirectory() as name:
        command = ["-m", "pipelines", "train", "sentiment"]
        result = measure(command, environment={"SAVED_MODELS": name})
    print(f"\nwhole command: {result.seconds:.0f} s, {result.peak_mb:,.0f} MB")
    for stage, (until, _) in result.stages.items():
        print(f"    {stage:12} until {until:6.1f} s")


def main() -> int:
    """Compare epochs, then time the whole command; 1 if losses differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="few rows, one repeat")
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--all-rows", action="store_true", help="of tweets and verses too")
    parser.add_argument("--whole", action="store_true", help="also run `train sentiment`")
    options = parser.parse_args()
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    agreed = True
    for name in options.only:
        case = CASES[name]
        rows = QUICK_ROWS[name] if options.quick else None if options.all_rows else case.rows
        agreed &= run_case(case, rows, 1 if options.quick else options.repeats)
    if options.whole:
        whole_command()
    return int(not agreed)


if __name__ == "__main__":
    sys.exit(main())
