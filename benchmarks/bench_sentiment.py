"""An epoch on the film reviews: this project's batches against a stock Keras script.

Both train the same network (embedding, dropout, bidirectional LSTM, max and mean pooling, dropout)
from random weights on the same rows with the same vocabulary size. The stock script does what the
tutorials do: `TextVectorization`, every row padded to the corpus maximum, `fit` in batches of 64.
Their epochs alternate in one process. Tokens are the real ones, so tokens/s compare the same work.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from common import ROOT, measure

sys.path.insert(0, str(ROOT))

STOCK_BATCH = 64  # rows; as in the Keras examples of text classification


@dataclass
class System:
    """One way to train: `epoch` runs one, `tokens` is its real tokens."""

    name: str
    epoch: Callable[[], Any]
    valid: Callable[[], float]
    tokens: int
    prepare_seconds: float


def prepared_splits() -> tuple[Any, Any]:
    """Return the sentiment task and its film reviews, without rows of other sources."""
    from pipelines.workspace import Folders
    from tasks.sentiment import Sentiment, SentimentConfig

    task = Sentiment(SentimentConfig(extra="", pretrain=False, linear=False))
    return task, task.load_data(task.default_source, Folders.default())


def ours(task: Any, splits: Any, folder: Any) -> System:
    """Encode once, then train on length buckets, through the project's own trainer."""
    from pipelines.corpus import write_corpus
    from pipelines.feeding import as_dataset, evaluate_model
    from pipelines.training import Trainer

    started = time.perf_counter()
    artifacts = task.fit_artifacts(splits)
    corpora = {
        name: write_corpus(folder / name, task.encode(rows, artifacts, "train"))
        for name, rows in splits.named()
    }
    seconds = time.perf_counter() - started
    model = task.training_model(task.build_model(artifacts))
    train = task.batches(corpora["train"], model, seed=17)
    valid = task.batches(corpora["valid"], model)
    config = replace(task.config, epochs=1, schedule="constant")
    trainer = Trainer(
        model, task.objective(model, artifacts), config, checkpoint=folder / "state.npz"
    )
    trainer.fit(train, valid)  # compiles the graph, as the stock script's first epoch does
    numbers = iter(range(1, 1000))
    return System(
        "ours",
        lambda: model.fit(as_dataset(train.epoch(next(numbers))), verbose=0, shuffle=False),
        lambda: evaluate_model(model, valid)["accuracy"],
        train.tokens,
        seconds,
    )


def stock(task: Any, splits: Any, tokens: int) -> System:
    """Train as the Keras examples do: vectorize, pad to the corpus maximum, batches of 64 rows."""
    import keras
    import tensorflow as tf

    texts = {name: [row.text for row in rows] for name, rows in splits.named()}
    labels = {
        name: np.array([row.label == "positive" for row in rows], np.float32)
        for name, rows in splits.named()
    }
    started = time.perf_counter()
    vectorize = keras.layers.TextVectorization(max_tokens=task.config.vocabulary_size)
    vectorize.adapt(tf.data.Dataset.from_tensor_slices(texts["train"]).batch(1024))
    longest = max(len(text.split()) for text in texts["train"])
    ids = {
        name: keras.utils.pad_sequences(
            vectorize(np.array(part, object)).numpy(), longest, padding="post", truncating="post"
        )
        for name, part in texts.items()
    }
    seconds = time.perf_counter() - started
    model = _stock_model(task.config, len(vectorize.get_vocabulary()))
    data = {
        name: tf.data.Dataset.from_tensor_slices((ids[name], labels[name])).cache()
        for name in ("train", "valid")
    }
    train = data["train"].shuffle(len(texts["train"])).batch(STOCK_BATCH).prefetch(2)
    valid = data["valid"].batch(STOCK_BATCH)
    model.fit(train, epochs=1, verbose=0)
    return System(
        f"stock Keras, padded to {longest}",
        lambda: model.fit(train, epochs=1, verbose=0),
        lambda: model.evaluate(valid, verbose=0, return_dict=True)["accuracy"],
        tokens,
        seconds,
    )


def _stock_model(config: Any, vocabulary: int) -> Any:
    """Return the same network in Keras' own layers."""
    import keras

    tokens = keras.Input((None,), dtype="int32")
    states = keras.layers.Embedding(vocabulary, config.embedding_size, mask_zero=True)(tokens)
    states = keras.layers.SpatialDropout1D(config.variational_dropout)(states)
    states = keras.layers.Dropout(config.input_dropout)(states)
    states = keras.layers.Bidirectional(keras.layers.LSTM(config.units, return_sequences=True))(
        states
    )
    pooled = keras.layers.Concatenate()(
        [keras.layers.GlobalMaxPooling1D()(states), keras.layers.GlobalAveragePooling1D()(states)]
    )
    pooled = keras.layers.Dropout(config.output_dropout)(pooled)
    model = keras.Model(tokens, keras.layers.Dense(1, activation="sigmoid")(pooled))
    optimizer = keras.optimizers.AdamW(config.learning_rate)
    model.compile(optimizer, loss="binary_crossentropy", metrics=["accuracy"])
    return model


def compare(systems: list[System], repeats: int) -> None:
    """Alternate epochs and print seconds, tokens/s and their ratio."""
    seconds: dict[str, list[float]] = {system.name: [] for system in systems}
    for _ in range(repeats):
        for system in systems:
            started = time.perf_counter()
            system.epoch()
            seconds[system.name].append(time.perf_counter() - started)
    for system in systems:
        times = seconds[system.name]
        print(
            f"  {system.name:28} {system.prepare_seconds:5.1f} s to prepare   epoch: min median "
            f"max {min(times):.2f} {median(times):.2f} {max(times):.2f} s   "
            f"{system.tokens / median(times):8,.0f} tokens/s   validation accuracy after "
            f"{repeats + 1} epochs {system.valid():.3f}",
            flush=True,
        )
    ratios = [slow / fast for fast, slow in zip(*seconds.values(), strict=True)]
    print(
        f"  epochs of ours in one of the stock script: min median max "
        f"{min(ratios):.1f} {median(ratios):.1f} {max(ratios):.1f}",
        flush=True,
    )


def main() -> int:
    """Compare epochs, then time the whole command."""
    import tempfile
    from pathlib import Path

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--whole", action="store_true", help="also run `train sentiment`")
    options = parser.parse_args()
    from pipelines.quiet import import_quietly

    import_quietly("tensorflow", "keras")
    with tempfile.TemporaryDirectory() as name:
        task, splits = prepared_splits()
        first = ours(task, splits, Path(name))
        compare([first, stock(task, splits, first.tokens)], options.repeats)
    if options.whole:
        with tempfile.TemporaryDirectory() as name:
            result = measure(
                ["-m", "pipelines", "train", "sentiment"], environment={"SAVED_MODELS": name}
            )
        print(f"  whole command: {result.seconds:.0f} s, {result.peak_mb:,.0f} MB")
        for stage, (until, _) in result.stages.items():
            print(f"    {stage:12} until {until:6.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
