"""Text pairs as numbers, through the tokenizers that are exported."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from pipelines.corpus import Chunk, Ragged
from pipelines.datasets.parallel import TextPair
from pipelines.datasets.rows import Rows
from pipelines.evaluation.translation_evidence import word_counts
from pipelines.text.encoding import flat_ids
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.translator_config import TranslatorConfig

_log = logging.getLogger(__name__)


def fit_translation_artifacts(
    rows: Sequence[Rows[TextPair]], config: TranslatorConfig, languages: tuple[str, str]
) -> TranslationArtifacts:
    """Learn the vocabularies of both sides.

    Args:
        rows: to learn from; of the training split alone.
        config: level, sizes and case.
        languages: codes of source and target.
    """

    def texts(*sides: str) -> Iterator[list[str]]:
        for part in rows:
            for chunk in part.chunks():
                yield [getattr(pair, side) for side in sides for pair in chunk]

    def learn(chunks: Iterable[list[str]], lowercase: bool) -> Any:
        return fit_vocabulary(
            chunks,
            level=config.level,
            lowercase=lowercase,
            min_count=config.min_count,
            max_size=config.vocabulary_size,
        )

    if config.joint_vocabulary:
        source = target = learn(texts("source", "target"), lowercase=False)
    else:
        source = learn(texts("source"), lowercase=config.lowercase)
        target = learn(texts("target"), lowercase=False)
    settings = {
        "level": config.level,
        "lowercase": config.lowercase and not config.joint_vocabulary,
        "max_tokens": config.max_tokens,
        "source_language": languages[0],
        "target_language": languages[1],
    }
    words = word_counts(text for chunk in texts("source") for text in chunk)
    return TranslationArtifacts(source, target, settings, words)


@dataclass(frozen=True)
class PairTokenizers:
    """The two tokenizers: a source row is tokens + EOS, a target row BOS + tokens + EOS."""

    source: Tokenizer
    target: Tokenizer

    @classmethod
    def of(cls, artifacts: TranslationArtifacts) -> PairTokenizers:
        """Make the layers the artifacts describe."""
        settings = artifacts.settings
        level, longest = settings["level"], settings["max_tokens"]
        common = {"level": level, "max_tokens": longest, "add_eos": True}
        return cls(
            Tokenizer(artifacts.source, lowercase=settings["lowercase"], **common),
            Tokenizer(artifacts.target, lowercase=False, add_bos=True, **common),
        )

    def encode(self, pairs: Sequence[TextPair]) -> tuple[dict[str, Ragged], int]:
        """Return the columns of pairs, and how many of their texts were cut.

        The columns are "source", "target_in" (BOS first) and "target_out" (EOS last).
        """
        source = self.source.encode_counted(_strings([pair.source for pair in pairs]))
        target = self.target.encode_counted(_strings([pair.target for pair in pairs]))
        columns = {
            "source": flat_ids(source.ids, len(self.source.vocabulary or ())),
            "target_in": flat_ids(target.ids[:, :-1], len(self.target.vocabulary or ())),
            "target_out": flat_ids(target.ids[:, 1:], len(self.target.vocabulary or ())),
        }
        return columns, sum(
            int((lengths.numpy() > (tokenizer.max_tokens or lengths.dtype.max)).sum())
            for tokenizer, lengths in (
                (self.source, source.lengths),
                (self.target, target.lengths),
            )
        )


def encode_pairs(
    rows: Rows[TextPair], artifacts: TranslationArtifacts, split: str
) -> Iterator[Chunk]:
    """Yield the chunks of a split, and say in the log how many texts were cut."""
    tokenizers, cut = PairTokenizers.of(artifacts), 0
    for chunk in rows.chunks():
        columns, cut_here = tokenizers.encode(chunk)
        cut += cut_here
        yield columns
    if cut:
        _log.warning(
            "%s: %d texts have more than %d tokens and were cut; --max-tokens raises it",
            split, cut, artifacts.settings["max_tokens"],
        )  # fmt: skip


def _strings(texts: Sequence[str]) -> tf.Tensor:
    return tf.constant(list(texts), tf.string, shape=[len(texts)])
