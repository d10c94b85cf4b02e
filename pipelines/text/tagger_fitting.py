"""What a tagger learns before its weights: words, characters, tags, contractions, capitals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator

from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import Splits
from pipelines.datasets.tag_schemes import spans_of, to_bioes
from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.capital_habits import capital_habits, lowered
from pipelines.text.contextual import read_context
from pipelines.text.contractions import learn_contractions
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.hyphens import joins_hyphens
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.tagger_config import TaggerConfig
from pipelines.text.token_features import ragged_tokens
from pipelines.text.units import lower
from pipelines.text.vocabulary import RESERVED, Vocabulary

RAREST = 10  # words seen more often are not replaced by the unknown word
UNLABELLED_COUNT = 2  # words of unlabelled text seen less often have no vector worth keeping


def fit_tagger_artifacts(
    splits: Splits[TaggedSentence], config: TaggerConfig, *, spans: bool
) -> TaggerArtifacts:
    """Learn from the training sentences, and from extra ones without tags."""
    counts = _word_counts(splits.train, lowercase=config.lowercase)
    further = _word_counts(splits.extra, lowercase=config.lowercase)
    words, known = _vocabulary(counts, further, config)
    texts = (row.tokens for rows in (splits.train, splits.extra or ()) for row in rows)
    scheme = config.span_scheme if spans else "none"
    settings = {
        "lowercase": config.lowercase,
        "max_characters": config.max_characters,
        "max_tokens": config.max_tokens,
        "scheme": scheme,
        "linear": config.linear,
        "join_hyphens": joins_hyphens(splits.train),
        "known_words": known,
        "first_of_count": _first_of_count(words, counts, known),
        "train_counts": _train_counts(splits.train, spans=spans),
    }
    return TaggerArtifacts(
        words=words,
        characters=_characters(splits.train),
        labels=_labels(splits.train, scheme, config.max_tokens),
        contractions=learn_contractions(splits.train),
        habits=capital_habits(texts, words, lowercase=config.lowercase),
        settings=settings,
        context=read_context(config),
    )


def _labels(rows: Rows[TaggedSentence], scheme: str, most: int) -> Vocabulary:
    """Return all tags, those included that cutting a sentence makes: S where B E was cut to B."""
    parts = (part for row in rows for part in {row.tags, row.tags[:most]})
    found = {tag for part in parts for tag in model_tags(part, scheme)}
    return Vocabulary(tuple(sorted(found)), reserved=())


def model_tags(tags: Iterable[str], scheme: str) -> Iterable[str]:
    """Write tags (of spans in BIO) in the scheme the model uses."""
    return to_bioes(list(tags)) if scheme == "bioes" else tags


def _word_counts(rows: Rows[TaggedSentence] | None, *, lowercase: bool) -> Counter[str]:
    """Count words as the exported graph reads them."""
    raw: Counter[str] = Counter()
    for row in rows or ():
        raw.update(row.tokens)
    if not lowercase:
        return raw
    folded: Counter[str] = Counter()
    in_lower = lower(ragged_tokens([list(raw)]).flat_values).numpy()
    for word, count in zip(in_lower, raw.values(), strict=True):
        folded[word.decode()] += count
    return folded


def _vocabulary(
    counts: Counter[str], further: Counter[str], config: TaggerConfig
) -> tuple[Vocabulary, int]:
    """Return training words by falling count, then others; and how many ids training words fill."""
    own = Vocabulary.from_counts(
        counts, min_count=config.min_count, max_size=config.vocabulary_size
    )
    room = config.vocabulary_size - len(own)
    new = Counter({word: count for word, count in further.items() if word not in own})
    others = Vocabulary.from_counts(
        new, min_count=UNLABELLED_COUNT, max_size=room + len(RESERVED)
    ).tokens[len(RESERVED) :]
    return Vocabulary((*own.tokens, *others)), len(own)


def _first_of_count(words: Vocabulary, counts: Counter[str], known: int) -> list[int]:
    """Return the first id of the words seen at most 1, 2 ... RAREST times."""
    found = [counts[word] for word in words.tokens[len(RESERVED) : known]]
    return [len(RESERVED) + sum(count > bound for count in found) for bound in range(1, RAREST + 1)]


def _characters(rows: Rows[TaggedSentence]) -> Vocabulary:
    tokens = (sorted({token for row in chunk for token in row.tokens}) for chunk in rows.chunks())
    return fit_vocabulary(tokens, level="char", lowercase=False, min_count=1)


def _train_counts(rows: Rows[TaggedSentence], *, spans: bool) -> dict[str, int]:
    """Count training words by tag, or training spans by type."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update([span.type for span in spans_of(row.tags)] if spans else row.tags)
    return dict(sorted(counts.items()))


class KnownWords(Container[str]):
    """The words of the training sentences, as the model reads them: in lower case, if it does."""

    def __init__(self, artifacts: TaggerArtifacts) -> None:
        self._words = set(artifacts.words.tokens[len(RESERVED) : artifacts.settings["known_words"]])
        self._lowercase = artifacts.settings["lowercase"]

    def __contains__(self, word: object) -> bool:
        return (lowered(str(word)) if self._lowercase else word) in self._words

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)
