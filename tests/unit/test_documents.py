"""Running text: what is read, how it is split, and what is refused."""

import gzip
import random
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.document_passages import RUN, known_shares
from pipelines.datasets.documents import (
    PASSAGE,
    Document,
    DocumentOptions,
    load_documents,
    load_documents_to_score,
    without_known_documents,
)
from pipelines.datasets.splits import Splits
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError, DataError


@lru_cache(maxsize=1024)
def prose(seed: int, characters: int = 3_000) -> str:
    """Return lines of words that no other seed gives."""
    letters = "".join(random.Random(seed).choices("abcdefghijklmnopqrstuvwxyz", k=characters))
    words = [letters[start : start + 5] for start in range(0, characters, 5)]
    lines = [" ".join(words[start : start + 8]) for start in range(0, len(words), 8)]
    return "\n".join(lines)[:characters] + "\n"


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def folder_of(tmp_path: Path, count: int = 20) -> Path:
    folder = tmp_path / "texts"
    for number in range(count):
        write(folder, f"{number:02}.txt", prose(number))
    return folder


def load(tmp_path: Path, source: Path | str, **options: object) -> Splits[Document]:
    kept = DataFolders(tmp_path / "raw", tmp_path / "cache")
    return load_documents(str(source), DocumentOptions(**options), folders=kept)  # type: ignore[arg-type]


def score(tmp_path: Path, source: Path | str, **options: object) -> Splits[Document]:
    kept = DataFolders(tmp_path / "raw", tmp_path / "cache")
    return load_documents_to_score(str(source), DocumentOptions(**options), folders=kept)  # type: ignore[arg-type]


def refusal(tmp_path: Path, source: Path | str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(tmp_path, source, **options)
    return str(caught.value)


def texts(splits: Splits[Document]) -> list[str]:
    return sorted(row.text for _, rows in splits.named() for row in rows)


def names(splits: Splits[Document]) -> list[str]:
    return sorted(row.name for _, rows in splits.named() for row in rows)


def test_a_folder_is_split_by_document_and_read_back_from_the_cache(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write(folder, "deep/er/20.txt", prose(20))
    first, again = load(tmp_path, folder), load(tmp_path, folder)
    assert (len(first.train), len(first.valid), len(first.test)) == (18, 1, 2)
    assert texts(first) == sorted(prose(number) for number in range(21)) == texts(again)
    assert "deep/er/20.txt" in names(first)
    assert first.card.counts == {"train": 18, "valid": 1, "test": 2}
    assert first.card.fingerprint == again.card.fingerprint
    assert list(first.card.files) == [str(folder)]
    other = load(tmp_path, folder, seed=3)
    assert [row.name for row in other.test] != [row.name for row in first.test]
    assert other.card.fingerprint != first.card.fingerprint


def test_one_document_is_cut_by_place_at_line_ends(tmp_path: Path) -> None:
    text = prose(1, 100_000)
    splits = load(tmp_path, write(tmp_path, "one.txt", text))
    parts = [rows[0].text for _, rows in splits.named()]
    assert "".join(parts) == text
    assert all(part.endswith("\n") for part in parts)
    shares = np.array([len(part) for part in parts]) / len(text)
    np.testing.assert_allclose(shares, (0.85, 0.05, 0.10), atol=0.001)
    lines = parts[0].count("\n")
    assert splits.train[0].origin.endswith(f"one.txt:1-{lines}")
    assert splits.valid[0].origin.split(":")[-1].startswith(f"{lines + 1}-")
    assert "the document is cut by place, since fewer than 3 cannot be dealt out whole" in " ".join(
        splits.card.notes
    )


def test_two_documents_are_both_cut(tmp_path: Path) -> None:
    splits = load(tmp_path, folder_of(tmp_path, 2))
    assert [len(rows) for _, rows in splits.named()] == [2, 2, 2]
    assert "both documents are cut" in " ".join(splits.card.notes)


def test_repeats_and_empty_texts_are_counted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    write(folder, "copy.txt", prose(3).replace("\n", "\r\n"))
    write(folder, "blank.txt", " \n")
    card = load(tmp_path, folder).card
    assert card.dropped == {"duplicate": 1, "empty": 1}
    assert sum(card.counts.values()) == 20
    lines = prose(3).count("\n")
    note = f"{lines} line end(s) CRLF or CR, now LF, in such files: {folder}/copy.txt"
    assert note in card.notes


def test_near_copies_share_a_split(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 12)
    for number in range(6):
        text = prose(number).replace("\n", "\nnew ", 3)
        write(folder, f"copy{number}.txt", text)
    for seed in range(4):
        splits = load(tmp_path, folder, seed=seed)
        place = {row.name: split for split, rows in splits.named() for row in rows}
        assert all(place[f"{it:02}.txt"] == place[f"copy{it}.txt"] for it in range(6))
    assert any("12 documents are near-copies" in note for note in splits.card.notes)


def test_all_copies_are_split_nevertheless(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    for number in range(5):
        write(folder, f"{number}.txt", prose(1) + prose(number, 400))
    splits = load(tmp_path, folder)
    assert min(splits.card.counts.values()) == 1
    assert any("too many to keep in one split" in note for note in splits.card.notes)


def test_files_named_after_splits_keep_them(tmp_path: Path) -> None:
    for number, name in enumerate(("ptb.train.txt", "ptb.valid.txt", "ptb.test.txt")):
        write(tmp_path, f"ptb/{name}", prose(number))
    splits = load(tmp_path, tmp_path / "ptb")
    assert [rows[0].text for _, rows in splits.named()] == [prose(0), prose(1), prose(2)]
    write(tmp_path, "ptb/train2.txt", prose(2))
    assert load(tmp_path, tmp_path / "ptb").card.dropped == {"duplicate": 1}
    write(tmp_path, "ptb/other.txt", prose(5))
    drawn = load(tmp_path, tmp_path / "ptb")  # one is not named so: all are drawn
    assert sum(drawn.card.counts.values()) == 4 and min(drawn.card.counts.values()) == 1


def test_text_is_kept_to_the_letter(tmp_path: Path) -> None:
    text = "\tIf  (x)\n\n\n  THEN\x0c y\u2028z é 😀 \n" + prose(1)
    path = write(tmp_path, "a.txt", b"\xef\xbb\xbf" + text.encode())
    assert score(tmp_path, path).test[0].text == text
    assert score(tmp_path, write(tmp_path, "b.md", text)).test[0].text == text
    packed = write(tmp_path, "a.txt.gz", gzip.compress(text.encode()))
    assert score(tmp_path, packed).test[0].text == text


def test_rows_to_score_are_drawn_evenly(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    every = score(tmp_path, folder)
    assert len(every.test) == 20 and not len(every.train) and every.card.dropped == {}
    some = score(tmp_path, folder, max_test_characters=9_010)
    assert [row.name for row in some.test] == ["00.txt", "09.txt", "19.txt"]
    assert some.card.dropped == {"beyond --max-test-characters": 17}
    assert len(score(tmp_path, folder, max_test_characters=1).test) == 1


def test_known_documents_are_not_scored(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    training = load(tmp_path, folder)
    fresh = without_known_documents(score(tmp_path, folder), training)
    assert [row.name for row in fresh.test] == [row.name for row in training.test]
    assert fresh.card.dropped == {"document of which over half was trained on": 18}
    one = write(tmp_path, "one.txt", prose(1, 50_000))
    with pytest.raises(DataError, match="over half was trained on; give rows the model has not"):
        without_known_documents(score(tmp_path, one), load(tmp_path, one))


@given(st.integers(0, 700), st.integers(RUN, 900))
def test_a_passage_is_found_wherever_it_stands(before: int, length: int) -> None:
    passage = prose(5, 2_000)[:length]
    other = Document(prose(6, 2_000)[:before] + passage + prose(7))
    whole, none = known_shares([Document(passage), Document(prose(8))], [[other]])
    assert whole == 1.0 and none == 0.0


def test_a_passage_is_found_across_blocks_and_short_texts_whole() -> None:
    passage = prose(5, 300)
    long = Document("ab" * 130_990 + passage + "é" * 300_000)
    shares = known_shares(
        [Document(passage + prose(9, 200)), Document("short"), Document("shirt")],
        [[long, Document("short")]],
    )
    np.testing.assert_allclose(shares, (0.5, 1.0, 0.0))
    assert PASSAGE == 1000


def test_a_document_larger_than_the_most_is_kept_whole(tmp_path: Path) -> None:
    splits = load(tmp_path, folder_of(tmp_path), max_test_characters=2_000)
    assert len(splits.test) == 1 and len(splits.test[0].text) == 3_001
    note = "the test has more than --max-test-characters 2,000: neither a document nor a given"
    assert note in " ".join(splits.card.notes)


def test_too_little_text(tmp_path: Path) -> None:
    message = refusal(tmp_path, write(tmp_path, "a.txt", prose(1, 900)))
    assert "a.txt: too little text: " in message
    assert "expected at least 1,000 to train on, and some of each; give more text" in message
    message = refusal(tmp_path, write(tmp_path, "b.txt", "\n \n"))
    assert "b.txt: no text: no document with a character other than white space" in message
    assert "left out: {'empty': 1}" in message and "give another file or folder" in message
    with pytest.raises(DataError, match=r"b\.txt: no text"):
        score(tmp_path, tmp_path / "b.txt")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"valid_share": 0.0}, "--valid-share is 0.0; it must be a share between 0 and 1"),
        ({"test_share": 1.5}, "--test-share is 1.5; it must be a share"),
        ({"valid_share": 0.6, "test_share": 0.6}, "below 1 together with --valid-share"),
        ({"max_test_characters": -1}, "--max-test-characters is -1; it must be 0"),
        ({"speaker": "Ann", "text_column": ""}, "read as raw text"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, object], expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        load(tmp_path, "shakespeare", **options)


def test_an_unknown_encoding_or_source(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", prose(1))
    assert "unknown encoding 'latn-1'; did you mean 'latin-1'" in refusal(
        tmp_path, path, encoding="latn-1"
    )
    message = refusal(tmp_path, "shakespear")
    assert "(shakespeare, c-headers, python-stdlib)" in message
    assert "did you mean 'shakespeare'" in message
