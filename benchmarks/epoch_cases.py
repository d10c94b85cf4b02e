"""What `bench_epoch.py` trains: real text, a network that all three systems can build, and ours.

A system is an epoch to run and the losses of first steps, to compare the systems by. Every system
starts from the weights of ours, and is given the same tokens under the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pairing import OURS

Weights = dict[str, list[np.ndarray]]
CLIP_NORM = 1.0
_DROPOUTS = ("input_dropout", "variational_dropout", "output_dropout")
_READER = {"embedding": 1, "encoder": 6}  # of both directions: kernel, recurrent kernel, bias
_LABELLER = _READER | {"output": 2}
_WRITER = _READER | {
    "recurrence": 3, "target_embedding": 1, "output": 1, "state_h": 2, "state_c": 2, "query": 1,
    "key": 1, "combine": 1, "output_bias": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A data set and a task.

    Attributes:
        title: names it.
        make: the task, given settings that replace those of the case.
        source: of the data; "" is the task's own.
        rows: most rows of an epoch, evenly drawn; None is all of them.
        parts: weights of each part of the network, in the order of our model.
        first_label: what the labels of steps start at in our corpus, where 0 is padding.
    """

    title: str
    make: Callable[..., Any]
    source: str
    rows: int | None
    parts: dict[str, int]
    first_label: int = 0


@dataclass(frozen=True)
class Text:
    """Encoded rows of a case: what all systems learn from.

    Attributes:
        case: where it is from.
        task: with the settings of all systems.
        artifacts: vocabularies and labels.
        batches: ours; their plan of an epoch is PyTorch's too.
        weights: of our network before training, by part.
    """

    case: Case
    task: Any
    artifacts: Any
    batches: Any
    weights: Weights

    @property
    def vocabularies(self) -> dict[str, Any]:
        """Return the vocabulary of every column of tokens."""
        names = self.batches.inputs
        if self.case.parts is _WRITER:
            return {names[0]: self.artifacts.source, names[1]: self.artifacts.target}
        found = getattr(self.artifacts, "vocabulary", None) or self.artifacts.words
        return {names[0]: found}

    @property
    def padding(self) -> int:
        """Return what stands for padding among the targets of steps."""
        return -self.case.first_label

    @property
    def aligned(self) -> bool:
        """Return whether every step has a target."""
        return self.batches.target in self.batches.corpus.ragged_names

    def targets(self) -> list[np.ndarray]:
        """Return the targets row by row: classes that start at 0, or shares of each class."""
        return [row - self.case.first_label for row in self.column(self.batches.target)]

    def column(self, name: str) -> list[np.ndarray]:
        """Return a column row by row: of tokens, int64[T] each."""
        corpus = self.batches.corpus
        ragged = corpus.ragged(name) if name in corpus.ragged_names else None
        values = corpus.column(name) if ragged is None else ragged.values
        if values.dtype.kind in "iu":
            values = values.astype(np.int64)  # what PyTorch takes for numbers of words and classes
        return list(values) if ragged is None else np.split(values, np.cumsum(ragged.lengths)[:-1])


@dataclass(frozen=True)
class System:
    """One way to train.

    Attributes:
        name: as printed.
        epoch: trains on all rows once.
        losses: of steps without dropout on the same rows again and again, given how many.
    """

    name: str
    epoch: Callable[[], Any]
    losses: Callable[[int], list[float]]


def _sentiment(**changes: Any) -> Any:
    from tasks.sentiment import Sentiment, SentimentConfig

    settings = {"extra": "", "pretrain": False, "linear": False, "word_dropout": 0.0, "fast": True}
    return Sentiment(SentimentConfig(**settings | changes))


def _pos(**changes: Any) -> Any:
    from tasks.pos import Pos, PosConfig

    settings = {
        "unlabelled": "", "pretrain": False, "rare_dropout": 0.0, "character_encoder": "none",
        "casing_size": 0, "affix_size": 0, "decoder": "softmax", "fast": True,
    }  # fmt: skip
    return Pos(PosConfig(**settings | changes))


def _translation(**changes: Any) -> Any:
    from tasks.translation import Translation, TranslationConfig

    settings = {
        "history": False, "lexical": False, "tied": False, "label_smoothing": 0.0, "fast": True,
    }  # fmt: skip
    return Translation(TranslationConfig(**settings | changes))


CASES = {
    "film": Case("film reviews, sentiment", _sentiment, "", None, _LABELLER),
    "tweets": Case("tweets, sentiment", _sentiment, "tweets", 12_000, _LABELLER),
    "tags": Case("Porttinari, word classes", _pos, "", None, _LABELLER, 1),
    "verses": Case("verses, English to French", _translation, "", 2_000, _WRITER),
}


def read(case: Case, folder: Path, rows: int | None) -> Text:
    """Read and encode a case's rows, and draw the weights that all systems start from."""
    from pipelines.corpus import write_corpus
    from pipelines.datasets.rows import evenly
    from pipelines.workspace import Folders

    task = case.make()
    splits = task.load_data(case.source or task.default_source, Folders.default())
    artifacts = task.fit_artifacts(splits)
    train = splits.train if rows is None else evenly(splits.train, rows)
    corpus = write_corpus(folder, task.encode(train, artifacts, "train"))
    learner = task.training_model(task.build_model(artifacts))
    drawn = iter(learner.get_weights())
    weights = {part: list(itertools.islice(drawn, count)) for part, count in case.parts.items()}
    return Text(case, task, artifacts, task.batches(corpus, learner, seed=17), weights)


def compared_rows(text: Text) -> np.ndarray:
    """Return the rows of the batch by which losses are compared."""
    return np.asarray(text.batches.epoch(0).rows[0])


def without_dropout(text: Text) -> Any:
    """Return the settings of a text's task without dropout."""
    return replace(text.task.config, **dict.fromkeys(_dropouts(text), 0.0))


def _dropouts(text: Text) -> list[str]:
    return [name for name in _DROPOUTS if hasattr(text.task.config, name)]


def ours(text: Text) -> System:
    """Train on length buckets read from disk, by the task's own model, loss and optimizer."""
    from pipelines.feeding import as_dataset

    learner, epochs = _compiled(text, text.task), itertools.count()

    def epoch() -> None:
        plan = text.batches.epoch(next(epochs))
        learner.fit(as_dataset(plan), verbose=0, shuffle=False)

    def losses(steps: int) -> list[float]:
        plain = _compiled(text, type(text.task)(without_dropout(text)))
        batch = text.batches.load(compared_rows(text))
        return [float(_loss(plain.train_on_batch(*batch))) for _ in range(steps)]

    return System(OURS, epoch, losses)


def _compiled(text: Text, task: Any) -> Any:
    from pipelines.training import compile_model

    model = task.build_model(text.artifacts)
    learner = task.training_model(model)
    learner.set_weights([value for part in text.weights.values() for value in part])
    config = replace(task.config, epochs=1, schedule="constant", clip_norm=CLIP_NORM)
    objective = task.objective(model, text.artifacts)
    compile_model(learner, objective, config, len(text.batches))
    return learner


def _loss(logs: Any) -> float:
    """Return the loss that `train_on_batch` gives before its metrics, the mean since a reset."""
    return logs[0] if isinstance(logs, list) else logs
