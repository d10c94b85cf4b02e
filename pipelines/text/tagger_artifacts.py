"""What a tagger learns from its training split besides weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipelines.config import fingerprint
from pipelines.text.contextual import Context
from pipelines.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class TaggerArtifacts:
    """Vocabularies of words and characters, tags, contractions and settings.

    Attributes:
        words: with reserved tokens, the most frequent words first.
        characters: likewise.
        labels: the tags the model chooses among; of spans in BIOES or BIO.
        contractions: written form -> the words it stands for ("do" -> "de", "o").
        habits: how often each word is capitalised, by id (see `capital_habits`), int32[V].
        settings: what decides how tokens are encoded and tags are read, as plain JSON.
        context: a language model that reads the tokens first, if there is one.
    """

    words: Vocabulary
    characters: Vocabulary
    labels: Vocabulary
    contractions: Mapping[str, tuple[str, ...]]
    habits: np.ndarray
    settings: Mapping[str, Any]
    context: Context | None = None

    def save(self, folder: Path) -> None:
        """Write vocabulary.txt, characters.txt, labels.txt, capital_habits.txt, tagger.json."""
        self.words.save(folder / "vocabulary.txt")
        self.characters.save(folder / "characters.txt")
        self.labels.save(folder / "labels.txt")
        np.savetxt(folder / "capital_habits.txt", self.habits, fmt="%d")
        content = {"settings": dict(self.settings), "contractions": dict(self.contractions)}
        text = json.dumps(content, indent=1, ensure_ascii=False)
        (folder / "tagger.json").write_text(text, encoding="utf-8")
        if self.context is not None:
            self.context.save(folder)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        content = json.loads((folder / "tagger.json").read_text(encoding="utf-8"))
        return cls(
            Vocabulary.load(folder / "vocabulary.txt"),
            Vocabulary.load(folder / "characters.txt"),
            Vocabulary.load(folder / "labels.txt", reserved=()),
            {written: tuple(words) for written, words in content["contractions"].items()},
            np.loadtxt(folder / "capital_habits.txt", np.int32, ndmin=1),
            content["settings"],
            Context.load(folder),
        )

    def fingerprint(self) -> str:
        """Return a hash of everything that decides how a sentence is encoded."""
        vocabularies = (self.words, self.characters, self.labels)
        parts = [vocabulary.fingerprint for vocabulary in vocabularies]
        learned = [dict(self.contractions), self.habits.tolist(), dict(self.settings)]
        context = [self.context.fingerprint()] if self.context else []
        return fingerprint([*parts, *learned, *context])

    def describe(self) -> dict[str, Any]:
        """Return sizes and hashes for the log and the manifest."""
        return {
            "vocabulary": len(self.words),
            "vocabulary_hash": self.words.fingerprint,
            "characters": len(self.characters),
            "contractions": len(self.contractions),
            "labels": len(self.labels),
            **(self.context.describe() if self.context else {}),
        }
