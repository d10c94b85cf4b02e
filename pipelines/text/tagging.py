"""The task of tagging every token of a sentence, whatever the tags mean.

`tasks/pos.py` and `tasks/ner.py` say what their tags are and show an answer; all else is here.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from rich.text import Text

from pipelines.datasets.findings import Finding
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits, replaced_test
from pipelines.datasets.tagged import TaggedSentence, load_tagged, load_tagged_to_score
from pipelines.datasets.tagged_checks import check_tagged
from pipelines.datasets.unlabelled import with_unlabelled, without_sentences_in
from pipelines.progress import FetchProgress
from pipelines.task import Evaluation, Outputs, Predict, Prepared, Task
from pipelines.text.contextual import read_context, without_context
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.tagger_config import TaggerConfig
from pipelines.text.text_task import TextTask

if TYPE_CHECKING:
    import keras

    from pipelines.corpus import Chunk
    from pipelines.export.saved_model import Endpoint
    from pipelines.training import Objective
    from pipelines.workspace import Folders

_TOKEN_KEYS = ("tokens", "tags", "confidences", "char_starts", "char_limits")


class Tagging(TextTask[TaggedSentence, TaggerConfig]):
    """Base class of taggers; `spans` tells whether tags mark spans."""

    artifacts_type = TaggerArtifacts
    scored_endpoint: ClassVar[str] = "serve_tokens"
    length_of: ClassVar[str] = "words"
    target: ClassVar[str] = "tags"
    spans: ClassVar[bool]
    unlabelled_of: ClassVar[Mapping[str, str]] = {}

    def begin(self) -> None:
        """Look at the language model, if one is named."""
        read_context(self.config)

    def load_data(self, source: str, folders: Folders) -> Splits[TaggedSentence]:
        """Read tagged sentences, and unlabelled text as extra rows."""
        splits = load_tagged(
            source,
            self.config.reading(),
            folders=folders,
            progress=FetchProgress(),
            spans=self.spans,
        )
        automatic = self.unlabelled_of.get(source, "")
        names = automatic if self.config.unlabelled == "auto" else self.config.unlabelled
        return with_unlabelled(splits, names, folders) if names else splits

    def load_rows(
        self, source: str, artifacts: TaggerArtifacts, folders: Folders
    ) -> Splits[TaggedSentence]:
        """Read tagged sentences to score; a tag the model does not know is an error."""
        tags = artifacts.labels.tokens
        options = self.config.reading()
        return load_tagged_to_score(source, tags, options, folders=folders, spans=self.spans)

    def without_known(
        self, rows: Splits[TaggedSentence], training: Splits[TaggedSentence]
    ) -> Splits[TaggedSentence]:
        """Leave out sentences that stand in the training or validation rows."""
        seen = (training.train, training.valid)
        kept = Rows.of(TaggedSentence, without_sentences_in(rows.test, seen))
        return replaced_test(rows, kept, "sentence the model was trained on")

    def check(self, splits: Splits[TaggedSentence]) -> list[Finding]:
        """Look at sizes, tags, leaks, conflicts and oddities."""
        return check_tagged(splits, spans=self.spans)

    def fit_artifacts(self, splits: Splits[TaggedSentence]) -> TaggerArtifacts:
        """Learn vocabularies, tags, contractions and habits of capitals."""
        from pipelines.text.tagger_fitting import fit_tagger_artifacts

        return fit_tagger_artifacts(splits, self.config, spans=self.spans)

    def encode(
        self, rows: Rows[TaggedSentence], artifacts: TaggerArtifacts, split: str
    ) -> Iterator[Chunk]:
        """Encode a split; training sentences are cut at `max_tokens`."""
        from pipelines.text.tagger_encoding import encode_sentences

        return encode_sentences(rows, artifacts, split)

    def build_model(self, artifacts: TaggerArtifacts, *, portable: bool = False) -> keras.Model:
        """Build the whole model: features of tokens to the best path and its confidences."""
        from pipelines.text import tagger

        return tagger.build(self.config, artifacts, portable=portable)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the model without its decoder."""
        from pipelines.text import tagger

        return tagger.learner(model, self.config)

    def initialise(self, model: keras.Model, prepared: Prepared) -> None:
        """Set word vectors, and fit the linear part if there is one."""
        from pipelines.text import tagger
        from pipelines.text.linear_crf import fit_linear_crf
        from pipelines.text.tagger_encoding import word_ids

        texts = [prepared.corpora["train"].ragged("words")]
        if prepared.splits.extra is not None:
            texts.append(word_ids(prepared.splits.extra, prepared.artifacts))
        tagger.warm_start(model, self.config, prepared.artifacts, texts)
        if self.config.linear:
            labels = prepared.artifacts.labels.tokens
            penalty = self.config.linear_penalty
            fit_linear_crf(model, prepared.corpora["train"], labels, penalty=penalty)

    def calibrate(self, model: keras.Model, prepared: Prepared) -> None:
        """Weigh the two parts by likelihood, and spans by F1, on the validation split."""
        from pipelines.text.linear_crf import weigh_parts
        from pipelines.text.span_calibration import favour_spans
        from pipelines.text.tagger_validation import TaggerValidation

        batches = self.batches(prepared.corpora["valid"], model)
        if self.config.linear:
            weigh_parts(model, batches)
        if self.spans:
            validation = TaggerValidation(model, prepared.artifacts, spans=True)
            favour_spans(model, validation, batches)

    def counterparts(self, prepared: Prepared) -> dict[str, tuple[Task[Any, Any], Prepared]]:
        """Return the task without its language model, if it has one."""
        return without_context(self, prepared)

    def objective(self, model: keras.Model, artifacts: TaggerArtifacts) -> Objective:
        """Return the likelihood of the gold tags; validate by decoding, as the model is used."""
        from pipelines.layers.crf import CRFLoss
        from pipelines.text.tagger_validation import TaggerValidation
        from pipelines.training import Objective

        validate = TaggerValidation(model, artifacts, spans=self.spans)
        return Objective(CRFLoss(), [], self.headline, validate=validate)

    def endpoints(self, model: keras.Model, artifacts: TaggerArtifacts) -> dict[str, Endpoint]:
        """Return `serve` (raw text), `serve_tokens`, `n_best` and `transitions`."""
        from pipelines.text.tag_serving import TagServing

        return TagServing(model, artifacts).endpoints()

    def read_outputs(
        self, model_outputs: Sequence[np.ndarray], artifacts: TaggerArtifacts
    ) -> Outputs:
        """Name the tags, and give their probabilities."""
        from pipelines.text.tag_serving import output_names

        codes, left, right = model_outputs
        names = np.array(output_names(artifacts.labels.tokens, spans=self.spans), object)
        confidences = np.where(codes > 0, np.exp(np.minimum(left + right, 0)), 0)
        return {"tags": names[codes], "confidences": confidences}

    def serve_inputs(self, examples: Sequence[TaggedSentence]) -> dict[str, list[Any]]:
        """Return the tokens, padded with ""."""
        width = max(len(example.tokens) for example in examples)
        return {
            "tokens": [
                [*example.tokens, *[""] * (width - len(example.tokens))] for example in examples
            ]
        }

    def predict_inputs(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Return the texts as they are."""
        return {"text": list(texts)}

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Cut padding off; list spans one by one."""
        count = int(np.sum(row["tags"] != ""))
        record: dict[str, Any] = {name: row[name][:count] for name in _TOKEN_KEYS if name in row}
        if "span_types" in row:
            record["spans"] = [
                _span(row, number) for number, kind in enumerate(row["span_types"]) if kind
            ]
        return record

    def render_prediction(self, answer: Mapping[str, Any], options: Any) -> Text:
        """Show the text with its tags."""
        del options
        return self.marked(answer) if len(answer["tags"]) else Text("(no tokens)")

    @abstractmethod
    def marked(self, answer: Mapping[str, Any]) -> Text:
        """Show a text that has tokens."""

    def baselines(self, splits: Splits[TaggedSentence], predict: Predict) -> dict[str, Outputs]:
        """Tag the test rows by each word's most frequent tag, and by a tuned feature CRF."""
        del predict
        from pipelines.evaluation.tag_baselines import FeatureCrf, MostFrequentTag

        tokens = [row.tokens for row in splits.test]
        frequent = MostFrequentTag(spans=self.spans).fit(splits.train)
        crf = FeatureCrf(spans=self.spans, seed=self.config.seed)
        crf.fit(list(splits.train), list(splits.valid))
        part = " on a part of the training words" if crf.drew_a_part else ""
        return {
            "most frequent tag": frequent.predict(tokens),
            f"feature CRF{part}": crf.predict(tokens),
        }

    def evaluate(
        self,
        examples: Rows[TaggedSentence],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: TaggerArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score tags or spans; show what is confused, where, and how sure the model is."""
        from pipelines.evaluation.raw_text import raw_text_scores
        from pipelines.evaluation.tagging import score_tagging
        from pipelines.evaluation.tagging_figures import Transitions
        from pipelines.evaluation.tagging_report import tagging_sections
        from pipelines.text.tagger_fitting import KnownWords

        rows = ([row.tokens for row in examples], [row.tags for row in examples])
        common: dict[str, Any] = {
            "spans": self.spans,
            "known_words": KnownWords(artifacts),
            "seed": self.config.seed,
        }
        scores = score_tagging(*rows, outputs, baselines, **common)
        scores += raw_text_scores(examples, predict, spans=self.spans, seed=self.config.seed)
        learned = None
        if self.config.decoder == "crf":
            found = predict({}, "transitions")
            tags = found["tags"].tolist()
            learned = Transitions(tags, found["scores"], found["start"], found["end"])
        sections = tagging_sections(
            *rows,
            outputs,
            baselines,
            train_counts=artifacts.settings["train_counts"],
            transitions=learned,
            **common,
        )
        return Evaluation(scores, sections)


def _span(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Return one span: by characters where the text is known, else by tokens."""
    first, limit = int(row["span_starts"][number]), int(row["span_limits"][number])
    span = {"type": row["span_types"][number], "first_token": first, "limit_token": limit}
    if "char_starts" in row:
        span |= {
            "text": row["span_texts"][number],
            "start": row["char_starts"][first],
            "limit": row["char_limits"][limit - 1],
        }
    return span | {"confidence": row["span_confidences"][number]}
