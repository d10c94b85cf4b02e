"""Language model: writing inside the exported graph beside writing from Python; training speed.

Writing is greedy, so that all systems with the same weights must write the same text. The stock way
asks `predict` for a window of the last characters at every character; a better one carries the
state and takes a step at a time, eagerly or by a `tf.function`. Systems alternate, and ratios are
taken within a repeat. Without --model the network has the default size and random weights: speed
does not depend on them.

Training is compared with a stock Keras script of the same network (Embedding, a stateful LSTM, a
dense layer, `train_on_batch`) on the same windows.
"""

from __future__ import annotations

import argparse
import os
import string
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import ROOT, CommandFailed, measure, peak_mb, spread
from pairing import OURS, interleave, print_times, verdict

sys.path.insert(0, str(ROOT))

PROMPT = (
    "Now is the winter of our discontent made glorious summer by this sun of York; and all the c"
)
WINDOW = 100  # characters that the stock way looks back
COUNT = 200  # characters of a text
SLOW = 20  # characters of the slowest ways
BATCHES = (1, 16, 64)
LENGTHS = (1_000, 10_000, 100_000)
STEPS = 6  # of training in a repeat

Write = Callable[[int], str]


def random_version(folder: Path) -> Path:
    """Export a network of the default size whose weights are random."""
    from pipelines.export.saved_model import write_saved_model
    from pipelines.language.artifacts import LanguageArtifacts
    from pipelines.text.vocabulary import RESERVED, Vocabulary
    from tasks.language_model import LanguageConfig, LanguageModel

    task = LanguageModel(LanguageConfig())
    tokens = (*RESERVED, *sorted(set(string.printable) - set("\r\v\f")))
    artifacts = LanguageArtifacts(Vocabulary(tokens), {"level": "char"})
    model = task.build_model(artifacts, portable=True)
    write_saved_model(folder, task.endpoints(model, artifacts))
    extra = folder / "assets.extra"
    extra.mkdir()
    artifacts.save(extra)
    model.save(extra / "model.keras")
    return folder


def asked(served: Any, length: int, rows: int = 1) -> list[str]:
    """Let the exported graph write greedily."""
    row = {
        "prompt": PROMPT, "length": length, "temperature": 0.0, "top_k": 0, "top_p": 1.0,
        "repetition_penalty": 1.0, "seed": 0,
    }  # fmt: skip
    return list(
        served.call({name: [value] * rows for name, value in row.items()}, "generate")["text"]
    )


class FromPython:
    """Ways to write greedily with the Keras model, a character at a time."""

    def __init__(self, version: Path) -> None:
        import keras

        import pipelines.language.model  # noqa: F401 - registers the layers of the model
        from pipelines.text.vocabulary import Vocabulary

        self.model = keras.models.load_model(
            version / "assets.extra" / "model.keras", compile=False
        )
        self.model.compile(jit_compile=False)
        self.layer = self.model.get_layer("language_model")
        self.tokens = Vocabulary.load(version / "assets.extra" / "vocabulary.txt").tokens
        known = {token: number for number, token in enumerate(self.tokens)}
        self.prompt = [2, *(known.get(character, 1) for character in PROMPT)]

    def best(self, logits: Any) -> int:
        """Return the likeliest token that may be written, or the end."""
        logits = np.array(logits)
        logits[:3] = -np.inf
        return int(np.argmax(logits))

    def windows(self, ask: Callable[[Any], Any]) -> Write:
        """Ask for the scores of the last characters again at every character."""

        def write(length: int) -> str:
            read, start = list(self.prompt), len(self.prompt)
            while len(read) < start + length and read[-1] != 3:
                scores = ask(np.array([read[-WINDOW:]], np.int32))
                read.append(self.best(scores[0, -1]))
            return "".join(self.tokens[token] for token in read[start:] if token > 3)

        return write

    def steps(self, *, compiled: bool) -> Write:
        """Carry the state, and read each character once."""
        import tensorflow as tf

        step = tf.function(self.layer.step) if compiled else self.layer.step

        def write(length: int) -> str:
            written: list[int] = []
            logits, state = self.layer.read(np.array([self.prompt], np.int32), self.layer.start(1))
            scores = logits[:, -1]
            while len(written) < length and (not written or written[-1] != 3):
                written.append(self.best(scores[0]))
                scores, state = step(tf.constant(written[-1:], tf.int32), state)
            return "".join(self.tokens[token] for token in written if token > 3)

        return write


def writing(version: Path, repeats: int, *, quick: bool) -> bool:
    """Alternate the ways to write one text; print milliseconds a character, and ratios."""
    from pipelines.export.loading import load_served

    served, python = load_served(version), FromPython(version)
    predict = f"predict, last {WINDOW}"
    slow = {
        predict: python.windows(lambda tokens: python.model.predict(tokens, verbose=0)),
        f"predict_on_batch, last {WINDOW}": python.windows(python.model.predict_on_batch),
        "Python loop, eager step": python.steps(compiled=False),
    }
    fast = {"Python loop, compiled step": python.steps(compiled=True)}
    ways: dict[str, Write] = {OURS: lambda length: asked(served, length)[0], **fast, **slow}
    lengths = {name: SLOW if name in slow else COUNT for name in ways}
    print(f"\nwriting one text of {COUNT} characters ({SLOW} the slow ways), a character")
    texts: dict[str, str] = {}
    runs = {name: partial(_keep, texts, name, ways[name], lengths[name]) for name in ways}
    times = interleave(runs, repeats)
    for kind in (times.wall, times.cpu):
        for name, each in kind.items():
            kind[name] = [seconds / lengths[name] for seconds in each]
    print_times(times)
    # As long as the window holds all that was read, it must not matter.
    counts = {name: WINDOW - len(PROMPT) if "last" in name else lengths[name] for name in ways}
    others = [name for name in ways if texts[name][: counts[name]] != texts[OURS][: counts[name]]]
    print(f"  other texts: {', '.join(others) or 'none'}")
    verdict("stock predict per character, in ours", times.ratio(predict), 200, at_least=True)
    several(served, 1 if quick else repeats)
    return not others


def several(served: Any, repeats: int) -> None:
    """Print milliseconds a character of several texts written in one request."""
    print(f"\nwriting {COUNT} characters, several texts at once", flush=True)
    for rows in BATCHES:
        asked(served, 10, rows)
        each = [_seconds(lambda rows=rows: asked(served, COUNT, rows)) for _ in range(repeats)]
        per = [1000 * taken / COUNT / rows for taken in each]
        print(f"  {rows:3} texts: {spread(per, '8.3f')} ms a character", flush=True)


def _keep(texts: dict[str, str], name: str, write: Write, length: int) -> None:
    texts[name] = write(length)


def _seconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def long_texts(version: Path) -> None:
    """Print seconds and peak memory of long texts, each in a process of its own."""
    print("\nlong texts, TensorFlow alone in a fresh process", flush=True)
    for length in LENGTHS:
        result = measure([__file__, "--write", str(length), "--model", str(version)])
        print(f"  {length:7,} characters: {result.output}", end="", flush=True)


def write_alone(version: Path, length: int) -> None:
    """Write one text; print its seconds and the most memory taken before it and in all."""
    from pipelines.export.loading import load_served

    served = load_served(version)
    asked(served, 10)
    before = peak_mb()
    seconds = _seconds(lambda: asked(served, length))
    print(
        f"{1000 * seconds / length:.3f} ms a character, peak {peak_mb():,.0f} MB, "
        f"{before:,.0f} MB of it before"
    )


def training(repeats: int) -> None:
    """Alternate steps of training with a stock Keras script of the same network."""
    import keras

    from pipelines.language.artifacts import LanguageArtifacts
    from pipelines.layers.sequence_losses import SmoothedCrossEntropy
    from pipelines.text.vocabulary import RESERVED, Vocabulary
    from tasks.language_model import LanguageConfig, LanguageModel

    plain = {
        "variational_dropout": 0.0, "locked_dropout": 0.0, "output_dropout": 0.0,
        "weight_dropout": 0.0, "cell": "lstm", "depth": 1, "match_span": 0, "ngram_orders": (),
    }  # fmt: skip
    for units in (256, 512, 1024):
        config = LanguageConfig(units=units, **plain)
        size, streams, window = 90, config.streams, config.window
        tokens = (*RESERVED, *map(chr, range(33, 33 + size - 4)))
        task = LanguageModel(config)
        model = task.build_model(LanguageArtifacts(Vocabulary(tokens), {"level": "char"}))
        ours = task.training_model(model)
        stock = keras.Sequential(
            [
                keras.Input(batch_shape=(streams, None), dtype="int32"),
                keras.layers.Embedding(size, config.embedding_size),
                keras.layers.LSTM(units, return_sequences=True, stateful=True),
                keras.layers.Dense(size),
            ]
        )
        for one in (ours, stock):
            one.compile(
                keras.optimizers.AdamW(1e-3, global_clipnorm=1.0),
                SmoothedCrossEntropy(),
                jit_compile=False,
            )
        rng = np.random.default_rng(0)
        read = rng.integers(4, size, (streams, window + 1)).astype(np.int32)
        keep = np.ones(streams, np.float32)
        inputs = {"ours": {"tokens": read[:, :-1], "keep": keep}, "stock Keras": read[:, :-1]}
        found: dict[str, list[float]] = {name: [] for name in inputs}
        for repeat in range(repeats + 1):
            for name, one in (("ours", ours), ("stock Keras", stock)):
                started = time.perf_counter()
                for _ in range(STEPS):
                    one.train_on_batch(inputs[name], read[:, 1:])
                if repeat:  # the first traces and compiles
                    taken = time.perf_counter() - started
                    found[name].append(STEPS * streams * window / taken)
        ratios = [own / other for own, other in zip(*found.values(), strict=True)]
        print(f"\ntraining, LSTM {units}, {streams} streams × {window} characters", flush=True)
        for name, speeds in found.items():
            print(f"  {name:14} {spread(speeds, '8.0f')} characters/s")
        print(f"  {'ratio':14} {spread(ratios, '8.2f')}", flush=True)


PARTS = ("writing", "long", "training")


def main() -> int:
    """Compare ways of writing, long texts and training; 1 if texts differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="an exported version")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--quick", action="store_true", help="writing alone, once")
    parser.add_argument("--write", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.only, options.repeats = ("writing",), 1
    if options.write:
        write_alone(options.model, options.write)
        return 0
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    agreed = True
    with tempfile.TemporaryDirectory() as name:
        version = options.model or random_version(Path(name) / "1")
        if "writing" in options.only:
            agreed = writing(version, options.repeats, quick=options.quick)
        if "long" in options.only:
            long_texts(version)
        if "training" in options.only:
            training(options.repeats)
    print(f"\n{'same texts' if agreed else 'BROKEN: texts differ'}")
    return int(not agreed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CommandFailed as error:
        sys.exit(f"error: {error}")
