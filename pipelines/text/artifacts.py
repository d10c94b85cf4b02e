"""What a text task learns from its training split besides weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipelines.config import fingerprint
from pipelines.text.classifier_config import ClassifierConfig
from pipelines.text.contextual import Context, read_context
from pipelines.text.vocabulary import Vocabulary

_SETTINGS = ("level", "lowercase", "max_tokens")


@dataclass(frozen=True)
class TextArtifacts:
    """Vocabulary, labels and the settings that decide how a text is encoded.

    `vocabulary.txt` and `labels.txt` hold one entry a line, entry i on line i. `notes` holds what
    else a task must remember, as plain JSON; `context` a language model that reads the texts first.
    """

    vocabulary: Vocabulary
    labels: Vocabulary
    settings: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    context: Context | None = None

    @classmethod
    def of(
        cls, vocabulary: Vocabulary, labels: Vocabulary, config: ClassifierConfig, **notes: Any
    ) -> TextArtifacts:
        """Gather artifacts with the text settings of a run."""
        settings = {name: getattr(config, name) for name in _SETTINGS}
        return cls(vocabulary, labels, settings, notes, read_context(config))

    def save(self, folder: Path) -> None:
        """Write vocabulary.txt, labels.txt and text.json, and what `context` writes."""
        self.vocabulary.save(folder / "vocabulary.txt")
        self.labels.save(folder / "labels.txt")
        content = {"settings": dict(self.settings), "notes": dict(self.notes)}
        (folder / "text.json").write_text(json.dumps(content, indent=2))
        if self.context is not None:
            self.context.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        content = json.loads((folder / "text.json").read_text())
        return cls(
            Vocabulary.load(folder / "vocabulary.txt"),
            Vocabulary.load(folder / "labels.txt", reserved=()),
            content["settings"],
            content["notes"],
            Context.load(folder),
        )

    def fingerprint(self) -> str:
        """Return a hash of everything that decides how a text is encoded."""
        parts = [self.vocabulary.fingerprint, self.labels.fingerprint]
        context = [self.context.fingerprint()] if self.context else []
        return fingerprint([*parts, dict(self.settings), dict(self.notes), *context])

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {
            "vocabulary": len(self.vocabulary),
            "vocabulary_hash": self.vocabulary.fingerprint,
            "labels": len(self.labels),
            **(self.context.describe() if self.context else {}),
        }
