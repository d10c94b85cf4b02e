"""Forecasting: the past of a series goes in, the distribution of its next steps comes out.

    history -> scaled by the window's own size -> recurrent stack --+
    calendar of past and future, known covariates ------------------+-> quantiles, mean

Everything between raw values and raw values is inside the model: scaling, calendar, calibration.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pipelines.datasets.findings import Finding
from pipelines.datasets.rows import Rows
from pipelines.datasets.series import Window, WindowRows
from pipelines.datasets.series_checks import check_series
from pipelines.datasets.series_sources import load_series, load_series_to_score
from pipelines.datasets.splits import Splits, replaced_test
from pipelines.options import PredictOptions
from pipelines.progress import FetchProgress
from pipelines.series.artifacts import SeriesArtifacts
from pipelines.series.forecaster_config import ForecasterConfig
from pipelines.series.predict_options import ForecastOptions
from pipelines.task import Evaluation, Outputs, Predict, Prepared, Task

if TYPE_CHECKING:
    import keras

    from pipelines.corpus import Chunk
    from pipelines.export.saved_model import Endpoint
    from pipelines.training import Objective
    from pipelines.workspace import Folders

REQUEST_VALUES = 2_000_000  # numbers in one request to the exported model


@dataclass(frozen=True, kw_only=True)
class ForecastingConfig(ForecasterConfig):
    """Settings of the forecasting task."""


class Forecasting(Task[Window, ForecastingConfig]):
    """Forecasts of one or several targets of one or many series."""

    config_type = ForecastingConfig
    artifacts_type = SeriesArtifacts
    headline: ClassVar[str] = "mase"
    length_of: ClassVar[str] = "history"
    default_source: ClassVar[str] = "beijing-air"
    predict_options: ClassVar[type[PredictOptions]] = ForecastOptions

    def load_data(self, source: str, folders: Folders) -> Splits[Window]:
        """Read series, put them on a grid, and split their steps in time order."""
        options = self.config.reading()
        return load_series(source, options, folders=folders, progress=FetchProgress())

    def load_rows(
        self, source: str, artifacts: SeriesArtifacts, folders: Folders
    ) -> Splits[Window]:
        """Read series to score; their columns must be those of the model."""
        options = artifacts.reading(self.config.reading())
        return load_series_to_score(source, artifacts.layout, options, folders=folders)

    def without_known(self, rows: Splits[Window], training: Splits[Window]) -> Splits[Window]:
        """Leave out windows of the model's own series up to the end of their validation part."""
        fresh, valid = _windows(rows.test), _windows(training.valid)
        store = fresh.store
        known = np.isin(store.names, valid.store.names)[fresh.series]
        first = store.layout.frequency.time(store.starts[fresh.series], fresh.origins)
        kept = np.flatnonzero(~known | (first >= valid.span[1]))
        return replaced_test(rows, fresh.select(kept), "window the model was trained on")

    def check(self, splits: Splits[Window]) -> list[Finding]:
        """Look at spans, gaps, constant columns, shifts and leaks."""
        return check_series(splits)

    def fit_artifacts(self, splits: Splits[Window]) -> SeriesArtifacts:
        """Learn categories, statistics and the scale of errors."""
        from pipelines.series.artifacts import fit_series_artifacts

        return fit_series_artifacts(_windows(splits.train), self.config)

    def encode(self, rows: Rows[Window], artifacts: SeriesArtifacts, split: str) -> Iterator[Chunk]:
        """Write every stretch of a series once, and where its windows begin."""
        from pipelines.series.encoding import encode_windows

        del split
        return encode_windows(_windows(rows), artifacts)

    @property
    def rows_per_epoch(self) -> int | None:
        """Windows drawn anew for every epoch."""
        return self.config.windows_per_epoch

    def build_model(self, artifacts: SeriesArtifacts, *, portable: bool = False) -> keras.Model:
        """Build the whole model: raw history to raw quantiles and mean."""
        from pipelines.series import forecaster

        return forecaster.build(self.config, artifacts, portable=portable)

    def training_model(self, model: keras.Model) -> keras.Model:
        """Return the model whose output the loss takes."""
        from pipelines.series import forecaster

        return forecaster.learner(model, self.config)

    def initialise(self, model: keras.Model, prepared: Prepared) -> None:
        """Fit the simple forecasts that the network starts from."""
        from pipelines.series import forecaster

        forecaster.warm_start(model, prepared.corpora["train"], seed=self.config.seed)

    def calibrate(self, model: keras.Model, prepared: Prepared) -> None:
        """Widen or narrow intervals on the validation part."""
        from pipelines.series import forecaster

        if self.config.calibrate:
            corpus = prepared.corpora["valid"]
            forecaster.calibrate(model, self.batches(corpus, model))

    def objective(self, model: keras.Model, artifacts: SeriesArtifacts) -> Objective:
        """Return the loss of the head; the validation loss chooses the epoch."""
        from pipelines.series import forecaster
        from pipelines.training import Objective

        del model
        return Objective(forecaster.loss(self.config, artifacts), [], "loss", better="lower")

    def endpoints(self, model: keras.Model, artifacts: SeriesArtifacts) -> dict[str, Endpoint]:
        """Return `serve`: history and stamp -> mean, quantiles and the stamps forecast."""
        from pipelines.series.serving import ForecastServing

        return ForecastServing(model, artifacts).endpoints()

    def read_outputs(self, model_outputs: Any, artifacts: SeriesArtifacts) -> Outputs:
        """Name quantiles and mean."""
        del artifacts
        quantiles, mean = model_outputs
        return {"quantiles": quantiles, "mean": mean}

    @property
    def request_rows(self) -> int:
        """Most windows in one request; a week of minutes of many columns is large."""
        return max(1, REQUEST_VALUES // (8 * (self.config.history or 168)))

    def serve_inputs(self, examples: Sequence[Window]) -> dict[str, list[Any]]:
        """Return raw values and stamps."""
        from pipelines.series.predicting import serve_inputs

        return serve_inputs(examples)

    def record(self, example: Window) -> dict[str, Any]:
        """Keep where a window lies and what came, but not its history."""
        return {"series": example.series, "time": example.time, "target": example.target}

    def predict(self, version: Path, options: Any) -> int:
        """Write the next horizon of every series of a table as csv."""
        from pipelines.series.predicting import predict_table

        return predict_table(SeriesArtifacts.load(version / "assets.extra"), version, options)

    def baselines(self, splits: Splits[Window], predict: Predict) -> dict[str, Outputs]:
        """Forecast the test origins by naive, statistical and boosted systems."""
        del predict
        from pipelines.evaluation.series_baselines import baselines_of

        train, valid, test = (_windows(rows) for _, rows in splits.named())
        season = self.config.season or train.store.layout.frequency.season()
        levels, seed = self.config.quantiles, self.config.seed
        return {**baselines_of(train, valid, test, levels=levels, season=season, seed=seed)}

    def evaluate(
        self,
        examples: Rows[Window],
        outputs: Outputs,
        baselines: Mapping[str, Outputs],
        artifacts: SeriesArtifacts,
        predict: Predict,
    ) -> Evaluation:
        """Score forecasts by origin; show where and by how much they err."""
        from pipelines.evaluation.backtest import backtest_of
        from pipelines.evaluation.forecast_report import forecast_sections
        from pipelines.evaluation.forecasting import score_forecasts

        rows, seed = _windows(examples), self.config.seed
        scales = {name: np.array(scale) for name, scale in artifacts.scales.items()}
        season = int(artifacts.settings["season"])
        backtest = backtest_of(rows, scales, artifacts.levels, season=season)
        scores = score_forecasts(backtest, outputs, baselines, seed=seed)
        sections = forecast_sections(
            backtest, outputs, baselines, rows=rows, predict=predict, seed=seed
        )
        return Evaluation(scores, sections)


def _windows(rows: Rows[Window]) -> WindowRows:
    if not isinstance(rows, WindowRows):
        raise TypeError(f"{type(rows).__name__} are no windows of series")
    return rows
