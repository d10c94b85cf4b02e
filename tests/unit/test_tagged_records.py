"""Tagged sentences in jsonl and parquet: shapes, alignment of spans, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.remarks import Remarks
from pipelines.datasets.tag_schemes import spans_of
from pipelines.datasets.tagged_options import Reading, TaggedOptions
from pipelines.datasets.tagged_records import read_tagged_records
from pipelines.datasets.word_spans import word_spans
from pipelines.errors import DataError

TEXT = "Jim bought 300 shares of Acme Corp. in 2006."
SPANS = [[0, 3, "person"], [25, 34, "company"]]


def write(folder: Path, *rows) -> Path:
    path = folder / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path, *, spans: bool = True, remarks: Remarks | None = None, **options):
    return list(
        read_tagged_records(path, Reading(TaggedOptions(**options), spans, remarks or Remarks()))
    )


def refusal(path: Path, **options) -> str:
    with pytest.raises(DataError) as caught:
        read(path, **options)
    return str(caught.value)


def test_words_with_tags(tmp_path: Path) -> None:
    row = {"tokens": ["Ann", "left"], "ner_tags": ["B-x", None], "pos_tags": ["N", "V"]}
    path = write(tmp_path, row, {**row, "text": "Ann left"})
    first, second = read(path)
    assert (first.tokens, first.tags, first.text) == (("Ann", "left"), ("B-x", "O"), "")
    assert second.text == "Ann left" and second.place() == f"{path}:2"
    assert read(path, spans=False)[0].tags == ("N", "V")
    assert read(path, token_column="pos_tags", tag_column="tokens")[0].tags == ("Ann", "left")


def test_documents_of_rows(tmp_path: Path) -> None:
    words = {"tokens": ["Ann"], "tags": ["O"], "doc_id": 7}
    placed = {"text": "Ann", "spans": [], "document": "a"}
    assert [raw.document for raw in read(write(tmp_path, words, placed))] == ["7", "a"]


def test_parquet(tmp_path: Path) -> None:
    rows = [{"words": ["Ann", "left"], "tags": ["B-x", "O"]}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet")[0].tags == ("B-x", "O")


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("spans", lambda a, b, c: [a, b, c]),
        ("label", lambda a, b, c: [a, b, c]),
        ("entities", lambda a, b, c: {"start": a, "end": b, "label": c}),
        ("entities", lambda a, b, c: {"start_offset": a, "end_offset": b, "type": c}),
        ("label", lambda a, b, c: {"start": a, "end": b, "labels": [c]}),
    ],
)
def test_character_spans(tmp_path: Path, key: str, shape) -> None:
    (raw,) = read(write(tmp_path, {"text": TEXT, key: [shape(*span) for span in SPANS]}))
    words = [raw.tokens[start:limit] for start, limit, _ in spans_of(raw.tags)]
    assert words == [("Jim",), ("Acme", "Corp")]
    assert [kind for _, _, kind in spans_of(raw.tags)] == ["person", "company"]
    assert raw.text == TEXT


def test_words_of_the_row_are_used(tmp_path: Path) -> None:
    words = [{"text": TEXT[a:b], "start": a, "end": b} for a, b in ((0, 3), (25, 35), (43, 44))]
    row = {"text": TEXT, "tokens": words, "spans": [[25, 35, "company"]]}
    (raw,) = read(write(tmp_path, row))
    assert (raw.tokens, raw.tags) == (("Jim", "Acme Corp.", "."), ("O", "B-company", "O"))
    words[2]["end"] = 45
    assert "a word's offsets lie outside the row's text" in refusal(write(tmp_path, row))
    del words[2]["end"]
    assert "words are objects without whole-number offsets" in refusal(write(tmp_path, row))


def many(count: int) -> list[dict]:
    return [{"text": TEXT, "spans": SPANS}] * count


@pytest.mark.parametrize(
    ("span", "reason", "shown"),
    [
        ([0, 99, "x"], "span(s) outside the text, skipped", "(0-99 of 44)"),
        ([-3, 2, "x"], "span(s) outside the text, skipped", "(-3-2 of 44)"),
        ([3, 3, "x"], "span(s) outside the text, skipped", "(3-3 of 44)"),
        ([0, 2, "x"], "span(s) that cut a word or hold none, skipped", "('Ji')"),
        ([3, 4, "x"], "span(s) that cut a word or hold none, skipped", "(' ')"),
        ([25, 29, "x"], "span(s) that overlap a longer one, skipped", "('Acme')"),
    ],
)
def test_spans_that_cannot_be_aligned(tmp_path: Path, span, reason: str, shown: str) -> None:
    path = write(tmp_path, *many(10), {"text": TEXT, "spans": [*SPANS, span]})
    remarks = Remarks()
    assert spans_of(read(path, remarks=remarks)[-1].tags) == spans_of(read(path)[0].tags)
    assert remarks.notes() == (f"1 {reason}: {path}:11 {shown}",)
    found = refusal(write(tmp_path, *many(2), {"text": TEXT, "spans": [span, *SPANS]}))
    assert f"1 of 7 spans fit no words; expected nine in ten to; 1 {reason}: " in found
    assert "a.jsonl:3" in found and "the end is exclusive" in found


def test_outer_blanks_and_repeated_spans_do_no_harm(tmp_path: Path) -> None:
    remarks = Remarks()
    spans = [[0, 4, "person"], [25, 34, "company"], [25, 34, "company"]]
    (raw,) = read(write(tmp_path, {"text": TEXT, "spans": spans}), remarks=remarks)
    assert len(spans_of(raw.tags)) == 2
    assert remarks.notes() == (f"1 span(s) with outer blanks, trimmed: {tmp_path}/a.jsonl:1",)


def test_refusals(tmp_path: Path) -> None:
    found = refusal(write(tmp_path, {"body": "x"}))
    assert "a.jsonl:1: no words and no text; keys found: 'body'; expected such as" in found
    found = refusal(write(tmp_path, {"tokens": ["x"], "tags": [3]}))
    assert "a.jsonl:1: a tag is 3, expected a string; write names for numbers" in found
    found = refusal(write(tmp_path, {"tokens": ["x", None], "tags": ["O", "O"]}))
    assert "a.jsonl:1" in found and "a word is None, expected a string; mend the row" in found
    found = refusal(write(tmp_path, {"tokens": ["x"], "tag": ["O"]}))
    assert "no tags; found: 'tokens', 'tag'; expected one of ner_tags" in found
    found = refusal(write(tmp_path, {"tokens": ["x"], "tag": ["O"]}), tag_column="tga")
    assert "no tags 'tga'; did you mean 'tag'?" in found and "--tag-column" in found
    found = refusal(write(tmp_path, {"tokens": ["x"], "tags": "O"}))
    assert "'tags' is a str, expected a list of tags" in found
    found = refusal(write(tmp_path, {"text": "x", "spans": [[0]]}))
    assert "a.jsonl:1: cannot read the span [0]" in found and "[start, end, type]" in found
    assert "no text has a list of spans" in refusal(write(tmp_path, {"text": "x", "a": 1}))
    found = refusal(write(tmp_path, {"text": TEXT, "spans": SPANS}), spans=False)
    assert "a text with character spans, expected words with one tag each" in found


def test_words_are_cut_as_models_cut_them() -> None:
    def cut(text: str) -> list[str]:
        return [text[start:limit] for start, limit in word_spans(text)]

    assert cut(TEXT)[-5:] == ["Corp", ".", "in", "2006", "."]
    assert cut("don't :) 3.5mm @you #tag...") == ["don't", ":)", "3.5mm", "@you", "#", "tag", "..."]
    hebrew, arabic = "\u05e9\u05dc\u05d5\u05dd", "\u0639\u0627\u0644\u0645"
    assert cut(f"\u202b{hebrew} {arabic} e\u0301te\u0301") == [hebrew, arabic, "e\u0301te\u0301"]
    family, flag = "\U0001f469\u200d\U0001f469\u200d\U0001f467", "\U0001f1e9\U0001f1ea"
    assert cut(f"{family}{flag}漢字\x00x") == [family, flag, "漢", "字", "x"]
    assert cut("") == cut(" \u200b\n") == []


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_word_spans_cover_all_but_white_space(text: str) -> None:
    spans = word_spans(text)
    edges = [edge for span in spans for edge in span]
    assert edges == sorted(edges) and all(start < limit for start, limit in spans)
    outside = list(text)
    for start, limit in spans:
        outside[start:limit] = [" "] * (limit - start)
    assert not any(char.isalnum() for char in outside)
