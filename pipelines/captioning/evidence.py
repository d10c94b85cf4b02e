"""What a report on a captioner needs beside its captions, asked of the exported model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipelines.datasets.captions_options import CaptionedImage
from pipelines.datasets.rows import Rows
from pipelines.evaluation.caption_looks import Evidence, Look
from pipelines.task import Predict
from pipelines.text.vocabulary import EOS, RESERVED

ServeInputs = Callable[[Sequence[CaptionedImage]], dict[str, list[Any]]]
REQUEST_ROWS = 32


def features_of(
    predict: Predict, rows: Rows[CaptionedImage], serve_inputs: ServeInputs
) -> np.ndarray:
    """Return what the exported encoder sees in each image, float32[N, C].

    Args:
        predict: the exported model.
        rows: images.
        serve_inputs: gives their raw inputs.
    """
    parts = [
        np.asarray(predict(serve_inputs(chunk), "features")["features"], np.float32)
        for chunk in rows.chunks(REQUEST_ROWS)
    ]
    return np.concatenate(parts)


def gather_evidence(
    predict: Predict,
    rows: Rows[CaptionedImage],
    serve_inputs: ServeInputs,
    *,
    attention: str,
    fit: str,
) -> Evidence:
    """Ask the exported model for greedy captions; where it looks is asked as it is needed.

    Args:
        predict: the exported model.
        rows: the test rows.
        serve_inputs: gives their raw inputs.
        attention: the model's kind of it; without ("none") nothing can be shown.
        fit: how an image becomes the square that the model sees.
    """
    greedy = [
        predict(serve_inputs(chunk), "greedy")["caption"] for chunk in rows.chunks(REQUEST_ROWS)
    ]

    def look(row: int, caption: str) -> Look | None:
        if attention == "none":
            return None
        return look_of(predict, serve_inputs([rows[row]])["image"][0], caption, fit)

    return Evidence({"caption": np.concatenate(greedy)}, look)


def look_of(predict: Predict, image: bytes, caption: str, fit: str) -> Look:
    """Return where the model looks in an image as it writes a caption."""
    found = predict({"image": [image], "caption": [caption]}, "attention")
    tokens = tuple(str(token) for token in found["tokens"][0])
    # The step that writes the end is no word of the caption, but all there is of an empty one.
    written = max(1, len(tokens) - (tokens[-1:] == (RESERVED[EOS],)))
    return Look(tokens[:written], np.asarray(found["weights"][0][:written], np.float32), fit)
