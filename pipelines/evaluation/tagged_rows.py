"""Tagged sentences and the tags that systems give them, checked, and counted by sentence."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.datasets.tag_schemes import Span, is_span_tag, spans_of
from pipelines.errors import EvaluationError
from pipelines.evaluation.spans import match_counts, ratio

Array = NDArray[Any]
Outputs = Mapping[str, Array]
Sentences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class TaggedRows:
    """Sentences, their gold tags, and where each word stands.

    Args:
        tokens: the words of N sentences.
        gold: their tags; spans are in BIO.
    """

    tokens: Sentences
    gold: Sentences

    def __post_init__(self) -> None:
        for row, (words, tags) in enumerate(zip(self.tokens, self.gold, strict=True)):
            if len(words) != len(tags):
                raise EvaluationError(
                    f"test sentence {row + 1}: {len(words)} words but {len(tags)} tags; every word "
                    "needs one: correct the row, or read the file again"
                )
        if not self.words:
            raise EvaluationError(
                f"tagging: {len(self.tokens)} test sentences hold 0 words; at least 1 is needed: "
                "check that the test split is not empty"
            )

    @cached_property
    def truth(self) -> Tagging:
        """The gold tags, in the form of a system's."""
        return Tagging(self.gold)

    @cached_property
    def words(self) -> list[str]:
        """The words of all sentences in one line, W of them."""
        return [word for words in self.tokens for word in words]

    @cached_property
    def lengths(self) -> Array:
        """Words of every sentence, int64[N]."""
        return np.array([len(words) for words in self.tokens], np.int64)

    @cached_property
    def sentence_of(self) -> Array:
        """Number of each word's sentence, int64[W]."""
        return np.repeat(np.arange(len(self.tokens)), self.lengths)

    def by_sentence(self, values: Array) -> Array:
        """Add up values of words, [W], by sentence, float64[N]."""
        return np.bincount(self.sentence_of, weights=values, minlength=len(self.tokens))


@dataclass(frozen=True)
class Tagging:
    """One system's tags of the rows, and how sure it is of each, float64[W], where it says so."""

    tags: Sentences
    confidences: Array | None = None

    @cached_property
    def flat(self) -> Array:
        """The tags of all sentences in one line, object[W]."""
        return np.array([tag for tags in self.tags for tag in tags], object)

    @cached_property
    def spans(self) -> list[list[Span]]:
        """The spans of every sentence."""
        return [spans_of(tags) for tags in self.tags]


def read_tags(outputs: Outputs, rows: TaggedRows, system: str, *, spans: bool) -> Tagging:
    """Cut a system's padded outputs to the sentences and check them.

    Args:
        outputs: `tags` [N, T] of str or UTF-8 bytes, padded with ""; `confidences` [N, T] if any.
        rows: the sentences.
        system: whose outputs, for messages.
        spans: whether tags must be O, or B- or I- with a type.

    Raises:
        EvaluationError: a key is missing, or a sentence has not one tag for every word.
    """
    if "tags" not in outputs:
        raise EvaluationError(
            f"{system}: outputs hold {sorted(outputs)} but not 'tags'; a tagger returns 'tags' and "
            "'confidences': check the serve signature"
        )
    padded = outputs["tags"]
    if len(padded) != len(rows.tokens):
        raise EvaluationError(
            f"{system}: tags of {len(padded)} sentences; expected {len(rows.tokens)}: predict "
            "every test sentence once, in order"
        )
    tags = [
        _cut(padded[row], int(length), f"{system}: sentence {row + 1}")
        for row, length in enumerate(rows.lengths)
    ]
    if spans:
        _check_span_tags(tags, system)
    confidences = outputs.get("confidences")
    if confidences is None:
        return Tagging(tags)
    cut = [confidences[row][:length] for row, length in enumerate(rows.lengths)]
    return Tagging(tags, np.concatenate(cut).astype(float))


def _cut(padded: Sequence[Any], length: int, where: str) -> tuple[str, ...]:
    tags = [tag.decode() if isinstance(tag, bytes) else str(tag) for tag in padded]
    count = next((place for place, tag in enumerate(tags) if not tag), len(tags))
    if count != length:
        raise EvaluationError(
            f"{where} has {count} tags for {length} words; expected one a word, then only padding: "
            "tag the very words of the test sentence, and raise the length limit if it was cut"
        )
    return tuple(tags[:count])


def _check_span_tags(sentences: Sentences, system: str) -> None:
    for row, tags in enumerate(sentences):
        for tag in tags:
            if not is_span_tag(tag):
                raise EvaluationError(
                    f"{system}: sentence {row + 1} has the tag {tag!r}; expected O, or B- or I- "
                    "and a type: score plain tags with spans=False"
                )


def known_flags(rows: TaggedRows, known_words: Container[str]) -> Array:
    """Tell for every word whether it is known, bool[W]."""
    flags = {word: word in known_words for word in set(rows.words)}
    return np.array([flags[word] for word in rows.words], bool)


def right_flags(rows: TaggedRows, system: Tagging) -> Array:
    """Tell for every word whether the system's tag is the gold tag, bool[W]."""
    return np.asarray(rows.truth.flat == system.flat, bool)


def word_sums(rows: TaggedRows, system: Tagging, among: Array) -> Array:
    """Count by sentence the right words and the words among those flagged, float64[N, 2]."""
    right = right_flags(rows, system)
    return np.column_stack([rows.by_sentence(right & among), rows.by_sentence(among)])


def share(totals: Array) -> Array:
    """First total over the second, from [R, 2]; 0 where the second is 0."""
    return ratio(totals[:, 0], totals[:, 1])


def with_unknown(rows: TaggedRows, known: Array) -> Callable[[int, Span], bool]:
    """Return a test of whether a sentence's span holds a word that is not known."""
    starts = np.concatenate([[0], np.cumsum(rows.lengths)])
    unknown_before = np.concatenate([[0], np.cumsum(~known)])

    def test(row: int, span: Span) -> bool:
        first, limit = starts[row] + span.start, starts[row] + span.limit
        return bool(unknown_before[limit] > unknown_before[first])

    return test


def recall_sums(rows: TaggedRows, system: Tagging, among: Callable[[int, Span], bool]) -> Array:
    """Count by sentence the gold spans found, and all, of those that pass a test, int64[N, 2]."""
    wanted = [
        [span for span in found if among(row, span)] for row, found in enumerate(rows.truth.spans)
    ]
    return match_counts(wanted, system.spans)[:, [0, 2]]


def tag_names(rows: TaggedRows, *systems: Tagging) -> list[str]:
    """Return the tags that stand in the gold rows or in any system's, sorted."""
    return sorted({tag for entry in (rows.truth, *systems) for tag in entry.flat})


def tag_sums(rows: TaggedRows, system: Tagging, tags: Sequence[str]) -> Array:
    """Count right, answered and gold words per sentence and tag, int64[N, 3, C]."""
    codes = {tag: code for code, tag in enumerate(tags)}
    gold = np.array([codes[tag] for tag in rows.truth.flat], np.int64)
    said = np.array([codes[tag] for tag in system.flat], np.int64)
    places = (np.where(gold == said, gold, -1), said, gold)
    sums = [_counts_by(rows, codes_of, len(tags)) for codes_of in places]
    return np.stack(sums, axis=1)


def _counts_by(rows: TaggedRows, codes: Array, classes: int) -> Array:
    """Count words per sentence and code, int64[N, C]; negative codes count nowhere."""
    cells = (rows.sentence_of * classes + codes)[codes >= 0]
    counts = np.bincount(cells, minlength=len(rows.tokens) * classes)
    return counts.reshape(len(rows.tokens), classes)
