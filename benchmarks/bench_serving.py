"""Serving: what a request to the exported model of every task costs, beside peers.

The network of every task has its default size and random weights; requests are test rows of the
default data. The SavedModel takes raw inputs. Its peers are the same network with the same weights
in PyTorch (eager) and in ONNX Runtime, between what prepares and reads its numbers in Python (see
`serving_peers`); their answers are compared before anything is timed. Systems alternate request by
request; threads of one that wait must sleep, or they would take the processors of the next. The
clock of ours includes making tensors of Python lists, and arrays of the answer.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # of PyTorch; ONNX Runtime has an option

import numpy as np
from pairing import OURS, Times, has_peer, interleave, quartiles
from serving_models import Case, make_case
from serving_networks import Encoder, OnnxNetwork, TorchNetwork
from serving_peers import Frames, LanguageModel, Pos, Sentiment

TOLERANCE = 1e-4
BATCHES = (1, 32, 256)
QUICK = ("sentiment", "forecasting")  # a whole endpoint, and an encoder alone
MANY = 20  # repeats, from which on three that do not count cost little
DIFFERENT: list[str] = []  # systems whose answers are not ours

# Name of the task, settings, what has peers: the whole endpoint, or the encoder alone.
ENDPOINTS: dict[str, tuple[str, dict[str, Any], Any]] = {
    "sentiment": ("sentiment", {}, Sentiment),
    "pos": ("pos", {}, Pos),
    "frames": ("frames", {}, Frames),
    "language_model": ("language_model", {}, None),
    "language_model_alone": ("language_model", {"match_span": 0}, LanguageModel),
    "forecasting": ("forecasting", {}, 28),
    "ner": ("ner", {}, 20),
    "translation": ("translation", {}, 30),
    "captioning": ("captioning", {}, None),
}
LEFT_OUT = {
    "language_model": "its memory of matches is no layer of theirs; see language_model_alone",
    "captioning": "image decoding, attention and beam search are no single network of theirs",
    "forecasting": "of all else than the encoder: scaling and calendar are in our graph",
    "ner": "of all else than the encoder: the linear chain and spans are in our graph",
    "translation": "of all else than the encoder: beam search is in our graph",
}
# The tests' tiny models differ from the default ones in what the peers are written for.
TINY: dict[str, dict[str, Any]] = {
    "frames": {"causal": False},
    "language_model_alone": {"ngram_orders": ()},
}
Call = Callable[[Any], Any]


def systems_of(ours: Call, peer: Any) -> dict[str, Call]:
    """Return ours and the peers that are installed, each from a request to an answer."""
    found: dict[str, Call] = {OURS: ours}
    for module, kind in (("torch", TorchNetwork), ("onnxruntime", OnnxNetwork)):
        if not has_peer(module, kind.name):
            continue
        if kind is OnnxNetwork and not has_peer("onnx", "onnx"):
            continue
        run = kind(peer.network)
        found[kind.name] = lambda request, run=run: peer.answer(request, run)
    return found


def compare(label: str, systems: Mapping[str, Call], requests: Sequence[Any], output: str) -> None:
    """Note the systems whose answers are not ours; print the largest difference."""
    for name, call in itertools.islice(systems.items(), 1, None):
        gaps = [
            _difference(call(request)[output], systems[OURS](request)[output])
            for request in requests
        ]
        same = max(gaps) <= TOLERANCE
        print(f"  {name}: {output} differ by at most {max(gaps):.1e} {'' if same else 'BROKEN'}")
        if not same:
            DIFFERENT.append(f"{label}: {name}")


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the share of unequal texts, or the largest gap over the largest number."""
    if expected.dtype == object:
        return float((found != expected[:, : found.shape[1]]).mean())
    return float(np.abs(found - expected).max() / max(1.0, float(np.abs(expected).max())))


class Rotation:
    """A system that answers the next of some requests whenever it is run."""

    def __init__(self, call: Call, requests: Sequence[Any]) -> None:
        self._call, self._requests = call, itertools.cycle(requests)

    def __call__(self) -> None:
        """Answer one."""
        self._call(next(self._requests))


def time_systems(systems: Mapping[str, Call], requests: Sequence[Any], repeats: int) -> Times:
    """Let systems answer the same requests in turn."""
    runs = {name: Rotation(call, requests) for name, call in systems.items()}
    return interleave(runs, repeats, warm_ups=1 if repeats < MANY else 3)


def print_latency(times: Times) -> None:
    """Print single requests: percentiles, and ratios request by request."""
    for name, each in times.wall.items():
        p50, p99 = np.percentile(each, [50, 99]) * 1e3
        print(f"  {name:14} p50 {p50:8.2f} ms   p99 {p99:8.2f} ms{_over(times, name)}", flush=True)


def print_throughput(times: Times, rows: int) -> None:
    """Print rows a second of requests with many, and ratios."""
    for name, each in times.wall.items():
        speed = quartiles([rows / seconds for seconds in each], "9.0f")
        print(f"  {name:14} {rows:3} a request {speed} items/s{_over(times, name)}", flush=True)


def _over(times: Times, name: str) -> str:
    """Write how many times as long as ours a system takes."""
    if name == OURS:
        return ""
    wall, cpu = (quartiles(times.ratios(name, OURS, kind), ".2f") for kind in ("wall", "cpu"))
    return f"   / {OURS}: wall {wall}   cpu {cpu}"


def rows_of(case: Case, count: int, first: int = 0) -> list[Any]:
    """Return examples from a place on, from the beginning again after the last."""
    return [case.examples[(first + place) % len(case.examples)] for place in range(count)]


def measure_endpoint(case: Case, peer: Any, batches: Sequence[int], repeats: int) -> None:
    """Time requests of one row, and of many."""
    systems = {OURS: case.call} if peer is None else systems_of(case.call, peer)
    single = [case.request(rows_of(case, 1, place)) for place in range(min(repeats, 64))]
    many = {rows: [case.request(rows_of(case, rows))] for rows in batches}
    if peer is not None:
        few = [*single[:16], case.request(rows_of(case, 16))]
        compare(case.name, systems, few, peer.output)
    print_latency(time_systems(systems, single, repeats))
    for rows, requests in many.items():
        print_throughput(time_systems(systems, requests, _fewer(repeats, rows)), rows)


def measure_encoder(case: Case, steps: int, batches: Sequence[int], repeats: int) -> None:
    """Time the recurrent stack of a model alone."""
    from pipelines.layers.recurrent import RecurrentStack

    layers = case.model._flatten_layers()
    stack = next(layer for layer in layers if isinstance(layer, RecurrentStack) and layer.built)
    peer = Encoder(stack, steps=steps)
    print(f"  the encoder alone, {steps} steps:")
    systems = systems_of(peer.ours, peer)
    compare(case.name, systems, [peer.request(1), peer.request(5)], peer.output)
    print_latency(time_systems(systems, [peer.request(1)], repeats))
    for rows in batches:
        times = time_systems(systems, [peer.request(rows)], _fewer(repeats, rows))
        print_throughput(times, rows)


def _fewer(repeats: int, rows: int) -> int:
    return max(3, repeats // (10 * max(1, rows // 8)))


def measure(name: str, work: Path, batches: Sequence[int], repeats: int, *, tiny: bool) -> None:
    """Build, compare and time one entry of `ENDPOINTS`."""
    from pipelines.errors import ToolkitError

    task, settings, peer = ENDPOINTS[name]
    settings = settings | (TINY.get(name, {}) if tiny else {})
    try:
        case = make_case(task, work, settings, tiny=tiny)
    except ToolkitError as error:
        print(f"\n{name}: left out: {error}")
        return
    first = f"loaded in {case.served.load_seconds:.2f} s, first call {case.first_seconds:.2f} s"
    print(f"\n{case.name} ({case.endpoint}), {case.model.count_params():,} weights: {first}")
    if name in LEFT_OUT:
        print(f"  no peer{'' if isinstance(peer, int) else ':'} {LEFT_OUT[name]}")
    whole = None if peer is None or isinstance(peer, int) else peer(case)
    measure_endpoint(case, whole, batches, repeats)
    if isinstance(peer, int):
        measure_encoder(case, peer, batches, repeats)


def main() -> int:
    """Measure every task; 1 if a peer with the same weights answers otherwise."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200, help="requests of one row")
    parser.add_argument("--quick", action="store_true", help="tiny models and few requests")
    parser.add_argument("--only", nargs="+", choices=tuple(ENDPOINTS))
    options = parser.parse_args()
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    import keras

    keras.utils.set_random_seed(17)
    batches = (1, 8) if options.quick else BATCHES
    repeats = min(options.repeats, 10) if options.quick else options.repeats
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or (QUICK if options.quick else ENDPOINTS):
            measure(name, Path(folder), batches, repeats, tiny=options.quick)
    for name in DIFFERENT:
        print(f"BROKEN: {name} answers otherwise")
    return int(bool(DIFFERENT))


if __name__ == "__main__":
    sys.exit(main())
