"""Which options go with which recurrent cell. Imports neither Keras nor TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.errors import require

PARALLEL_CELLS = ("mingru", "minlstm", "sru")
DEFAULTS: Mapping[str, Any] = {
    "forget_bias": 1.0,
    "peephole": False,
    "recurrent_init": "orthogonal",
    "recurrent_dropout": 0.0,
    "weight_dropout": 0.0,
    "deep_transition": 0,
    "norm_preserving": 0.0,
}


def check_cell_settings(settings: Mapping[str, Any]) -> None:
    """Refuse options that the cell has no use for.

    Args:
        settings: `cell`, and the options above where they are not the default.

    Raises:
        ConfigError: an option cannot act on this cell, with what to set instead.
    """
    cell = settings["cell"]
    if cell != "lstm":
        for name in ("forget_bias", "peephole"):
            _keep_default(
                settings, name, f"only an LSTM has such gates: use --cell lstm, not {cell}"
            )
    if cell in PARALLEL_CELLS:
        reason = f"{cell} has no recurrent matrix: use --cell simple, gru or lstm for it"
        for name in ("recurrent_init", "recurrent_dropout", "weight_dropout", "deep_transition"):
            _keep_default(settings, name, reason)
    if cell != "simple":
        reason = f"the regulariser is defined for the simple cell: use --cell simple, not {cell}"
        _keep_default(settings, "norm_preserving", reason)
    if settings.get("norm_preserving"):
        reason = "--norm-preserving follows the gradient through a plain simple cell alone"
        for name in ("recurrent_dropout", "weight_dropout", "deep_transition"):
            _keep_default(settings, name, reason)


def _keep_default(settings: Mapping[str, Any], name: str, reason: str) -> None:
    default = DEFAULTS[name]
    got = settings.get(name, default)
    require(got == default, name, got, f"{default}: {reason}")
