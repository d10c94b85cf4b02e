"""The batch whose loss or gradients are not finite, saved to be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from pipelines.errors import TrainingError


def report_bad_batch(
    batch: tuple[Mapping[str, Any], Any, Any], checkpoint: Path, *, epoch: int, number: int
) -> NoReturn:
    """Save a batch beside the training state, and stop.

    Args:
        batch: inputs by name, target and weights.
        checkpoint: the training state's file.
        epoch: counted from 1.
        number: of the batch in the epoch, from 1.

    Raises:
        TrainingError: always.
    """
    inputs, target, weights = batch
    arrays = {**{name: np.asarray(value) for name, value in inputs.items()}}
    arrays |= {"target": np.asarray(target), "weights": np.asarray(weights)}
    path = checkpoint.with_name(f"batch-not-finite-{epoch}-{number}.npz")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, **arrays)  # type: ignore[arg-type]
        saved = f"the batch is in {path}"
    except OSError as error:
        saved = f"the batch could not be saved to {path} ({error.strerror})"
    raise TrainingError(
        f"epoch {epoch}, batch {number}: the training loss or a gradient is not finite, expected "
        f"finite numbers; {saved}; {_blame(arrays)}; the saved training state is from before"
    )


def _blame(arrays: Mapping[str, np.ndarray]) -> str:
    """Say which arrays hold values that are not finite, and what to do."""
    bad = {name: int((~np.isfinite(values)).sum()) for name, values in _floats(arrays).items()}
    told = ", ".join(f"{name!r} in {count:,} values" for name, count in bad.items() if count)
    if told:
        return f"it is not finite itself ({told}): mend or leave out these rows of the data"
    extreme = {name: float(np.abs(value).max()) for name, value in _floats(arrays).items()}
    largest = max(extreme, key=lambda name: extreme[name], default="")
    hint = f" (largest: {extreme[largest]:.3g}, in {largest!r})" if largest else ""
    return (
        f"all its values are finite{hint}, so the weights have grown out of bounds: lower "
        "--learning-rate or --clip-norm, or check the data for odd values"
    )


def _floats(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: values
        for name, values in arrays.items()
        if np.issubdtype(values.dtype, np.floating) and values.size
    }
