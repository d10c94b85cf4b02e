"""Character language model: it learns a text, writes more of it, and tells how likely a text is.

    BOS, characters so far -> vectors -> recurrent stack -> scores of the next character

The state is carried from window to window, in training, evaluation and writing alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipelines.datasets.document_checks import check_documents
from pipelines.datasets.document_options import DocumentOptions
from pipelines.datasets.documents import (
    PASSAGE,
    Document,
    load_documents,
    load_documents_to_score,
    without_known_documents,
)
from pipelines.datasets.findings import Finding
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.language.artifacts import LanguageArtifacts
from pipelines.language.language_config import ADAPTATION, LanguageModelConfig
from pipelines.language.predict_options import LanguageOptions
from pipelines.options import PredictOptions
from pipelines.progress import FetchProgress
from pipelines.task import Evaluation, Outputs, Predict, Prepared, Task

if TYPE_CHECKING:
    import keras

    from pipelines.batching import Batches
    from pipelines.corpus import Chunk, EncodedCorpus
    from pipelines.export.saved_model import Endpoint
    from pipelines.training import Objective
    from pipelines.workspace import Folders

REQUEST_ROWS = 32  # documents are long, and read side by side


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(LanguageModelConfig, DocumentOptions):
    """Settings of the language model task."""

    def reading(self) -> DocumentOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(DocumentOptions)]
        chosen = {name: getattr(self, name) for name in names} | {"seed": self.split_seed}
        return DocumentOptions(**chosen)


class LanguageModel(Task[Document, LanguageConfig]):
    """A recurrent language model of characters, bytes or subword pieces."""

    config_type = LanguageConfig
    artifacts_type = LanguageArtifacts
    headline: ClassVar[str] = "bits_per_character"
    length_of: ClassVar[str] = "tokens"
    default_source: ClassVar[str] = "shakespeare"
    evaluation_settings: ClassVar[tuple[str, ...]] = ADAPTATION
    predict_options: ClassVar[type[PredictOptions]] = LanguageOptions

    # What the opponents learned from, and what is to be known of them: set by `baselines`.
    _training: Rows[Document] | None = None
    _notes: Sequence[str] = ()

    @property
    def request_rows(self) -> int:
        """A request of test documents: few, since they are long."""
        return REQUEST_ROWS

    def load_data(self, source: str, folders: Folders) -> Splits[Document]:
        """Read documents, split by document."""
        return load_documents(
            source, self.config.reading(), folders=folders, progress=FetchProgress()
        )

    def load_rows(
        self, source: str, artifacts: LanguageArtifacts, folders: Folders
    ) -> Splits[Document]:
        """Read documents to score."""
        del artifacts
        return load_documents_to_score(source, self.config.reading(), folders=folders)

    def limited(self, splits: Splits[Document]) -> Splits[Document]:
        """Cut documents, so that a split has `limit` passages at most: few documents are a lot."""
        if self.config.limit is None:
            return splits
        most = self.config.limit * PASSAGE
        train, valid, test = (Rows.of(Document, _heads(rows, most)) for _, rows in splits.named())
        return replace(splits, train=train, valid=valid, test=test)

    def without_known(self, rows: Splits[Document], training: Splits[Document]) -> Splits[Document]:
        """Leave out documents that stand in the training or validation split."""
        return without_known_documents(rows, training)

    def check(self, splits: Splits[Document]) -> list[Finding]:
        """Look at sizes, characters training lacks, and passages in more than one split."""
        return check_documents(splits)

    def fit_artifacts(self, splits: Splits[Document]) -> LanguageArtifacts:
        """Learn the vocabulary."""
        from pipelines.language.encoding import fit_language_artifacts, require_window

        require_window(splits.train, self.config.window)
        return fit_language_artifacts(splits.train, self.config)

    def encode(
        self, rows: Rows[Document], artifacts: LanguageArtifacts, split: str
    ) -> Iterator[Chunk]:
        """Number the tokens of documents."""
        from pipelines.language.encoding import encode_documents

        return encode_documents(rows, artifacts, split)

    def batches(
        self, corpus: EncodedCorpus, model: keras.Model, *, seed: int | None = None
    ) -> Batches:
        """Cut an encoded corpus into windows of parallel streams for the model that is trained."""
        if "keep" not in [tensor.name for tensor in model.inputs]:
            return super().batches(corpus, model, seed=seed)
        from pipelines.streams import Streams

        return Streams(
            corpus,
            inputs=("tokens", "target")[: len(model.inputs) - 1],
            target="target",
            streams=self.config.streams,
            window=self.config.window,
            seed=seed,
        )

    def build_model(self, artifacts: LanguageArtifacts, *, portable: bool = False) -> keras.Model:
        """Build tokens -> scores of the token after each, float32[B, T, V]."""
        from pipelines.language import model

        return model.build(self.config, artifacts, portable=portable)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the model over parallel streams, whose state is carried."""
        from pipelines.language.model import learner

        return learner(model, self.config)

    def objective(self, model: keras.Model, artifacts: LanguageArtifacts) -> Objective:
        """Return cross-entropy; bits per token of the validation split choose the best epoch."""
        from pipelines.language.model import objective

        del artifacts
        return objective(self.config, model)

    def endpoints(self, model: keras.Model, artifacts: LanguageArtifacts) -> dict[str, Endpoint]:
        """Return `serve`, `score`, `next`, and those that write."""
        from pipelines.language.serving import LanguageServing

        return LanguageServing(model, artifacts).endpoints()

    def serve_inputs(self, examples: Sequence[Document]) -> dict[str, list[Any]]:
        """Return the texts."""
        return {"text": [document.text for document in examples]}

    def latency_examples(self, rows: Rows[Document]) -> list[Document]:
        """Return a passage of each test document: a request as a user would send it."""
        return [replace(document, text=document.text[:PASSAGE]) for document in rows[:REQUEST_ROWS]]

    def trained_outputs(self, model: keras.Model, prepared: Prepared) -> Outputs:
        """Weigh the encoded test documents, as the exported model does their texts."""
        from pipelines.language.serving import weigh_corpus

        return weigh_corpus(model, prepared.artifacts, prepared.corpora["test"], rows=REQUEST_ROWS)

    def record(self, example: Document) -> dict[str, Any]:
        """Name the document; its text may be a book."""
        return {"name": example.name, "origin": example.origin, "start": example.text[:80]}

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the bits without those of passages."""
        return {name: value for name, value in row.items() if name != "passage_bits"}

    def predict(self, version: Path, options: LanguageOptions) -> int:
        """Write text, score a file, or offer continuations."""
        from pipelines.language.predicting import predict

        return predict(version, options)

    def baselines(self, splits: Splits[Document], predict: Predict) -> dict[str, Outputs]:
        """Weigh the test documents by compressors primed with the training text."""
        del predict
        from pipelines.evaluation.language_baselines import language_baselines

        found = language_baselines(splits.train, splits.valid, splits.test)
        self._training, self._notes = splits.train, found.notes
        return dict(found.outputs)

    def evaluate(
        self,
        examples: Rows[Document],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: LanguageArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score bits; write samples and look where the model is good."""
        from pipelines.evaluation.language import score_language
        from pipelines.evaluation.language_report import language_sections
        from pipelines.language.evidence import gather_evidence

        del artifacts
        seed = self.config.seed
        evidence = gather_evidence(predict, examples, self.config.adaptation, seed=seed)
        scores = score_language(examples, outputs, baselines, seed=seed)
        if evidence.adapted is not None:
            known = {**baselines, "the model as it was trained": outputs}
            adapted = score_language(examples, evidence.adapted, known, seed=seed)[0]
            scores.append(replace(adapted, name="bits_per_character_adapted"))
        sections = language_sections(
            examples,
            outputs,
            baselines,
            evidence=evidence,
            train=self._training,
            notes=self._notes,
            seed=seed,
        )
        return Evaluation(scores, sections)


def _heads(rows: Rows[Document], most: int) -> Iterator[Document]:
    """Yield the beginning of every document, as long as they share `most` characters."""
    share = max(PASSAGE, most // max(1, len(rows)))
    return (replace(document, text=document.text[:share]) for document in rows)
