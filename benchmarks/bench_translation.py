"""Translation: the exported graph, which decodes by itself, beside decoding from Python.

All have the same weights, and the same translations must come out. The stock way asks a Keras model
at every step, with the source and all words so far; the better way takes one step of the decoder at
a time and carries its state, eagerly or by a `tf.function`. Systems alternate, and ratios are taken
within a repeat. Further: memory of a request, in a process of its own. Training is timed by
`bench_epoch.py`.

Without --model a network of toy size is trained, whose translations are no good; ratios are then
those of overheads. Give an exported version for figures that mean something.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from common import ROOT, CommandFailed, measure, peak_mb
from pairing import OURS, interleave, print_times, verdict

sys.path.insert(0, str(ROOT))

TINY = {
    "limit": 2000, "epochs": 6, "units": 32, "decoder_units": 32, "embedding_size": 32,
    "vocabulary_size": 500,
}  # fmt: skip
FEW = 16  # texts for the slow ways
SINGLES = 3  # texts asked for one at a time
REQUESTS = (1, 100, 1000)
QUICK = TINY | {"limit": 300, "epochs": 1}
BEAM_BOUND = 50  # times faster than beam search a step at a time from Python
COMPILED, EAGER = "Python loop, compiled step", "Python loop, eager step"
STOCK = "predict, whole prefix"

Translate = Callable[[list[str]], list[str]]


@dataclass(frozen=True)
class Subject:
    """An exported translator, and what it was made of."""

    task: Any
    version: Path
    artifacts: Any
    splits: Any


@dataclass(frozen=True)
class Case:
    """Texts, and the systems that translate them; `singly` asks for one after the other.

    `bounds` are how many times faster ours has to be than some.
    """

    title: str
    texts: list[str]
    systems: dict[str, Translate]
    singly: bool = False
    bounds: Mapping[str, float] = field(default_factory=dict)


def exported(version: Path) -> Subject:
    """Rebuild the task of an exported version from its manifest; read its data."""
    from pipelines.evaluate import trained_task
    from pipelines.pipeline import load_manifest
    from pipelines.workspace import Folders
    from tasks.translation import Translation, TranslationConfig

    manifest = load_manifest(version)
    task = trained_task(Translation(TranslationConfig()), manifest)
    artifacts = task.artifacts_type.load(version / "assets.extra")
    splits = task.load_data(manifest["data"]["source"], Folders.default())
    return Subject(task, version, artifacts, splits)


def trained(home: Path, settings: dict[str, int]) -> Subject:
    """Train a tiny translator and export it."""
    from rich.console import Console

    from pipelines import pipeline
    from pipelines.stages import Stages
    from pipelines.workspace import Folders
    from tasks.translation import Translation, TranslationConfig

    task = Translation(TranslationConfig(**settings))
    folders = replace(Folders.default(), cache=home / "cache", saved_models=home / "models")
    stages = Stages(Console())
    prepared = pipeline.prepare(task, task.default_source, folders=folders, stages=stages)
    model, _, _ = pipeline.fit(task, prepared, folders=folders, stages=stages)
    pipeline.export(task, model, prepared.artifacts, home / "1", stages)
    return Subject(task, home / "1", prepared.artifacts, prepared.splits)


def cases(subject: Subject, count: int) -> Iterable[Case]:
    """Return what is compared: many texts, few for the slow ways too, and one at a time."""
    import keras
    from python_decoding import StepByStep, WholePrefix

    import pipelines.translation.translator  # noqa: F401 - registers the layers of the model
    from pipelines.export.loading import load_served

    served = load_served(subject.version)
    model = keras.models.load_model(subject.version / "assets.extra" / "model.keras", compile=False)
    model.compile(jit_compile=False)  # XLA would compile every length of the words so far anew
    given = (subject.artifacts, subject.task.config)
    loop, eager = (StepByStep(model, *given, compiled=compiled) for compiled in (True, False))
    stock = WholePrefix(*given, model.predict_on_batch)
    stocker = WholePrefix(*given, lambda inputs: model.predict(inputs, verbose=0))

    def asked(endpoint: str) -> Translate:
        return lambda texts: list(served.call({"text": texts}, endpoint)["translation"])

    greedy = {OURS: asked("greedy"), COMPILED: loop.greedy}
    beam = {OURS: asked("serve"), COMPILED: loop.beam}
    slow = {EAGER: eager.greedy, "predict_on_batch, whole prefix": stock.greedy}
    texts, beams = drawn(subject, count), subject.task.config.beam
    few, singles = texts[:: max(1, len(texts) // FEW)][:FEW], middling(texts)
    if count > FEW:
        yield Case("greedy", texts, greedy)
        yield Case(f"beam {beams}", texts, beam)
    yield Case("greedy", few, greedy | slow)
    yield Case(f"beam {beams}", few, beam | {EAGER: eager.beam})
    yield Case("greedy", singles, greedy | slow, singly=True)
    slowest = {OURS: asked("greedy"), STOCK: stocker.greedy}
    yield Case("greedy", singles[:1], slowest, singly=True)
    bounds = {EAGER: BEAM_BOUND}
    yield Case(f"beam {beams}", singles, beam | {EAGER: eager.beam}, singly=True, bounds=bounds)
    slowest, bounds = {OURS: asked("serve"), STOCK: stocker.beam}, {STOCK: BEAM_BOUND}
    yield Case(f"beam {beams}", singles[:1], slowest, singly=True, bounds=bounds)


def drawn(subject: Subject, count: int) -> list[str]:
    """Return the sources of test pairs, evenly spaced."""
    from pipelines.datasets.rows import evenly

    return [pair.source for pair in evenly(subject.splits.test, count)]


def middling(texts: list[str]) -> list[str]:
    """Return the few texts of the middle lengths."""
    start = max(0, (len(texts) - SINGLES) // 2)
    return sorted(texts, key=len)[start : start + SINGLES]


def compare(case: Case, repeats: int) -> bool:
    """Alternate the systems; print speeds and ratios; return whether the translations agree."""
    asked = f"{len(case.texts)} texts" + ", one at a time" * case.singly
    answers: dict[str, list[str]] = {}
    runs = {name: partial(_keep, answers, name, case) for name in case.systems}
    times = interleave(runs, repeats)
    for kind in (times.wall, times.cpu):
        for name, each in kind.items():
            kind[name] = [seconds / len(case.texts) for seconds in each]
    words = sum(len(text.split()) for text in answers[OURS]) / len(case.texts)
    distinct = len(set(answers[OURS]))
    print(f"\n{case.title}, {asked} ({words:.1f} words each, {distinct} distinct), a text")
    print_times(times)
    agreed = True
    for name in case.systems:
        same = sum(map(str.__eq__, answers[name], answers[OURS]))
        agreed &= same >= 0.99 * len(case.texts)  # rounding may turn a near tie
        print(f"  {name:32} same {same} of {len(case.texts)}", flush=True)
    for name, bound in case.bounds.items():
        verdict(f"{case.title} by {name}, in ours", times.ratio(name), bound, at_least=True)
    return agreed


def _keep(answers: dict[str, list[str]], name: str, case: Case) -> None:
    answers[name] = _run(case, case.systems[name])


def _run(case: Case, system: Translate) -> list[str]:
    if case.singly:
        return [system([text])[0] for text in case.texts]
    return system(case.texts)


def request_memory(subject: Subject, home: Path) -> None:
    """Print the peak memory of single requests, each in a process of its own."""
    print("\none request by beam search, TensorFlow alone in a fresh process", flush=True)
    texts = drawn(subject, max(REQUESTS))
    for count in REQUESTS:
        asked = texts if count >= len(texts) else texts[:: len(texts) // count][:count]
        file = home / f"{count}.json"
        file.write_text(json.dumps([asked[n % len(asked)] for n in range(count)]))
        result = measure([__file__, "--request", str(file), "--model", str(subject.version)])
        print(f"  {count:5} texts: {result.output}", end="", flush=True)


def request(version: Path, file: Path) -> None:
    """Send one request; print its seconds, and the most memory taken before it and in all."""
    from pipelines.export.loading import load_served

    served = load_served(version)
    before, started = peak_mb(), time.perf_counter()
    served.call({"text": json.loads(file.read_text())})
    seconds = time.perf_counter() - started
    print(f"peak {peak_mb():,.0f} MB, {before:,.0f} MB of it once loaded; {seconds:.1f} s")


def main() -> int:
    """Compare translations, then memory; 1 if translations differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an exported version")
    parser.add_argument("--sentences", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="few texts, a smaller toy, once")
    parser.add_argument("--request", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.request:
        request(options.model, options.request)
        return 0
    if options.quick:
        options.only, options.repeats, options.sentences = ("speed",), 1, FEW
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    agreed = True
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        toy = QUICK if options.quick else TINY
        subject = exported(options.model) if options.model else trained(home, toy)
        config = subject.task.config
        if config.coverage_penalty or config.no_repeat_ngram:
            sys.exit("error: the Python search knows no coverage penalty and no n-gram rule")
        if "speed" in options.only:
            found = [compare(case, options.repeats) for case in cases(subject, options.sentences)]
            agreed = all(found)
        if "memory" in options.only:
            request_memory(subject, home)
    print(f"\n{'same translations' if agreed else 'BROKEN: translations differ'}")
    return int(not agreed)


PARTS = ("speed", "memory")

if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as error:
        sys.exit(f"error: {error}")
