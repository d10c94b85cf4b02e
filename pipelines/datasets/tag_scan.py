"""One pass over raw tagged sentences: convert tags, count repairs, remember only numbers."""

from __future__ import annotations

import hashlib
import itertools
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from pipelines.datasets.splits import duplicate_key
from pipelines.datasets.tag_schemes import (
    OUTSIDE,
    Scheme,
    detect_scheme,
    is_span_tag,
    runs_to_bio,
    to_bio,
    type_of,
    violations,
)
from pipelines.datasets.tagged_options import RawSentence, Reading, TaggedSentence
from pipelines.datasets.tagged_placement import SentenceNumbers
from pipelines.errors import DataError, did_you_mean

MAX_TAGS = 10_000
MENDED = "mended"
CROSSING = "span(s) that go on across the end of a sentence, cut there"
WITHOUT_LETTERS = "tags without B- or I-: each run of one tag is read as one span"
SCHEME_SENTENCES = 1_000  # with a span, that the scheme is told from
HEAD_SENTENCES = 20_000  # at most read ahead for it
_SPLIT_CODES = {None: -1, "train": 0, "valid": 1, "test": 2}


class TagScan:
    """What one pass learns: of each kept sentence its keys, document and split."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.dropped: Counter[str] = Counter()
        self.schemes: Counter[Scheme] = Counter()
        self.first_seen: dict[tuple[int, str], str] = {}
        self._documents: dict[str, int] = {"": 0}
        self._exact, self._near, self._tags = array("Q"), array("Q"), array("Q")
        self._document_codes, self._splits = array("i"), array("b")

    def sentences(self, streams: Iterable[Iterator[RawSentence]]) -> Iterator[TaggedSentence]:
        """Yield the sentences that have words and tags, noting their keys on the way."""
        for stream in streams:
            scheme, whole = self._scheme_of(stream)
            last_tag = OUTSIDE
            for raw in whole:
                self._note_crossing(raw, scheme, last_tag)
                last_tag = raw.tags[-1] if raw.tags else OUTSIDE
                if not raw.tokens:
                    self.dropped["sentence without words"] += 1
                elif "" in raw.tags:
                    self.dropped["sentence with an untagged word"] += 1
                    place = raw.place(raw.tags.index(""))
                    self.reading.remarks.add("sentence(s) with an untagged word", place)
                else:
                    yield self._note(self._converted(raw, scheme), raw.split)

    def _scheme_of(self, stream: Iterator[RawSentence]) -> tuple[Scheme, Iterator[RawSentence]]:
        """Return the scheme of a file's tags, and its sentences."""
        if not self.reading.spans:
            return "none", stream
        if self.reading.options.scheme != "auto":
            scheme: Scheme = self.reading.options.scheme
            self.schemes[scheme] += 1
            return scheme, stream
        head: list[RawSentence] = []
        told = 0
        for raw in itertools.islice(stream, HEAD_SENTENCES):
            head.append(raw)
            told += any(tag != OUTSIDE for tag in raw.tags)
            if told == SCHEME_SENTENCES:
                break
        scheme = detect_scheme(raw.tags for raw in head)
        self.schemes[scheme] += 1
        return scheme, itertools.chain(head, stream)

    def _note_crossing(self, raw: RawSentence, scheme: Scheme, last_tag: str) -> None:
        """Remark on a span that goes on where the sentence before it ended inside one."""
        first = raw.tags[0] if raw.tags else OUTSIDE
        if scheme not in ("bio", "bioes") or first[:1] not in ("I", "E", "M", "L"):
            return
        inside = is_span_tag(last_tag) and last_tag[0] in ("B", "I", "M")
        if inside and is_span_tag(first) and type_of(first) == type_of(last_tag):
            self.reading.remarks.add(CROSSING, raw.place())

    def _converted(self, raw: RawSentence, scheme: Scheme) -> TaggedSentence:
        if len(raw.tokens) != len(raw.tags):
            raise DataError(
                f"{raw.place()}: {len(raw.tokens)} words but {len(raw.tags)} tags; every word "
                "needs one tag; mend the row"
            )
        tokens = raw.tokens
        try:
            "".join((raw.text, *tokens)).encode()
        except UnicodeEncodeError:
            self.reading.remarks.add("sentence(s) with half a surrogate pair", raw.place())
            raw = raw._replace(text=_whole(raw.text))
            tokens = tuple(map(_whole, tokens))
        return TaggedSentence(
            tokens,
            tuple(self._bio(raw, scheme)) if self.reading.spans else raw.tags,
            raw.text,
            raw.document,
            raw.surfaces,
            raw.parts,
            raw.place(),
        )

    def _bio(self, raw: RawSentence, scheme: Scheme) -> Sequence[str]:
        if scheme == "none":
            return runs_to_bio(raw.tags)
        wrong = next((at for at, tag in enumerate(raw.tags) if not is_span_tag(tag)), None)
        if wrong is not None:
            raise DataError(
                f"{raw.place(wrong)}: tag {raw.tags[wrong]!r} of the word {raw.tokens[wrong]!r} "
                f"has no letter of a scheme; the file reads as {scheme.upper()}; expected O, "
                f"B-{raw.tags[wrong]} or the like; mend the tag, or give --scheme none if tags are "
                "plain types"
            )
        tags, repairs = to_bio(raw.tags, scheme)
        if repairs:
            at = violations(raw.tags, scheme)[0]
            what = f"tag(s) that {scheme.upper()} does not allow there, {MENDED}"
            place = f"{raw.place(at)} ({raw.tags[at]} after {raw.tags[at - 1] if at else 'none'})"
            self.reading.remarks.add(what, place, repairs)
        return tags

    def _note(self, sentence: TaggedSentence, split: str | None) -> TaggedSentence:
        code, seed = _SPLIT_CODES[split], self.reading.options.seed
        for tag in dict.fromkeys(sentence.tags):
            if (code, tag) not in self.first_seen:
                self.first_seen[code, tag] = _place_of(sentence, tag)
                self._require_few_tags(sentence, tag)
        self._exact.append(sequence_key(sentence.tokens, seed))
        self._near.append(duplicate_key(" ".join(sentence.tokens), seed))
        self._tags.append(sequence_key(sentence.tags, 0))
        documents = self._documents
        self._document_codes.append(documents.setdefault(sentence.document, len(documents)))
        self._splits.append(code)
        return sentence

    def _require_few_tags(self, sentence: TaggedSentence, tag: str) -> None:
        if len(self.first_seen) > 3 * MAX_TAGS:
            raise DataError(
                f"{sentence.place}: more than {MAX_TAGS:,} different tags, the latest {tag[:40]!r};"
                " expected classes of words; choose another column with --tag-column or --tag-field"
            )

    def numbers(self) -> SentenceNumbers:
        """Return what the placement of the kept sentences depends on."""
        return SentenceNumbers(
            exact=np.frombuffer(self._exact, np.uint64),
            near=np.frombuffer(self._near, np.uint64),
            tags=np.frombuffer(self._tags, np.uint64),
            documents=np.frombuffer(self._document_codes, np.int32),
            document_names=tuple(self._documents),
            splits=np.frombuffer(self._splits, np.int8),
        )

    def place_of_label(self, label: str, split: int) -> str:
        """Name the first word of a split that came with a tag or a type; "" if it was drawn."""
        for (code, tag), place in self.first_seen.items():
            if code == split and label == (type_of(tag) if self.reading.spans else tag):
                return place
        return ""

    def notes(self) -> tuple[str, ...]:
        """Return how tags were read and what was mended."""
        notes = []
        for scheme, files in self.schemes.items():
            what = WITHOUT_LETTERS if scheme == "none" else f"tags read as {scheme.upper()}"
            notes.append(what + (f" in {files} file(s)" if len(self.schemes) > 1 else ""))
        return (*notes, *self.reading.remarks.notes())

    def require_sentences(self, source: str) -> None:
        """Refuse a source without any tagged sentence."""
        if not self._exact:
            raise DataError(
                f"{source}: no tagged sentence (left out: {dict(self.dropped) or 'none'}); "
                "expected words with tags; check the file, or give --tag-field or --tag-column"
            )

    def require_tags(self, known: Sequence[str]) -> None:
        """Refuse a tag, or type of span, that a model does not know.

        Raises:
            DataError: the message names file and line of the first such word.
        """
        spans = self.reading.spans
        names = {type_of(tag) for tag in known} if spans else set(known)
        for (_, tag), place in self.first_seen.items():
            name = type_of(tag) if spans else tag
            if name not in names:
                what = "entity type" if spans else "tag"
                raise DataError(
                    f"{place}: {what} {name!r} is unknown to the model{did_you_mean(name, names)}; "
                    f"it knows {', '.join(sorted(filter(None, names)))}; mend the tag, or choose "
                    "another column with --tag-column or --tag-field"
                )


def _place_of(sentence: TaggedSentence, tag: str) -> str:
    """Name the word that has the tag; line numbers are those of the sentence's first word."""
    return f"{sentence.place}, word {sentence.tags.index(tag) + 1}"


def _whole(text: str) -> str:
    """Replace half surrogate pairs, which no file can hold, by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sequence_key(parts: Sequence[str], seed: int) -> int:
    """Return a 64-bit number that equal sequences share."""
    content = "\x1f".join(parts).encode()
    digest = hashlib.blake2b(content, digest_size=8, key=str(seed).encode()).digest()
    return int.from_bytes(digest, "big")
