"""Labelled text: every source and layout, what is counted, and what is refused."""

from __future__ import annotations

import json
import resource
import shutil
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.datasets import sources
from pipelines.datasets.label_scan import readable_label
from pipelines.datasets.labelled_sources import built_in_names
from pipelines.datasets.labelled_text import LabelledText, LabelledTextOptions, load_labelled_text
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def table(path: Path, rows, header="text,label") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def many(count: int, word: str = "film", labels=("good", "bad")) -> list[str]:
    return [f"{word} number {n},{labels[n % len(labels)]}" for n in range(count)]


def load(path, folders: DataFolders, **options):
    return load_labelled_text(str(path), LabelledTextOptions(**options), folders=folders)


def refusal(path, folders: DataFolders, **options) -> str:
    with pytest.raises(DataError) as caught:
        load(path, folders, **options)
    return str(caught.value)


def test_one_file_is_split_by_seed_without_loss(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(200))
    splits = load(path, folders)
    assert splits.card.counts == {"train": 160, "valid": 20, "test": 20}
    assert splits.card.label_counts["test"] == {"bad": 10, "good": 10}
    assert len({row.text for _, rows in splits.named() for row in rows}) == 200
    other = load(path, folders, seed=18)
    assert {row.text for row in other.test} != {row.text for row in splits.test}


def test_second_load_reads_the_cache(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(40))
    first = load(path, folders)
    (cached,) = folders.cache.iterdir()
    stamp = (cached / "rows.arrow").stat().st_mtime_ns
    again = load(path, folders)
    assert (cached / "rows.arrow").stat().st_mtime_ns == stamp
    assert again.card == first.card and list(again.train) == list(first.train)
    table(path, many(41))
    assert load(path, folders).card.fingerprint != first.card.fingerprint


def test_damaged_cache_is_made_anew(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(40))
    first = list(load(path, folders).test)
    (cached,) = folders.cache.iterdir()
    (cached / "rows.arrow").unlink()
    (cached / "rows.arrow").write_bytes(b"short")
    assert list(load(path, folders).test) == first


@pytest.mark.parametrize(
    "header", ["Review,Sentiment", "id,stars,tweet", "polarity;Comment", "label\tsentence"]
)
def test_usual_column_names(tmp_path: Path, folders: DataFolders, header: str) -> None:
    delimiter = ";" if ";" in header else "\t" if "\t" in header else ","
    label_names = ("sentiment", "stars", "polarity", "label")
    rows = [
        delimiter.join(
            "ab"[n % 2] if name.lower() in label_names else f"text {n}"
            for name in header.split(delimiter)
        )
        for n in range(40)
    ]
    splits = load(table(tmp_path / "rows.csv", rows, header), folders)
    assert splits.card.label_counts["train"] == {"a": 16, "b": 16}


def test_columns_by_option_and_their_refusal(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(40), "remark,verdict")
    assert load(path, folders, text_column="remark", label_column="verdict").card.counts
    found = refusal(path, folders)
    assert "no column for the text; columns found: 'remark', 'verdict'" in found
    assert "--text-column NAME; if the first line is a row, --no-header" in found
    found = refusal(path, folders, text_column="remark")
    assert "no column for the label; columns found: 'remark', 'verdict'" in found
    found = refusal(path, folders, text_column="remarks")
    assert "no text column 'remarks'; did you mean 'remark'?" in found


def test_file_without_header(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(39), "first film,good")
    assert "if the first line is a row, --no-header" in refusal(path, folders)
    assert "columns found: '1', '2'; " in refusal(path, folders, header=False)
    splits = load(path, folders, header=False, text_column="1", label_column="2")
    assert sum(splits.card.counts.values()) == 40


def test_old_macintosh_line_ends(tmp_path: Path, folders: DataFolders) -> None:
    (tmp_path / "rows.csv").write_bytes("\r".join(["text,label", *many(40)]).encode())
    assert sum(load(tmp_path / "rows.csv", folders).card.counts.values()) == 40


def test_memory_does_not_hold_the_texts(tmp_path: Path, folders: DataFolders) -> None:
    rows = (f"{n} {'x' * 1500},{'ab'[n % 2]}" for n in range(20_000))
    with (tmp_path / "rows.csv").open("w", encoding="utf-8") as stream:
        stream.writelines(f"{row}\n" for row in ("text,label", *rows))
    load(table(tmp_path / "small.csv", many(40)), folders)  # imports are not what is measured
    tracemalloc.start()
    load(tmp_path / "rows.csv", folders)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "rows.csv").stat().st_size > 30_000_000
    assert peak < 20_000_000


def test_rows_left_out_are_counted(tmp_path: Path, folders: DataFolders) -> None:
    extra = [",good", "   ,good", "no label,", "Film NUMBER 1!,bad", "film number 2,bad"]
    splits = load(table(tmp_path / "rows.csv", [*many(40), *extra]), folders)
    assert splits.card.dropped == {
        "duplicate text": 1,
        "duplicate text with another label": 1,
        "empty text": 2,
        "missing label": 1,
    }
    assert sum(splits.card.counts.values()) == 40


def test_very_long_text_is_kept_and_noted(tmp_path: Path, folders: DataFolders) -> None:
    long = "word " * 25_000
    splits = load(table(tmp_path / "rows.csv", [*many(40), f"{long},good"]), folders)
    assert max(len(row.text) for _, rows in splits.named() for row in rows) == 125_000
    (note,) = splits.card.notes
    assert "1 text(s) of more than 100,000 characters, kept" in note and "rows.csv:42 (125" in note


@pytest.mark.parametrize(
    ("value", "label"),
    [("0", "0"), ("1.0", "1"), (5.0, "5"), (4.5, "4.5"), (3, "3"), (" a ", "a"), ("v1.0", "v1.0")],
)
def test_readable_labels(value, label: str) -> None:
    assert readable_label(value) == label


def test_parquet_with_numbers_as_labels(tmp_path: Path, folders: DataFolders) -> None:
    rows = [{"text": f"text {n}", "label": float(n % 2)} for n in range(40)]
    rows += [{"text": "nothing", "label": float("nan")}, {"text": None, "label": 1.0}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    splits = load(tmp_path / "rows.parquet", folders)
    assert splits.card.label_counts["train"] == {"0": 16, "1": 16}
    assert splits.card.dropped == {"empty text": 1, "missing label": 1}


def test_jsonl_with_lists_or_half_a_surrogate(tmp_path: Path, folders: DataFolders) -> None:
    rows = [json.dumps({"text": f"text {n}", "label": n % 2}) for n in range(40)]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*rows, '{"text": "half \\ud83d pair", "label": 1}']))
    splits = load(path, folders)
    assert "half \ufffd pair" in {row.text for _, part in splits.named() for row in part}
    path.write_text("\n".join([*rows, '{"text": ["a"], "label": 1}']))
    assert f"{path}:41: the text is a list" in refusal(path, folders)
    path.write_text("\n".join([*rows, '{"text": "a", "label": [1]}']))
    assert f"{path}:41: the label is a list" in refusal(path, folders)


def test_one_label_only(tmp_path: Path, folders: DataFolders) -> None:
    found = refusal(table(tmp_path / "rows.csv", many(40, labels=("good",))), folders)
    assert "only the label 'good' among 40 rows" in found and "two labels or more" in found


def test_no_usable_row(tmp_path: Path, folders: DataFolders) -> None:
    found = refusal(table(tmp_path / "rows.csv", [",good", ",bad"]), folders)
    assert "no labelled row among 2 rows (left out: {'empty text': 2})" in found
    assert "no rows below the header" in refusal(table(tmp_path / "rows.csv", []), folders)


def test_too_few_rows(tmp_path: Path, folders: DataFolders) -> None:
    found = refusal(table(tmp_path / "rows.csv", many(6)), folders)
    assert "too few rows: 6 training rows of 2 label(s), 0 validation" in found


def test_label_column_that_holds_no_classes(tmp_path: Path, folders: DataFolders) -> None:
    rows = [f"text {n},id{n}" for n in range(10_002)]
    found = refusal(table(tmp_path / "rows.csv", rows), folders)
    assert "rows.csv:10002: more than 10,000 different labels" in found
    assert "--label-column" in found


def test_given_valid_and_test_files(tmp_path: Path, folders: DataFolders) -> None:
    train = table(tmp_path / "a.csv", [*many(40), "new 1,good", "fresh 1,bad"])
    valid = table(tmp_path / "b.csv", [*many(10, "new"), "fresh 2,bad"])
    test = table(tmp_path / "c.csv", [*many(10, "fresh"), "fresh number 1,good"])
    table(train, [*many(40), "NEW number 1!,bad", "fresh number 3,bad"])
    table(valid, [*many(10, "new"), "fresh number 2,bad"])
    splits = load(train, folders, valid_file=str(valid), test_file=str(test))
    assert splits.card.counts == {"train": 40, "valid": 10, "test": 11}
    assert splits.card.dropped == {
        "training row also in test": 1,
        "training row also in valid": 1,
        "valid row also in test": 1,
    }
    assert "1 repeated text(s) within the given test rows" in splits.card.notes[0]
    assert set(splits.card.files) == {str(train), str(valid), str(test)}


def test_given_test_file_alone_draws_valid_from_train(tmp_path: Path, folders: DataFolders) -> None:
    train = table(tmp_path / "a.csv", many(40))
    test = table(tmp_path / "b.csv", many(10, "new"))
    splits = load(train, folders, test_file=str(test))
    assert splits.card.counts == {"train": 36, "valid": 4, "test": 10}


def test_label_typo_in_the_test_file(tmp_path: Path, folders: DataFolders) -> None:
    train = table(tmp_path / "a.csv", many(40))
    test = table(tmp_path / "b.csv", ["new,good", "newer,baad"])
    found = refusal(train, folders, test_file=str(test))
    assert f"{test}:3: label 'baad' of the test rows is in no training row" in found
    assert "did you mean 'bad'?; training labels: bad, good; mend the label" in found


def test_split_column(tmp_path: Path, folders: DataFolders) -> None:
    rows = [f"text {n},{'ab'[n % 2]},{('train', 'dev', 'test')[n % 3]}" for n in range(60)]
    path = table(tmp_path / "rows.csv", rows, "text,label,split")
    assert load(path, folders).card.counts == {"train": 20, "valid": 20, "test": 20}
    assert load(path, folders, split_column="none").card.counts["train"] == 48
    table(path, [*rows, "text,a,tset"], "text,label,split")
    found = refusal(path, folders)
    assert f"{path}:62: split 'tset' in column 'split'; did you mean 'test'?" in found
    assert "no split column 'fold'" in refusal(path, folders, split_column="fold")


def write_texts(folder: Path, count: int, word: str) -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"{word} {folder.name} {number}", encoding="utf-8")


def test_folder_of_label_folders(tmp_path: Path, folders: DataFolders) -> None:
    for label in ("neg", "pos", "unsup"):
        write_texts(tmp_path / "data" / label, 20, "film")
    splits = load(tmp_path / "data", folders)
    assert splits.card.label_counts["train"] == {"neg": 16, "pos": 16}
    (tmp_path / "data" / "neg" / "3.txt").write_text("changed")
    assert load(tmp_path / "data", folders).card.fingerprint != splits.card.fingerprint


def test_folder_of_train_and_test_label_folders(tmp_path: Path, folders: DataFolders) -> None:
    for split in ("train", "test"):
        for label in ("neg", "pos", "unsup"):
            write_texts(tmp_path / "imdb" / split / label, 20, split)
    (tmp_path / "imdb" / "README").write_text("about")
    splits = load(tmp_path / "imdb", folders)
    assert splits.card.counts == {"train": 36, "valid": 4, "test": 40}


@pytest.mark.parametrize("names", [("train", "dev", "test"), ("x-train-0", "x_validation", "test")])
def test_folder_of_split_files(tmp_path: Path, folders: DataFolders, names) -> None:
    for name in names:
        table(tmp_path / "data" / f"{name}.csv", many(20, name[-3:]))
    table(tmp_path / "data" / "names.csv", ["x"], "column")
    splits = load(tmp_path / "data", folders)
    assert splits.card.counts == {"train": 20, "valid": 20, "test": 20}
    assert splits.card.notes == ("not read: names.csv",)
    (tmp_path / "data" / f"{names[0]}.csv").unlink()
    assert "no training rows: found" in refusal(tmp_path / "data", folders)


def test_glob_of_files(tmp_path: Path, folders: DataFolders) -> None:
    for name in "ab":
        table(tmp_path / f"part-{name}.csv", many(20, name))
    assert sum(load(tmp_path / "part-*.csv", folders).card.counts.values()) == 40
    assert "no file matches this pattern" in refusal(tmp_path / "port-*.csv", folders)


def test_folder_without_labels(tmp_path: Path, folders: DataFolders) -> None:
    write_texts(tmp_path / "data", 2, "text")
    found = refusal(tmp_path / "data", folders)
    assert "no labelled text in this folder: it holds 0.txt, 1.txt" in found
    assert "one sub-folder per label" in found
    assert "it holds nothing" in refusal(make_empty(tmp_path / "empty"), folders)


def make_empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_unknown_source_lists_built_in_names(tmp_path: Path, folders: DataFolders) -> None:
    found = refusal("tweet", folders)
    assert "tweet: no such file" in found and found.endswith("did you mean 'tweets'?")
    assert "film-reviews" in found and "tfds:NAME" in found
    assert "DATA= is empty; expected a file" in refusal("", folders)


def test_text_file_in_a_label_folder_of_another_encoding(
    tmp_path: Path, folders: DataFolders
) -> None:
    for label in ("neg", "pos"):
        write_texts(tmp_path / "data" / label, 20, "film")
    (tmp_path / "data" / "neg" / "5.txt").write_bytes(b"caf\xe9")
    found = refusal(tmp_path / "data", folders)
    assert "5.txt:1: byte 0xe9 at offset 3 is not utf-8" in found and "--encoding" in found


def test_cache_that_cannot_be_written(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(40))
    folders.cache.parent.mkdir(exist_ok=True)
    folders.cache.write_text("a file in the way")
    found = refusal(path, folders)
    assert "cannot write" in found and "a file stands where a folder is needed" in found


def test_disk_that_takes_no_more(tmp_path: Path, folders: DataFolders) -> None:
    path = table(tmp_path / "rows.csv", many(4000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        found = refusal(path, folders)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "cannot write" in found and "File too large" in found and "raise the limit" in found
    assert list(folders.cache.iterdir()) == []


def planted(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr("pipelines.datasets.locate.fetch", lambda *_, **__: {"rows": path})


def test_rated_set_drops_zero_and_keeps_ratings(
    tmp_path: Path, folders: DataFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rated.txt"
    lines = [f"{n}\t{(-1.5, 2.25)[n % 2]}\t\"a film {n} it's" for n in range(40)] + ["40\t0\tmeh"]
    path.write_text("\r\n".join(lines))
    planted(monkeypatch, path)
    splits = load("film-reviews", folders)
    assert splits.card.dropped == {"rating 0": 1} and splits.card.licence == "MIT"
    assert {(row.label, row.rating) for row in splits.train} == {
        ("positive", 2.25),
        ("negative", -1.5),
    }
    assert next(iter(splits.train)).text.startswith('"a film')


def test_airline_tweets_are_chosen_by_handle(
    tmp_path: Path, folders: DataFolders, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f'{"negative" if n % 2 else "positive"},0.9,"@United seat {n}, ok"' for n in range(40)]
    path = table(tmp_path / "tweets.csv", [*rows, "neutral,1,self-driving @unitedx"])
    table(path, [*rows, "neutral,1,no airline here"], "sentiment,confidence,text")
    planted(monkeypatch, path)
    assert set(load("tweets-airline", folders).card.label_counts["train"]) == {
        "negative",
        "positive",
    }
    assert sum(load("tweets", folders).card.counts.values()) >= 40


def test_built_in_names_are_those_of_the_catalogue() -> None:
    assert built_in_names()[0] == "film-reviews" and "tweets-airline" in built_in_names()


@pytest.mark.network
def test_film_reviews_as_published(tmp_path: Path) -> None:
    raw = sources.CATALOGUE.parent / "raw"
    splits = load("film-reviews", DataFolders(raw, tmp_path))
    assert splits.card.counts == {"train": 8454, "valid": 1056, "test": 1056}
    assert splits.card.dropped == {"duplicate text": 2, "rating 0": 37}
    assert isinstance(splits.test[0], LabelledText)
    shutil.rmtree(tmp_path)
