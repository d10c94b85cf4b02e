"""What a task is: the one class that says how raw rows become a model and a report.

`tasks/<name>.py` defines one subclass. It composes the shared layer and owns nothing that a second
task could use. Methods are listed in the order in which a run calls them. A module of `tasks/`
imports Keras and TensorFlow inside methods only, so that `--help` and a mistyped option answer at
once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np

from pipelines.config import RunConfig

if TYPE_CHECKING:
    import keras

    from pipelines.batching import Batches
    from pipelines.corpus import Chunk, EncodedCorpus
    from pipelines.datasets.findings import Finding
    from pipelines.datasets.rows import Rows
    from pipelines.datasets.splits import Splits
    from pipelines.evaluation.report import Section
    from pipelines.evaluation.scores import Score
    from pipelines.export.saved_model import Endpoint
    from pipelines.options import PredictOptions
    from pipelines.training import Objective
    from pipelines.workspace import Folders


@dataclass(frozen=True)
class Prepared:
    """Everything training needs, on disk."""

    splits: Splits[Any]
    artifacts: Any
    corpora: Mapping[str, EncodedCorpus]


@dataclass(frozen=True)
class Phase:
    """A part of training with a model, an objective and settings of its own.

    Attributes:
        name: "" of the only one.
        learner: what `fit` trains; shares layers with the task's model.
        objective: what it is trained for.
        config: epochs, learning rate and the like.
    """

    name: str
    learner: keras.Model
    objective: Objective
    config: RunConfig


E = TypeVar("E")
LATENCY_ROWS = 256  # single requests that are timed
C = TypeVar("C", bound=RunConfig)
Outputs = Mapping[str, np.ndarray]


class Artifacts(Protocol):
    """What is learned from the training split besides weights: vocabulary, labels, scaler."""

    def save(self, folder: Path) -> None:
        """Write files a person can read into an existing folder."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""

    def fingerprint(self) -> str:
        """Return a hash that changes with the content."""

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the manifest."""


@dataclass(frozen=True)
class Evaluation:
    """Scores and report sections of one set of rows."""

    scores: list[Score]
    sections: list[Section] = field(default_factory=list)


class Predict(Protocol):
    """The exported model, called in a process that has TensorFlow alone."""

    def __call__(self, inputs: dict[str, list[Any]], endpoint: str = "serve") -> Outputs:
        """Return an endpoint's outputs for raw inputs."""


class Task(ABC, Generic[E, C]):
    """Base class of all tasks; `E` is a frozen example dataclass, `C` the settings."""

    config_type: ClassVar[type[RunConfig]]
    artifacts_type: ClassVar[type[Artifacts]]
    headline: ClassVar[str]
    default_source: ClassVar[str]
    predict_options: ClassVar[type[PredictOptions]]
    scored_endpoint: ClassVar[str] = "serve"  # the one whose inputs test rows have
    evaluation_settings: ClassVar[tuple[str, ...]] = ()  # those `evaluate` takes from the user
    length_of: ClassVar[str | tuple[str, str]]  # the feature that counts as tokens; of pairs, two
    target: ClassVar[str] = "target"  # the feature the loss takes
    evaluation_batches: ClassVar[int] = 4  # a batch without gradients, in training batches

    def __init__(self, config: C) -> None:
        self.config = config

    @property
    def request_rows(self) -> int:
        """Most rows to send in one request: fewer where a row is large."""
        return 1024

    @property
    def name(self) -> str:
        """The task's name: that of its file."""
        return type(self).__module__.rsplit(".", maxsplit=1)[-1]

    def begin(self) -> None:
        """Check what the settings name besides the data, before anything is read; optional."""

    @abstractmethod
    def load_data(self, source: str, folders: Folders) -> Splits[E]:
        """Read `source` and split it; a second call reuses the cache."""

    @abstractmethod
    def load_rows(self, source: str, artifacts: Any, folders: Folders) -> Splits[E]:
        """Read labelled rows to score, unsplit, as the test split of the result."""

    def limited(self, splits: Splits[E]) -> Splits[E]:
        """Cut every split to `limit` rows, if the settings ask for a quick look."""
        from pipelines.datasets.rows import evenly

        if self.config.limit is None:
            return splits
        # Evenly, since files are often sorted by label: their head would hold one label only.
        train, valid, test = (evenly(rows, self.config.limit) for _, rows in splits.named())
        return replace(splits, train=train, valid=valid, test=test)

    @abstractmethod
    def without_known(self, rows: Splits[E], training: Splits[E]) -> Splits[E]:
        """Leave out the test rows of `rows` that a model trained on `training` has seen."""

    @abstractmethod
    def check(self, splits: Splits[E]) -> list[Finding]:
        """Return what a careful person would look at before training."""

    @abstractmethod
    def fit_artifacts(self, splits: Splits[E]) -> Artifacts:
        """Learn vocabulary, labels and the like from the training and extra rows alone."""

    @abstractmethod
    def encode(self, rows: Rows[E], artifacts: Any, split: str) -> Iterator[Chunk]:
        """Turn raw examples into arrays, through the very layer that is exported."""

    def batches(
        self, corpus: EncodedCorpus, model: keras.Model, *, seed: int | None = None
    ) -> Batches:
        """Cut an encoded corpus into batches for a model; without a seed, for evaluation."""
        from pipelines.batching import Batches

        larger = 1 if seed is not None else self.evaluation_batches
        return Batches(
            corpus,
            length_of=self.length_of,
            inputs=tuple(tensor.name for tensor in model.inputs),
            target=self.target_in(corpus),
            batch_tokens=larger * self.config.batch_tokens,
            seed=seed,
            rows_per_epoch=self.rows_per_epoch,
        )

    def target_in(self, corpus: EncodedCorpus) -> str:
        """Return the feature of a corpus that the loss takes."""
        del corpus
        return self.target

    @property
    def rows_per_epoch(self) -> int | None:
        """Training rows drawn anew for every epoch; None: an epoch is all of them."""
        return None

    @abstractmethod
    def build_model(self, artifacts: Any, *, portable: bool = False) -> keras.Model:
        """Build the model; `portable` leaves out kernels bound to one kind of machine."""

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return what `fit` trains, sharing layers with `model`; usually the model itself."""
        return model

    def phases(self, model: keras.Model, prepared: Prepared) -> Iterator[Phase]:
        """Yield the parts of training; a part is set up once the one before has ended."""
        objective = self.objective(model, prepared.artifacts)
        yield Phase("", self.training_model(model), objective, self.config)

    def initialise(self, model: keras.Model, prepared: Prepared) -> None:
        """Fit parts of the model that have a better method than gradient descent; optional."""

    def calibrate(self, model: keras.Model, prepared: Prepared) -> None:
        """Set what is chosen on the validation split once training has ended; optional."""

    def counterparts(self, prepared: Prepared) -> dict[str, tuple[Task[E, C], Prepared]]:
        """Return variants of the task to train beside it, as baselines of this name; optional."""
        del prepared
        return {}

    @abstractmethod
    def objective(self, model: keras.Model, artifacts: Any) -> Objective:
        """Return the loss, the metrics and the value early stopping watches."""

    @abstractmethod
    def endpoints(self, model: keras.Model, artifacts: Any) -> dict[str, Endpoint]:
        """Return the exported signatures; the first is "serve": raw in, readable out."""

    def trained_outputs(self, model: keras.Model, prepared: Prepared) -> Outputs:
        """Return what the scored endpoint must answer of the test rows: the trained model's own."""
        from pipelines.feeding import predict_model

        outputs = predict_model(model, self.batches(prepared.corpora["test"], model))
        return self.read_outputs(outputs, prepared.artifacts)

    def read_outputs(self, model_outputs: Any, artifacts: Any) -> Outputs:
        """Turn the trained model's own outputs into the scored endpoint's, for the parity gate.

        A task whose answers are searched for overrides `trained_outputs` instead.
        """
        raise NotImplementedError(f"{self.name} defines neither read_outputs nor trained_outputs")

    @abstractmethod
    def serve_inputs(self, examples: Sequence[E]) -> dict[str, list[Any]]:
        """Return the scored endpoint's raw inputs of examples, as a user would send them."""

    def latency_examples(self, rows: Rows[E]) -> Sequence[E]:
        """Return rows as a user would send them, one in a request: serving is timed on these."""
        return rows[: min(LATENCY_ROWS, self.request_rows)]

    def record(self, example: E) -> dict[str, Any]:
        """Return what predictions.jsonl keeps of an example, beside the output."""
        return asdict(example)  # type: ignore[call-overload]

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Turn one row of outputs into a record a person can read: without padding, say."""
        return dict(row)

    @abstractmethod
    def predict(self, version: Path, options: Any) -> int:
        """Answer what a user gives through an exported version; return the exit code."""

    @abstractmethod
    def baselines(self, splits: Splits[E], predict: Predict) -> dict[str, Outputs]:
        """Return classical systems' outputs on the test rows, with `serve`'s keys.

        `predict` asks the exported model, for those that build on what it has learned.
        """

    @abstractmethod
    def evaluate(
        self,
        examples: Rows[E],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: Any,
        predict: Predict,
    ) -> Evaluation:
        """Score outputs on raw rows, beside the baselines, and write the task's report sections."""
