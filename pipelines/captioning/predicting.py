"""Caption the images a user gives."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from pipelines.captioning.evidence import look_of
from pipelines.captioning.predict_options import CaptionPredictOptions
from pipelines.errors import ConfigError, DataError
from pipelines.evaluation.attention_picture import require_picture
from pipelines.export.loading import load_served
from pipelines.export.serving import ServedModel
from pipelines.pipeline import load_manifest

SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")


def predict_captions(version: Path, options: CaptionPredictOptions) -> int:
    """Print the captions of an image or of a folder's images; return the exit code.

    An image that cannot be read is told of on standard error, the others are captioned; the exit
    code is then 1.

    Raises:
        ConfigError: what is asked for the model does not have.
        DataError: the folder holds no image.
    """
    fit = _require_drawable(version, options)
    paths = list(_images(Path(str(options.file))))
    model = load_served(version)
    failed = 0
    for path in paths:
        try:
            answers = _ask(model, path, options)
        except DataError as error:
            sys.stderr.write(f"error: {error}\n")
            failed += 1
            continue
        _show(path, answers, options, alone=len(paths) == 1)
        if options.attention is not None:
            _draw(model, path, answers[0]["caption"], fit, options.attention)
    return int(failed > 0)


def _images(file: Path) -> Iterator[Path]:
    """Yield the image, or those of a folder and its subfolders, in order."""
    if not file.is_dir():
        yield file
        return
    found = [path for path in sorted(file.rglob("*")) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise DataError(
            f"{file}: no image in this folder; expected files that end in {', '.join(SUFFIXES)}"
        )
    yield from found


def _ask(model: ServedModel, path: Path, options: CaptionPredictOptions) -> list[dict[str, Any]]:
    """Return the captions of an image, best first.

    Raises:
        ConfigError: more captions are asked for than the model keeps.
        DataError: the image cannot be read.
    """
    from pipelines.images.files import describe_failure, read_file

    inputs = {"image": [read_file(path)]}
    import tensorflow as tf  # the process has it by now

    try:
        found = model.call(inputs, "serve" if options.n_best == 1 else "n_best")
    except tf.errors.InvalidArgumentError as error:
        raise DataError(describe_failure(path)) from error
    if options.n_best == 1:
        return [{name: values[0] for name, values in found.items()}]
    most = found["scores"].shape[1]
    if options.n_best > most:
        raise ConfigError(
            f"option --n-best is {options.n_best}; it must be at most {most}, the --beam this "
            "model was trained with"
        )
    names = {"caption": "captions", "score": "scores", "complete": "complete"}
    rows = range(options.n_best)
    answers = [{one: found[many][0, row] for one, many in names.items()} for row in rows]
    return [answer for answer in answers if np.isfinite(answer["score"])]


def _show(
    path: Path, answers: list[dict[str, Any]], options: CaptionPredictOptions, *, alone: bool
) -> None:
    if options.json:
        sys.stdout.write(json.dumps(_record(path, answers, options), ensure_ascii=False) + "\n")
        sys.stdout.flush()
        return
    console = Console(highlight=False, soft_wrap=True)
    if not alone:
        console.print(f"{path}", style="cyan", markup=False)
    for answer in answers:
        told = options.n_best > 1 or options.scores
        score = f"{answer['score']:8.3f}  " if told else ""
        cut = "" if answer["complete"] else "  (cut at the longest length)"
        console.print(f"{score}{answer['caption']}{cut}", markup=False)


def _record(
    path: Path, answers: list[dict[str, Any]], options: CaptionPredictOptions
) -> dict[str, Any]:
    plain = [_plain(answer) for answer in answers]
    # By what was asked for, not by how many were found: a program reads one form.
    return {"image": str(path)} | (plain[0] if options.n_best == 1 else {"n_best": plain})


def _plain(answer: Mapping[str, Any]) -> dict[str, Any]:
    score = float(f"{float(answer['score']):.6g}")
    return {
        "caption": str(answer["caption"]),
        "score": score,
        "complete": bool(answer["complete"]),
    }


def _require_drawable(version: Path, options: CaptionPredictOptions) -> str:
    """Find out before captioning whether attention can be drawn; return how images are fitted."""
    config = load_manifest(version)["config"]
    if options.attention is None:
        return str(config["fit"])
    require_picture(options.attention)
    if config["attention"] == "none":
        raise ConfigError(
            f"option --attention: {version} was trained with --attention none, so there is nothing "
            "to draw; train with --attention additive or dot"
        )
    return str(config["fit"])


def _draw(model: ServedModel, image: Path, caption: str, fit: str, path: Path) -> None:
    from pipelines.evaluation.image_attention import save_attention

    save_attention(image, look_of(model.call, image.read_bytes(), caption, fit), path)
