"""Translation, sequence to sequence: a text goes in, its translation comes out.

    source -> embedding -> bidirectional recurrent stack -> states
                                                              | attention
    BOS, words so far -> embedding -> recurrent stack --------+-> scores of the next word

Training knows the words so far (teacher forcing); a translation is searched for, the best few
beginnings kept at every step (beam search), inside the exported graph.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rich.text import Text

from pipelines.datasets.findings import Finding
from pipelines.datasets.parallel import (
    ParallelOptions,
    TextPair,
    load_pairs,
    load_pairs_to_score,
    without_known_pairs,
)
from pipelines.datasets.parallel_checks import check_pairs
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.errors import require
from pipelines.options import PredictOptions
from pipelines.progress import FetchProgress
from pipelines.task import Evaluation, Outputs, Predict, Prepared
from pipelines.text.text_task import TextTask
from pipelines.translation.answers import answer_of, shown
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.predict_options import TranslateOptions
from pipelines.translation.translator_config import TranslatorConfig

if TYPE_CHECKING:
    import keras

    from pipelines.corpus import Chunk
    from pipelines.export.saved_model import Endpoint
    from pipelines.export.serving import ServedModel
    from pipelines.training import Objective
    from pipelines.workspace import Folders

REQUEST_ROWS = 256  # a row takes some hundred steps of the model; the graph works in blocks anyway


@dataclass(frozen=True, kw_only=True)
class TranslationConfig(TranslatorConfig, ParallelOptions):
    """Settings of the translation task."""

    def reading(self) -> ParallelOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(ParallelOptions)]
        chosen = {name: getattr(self, name) for name in names} | {"seed": self.split_seed}
        return ParallelOptions(**chosen)


class Translation(TextTask[TextPair, TranslationConfig]):
    """An encoder-decoder with attention between any two languages."""

    config_type = TranslationConfig
    artifacts_type = TranslationArtifacts
    headline: ClassVar[str] = "bleu"
    length_of: ClassVar[tuple[str, str]] = ("source", "target_in")
    target: ClassVar[str] = "target_out"
    default_source: ClassVar[str] = "verses"
    predict_options: ClassVar[type[PredictOptions]] = TranslateOptions

    @property
    def request_rows(self) -> int:
        """A request of test rows: few, since a row takes long."""
        return REQUEST_ROWS

    def load_data(self, source: str, folders: Folders) -> Splits[TextPair]:
        """Read pairs, split by document; pairs of extra versions join the training split."""
        splits = load_pairs(
            source, self.config.reading(), folders=folders, progress=FetchProgress()
        )
        if splits.extra is None:
            return splits
        train = Rows.of(TextPair, itertools.chain(splits.train, splits.extra))
        return replace(splits, train=train, extra=None)

    def load_rows(
        self, source: str, artifacts: TranslationArtifacts, folders: Folders
    ) -> Splits[TextPair]:
        """Read pairs to score, in the languages of the model."""
        languages = {
            name: artifacts.settings[name] for name in ("source_language", "target_language")
        }
        options = replace(self.config.reading(), **languages)
        return load_pairs_to_score(source, options, folders=folders)

    def without_known(self, rows: Splits[TextPair], training: Splits[TextPair]) -> Splits[TextPair]:
        """Leave out pairs of which a side stands in the training or validation rows."""
        return without_known_pairs(rows, training)

    def check(self, splits: Splits[TextPair]) -> list[Finding]:
        """Look at sizes, lengths, leaks and sides that do not fit each other."""
        return check_pairs(splits)

    def fit_artifacts(self, splits: Splits[TextPair]) -> TranslationArtifacts:
        """Learn the vocabularies of both languages."""
        from pipelines.translation.encoding import fit_translation_artifacts

        config = self.config
        languages = (config.source_language, config.target_language)
        return fit_translation_artifacts([splits.train], config, languages)

    def encode(
        self, rows: Rows[TextPair], artifacts: TranslationArtifacts, split: str
    ) -> Iterator[Chunk]:
        """Encode both sides of a split."""
        from pipelines.translation.encoding import encode_pairs

        return encode_pairs(rows, artifacts, split)

    def build_model(
        self, artifacts: TranslationArtifacts, *, portable: bool = False
    ) -> keras.Model:
        """Build source and words so far -> scores of the next word, float32[B, T, V]."""
        from pipelines.translation import translator

        return translator.build(self.config, artifacts, portable=portable)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the model without what tidies its outputs."""
        from pipelines.translation import translator

        return translator.learner(model)

    def initialise(self, model: keras.Model, prepared: Prepared) -> None:
        """Start word vectors from a lexicon learned on the training pairs."""
        from pipelines.translation import translator

        artifacts = prepared.artifacts
        if self.config.lexical and self.config.attention != "none":
            sizes = (len(artifacts.source), len(artifacts.target))
            translator.warm_start(model, self.config, prepared.corpora["train"], sizes)

    def objective(self, model: keras.Model, artifacts: TranslationArtifacts) -> Objective:
        """Return smoothed cross-entropy; perplexity on held-out pairs chooses the best epoch."""
        from pipelines.translation import translator

        del artifacts
        return translator.objective(self.config, model)

    def endpoints(self, model: keras.Model, artifacts: TranslationArtifacts) -> dict[str, Endpoint]:
        """Return `serve`, `greedy`, `n_best`, `score` and `attention`."""
        from pipelines.translation.serving import TranslationServing

        return TranslationServing(model, artifacts, self.config).endpoints()

    def serve_inputs(self, examples: Sequence[TextPair]) -> dict[str, list[Any]]:
        """Return the sources."""
        return self.predict_inputs([example.source for example in examples])

    def predict_inputs(self, texts: Sequence[str]) -> dict[str, list[Any]]:
        """Return the texts as they are."""
        return {"text": list(texts)}

    def trained_outputs(self, model: keras.Model, prepared: Prepared) -> Outputs:
        """Translate the encoded test sources, as the exported model does their texts."""
        from pipelines.translation.serving import translate_corpus

        return translate_corpus(
            model, prepared.artifacts, self.config, prepared.corpora["test"], rows=REQUEST_ROWS
        )

    def ask(self, model: ServedModel, texts: Sequence[str], options: TranslateOptions) -> Outputs:
        """Translate texts; several answers each if they are asked for."""
        if options.n_best == 1:
            return super().ask(model, texts, options)
        outputs = model.call(self.predict_inputs(texts), "n_best")
        most = outputs["scores"].shape[1]
        expected = f"at most {most}, the --beam this model was trained with"
        require(options.n_best <= most, "n_best", options.n_best, expected)
        return {name: values[:, : options.n_best] for name, values in outputs.items()}

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return one answer, or a list of them."""
        return answer_of(row)

    def line(self, record: Mapping[str, Any], options: TranslateOptions) -> str:
        """Return JSON, or the bare translation; one that was cut is told of on standard error."""
        if not options.plain:
            return super().line(record, options)
        if not record["complete"]:
            start = str(record["text"])[:60]
            sys.stderr.write(f"warning: cut at the longest length: the answer to {start!r} ...\n")
        return str(record["translation"])

    def render_prediction(self, answer: Mapping[str, Any], options: TranslateOptions) -> Text:
        """Show the translations."""
        return shown(answer, scores=options.scores)

    def predict(self, version: Path, options: TranslateOptions) -> int:
        """Print translations; draw the attention of the best if asked to."""
        if options.attention is None:
            return super().predict(version, options)
        from pipelines.translation.predicting import draw_attention, require_drawable

        require_drawable(version, options.attention)
        code = super().predict(version, options)
        draw_attention(version, str(options.text), options.attention)
        return code

    def baselines(self, splits: Splits[TextPair], predict: Predict) -> dict[str, Outputs]:
        """Answer by the nearest training source's translation, and by the source itself."""
        del predict
        from pipelines.evaluation.translation_baselines import (
            COPY,
            MEMORY,
            TranslationMemory,
            copy_source,
        )

        sources = [pair.source for pair in splits.test]
        memory = TranslationMemory().fit(splits.train)
        return {MEMORY: memory.predict(sources), COPY: copy_source(sources)}

    def evaluate(
        self,
        examples: Rows[TextPair],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: TranslationArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score translations; show by what they differ, where the model looked, where it errs."""
        from pipelines.evaluation.translation import score_translation
        from pipelines.evaluation.translation_report import translation_sections
        from pipelines.translation.evidence import gather_evidence

        seed = self.config.seed
        evidence = gather_evidence(
            predict,
            examples,
            outputs,
            request_rows=REQUEST_ROWS,
            attention=self.config.attention != "none",
            seed=seed,
        )
        scores = score_translation(
            examples,
            outputs,
            baselines,
            reference=evidence.reference,
            language=artifacts.settings["target_language"],
            seed=seed,
        )
        sections = translation_sections(
            examples,
            outputs,
            baselines,
            greedy=evidence.greedy,
            reference=evidence.reference,
            alignments=evidence.alignments,
            train_counts=artifacts.word_counts,
            language=artifacts.settings["target_language"],
            seed=seed,
        )
        return Evaluation(scores, sections)
