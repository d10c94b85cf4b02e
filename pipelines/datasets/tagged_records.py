"""Read tagged sentences from jsonl and parquet: words with tags, or texts with character spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.datasets.readers import ReadOptions, Record, read_records
from pipelines.datasets.tag_schemes import Span, tags_from_spans
from pipelines.datasets.tagged_options import RawSentence, Reading
from pipelines.datasets.word_spans import word_spans
from pipelines.errors import DataError, did_you_mean

TOKEN_KEYS = ("tokens", "words", "token", "word", "forms", "form")
SPAN_TAG_KEYS = ("ner_tags", "ner", "tags", "labels")
WORD_TAG_KEYS = ("upos", "pos_tags", "pos", "upos_tags", "tags", "labels", "xpos")
TEXT_KEYS = ("text", "sentence", "content", "tweet")
SPANS_KEYS = ("spans", "entities", "label", "labels", "annotations")
DOCUMENT_KEYS = ("document", "document_id", "doc_id", "doc")
_START_KEYS = ("start", "start_offset", "begin", "start_char")
_LIMIT_KEYS = ("end", "end_offset", "limit", "stop", "end_char")
_TYPE_KEYS = ("label", "type", "entity", "entity_type", "entity_group", "tag", "labels")
_EXAMPLE = (
    '{"tokens": ["Ann", "left"], "tags": ["B-person", "O"]} or '
    '{"text": "Ann left", "spans": [[0, 3, "person"]]}'
)
LOST_SPANS = 0.1


def read_tagged_records(path: Path, reading: Reading) -> Iterator[RawSentence]:
    """Yield the sentences of a jsonl or parquet file.

    A row holds words and tags (`tokens`, `ner_tags`, ...), or a text and character spans
    (`[start, end, type]` or objects), which are laid over its words; words are cut as exported
    models cut them, unless the row brings its own with their offsets.

    Raises:
        DataError: a row has neither, tags are numbers, or over a tenth of the spans fit no words.
    """
    records = read_records(path, ReadOptions(encoding=reading.options.encoding))
    aligner = _Aligner(path, reading)
    for record in records:
        place = f"{path}:{record.line}"
        tokens = _value(record, reading.options.token_column, TOKEN_KEYS, "token", list)
        if tokens and isinstance(tokens[0], Mapping):
            yield aligner.sentence(record, *_placed_words(place, tokens, record))
        elif tokens is not None:
            yield _of_lists(path, record, tokens, reading)
        else:
            text = _value(record, reading.options.token_column, TEXT_KEYS, "token", str)
            if text is None:
                raise _no_sentence(place, record)
            yield aligner.sentence(record, text, word_spans(text))
    aligner.require_aligned()


def pick(names: Sequence[str], wanted: str, usual: Sequence[str], what: str, where: str) -> str:
    """Return the key or feature that holds words ("token") or tags ("tag").

    Raises:
        DataError: there is none; the message lists those there are and names the option.
    """
    found = wanted if wanted in names else None if wanted else _first(names, usual)
    if found is None:
        asked = f" {wanted!r}{did_you_mean(wanted, names)}" if wanted else ""
        raise DataError(
            f"{where}: no {what}s{asked}; found: {', '.join(map(repr, names)) or 'nothing'}; "
            f"expected one of {', '.join(usual)}; give --{what}-column one of those found"
        )
    return found


def _first(names: Sequence[str], usual: Sequence[str]) -> str | None:
    return next((name for name in usual if name in names), None)


def _value(record: Record, wanted: str, usual: Sequence[str], what: str, kind: type) -> Any:
    """Return the value of the key asked for, or of the first usual key of the right kind."""
    fields: Mapping[str, Any] = record.fields
    if wanted:
        name = pick(list(fields), wanted, usual, what, f"{record.path}:{record.line}")
        return fields[name] if isinstance(fields[name], kind) else None
    return next((fields[name] for name in usual if isinstance(fields.get(name), kind)), None)


def _no_sentence(place: str, record: Record) -> DataError:
    return DataError(
        f"{place}: no words and no text; keys found: {', '.join(map(repr, record.fields))}; "
        f"expected such as {_EXAMPLE}; give --token-column and --tag-column"
    )


def _document(record: Record) -> str:
    """Return the name or number of the document a row is from, "" if it does not say."""
    value = next((record.fields[key] for key in DOCUMENT_KEYS if key in record.fields), None)
    return str(value) if isinstance(value, str | int) else ""


def _of_lists(path: Path, record: Record, tokens: list[Any], reading: Reading) -> RawSentence:
    place = f"{path}:{record.line}"
    usual = SPAN_TAG_KEYS if reading.spans else WORD_TAG_KEYS
    name = pick(list(record.fields), reading.options.tag_column, usual, "tag", place)
    tags: Any = record.fields[name]
    if not isinstance(tags, list):
        raise DataError(
            f"{place}: {name!r} is a {type(tags).__name__}, expected a list of tags, one a word; "
            "give --tag-column another key"
        )
    for values, what in ((tokens, "word"), (tags, "tag")):
        wrong = next((value for value in values if not isinstance(value, str | None)), None)
        if wrong is not None or (what == "word" and None in values):
            raise DataError(
                f"{place}: a {what} is {wrong!r}, expected a string; "
                + ("write names for numbers" if what == "tag" else "mend the row")
            )
    untagged = "O" if reading.spans else ""
    text = record.fields.get("text")
    return RawSentence(
        path,
        (record.line,),
        tuple(tokens),
        tuple(tag or untagged for tag in tags),
        text if isinstance(text, str) else "",
        _document(record),
    )


def _placed_words(
    place: str, tokens: list[Any], record: Record
) -> tuple[str, list[tuple[int, int]]]:
    """Return text and word offsets of a row whose words are objects."""
    text = record.fields.get("text")
    try:
        offsets = [
            (int(_get(token, _START_KEYS)), int(_get(token, _LIMIT_KEYS))) for token in tokens
        ]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(
            f"{place}: words are objects without whole-number offsets ({error}); expected "
            '{"text": "Ann", "start": 0, "end": 3}, or plain strings'
        ) from error
    if not isinstance(text, str) or any(not 0 <= a < b <= len(text) for a, b in offsets):
        raise DataError(
            f"{place}: a word's offsets lie outside the row's text; expected 0 <= start < end <= "
            f"{len(str(text or ''))}; mend the row"
        )
    return text, offsets


def _get(item: Mapping[str, Any], keys: Sequence[str]) -> Any:
    for key in keys:
        if key in item:
            return item[key]
    raise KeyError(keys[0])


class _Aligner:
    """Lays character spans over words; counts those that fit none."""

    def __init__(self, path: Path, reading: Reading) -> None:
        self.path, self.reading = path, reading
        self.texts = self.total = self.lost = 0
        self.found_key = False
        self.lost_as: dict[str, None] = {}

    def sentence(self, record: Record, text: str, words: Sequence[tuple[int, int]]) -> RawSentence:
        """Return the words of a text, tagged in BIO."""
        place = f"{self.path}:{record.line}"
        if not self.reading.spans:
            raise DataError(
                f"{place}: a text with character spans, expected words with one tag each, such as "
                '{"tokens": ["Ann", "left"], "tags": ["PROPN", "VERB"]}; give such a file'
            )
        self.texts += 1
        given = _value(record, self.reading.options.tag_column, SPANS_KEYS, "tag", list)
        self.found_key = self.found_key or given is not None
        wanted = [self._span(place, item) for item in given or ()]
        spans = self._aligned(place, text, words, dict.fromkeys(wanted))
        return RawSentence(
            self.path,
            (record.line,),
            tuple(text[start:limit] for start, limit in words),
            tuple(tags_from_spans(spans, len(words))),
            text,
            _document(record),
        )

    def _span(self, place: str, item: Any) -> Span:
        try:
            if isinstance(item, Mapping):
                parts = [_get(item, keys) for keys in (_START_KEYS, _LIMIT_KEYS, _TYPE_KEYS)]
            else:
                parts = list(item)[:3]
            start, limit, name = parts
            if isinstance(name, list) and len(name) == 1:
                (name,) = name
            if int(start) != start or int(limit) != limit or not isinstance(name, str) or not name:
                raise TypeError("offsets must be whole numbers, the type a name")
        except (TypeError, ValueError, KeyError, StopIteration) as error:
            raise DataError(
                f"{place}: cannot read the span {str(item)[:80]} ({error}); expected [start, end, "
                'type] or {"start": 0, "end": 3, "label": "person"}; mend the row'
            ) from error
        return Span(int(start), int(limit), name)

    def _aligned(
        self, place: str, text: str, words: Sequence[tuple[int, int]], wanted: dict[Span, None]
    ) -> list[Span]:
        """Return the spans, now of words, that fit; of two that share a word the longer."""
        starts = {start: number for number, (start, _) in enumerate(words)}
        limits = {limit: number for number, (_, limit) in enumerate(words, start=1)}
        kept: list[Span] = []
        for span in sorted(wanted, key=lambda span: span.start - span.limit):
            self.total += 1
            if not 0 <= span.start < span.limit <= len(text):
                self._lose("outside the text", place, f"{span.start}-{span.limit} of {len(text)}")
                continue
            inner = text[span.start : span.limit]
            first = span.start + len(inner) - len(inner.lstrip())
            start, limit = starts.get(first), limits.get(first + len(inner.strip()))
            if start is None or limit is None or start >= limit:
                self._lose("that cut a word or hold none", place, repr(inner[:30]))
            elif any(start < other.limit and other.start < limit for other in kept):
                self._lose("that overlap a longer one", place, repr(inner[:30]))
            else:
                if inner != inner.strip():
                    self.reading.remarks.add("span(s) with outer blanks, trimmed", place)
                kept.append(Span(start, limit, span.type))
        return kept

    def _lose(self, reason: str, place: str, what: str) -> None:
        self.lost += 1
        self.lost_as[f"span(s) {reason}, skipped"] = None
        self.reading.remarks.add(f"span(s) {reason}, skipped", f"{place} ({what})")

    def require_aligned(self) -> None:
        """Refuse texts of which none has spans, or whose spans mostly fit no words."""
        if self.texts and not self.found_key:
            raise DataError(
                f"{self.path}: no text has a list of spans; expected one of "
                f"{', '.join(SPANS_KEYS)}, such as {_EXAMPLE}; give --tag-column its key"
            )
        if self.lost > LOST_SPANS * self.total:
            reasons = "; ".join(self.reading.remarks.describe(what) for what in self.lost_as)
            raise DataError(
                f"{self.path}: {self.lost:,} of {self.total:,} spans fit no words; expected nine "
                f"in ten to; {reasons}; offsets count characters from 0, the end is exclusive"
            )
