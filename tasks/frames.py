"""Frame labelling: a sensor's stream goes in, a label for every frame comes out.

    signal -> scaled -> patches of frames -> recurrent stack -> scores -> labels that last

With --causal a frame is labelled from the frames up to it, and the exported model also reads a
stream one frame at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pipelines.datasets.findings import Finding
from pipelines.datasets.frames import check_frames, load_frames, load_frames_to_score
from pipelines.datasets.frames_streams import FrameRows, FrameStream
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.frames.artifacts import FrameArtifacts, fit_frame_artifacts
from pipelines.frames.frame_config import FrameConfig
from pipelines.frames.predict_options import FramesOptions
from pipelines.options import PredictOptions
from pipelines.progress import FetchProgress
from pipelines.task import Evaluation, Outputs, Predict, Prepared, Task

if TYPE_CHECKING:
    import keras

    from pipelines.corpus import Chunk
    from pipelines.export.saved_model import Endpoint
    from pipelines.training import Objective
    from pipelines.workspace import Folders

TIMED_ROWS = 64  # windows that are sent to time the exported model


@dataclass(frozen=True, kw_only=True)
class FramesConfig(FrameConfig):
    """Settings of the frame labelling task."""


class Frames(Task[FrameStream, FramesConfig]):
    """Labels every frame of sensor streams."""

    config_type = FramesConfig
    artifacts_type = FrameArtifacts
    headline: ClassVar[str] = "frame_accuracy"
    length_of: ClassVar[str] = "signal"
    default_source: ClassVar[str] = "watch-exercises"
    predict_options: ClassVar[type[PredictOptions]] = FramesOptions

    def load_data(self, source: str, folders: Folders) -> Splits[FrameStream]:
        """Read streams and split them by group."""
        options = self.config.reading()
        return load_frames(source, options, folders=folders, progress=FetchProgress())

    def load_rows(
        self, source: str, artifacts: FrameArtifacts, folders: Folders
    ) -> Splits[FrameStream]:
        """Read streams to score; their channels must be those of the model."""
        options = self.config.reading()
        return load_frames_to_score(
            source, artifacts.channels, artifacts.classes, options, folders=folders
        )

    def limited(self, splits: Splits[FrameStream]) -> Splits[FrameStream]:
        """Cut every split to so many windows of frames, if the settings ask for a quick look."""
        if self.config.limit is None:
            return splits
        most = self.config.limit * self.config.window
        train, valid, test = (_first_frames(_rows(rows), most) for _, rows in splits.named())
        return replace(splits, train=train, valid=valid, test=test)

    def without_known(
        self, rows: Splits[FrameStream], training: Splits[FrameStream]
    ) -> Splits[FrameStream]:
        """Leave out streams, and parts of streams, that the model was trained or chosen on."""
        from pipelines.datasets.frames_known import without_known_frames

        return without_known_frames(rows, training)

    def check(self, splits: Splits[FrameStream]) -> list[Finding]:
        """Look at classes, segments, missing values, scales and rates."""
        return check_frames(splits)

    def fit_artifacts(self, splits: Splits[FrameStream]) -> FrameArtifacts:
        """Learn classes and the scale of every channel."""
        config = self.config
        return fit_frame_artifacts(
            _rows(splits.train),
            window=config.window,
            patch=config.patch,
            stretch=config.stretch,
            mirror=config.mirrored(splits.card.source),
        )

    def encode(
        self, rows: Rows[FrameStream], artifacts: FrameArtifacts, split: str
    ) -> Iterator[Chunk]:
        """Cut training streams into windows; keep the others whole."""
        from pipelines.frames.encoding import encode_streams

        return encode_streams(_rows(rows), artifacts, whole=split != "train")

    @property
    def rows_per_epoch(self) -> int | None:
        """Windows drawn anew for every epoch."""
        return self.config.windows_per_epoch

    def build_model(self, artifacts: FrameArtifacts, *, portable: bool = False) -> keras.Model:
        """Build the whole model: raw channels to scores of classes."""
        from pipelines.frames import labeller

        return labeller.build(self.config, artifacts, portable=portable)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the model without what makes labels last."""
        from pipelines.frames import labeller

        return labeller.learner(model, self.config)

    def calibrate(self, model: keras.Model, prepared: Prepared) -> None:
        """Choose on the validation streams how long labels last."""
        from pipelines.frames import labeller

        corpus = prepared.corpora["valid"]
        labeller.fit_lasting(model, self.batches(corpus, model), self.config)

    def objective(self, model: keras.Model, artifacts: FrameArtifacts) -> Objective:
        """Return the loss of a frame; the share of validation frames told rightly chooses."""
        from pipelines.layers.sequence_losses import SmoothedCrossEntropy, TokenAccuracy
        from pipelines.training import Objective

        del model, artifacts
        loss = SmoothedCrossEntropy(self.config.label_smoothing)
        return Objective(loss, [TokenAccuracy("frame_accuracy")], "frame_accuracy")

    def endpoints(self, model: keras.Model, artifacts: FrameArtifacts) -> dict[str, Endpoint]:
        """Return `serve`, and of a causal model `start` and `step`."""
        from pipelines.frames.serving import FrameServing

        return FrameServing(model, artifacts, causal=self.config.causal).endpoints()

    def trained_outputs(self, model: keras.Model, prepared: Prepared) -> Outputs:
        """Return the labels of whole test streams, by the trained model."""
        from pipelines.feeding import predict_model
        from pipelines.frames.labeller import read_scores

        corpus = prepared.corpora["test"]
        scores = predict_model(model, self.batches(corpus, model))
        return read_scores(scores, corpus.column("frames"), prepared.artifacts.classes)

    @property
    def request_rows(self) -> int:
        """One stream in a request: they are long, and of unequal length."""
        return 1

    def serve_inputs(self, examples: Sequence[FrameStream]) -> dict[str, list[Any]]:
        """Return raw values and how many frames there are."""
        from pipelines.frames.predicting import serve_inputs

        return serve_inputs(examples)

    def latency_examples(self, rows: Rows[FrameStream]) -> Sequence[FrameStream]:
        """Return windows: the last seconds of a stream, as a user would send them."""
        window, cut = self.config.window, []
        for stream in _rows(rows):
            last = max(1, len(stream) - window + 1)
            cut += [stream.cut(first, first + window) for first in range(0, last, window)]
        return cut[:TIMED_ROWS]

    def record(self, example: FrameStream) -> dict[str, Any]:
        """Keep the segments of a stream, but not its values."""
        from pipelines.frames.predicting import segments

        gold = [list(segment) for segment in segments(example.labels)]
        return {"stream": example.name, "group": example.group, "segments": gold}

    def answer(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return segments: first frame, limit, label."""
        from pipelines.frames.predicting import segments

        return {"segments": [list(segment) for segment in segments(row["labels"])]}

    def predict(self, version: Path, options: Any) -> int:
        """Write the label of every frame of a file as csv."""
        from pipelines.frames.predicting import predict

        return predict(version, options)

    def baselines(self, splits: Splits[FrameStream], predict: Predict) -> dict[str, Outputs]:
        """Label test frames by the most common class, and by boosting on window statistics."""
        del predict
        from pipelines.evaluation.frame_baselines import frame_baselines

        seed, causal = self.config.seed, self.config.causal
        found: Mapping[str, Outputs] = frame_baselines(splits, causal=causal, seed=seed)
        return dict(found)

    def evaluate(
        self,
        examples: Rows[FrameStream],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: FrameArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score frames and segments on whole streams; show where labels err."""
        from pipelines.evaluation.frame_report import frame_sections
        from pipelines.evaluation.frame_scoring import score_frames

        del artifacts, predict
        rows, seed = _rows(examples), self.config.seed
        scores = score_frames(rows, outputs, baselines, seed=seed)
        return Evaluation(scores, frame_sections(rows, outputs, baselines, seed=seed))


def _rows(rows: Rows[FrameStream]) -> FrameRows:
    if not isinstance(rows, FrameRows):
        raise TypeError(f"{type(rows).__name__} are no streams of frames")
    return rows


def _first_frames(rows: FrameRows, most: int) -> FrameRows:
    """Cut streams alike so that `most` frames are left in all."""
    share = min(1.0, most / max(1, int(rows.lengths.sum())))
    return rows.with_streams(stream.cut(0, max(1, round(share * len(stream)))) for stream in rows)
