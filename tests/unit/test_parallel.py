"""Loading pairs: what is cleaned and left out, given splits, the cache, rows to score, checks."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.datasets.parallel import (
    ParallelOptions,
    RawPair,
    TextPair,
    load_pairs,
    load_pairs_to_score,
    without_known_pairs,
)
from pipelines.datasets.parallel_checks import check_pairs
from pipelines.datasets.parallel_scan import PairScan, clean_side
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.storage import DataFolders
from pipelines.errors import ConfigError, DataError


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def write(path: Path, pairs, **fields) -> Path:
    rows = [{"en": source, "fr": target, **fields} for source, target in pairs]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def many(count: int, word: str = "word") -> list[tuple[str, str]]:
    return [(f"the {word}{n}x is here", f"le {word}{n}x est ici") for n in range(count)]


def load(path: Path, folders: DataFolders, **options):
    return load_pairs(str(path), ParallelOptions(**options), folders=folders)


def scan(*raw: RawPair, all_as: str | None = None, **options):
    found = PairScan(ParallelOptions(**options), Remarks())
    return list(found.pairs([iter(raw)], all_as=all_as)), found


def test_left_out_by_rule_and_counted() -> None:
    pairs, found = scan(
        RawPair("a", "", origin="x:1"),
        RawPair(" \n", "b"),
        RawPair("a", "\x00\ufeff\x07"),
        RawPair("Bonjour", " Bonjour "),
        RawPair("a" * 10, "b" * 51, origin="x:5"),
        RawPair("a" * 10, "b" * 50),
        RawPair("a" * 100, "b" * 300),
    )
    assert [len(pair.target) for pair in pairs] == [50, 300]
    assert found.dropped == {
        "empty side": 2,
        "side of control characters only": 1,
        "identical sides": 1,
        "one side over 3 times as long as the other": 1,
    }
    note = "1 pair(s) left out: one side over 3 times as long as the other: x:5"
    assert note in found.remarks.notes()


def test_rules_can_be_changed() -> None:
    pairs, found = scan(RawPair("OK", "OK"), RawPair("a", "b" * 90), keep_identical=True)
    assert [pair.source for pair in pairs] == ["OK"]
    pairs, found = scan(RawPair("a", "b" * 90), max_length_ratio=90)
    assert len(pairs) == 1
    assert not found.dropped


def test_given_test_pairs_stay_but_for_empty_sides() -> None:
    odd = [RawPair("OK", "OK"), RawPair("a", "b" * 90), RawPair("", "c")]
    pairs, found = scan(*odd, all_as="test")
    assert len(pairs) == 2
    assert found.dropped == {"empty side": 1}


@given(st.text())
def test_a_clean_side_is_one_line_and_stays_so(text: str) -> None:
    clean = clean_side(text)
    assert clean == clean.strip()
    assert len(clean.splitlines()) <= 1
    assert "  " not in clean
    assert clean_side(clean) == clean
    clean.encode()
    assert [char for char in clean if char.isalnum()] == [char for char in text if char.isalnum()]


def test_half_a_surrogate_pair_is_replaced() -> None:
    assert clean_side("a\ud800b\tc") == "a\ufffdb c"


def test_a_table_is_split_and_cached(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.jsonl", [*many(400), *many(3)])
    splits = load(path, folders)
    assert splits.card.counts == {"train": 360, "valid": 20, "test": 20}
    assert splits.card.dropped == {"duplicate pair": 3}
    assert splits.card.language == "en fr"
    assert splits.train[0].origin.startswith(f"{path}:")
    started = time.process_time()
    again = load(path, folders)
    assert time.process_time() - started < 0.5
    assert list(again.train) == list(splits.train)
    assert again.card == splits.card
    assert load(path, folders, seed=3).card.fingerprint != splits.card.fingerprint
    assert set(load(path, folders, seed=3).test) != set(splits.test)


def test_given_files_stay_and_train_loses_what_they_hold(
    tmp_path: Path, folders: DataFolders
) -> None:
    path = write(tmp_path / "a.jsonl", [*many(40), ("Known!", "su"), ("new", "connu")])
    valid = write(tmp_path / "v.jsonl", [("known", "x"), ("known", "x"), ("same", "same")])
    test = write(tmp_path / "t.jsonl", [("other", "connu"), ("other2", "y")])
    splits = load(path, folders, valid_file=str(valid), test_file=str(test))
    assert splits.card.counts == {"train": 40, "valid": 3, "test": 2}
    assert splits.card.dropped == {
        "training pair whose source stands in valid": 1,
        "training pair whose target stands in test": 1,
    }
    assert "1 repeated pair(s) within the given valid split, kept" in splits.card.notes


def test_two_text_files_given_beside_two_others(tmp_path: Path, folders: DataFolders) -> None:
    for name, count in (("train", 30), ("dev", 4), ("eval", 5)):
        for code, side in (("en", 0), ("fr", 1)):
            lines = [pair[side] for pair in many(count, name)]
            (tmp_path / f"{name}.{code}").write_text("\n".join(lines) + "\n")
    splits = load_pairs(
        f"{tmp_path}/train.en,{tmp_path}/train.fr",
        ParallelOptions(
            valid_file=f"{tmp_path}/dev.en,{tmp_path}/dev.fr", test_file=f"{tmp_path}/eval"
        ),
        folders=folders,
    )
    assert splits.card.counts == {"train": 30, "valid": 4, "test": 5}
    assert len(splits.card.files) == 6


def test_folder_of_tables(tmp_path: Path, folders: DataFolders) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name, count in (("train", 30), ("dev", 4), ("test", 5)):
        write(folder / f"{name}.jsonl", many(count, name))
    (folder / "README.md").write_text("about")
    splits = load(folder, folders)
    assert splits.card.counts == {"train": 30, "valid": 4, "test": 5}
    assert "not read: README.md" in splits.card.notes


def test_many_files_are_documents(tmp_path: Path, folders: DataFolders) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(40):
        write(folder / f"{number}.jsonl", many(3, f"file{number}"))
    splits = load(folder, folders)
    assert "split by document: 40 documents" in splits.card.notes
    documents = [{row.document for row in rows} for _, rows in splits.named()]
    assert [len(names) for names in documents] == [36, 2, 2]


def refusal(source: Path | str, folders: DataFolders, **options) -> str:
    with pytest.raises((DataError, ConfigError)) as caught:
        load_pairs(str(source), ParallelOptions(**options), folders=folders)
    return str(caught.value)


def test_refusals_name_what_is_wrong(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.jsonl", many(20))
    message = refusal(path, folders, source_version="king-james")
    assert "--source-version chooses among versions of a built-in set" in message
    assert "expected DATA=verses" in message
    assert "option --valid-share is 0; it must be" in refusal(path, folders, valid_share=0)
    assert "together with --valid-share" in refusal(path, folders, valid_share=0.6, test_share=0.5)
    assert "option --max-length-ratio is 0.5" in refusal(path, folders, max_length_ratio=0.5)
    assert "option --source-language is ''" in refusal(path, folders, source_language="")
    assert "verses: --valid-file and --test-file" in refusal("verses", folders, valid_file="v.csv")
    (tmp_path / "a.pdf").write_bytes(b"%PDF")
    assert "one file that ends in '.pdf', expected two text files" in refusal(
        tmp_path / "a.pdf", folders
    )
    (tmp_path / "nothing").mkdir()
    message = refusal(tmp_path / "nothing", folders)
    assert "no pairs of texts in this folder: it holds nothing; expected two text" in message
    message = refusal(write(tmp_path / "b.jsonl", [("a", "a")] * 3), folders)
    assert "no pair of texts (left out: {'identical sides': 3})" in message
    assert "did you mean 'verses'" in refusal("verse", folders)


def test_pairs_to_score_and_those_known(tmp_path: Path, folders: DataFolders) -> None:
    training = load(write(tmp_path / "a.jsonl", many(100)), folders)
    known = next(iter(training.train))
    odd = [("new", "nouveau"), (known.source.upper(), "x"), ("y", known.target), ("new", "nouveau")]
    path = write(tmp_path / "b.jsonl", [*odd, ("", "z"), ("same", "same")])
    rows = load_pairs_to_score(str(path), ParallelOptions(), folders=folders)
    assert (len(rows.train), len(rows.valid), len(rows.test)) == (0, 0, 4)
    assert rows.card.dropped == {"duplicate pair": 1, "empty side": 1}
    fresh = without_known_pairs(rows, training)
    assert [row.source for row in fresh.test] == ["new", "same"]
    assert fresh.card.dropped["pair of which a side was trained on"] == 2
    with pytest.raises(DataError, match="all 100 rows were left out"):
        everything = load_pairs_to_score(str(tmp_path / "a.jsonl"), folders=folders)
        without_known_pairs(everything, splits(list(everything.test), []))


def splits(train, test, extra=None) -> Splits[TextPair]:
    rows = [Rows.of(TextPair, part) for part in (train, test, test)]
    further = None if extra is None else Rows.of(TextPair, extra)
    return Splits(rows[0], rows[1], rows[2], DataCard(source="x"), further)


def test_extra_rows_count_as_known() -> None:
    pair = TextPair("a b c", "d e f")
    other = TextPair("g", "h")
    fresh = without_known_pairs(splits([], [pair, other]), splits([], [], extra=[pair]))
    assert list(fresh.test) == [other]


def test_checks_find_what_was_planted() -> None:
    train = [
        TextPair(f"the word w{n} is here {n}", f"le mot w{n} est ici {n}", "d") for n in range(50)
    ]
    train += [
        TextPair("twice said", "dit"),
        TextPair("twice said", "redit"),
        TextPair("7 a", "8 b"),
    ]
    train += [TextPair("short", "a target that is far too long for it")] * 9
    test = [
        TextPair("The word w3 is here 3!", "x", "d", "f:1"),
        TextPair("the word w4 is here today", "Ω"),
    ]
    found = {it.title: it for it in check_pairs(splits(train, test))}
    assert found["Sizes"].level == "warning"
    assert found["Leakage"].level == "error"
    assert "1 test sources are also training sources (0 to the letter)" in found["Leakage"].detail
    assert "2 of 2 test sources (100.0%)" in found["Near-repeats"].detail
    assert "1 of 51 training pairs with digits" in found["Numbers"].detail
    assert "most, 2, has 'twice said'" in found["Several translations"].detail
    assert "'Ω' (U+03A9)" in found["Characters, target"].detail
    assert found["Length ratios"].level == "warning"
    assert found["Pairs left out"].detail == "none"


def test_checks_of_a_loaded_set(tmp_path: Path, folders: DataFolders) -> None:
    loaded = load(write(tmp_path / "a.jsonl", [*many(300), ("a", "a")]), folders)
    found = {it.title: it for it in check_pairs(loaded)}
    assert found["Leakage"].level == "ok"
    assert "1 of 301 pairs (0.3%)" in found["Pairs left out"].detail
    assert ("identical sides", "1") in found["Pairs left out"].table
    assert [row[:3] for row in found["Lengths"].table[1:3]] == [
        ("train", "source", "words"),
        ("train", "source", "characters"),
    ]
