"""What a receiving task keeps of a language model besides its weights, and how it is found.

No Keras here: that a path holds no language model is said before anything is read.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipelines.config import Level, fingerprint
from pipelines.errors import DataError
from pipelines.task import Prepared, Task
from pipelines.text.contextual_config import ContextualConfig
from pipelines.text.vocabulary import Vocabulary

LANGUAGE_MODEL = "language_model"  # the name of the task, and of the layer in its Keras model
LEVELS = ("char", "byte", "subword")
WITHOUT = "without the language model"
_VOCABULARY, _SETTINGS = "context_vocabulary.txt", "context.json"


@dataclass(frozen=True)
class Context:
    """A language model as the receiving task rebuilds it, the weights being its own.

    Attributes:
        vocabulary: the language model's.
        level: what its tokens are: characters, bytes or subword pieces.
        layer: settings of the `LanguageModel` layer, as plain JSON.
        weights: a hash of the file with its weights.
    """

    vocabulary: Vocabulary
    level: Level
    layer: Mapping[str, Any]
    weights: str

    @classmethod
    def read(cls, version: Path) -> Context:
        """Read a trained language model's version directory; no weight is looked at.

        Raises:
            DataError: there is no language model, it lacks files, or its level is unknown.
        """
        manifest = _manifest(version)
        if manifest.get("task") != LANGUAGE_MODEL:
            raise DataError(
                f"--init-from {version}: holds a model of task {manifest.get('task')!r}; expected "
                f"one of {LANGUAGE_MODEL!r}, such as saved_models/{LANGUAGE_MODEL}/latest"
            )
        extra = version / "assets.extra"
        try:
            level = json.loads((extra / "language.json").read_text())["level"]
            vocabulary = Vocabulary.load(extra / "vocabulary.txt")
            layer = _layer_settings(extra / "model.keras")
            weights = hashlib.sha256((extra / "model.keras").read_bytes()).hexdigest()[:16]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile, DataError) as error:
            raise _truncated(version, error) from error
        _check(version, level, layer, vocabulary)
        return cls(vocabulary, level, layer, weights)

    def save(self, folder: Path) -> None:
        """Write context_vocabulary.txt and context.json."""
        self.vocabulary.save(folder / _VOCABULARY)
        content = {"level": self.level, "layer": dict(self.layer), "weights": self.weights}
        (folder / _SETTINGS).write_text(json.dumps(content, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Context | None:
        """Read what `save` wrote; None where there is nothing."""
        if not (folder / _SETTINGS).exists():
            return None
        content = json.loads((folder / _SETTINGS).read_text())
        return cls(Vocabulary.load(folder / _VOCABULARY), **content)

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {"language_model": self.weights, "language_model_vocabulary": len(self.vocabulary)}

    def fingerprint(self) -> str:
        """Return a hash that changes with the language model."""
        return fingerprint(
            [self.vocabulary.fingerprint, self.level, dict(self.layer), self.weights]
        )


def read_context(config: ContextualConfig) -> Context | None:
    """Return the language model that the settings name; None if they name none."""
    return Context.read(Path(config.init_from)) if config.init_from else None


def without_context(
    task: Task[Any, Any], prepared: Prepared
) -> dict[str, tuple[Task[Any, Any], Prepared]]:
    """Return the same task without its language model, to be trained beside it, if it has one.

    The encoded rows are shared: they hold what either reads.
    """
    if not task.config.init_from:
        return {}
    plain = type(task)(replace(task.config, init_from="", unfreeze_every=0))
    artifacts = replace(prepared.artifacts, context=None)
    return {WITHOUT: (plain, replace(prepared, artifacts=artifacts))}


def _manifest(version: Path) -> dict[str, Any]:
    path = version / "assets.extra" / "manifest.json"
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        raise DataError(
            f"--init-from {version}: no trained model is there ({error}); expected the version "
            f"directory of a language model, such as saved_models/{LANGUAGE_MODEL}/latest: make "
            "one with `make train-language-model`"
        ) from error


def _layer_settings(archive: Path) -> dict[str, Any]:
    """Read the settings of the language model's layer out of a Keras archive.

    Raises:
        ValueError: a file of the archive is damaged.
        KeyError: the archive holds no such layer.
    """
    with zipfile.ZipFile(archive) as files:
        damaged = files.testzip()
        if damaged is not None:
            raise ValueError(f"{archive.name}: {damaged} is damaged")
        files.getinfo("model.weights.h5")
        content = json.loads(files.read("config.json"))
    for layer in content["config"]["layers"]:
        if layer["config"].get("name") == LANGUAGE_MODEL:
            return dict(layer["config"])
    raise KeyError(f"{archive.name} has no layer named {LANGUAGE_MODEL!r}")


def _truncated(version: Path, error: Exception) -> DataError:
    return DataError(
        f"--init-from {version}: the language model is not whole: {error}; expected "
        "assets.extra/ with manifest.json, language.json, vocabulary.txt and model.keras as "
        "training wrote them: copy the whole version directory, or train it again"
    )


def _check(version: Path, level: str, layer: Mapping[str, Any], vocabulary: Vocabulary) -> None:
    if level not in LEVELS:
        raise DataError(
            f"--init-from {version}: a language model of level {level!r}; expected one of "
            f"{', '.join(LEVELS)}, so that the ends of words can be told in its tokens: train one "
            "with `make train-language-model`"
        )
    if layer.get("vocabulary_size") != len(vocabulary):
        raise DataError(
            f"--init-from {version}: vocabulary.txt has {len(vocabulary)} entries, expected "
            f"{layer.get('vocabulary_size')}, as model.keras has; the files are of two models: "
            "copy the whole version directory, or train it again"
        )
