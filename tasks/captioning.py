"""Image captioning, one to many: an image goes in, a sentence comes out.

    image -> residual network -> map of places
                                        | attention
    BOS, words so far -> embedding -> recurrent stack -> scores of the next word

Training knows the words so far (teacher forcing); a caption is searched for, the best few
beginnings kept at every step (beam search), inside the exported graph, which reads the image file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipelines.captioning.artifacts import CaptionArtifacts
from pipelines.captioning.captioner_config import COMPACT, CaptionerConfig
from pipelines.captioning.predict_options import CaptionPredictOptions
from pipelines.datasets.captions import (
    CaptionedImage,
    CaptionOptions,
    load_captions,
    load_captions_to_score,
    without_known_images,
)
from pipelines.datasets.captions_checks import check_captions
from pipelines.datasets.findings import Finding
from pipelines.datasets.rows import Rows, evenly
from pipelines.datasets.splits import Splits
from pipelines.errors import require
from pipelines.options import PredictOptions
from pipelines.progress import FetchProgress
from pipelines.task import Evaluation, Outputs, Phase, Predict, Prepared, Task

if TYPE_CHECKING:
    import keras

    from pipelines.corpus import Chunk
    from pipelines.export.saved_model import Endpoint
    from pipelines.training import Objective
    from pipelines.workspace import Folders

SAFE_WIDTH = 16
_log = logging.getLogger(__name__)
REQUEST_ROWS = 32  # a photograph may have several megabytes
COMPARED_IMAGES = 20_000  # most training images that neighbours are looked for among


@dataclass(frozen=True, kw_only=True)
class CaptioningConfig(CaptionerConfig, CaptionOptions):
    """Settings of the captioning task."""

    # Scenes vary by themselves: things are small, their places count, and neighbours mislead where
    # every combination is new.
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "scenes": {
            "image_size": 96, "epochs": 70, "patience": 70, "consensus": False, "beam": 3,
            "label_smoothing": 0.02, "output_dropout": 0.1, "input_dropout": 0.0,
            "memory_dropout": 0.05, "shift": 0.0, "zoom": 0.0, "rotation": 0.0, "brightness": 0.1,
        },
    }  # fmt: skip

    test_share: float = 0.2
    """Share of the images to set aside for the test, if the source brings no such split."""

    def reading(self) -> CaptionOptions:
        """Return the options of the reader."""
        names = [entry.name for entry in fields(CaptionOptions)]
        chosen = {name: getattr(self, name) for name in names} | {"seed": self.split_seed}
        return CaptionOptions(**chosen)


class Captioning(Task[CaptionedImage, CaptioningConfig]):
    """A convolutional encoder and a recurrent decoder that attends to its map."""

    config_type = CaptioningConfig
    artifacts_type = CaptionArtifacts
    headline: ClassVar[str] = "cider_d"
    length_of: ClassVar[str] = "caption_in"
    target: ClassVar[str] = "caption_out"
    default_source: ClassVar[str] = "openmoji"
    predict_options: ClassVar[type[PredictOptions]] = CaptionPredictOptions

    @property
    def rows_per_epoch(self) -> int:
        """Captions drawn for an epoch."""
        return self.config.rows_per_epoch

    @property
    def request_rows(self) -> int:
        """A request of test rows: few, since an image is large."""
        return REQUEST_ROWS

    def begin(self) -> None:
        """Find out before anything is read whether the weights of the encoder are there."""
        if self.config.encoder == COMPACT and min(self.config.widths) < SAFE_WIDTH:
            _log.warning(
                "--widths %s: TensorFlow 2.21 can crash in convolutions of fewer than %d channels "
                "on several threads; give at least that, or set TF_NUM_INTRAOP_THREADS=1",
                self.config.widths, SAFE_WIDTH,
            )  # fmt: skip
        given = self.config.encoder_weights
        known = given in ("", "imagenet") or Path(given).expanduser().exists()
        require(known, "encoder_weights", given, "a file, a version's folder, or imagenet")
        if given:
            from pipelines.captioning.image_side import make_encoder

            make_encoder(self.config)

    def load_data(self, source: str, folders: Folders) -> Splits[CaptionedImage]:
        """Read images with captions, split by image and group."""
        return load_captions(
            source, self.config.reading(), folders=folders, progress=FetchProgress()
        )

    def load_rows(
        self, source: str, artifacts: CaptionArtifacts, folders: Folders
    ) -> Splits[CaptionedImage]:
        """Read images with captions to score."""
        del artifacts
        return load_captions_to_score(source, self.config.reading(), folders=folders)

    def without_known(
        self, rows: Splits[CaptionedImage], training: Splits[CaptionedImage]
    ) -> Splits[CaptionedImage]:
        """Leave out images that are among the training or validation images."""
        return without_known_images(rows, training)

    def check(self, splits: Splits[CaptionedImage]) -> list[Finding]:
        """Look at sizes, lengths, leaks and images alike."""
        return check_captions(splits)

    def fit_artifacts(self, splits: Splits[CaptionedImage]) -> CaptionArtifacts:
        """Learn the vocabulary of the captions."""
        from pipelines.captioning.encoding import fit_caption_artifacts

        return fit_caption_artifacts(splits.train, self.config)

    def encode(
        self, rows: Rows[CaptionedImage], artifacts: CaptionArtifacts, split: str
    ) -> Iterator[Chunk]:
        """Read the images of a split, number its captions."""
        from pipelines.captioning.encoding import encode_images

        return encode_images(rows, artifacts, self.config, split)

    def build_model(self, artifacts: CaptionArtifacts, *, portable: bool = False) -> keras.Model:
        """Build image and words so far -> scores of the next word, float32[B, T, V]."""
        from pipelines.captioning import captioner

        return captioner.build(self.config, artifacts, portable=portable)

    def initialise(self, model: keras.Model, prepared: Prepared) -> None:
        """Start the encoder where the settings say."""
        del prepared
        from pipelines.captioning.image_side import start_encoder

        start_encoder(model.get_layer("encoder"), self.config)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the model that is trained first: from images, or from a frozen encoder's maps."""
        from pipelines.captioning import captioner

        model.get_layer("encoder").trainable = not self.config.frozen
        if self.config.frozen:
            return captioner.learner_of_features(model, self.config)
        return captioner.learner(model, self.config)

    def objective(self, model: keras.Model, artifacts: CaptionArtifacts) -> Objective:
        """Return smoothed cross-entropy; next words told rightly choose the best epoch."""
        from pipelines.captioning.validation import caption_objective

        return caption_objective(model, self.config, self.training_model(model), artifacts)

    def phases(self, model: keras.Model, prepared: Prepared) -> Iterator[Phase]:
        """Train as a whole; or above a frozen encoder and then, if asked to, as a whole."""
        from pipelines.captioning import captioner
        from pipelines.captioning.validation import caption_objective

        yield from super().phases(model, prepared)
        if not self.config.fine_tune_epochs:
            return
        model.get_layer("encoder").trainable = True
        settings = replace(
            self.config,
            epochs=self.config.fine_tune_epochs,
            learning_rate=self.config.fine_tune_rate,
        )
        learner = captioner.learner(model, self.config)
        objective = caption_objective(model, self.config, learner, prepared.artifacts)
        yield Phase("fine-tuning", learner, objective, settings)

    def calibrate(self, model: keras.Model, prepared: Prepared) -> None:
        """Fill the bank of captions, and weigh its say on the validation split."""
        if self.config.consensus:
            from pipelines.captioning.banking import fill_bank, weigh_votes

            fill_bank(model, prepared.corpora["train"])
            weigh_votes(model, self.config, prepared.corpora["valid"], prepared.artifacts)

    def endpoints(self, model: keras.Model, artifacts: CaptionArtifacts) -> dict[str, Endpoint]:
        """Return `serve`, `greedy`, `n_best`, `score`, `features` and `attention`."""
        from pipelines.captioning.serving import CaptionServing

        return CaptionServing(model, artifacts, self.config).endpoints()

    def trained_outputs(self, model: keras.Model, prepared: Prepared) -> Outputs:
        """Caption the encoded test images, as the exported model does their files."""
        from pipelines.captioning.serving import caption_corpus

        return caption_corpus(model, prepared.artifacts, self.config, prepared.corpora["test"])

    def serve_inputs(self, examples: Sequence[CaptionedImage]) -> dict[str, list[Any]]:
        """Return the bytes of the files."""
        return {"image": [Path(example.path).read_bytes() for example in examples]}

    def record(self, example: CaptionedImage) -> dict[str, Any]:
        """Keep the image's name and its captions."""
        kept = asdict(example)
        return {name: kept[name] for name in ("name", "captions", "origin")}

    def predict(self, version: Path, options: CaptionPredictOptions) -> int:
        """Print captions of an image, or of all images of a folder."""
        from pipelines.captioning.predicting import predict_captions

        return predict_captions(version, options)

    def baselines(self, splits: Splits[CaptionedImage], predict: Predict) -> dict[str, Outputs]:
        """Answer by the most common caption, and by those of the images most alike."""
        from pipelines.captioning.evidence import features_of
        from pipelines.evaluation.caption_baselines import (
            BY_FEATURE,
            BY_PIXEL,
            MOST_COMMON,
            most_common,
            nearest_by_feature,
            nearest_by_pixel,
        )

        test, compared = splits.test, evenly(splits.train, COMPARED_IMAGES)
        known, seen = (features_of(predict, rows, self.serve_inputs) for rows in (compared, test))
        captions = [row.captions for row in compared]
        return {
            MOST_COMMON: most_common(splits.train, test),
            BY_PIXEL: nearest_by_pixel(compared, test),
            BY_FEATURE: nearest_by_feature(known, captions, seen),
        }

    def evaluate(
        self,
        examples: Rows[CaptionedImage],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: CaptionArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score captions; show them beside their images, and where the model looked."""
        from pipelines.captioning.evidence import gather_evidence
        from pipelines.evaluation.caption_report import caption_sections
        from pipelines.evaluation.captioning import score_captions
        from pipelines.evaluation.scene_scores import score_scenes

        seed = self.config.seed
        evidence = gather_evidence(
            predict,
            examples,
            self.serve_inputs,
            attention=self.config.attention,
            fit=self.config.fit,
        )
        train_captions = artifacts.captions
        scores = score_captions(
            examples, outputs, baselines, train_captions=train_captions, seed=seed
        )
        if all(example.scene for example in examples):
            scores += score_scenes(examples, outputs, baselines, seed=seed)
        sections = caption_sections(
            examples, outputs, baselines, evidence, train_captions=train_captions, seed=seed
        )
        return Evaluation(scores, sections)
