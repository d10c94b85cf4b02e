"""Sentiment, many-to-one: a text goes in, a label with its probability comes out.

    tokens -> embedding -> recurrent stack -> pooling -> scores --+
                                                                  +-> blend -> probabilities
    word 1-2-grams, character 2-5-grams -> linear scores ---------+

The linear part is fitted by convex optimisation, the recurrent part by gradient descent, and the
blend on the validation split: on small sets each is right where the other errs. `--init-from` adds
what a trained language model remembers at the end of each token to the token's vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from rich.markup import escape

from pipelines.datasets.checks import check_labelled_text
from pipelines.datasets.findings import Finding
from pipelines.datasets.labelled_text import (
    LabelledText,
    LabelledTextOptions,
    load_labelled_text,
    load_rows_to_score,
)
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import Splits, replaced_test, without_rows_in
from pipelines.progress import FetchProgress
from pipelines.task import Evaluation, Outputs, Predict, Prepared, Task
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.classifier_config import ClassifierConfig
from pipelines.text.contextual import read_context, without_context
from pipelines.text.labelled import classification_targets, higher_label, learning_chunks
from pipelines.text.text_task import TextTask
from pipelines.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    import keras
    from rich.console import RenderableType

    from pipelines.corpus import Chunk, EncodedCorpus
    from pipelines.export.saved_model import Endpoint
    from pipelines.training import Objective
    from pipelines.workspace import Folders

# Rated sentences of other kinds in the package that holds the film reviews.
EXTRA_OF = {"film-reviews": "product-reviews,news-sentences,rated-tweets"}


@dataclass(frozen=True, kw_only=True)
class SentimentConfig(ClassifierConfig, LabelledTextOptions):
    """Settings of the sentiment task."""

    extra: str = "auto"
    """Further labelled sources to learn from, by comma; "auto" knows those of the default set."""

    def reading(self) -> LabelledTextOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(LabelledTextOptions)]
        chosen = {name: getattr(self, name) for name in names} | {"seed": self.split_seed}
        return LabelledTextOptions(**chosen)


class Sentiment(TextTask[LabelledText, SentimentConfig]):
    """Text classification with two labels or more."""

    config_type = SentimentConfig
    artifacts_type = TextArtifacts
    headline: ClassVar[str] = "accuracy"
    length_of: ClassVar[str] = "tokens"
    evaluation_batches: ClassVar[int] = 8
    default_source: ClassVar[str] = "film-reviews"

    def begin(self) -> None:
        """Look at the language model, if one is named."""
        read_context(self.config)

    def load_data(self, source: str, folders: Folders) -> Splits[LabelledText]:
        """Read labelled text; extra sources lose rows that stand in valid or test."""
        splits = load_labelled_text(
            source, self.config.reading(), folders=folders, progress=FetchProgress()
        )
        names = EXTRA_OF.get(source, "") if self.config.extra == "auto" else self.config.extra
        if not names:
            return splits
        parts = [load_labelled_text(name.strip(), folders=folders) for name in names.split(",")]
        rows = (row for part in parts for _, split in part.named() for row in split)
        extra = Rows.of(LabelledText, without_rows_in(rows, (splits.valid, splits.test)))
        note = f"{len(extra):,} further rows to learn from, of {names}; none is in valid or test"
        card = replace(splits.card, notes=(*splits.card.notes, note))
        return replace(splits, extra=extra, card=card)

    def load_rows(
        self, source: str, artifacts: TextArtifacts, folders: Folders
    ) -> Splits[LabelledText]:
        """Read labelled text to score; a label the model does not know is an error."""
        labels = artifacts.labels.tokens
        return load_rows_to_score(source, labels, self.config.reading(), folders=folders)

    def without_known(
        self, rows: Splits[LabelledText], training: Splits[LabelledText]
    ) -> Splits[LabelledText]:
        """Leave out texts that stand in the training, validation or extra rows."""
        seen = [
            part for part in (training.train, training.valid, training.extra) if part is not None
        ]
        kept = Rows.of(LabelledText, without_rows_in(rows.test, seen))
        return replaced_test(rows, kept, "text the model was trained on")

    def check(self, splits: Splits[LabelledText]) -> list[Finding]:
        """Look at sizes, labels, leaks, lengths and oddities."""
        return check_labelled_text(splits)

    def fit_artifacts(self, splits: Splits[LabelledText]) -> TextArtifacts:
        """Learn vocabulary and labels; find out whether ratings can soften the targets."""
        from pipelines.text.fitting import fit_vocabulary

        config = self.config
        vocabulary = fit_vocabulary(
            ([row.text for row in chunk] for chunk in learning_chunks(splits)),
            level=config.level,
            lowercase=config.lowercase,
            min_count=config.min_count,
            max_size=config.vocabulary_size,
        )
        labels = Vocabulary(tuple(sorted({row.label for row in splits.train})), reserved=())
        return TextArtifacts.of(vocabulary, labels, config, higher=higher_label(splits.train))

    def encode(
        self, rows: Rows[LabelledText], artifacts: TextArtifacts, split: str
    ) -> Iterator[Chunk]:
        """Encode a split; only valid and test carry n-grams, as `fit` needs none."""
        from pipelines.text.encoding import TextFeatures

        features = TextFeatures.of(artifacts)
        for chunk in rows.chunks():
            columns = features.encode([row.text for row in chunk], with_grams=split != "train")
            yield {**columns, **classification_targets(chunk, artifacts)}
        features.warn_of_cut(split)

    def target_in(self, corpus: EncodedCorpus) -> str:
        """Return the label, or its softened form when rows are rated."""
        return "target" if "target" in corpus.names else "label"

    def build_model(self, artifacts: TextArtifacts, *, portable: bool = False) -> keras.Model:
        """Build the whole model: features to probabilities, float32[B, C]."""
        from pipelines.text import classifier

        return classifier.build(self.config, artifacts, portable=portable)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the recurrent part alone: the linear part and the blend are fitted otherwise."""
        from pipelines.text import classifier

        return classifier.network_alone(model)

    def initialise(self, model: keras.Model, prepared: Prepared) -> None:
        """Set word vectors, and fit the linear part."""
        from pipelines.text import classifier
        from pipelines.text.encoding import encode_together

        splits, artifacts = prepared.splits, prepared.artifacts
        sample = evenly(splits.train, self.config.linear_rows)
        known = set(artifacts.labels.tokens)
        extra = [row for row in splits.extra or () if row.label in known]
        classifier.warm_start(
            model,
            self.config,
            artifacts,
            corpus=prepared.corpora["train"],
            sample=encode_together(self.encode(sample, artifacts, "sample")),
            extra=encode_together(self.encode(Rows.of(LabelledText, extra), artifacts, "extra")),
        )

    def calibrate(self, model: keras.Model, prepared: Prepared) -> None:
        """Weigh network and linear part by log loss on the validation split."""
        from pipelines.text import classifier

        corpus = prepared.corpora["valid"]
        classifier.calibrate(model, self.batches(corpus, model), corpus.column("label"))

    def counterparts(self, prepared: Prepared) -> dict[str, tuple[Task[Any, Any], Prepared]]:
        """Return the task without its language model, if it has one."""
        return without_context(self, prepared)

    def objective(self, model: keras.Model, artifacts: TextArtifacts) -> Objective:
        """Return cross-entropy against labels, or against softened targets when rows are rated."""
        import keras

        from pipelines.training import Objective

        del model
        if artifacts.notes["higher"] is not None:
            accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
            return Objective(keras.losses.CategoricalCrossentropy(), [accuracy], "accuracy")
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        return Objective(keras.losses.SparseCategoricalCrossentropy(), [accuracy], "accuracy")

    def endpoints(self, model: keras.Model, artifacts: TextArtifacts) -> dict[str, Endpoint]:
        """Return `serve`: text string[B] -> label, its probability, and all probabilities."""
        import tensorflow as tf

        from pipelines.export.saved_model import Endpoint
        from pipelines.text.encoding import TextFeatures

        features = TextFeatures.of(artifacts)
        labels = tf.constant(list(artifacts.labels.tokens))

        def serve(text: tf.Tensor) -> dict[str, tf.Tensor]:
            inputs = features.dense(text)
            probabilities = model([inputs[tensor.name] for tensor in model.inputs], training=False)
            return {
                "label": tf.gather(labels, tf.argmax(probabilities, axis=-1)),
                "probability": tf.reduce_max(probabilities, axis=-1),
                "probabilities": probabilities,
            }

        meaning = {
            "label": "string[B], the most probable label",
            "probability": "float32[B], its probability",
            "probabilities": f"float32[B, {len(artifacts.labels)}], in the order of labels.txt",
        }
        inputs = {"text": tf.TensorSpec([None], tf.string)}
        return {"serve": Endpoint(serve, inputs, meaning, resources=(model, *features.layers))}

    def read_outputs(self, model_outputs: np.ndarray, artifacts: TextArtifacts) -> Outputs:
        """Name the label of each row's largest probability."""
        from pipelines.evaluation.baselines import outputs_of

        return outputs_of(model_outputs, artifacts.labels.tokens)

    def serve_inputs(self, examples: Sequence[LabelledText]) -> dict[str, list[Any]]:
        """Return the texts."""
        return self.predict_inputs([example.text for example in examples])

    def predict_inputs(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Return the texts as they are."""
        return {"text": list(texts)}

    def output_labels(self, version: Path) -> list[str] | None:
        """Return the labels of an exported version."""
        path = version / "assets.extra" / "labels.txt"
        return list(Vocabulary.load(path, reserved=()).tokens)

    def render_prediction(self, answer: Mapping[str, Any], options: Any) -> RenderableType:
        """Show label and probabilities."""
        del options
        ranked = sorted(answer["probabilities"].items(), key=lambda entry: -entry[1])
        shares = ", ".join(f"{label} {share:.3f}" for label, share in ranked)
        return f"[bold]{escape(answer['label'])}[/bold]  ({escape(shares)})"

    def baselines(self, splits: Splits[LabelledText], predict: Predict) -> dict[str, Outputs]:
        """Answer the test rows by the majority label, and by tuned TF-IDF + logistic regression."""
        del predict
        from pipelines.evaluation.baselines import TfidfLogisticRegression, majority_class

        labels = sorted({row.label for row in splits.train})
        tfidf = TfidfLogisticRegression(labels, seed=self.config.seed)
        parts = (splits.train, splits.valid)
        tfidf.fit(*(((row.text, row.label) for row in rows) for rows in parts))
        train = (row.label for row in splits.train)
        majority = majority_class(train, labels=labels, count=len(splits.test))
        return {
            "majority class": majority,
            "TF-IDF + logistic regression": tfidf.predict(row.text for row in splits.test),
        }

    def evaluate(
        self,
        examples: Rows[LabelledText],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: TextArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score labels and probabilities; show where and why the model errs."""
        from pipelines.evaluation.classification import label_codes, score_classification
        from pipelines.evaluation.classification_report import classification_sections
        from pipelines.text.encoding import TextFeatures

        labels = list(artifacts.labels.tokens)
        gold = label_codes(np.array([row.label for row in examples], object), labels, "test rows")
        features = TextFeatures.of(artifacts)
        shares = [features.unknown_share([row.text for row in part]) for part in examples.chunks()]
        sections = classification_sections(
            gold,
            outputs,
            labels,
            baselines,
            (row.text for row in examples),
            predict=lambda texts: np.asarray(predict({"text": texts})["probabilities"]),
            unknown_share=np.concatenate(shares),
            seed=self.config.seed,
        )
        scores = score_classification(gold, outputs, labels, baselines, seed=self.config.seed)
        return Evaluation(scores, sections)
