"""What a translator learns from its training split besides weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipelines.config import fingerprint
from pipelines.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TranslationArtifacts:
    """Vocabularies of both languages, and the settings that decide how texts are encoded.

    Attributes:
        source: with reserved tokens, entry i on line i of source_vocabulary.txt.
        target: likewise; the same where the vocabulary is joint.
        settings: level, lowercase, max_tokens and the two languages, as plain JSON.
        word_counts: how often each word stands in the training sources: the report tells rare ones.
    """

    source: Vocabulary
    target: Vocabulary
    settings: Mapping[str, Any]
    word_counts: Mapping[str, int]

    def save(self, folder: Path) -> None:
        """Write the two vocabularies (.txt), translation.json and source_words.json."""
        self.source.save(folder / "source_vocabulary.txt")
        self.target.save(folder / "target_vocabulary.txt")
        (folder / "translation.json").write_text(json.dumps(dict(self.settings), indent=2))
        counts = json.dumps(dict(self.word_counts), ensure_ascii=False)
        (folder / "source_words.json").write_text(counts, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(
            Vocabulary.load(folder / "source_vocabulary.txt"),
            Vocabulary.load(folder / "target_vocabulary.txt"),
            json.loads((folder / "translation.json").read_text()),
            json.loads((folder / "source_words.json").read_text(encoding="utf-8")),
        )

    def fingerprint(self) -> str:
        """Return a hash of everything that decides how a pair is encoded."""
        return fingerprint([self.source.fingerprint, self.target.fingerprint, dict(self.settings)])

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {
            "source_vocabulary": len(self.source),
            "source_vocabulary_hash": self.source.fingerprint,
            "target_vocabulary": len(self.target),
            "target_vocabulary_hash": self.target.fingerprint,
        }
