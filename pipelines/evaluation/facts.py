"""Names and values of single facts in the report; what a run does not have is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipelines.evaluation import wording

Facts = list[tuple[str, str]]
Record = Mapping[str, Any]


def data_facts(data: Record) -> Facts:
    """Where the rows come from and under which terms."""
    source = data.get("source")
    licence = (data.get("licence") or "not stated") if source else None
    return _present([("Source", source), ("Language", data.get("language")), ("Licence", licence)])


def model_facts(model: Record, training: Record, serving: Record) -> Facts:
    """Sizes, training time, latency and throughput."""
    batch = serving.get("batch_rows")
    throughput = "Throughput" + (f" in batches of {batch:,} rows" if batch else "")
    return _present(
        [
            ("Parameters", _whole(model.get("parameters"))),
            ("Size of the SavedModel", _if_any(model.get("bytes"), wording.size)),
            ("Training time", _if_any(training.get("seconds"), wording.duration)),
            ("Epochs", training.get("epochs")),
            ("Training speed", _whole(training.get("tokens_per_second"), " tokens/s")),
            ("Recurrent layers trained by", _paths(training.get("recurrence") or {})),
            ("Latency of one row, median", _milliseconds(serving.get("latency_ms_p50"))),
            ("Latency of one row, 99th percentile", _milliseconds(serving.get("latency_ms_p99"))),
            (throughput, _whole(serving.get("rows_per_second"), " rows/s")),
        ]
    )


def manifest_facts(manifest: Record) -> Facts:
    """When, with which code and on what machine the model was made."""
    hardware = manifest.get("hardware")
    if isinstance(hardware, Mapping):
        parts = [hardware.get("processor"), hardware.get("cores") and f"{hardware['cores']} cores"]
        hardware = ", ".join(str(part) for part in parts if part)
    return _present(
        [
            ("Made", str(manifest.get("created") or "").replace("T", " ")),
            ("Code", manifest.get("git_commit")),
            ("Seed", manifest.get("seed")),
            ("Whole run", _if_any(manifest.get("wall_seconds"), wording.duration)),
            ("Hardware", hardware),
        ]
    )


_PATHS = ("the fast path", "cuDNN")


def _paths(paths: Mapping[str, str]) -> str:
    """Say which layers took the fast path, and why the others did not."""
    layers: dict[str, list[str]] = {}
    for name, path in paths.items():
        words = path if path in _PATHS else f"Keras' own layer, since {path}"
        layers.setdefault(words, []).append(wording.readable(name))
    if len(layers) == 1:
        return next(iter(layers))
    return "; ".join(f"{', '.join(names)}: {words}" for words, names in layers.items())


def _present(facts: Iterable[tuple[str, Any]]) -> Facts:
    return [(name, str(value)) for name, value in facts if value is not None and value != ""]


def _if_any(value: float | None, write: Any) -> str | None:
    return None if value is None else str(write(value))


def _whole(value: float | None, unit: str = "") -> str | None:
    return None if value is None else f"{value:,.0f}{unit}"


def _milliseconds(value: float | None) -> str | None:
    return None if value is None else f"{wording.number(value)} ms"
