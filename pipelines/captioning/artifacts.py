"""What a captioner learns from its training split besides weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pipelines.config import fingerprint
from pipelines.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class CaptionArtifacts:
    """The vocabulary of the captions, and the settings that decide how rows are encoded.

    Attributes:
        vocabulary: with reserved tokens, entry i on line i of vocabulary.txt.
        settings: of text, pixels and the encoder, as plain JSON.
        captions: distinct captions of the training split: the report tells which are new.
        count: captions of the training split, of which the model keeps some.
        longest: most tokens of one of them, its end included.
    """

    vocabulary: Vocabulary
    settings: Mapping[str, Any]
    captions: frozenset[str]
    count: int
    longest: int

    def save(self, folder: Path) -> None:
        """Write vocabulary.txt, captioning.json and training_captions.txt."""
        self.vocabulary.save(folder / "vocabulary.txt")
        content = {
            "settings": dict(self.settings), "count": self.count, "longest": self.longest
        }  # fmt: skip
        (folder / "captioning.json").write_text(json.dumps(content, indent=2))
        lines = "".join(f"{caption}\n" for caption in sorted(self.captions))
        (folder / "training_captions.txt").write_text(lines, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        lines = (folder / "training_captions.txt").read_text(encoding="utf-8").split("\n")
        content = json.loads((folder / "captioning.json").read_text())
        vocabulary = Vocabulary.load(folder / "vocabulary.txt")
        captions = frozenset(lines[:-1])
        return cls(vocabulary, captions=captions, **content)

    def fingerprint(self) -> str:
        """Return a hash of everything that decides how a row is encoded."""
        return fingerprint([self.vocabulary.fingerprint, dict(self.settings)])

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {
            "vocabulary": len(self.vocabulary),
            "vocabulary_hash": self.vocabulary.fingerprint,
            "pixels": self.settings["size"],
        }
