"""What a language model learns from its training split besides weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipelines.config import fingerprint
from pipelines.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class LanguageArtifacts:
    """The vocabulary, and the settings that decide how a text is encoded.

    Attributes:
        vocabulary: with reserved tokens, entry i on line i of vocabulary.txt.
        settings: level, as plain JSON.
    """

    vocabulary: Vocabulary
    settings: Mapping[str, Any]

    def save(self, folder: Path) -> None:
        """Write vocabulary.txt and language.json."""
        self.vocabulary.save(folder / "vocabulary.txt")
        (folder / "language.json").write_text(json.dumps(dict(self.settings), indent=2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(
            Vocabulary.load(folder / "vocabulary.txt"),
            json.loads((folder / "language.json").read_text()),
        )

    def fingerprint(self) -> str:
        """Return a hash of everything that decides how a text is encoded."""
        return fingerprint([self.vocabulary.fingerprint, dict(self.settings)])

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {
            "vocabulary": len(self.vocabulary),
            "vocabulary_hash": self.vocabulary.fingerprint,
        }
