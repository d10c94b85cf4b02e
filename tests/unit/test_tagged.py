"""Loading tagged sentences: sources, splits, what is counted, the cache, rows to score."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import pytest

from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged import TaggedOptions, load_tagged, load_tagged_to_score
from pipelines.datasets.tagged_sources import built_in_tagged_names, split_of
from pipelines.errors import DataError


@pytest.fixture
def folders(tmp_path: Path) -> DataFolders:
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def columns(*sentences: str) -> str:
    """Write sentences given as "word/tag word/tag"."""
    blocks = [
        "\n".join("\t".join(pair.rsplit("/", 1)) for pair in text.split()) for text in sentences
    ]
    return "\n\n".join([*blocks, ""])


def write(path: Path, *sentences: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(columns(*sentences), encoding="utf-8")
    return path


def many(count: int, word: str = "word", tag: str = "B-x") -> list[str]:
    return [f"{word}{n}/{tag} is/O here/O" for n in range(count)]


def load(path, folders: DataFolders, *, spans: bool = True, **options):
    return load_tagged(str(path), TaggedOptions(**options), folders=folders, spans=spans)


def refusal(path, folders: DataFolders, **options) -> str:
    with pytest.raises(DataError) as caught:
        load(path, folders, **options)
    return str(caught.value)


def tokens_of(splits) -> dict[str, set[tuple[str, ...]]]:
    return {name: {row.tokens for row in rows} for name, rows in splits.named()}


def test_one_file_is_split_by_sentence(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.conll", *many(100), "word1/B-x is/O here/O", "word2/O is/O here/O")
    splits = load(path, folders)
    assert splits.card.counts == {"train": 80, "valid": 10, "test": 10}
    assert splits.card.dropped == {
        "duplicate sentence": 1,
        "duplicate sentence with other tags": 1,
    }
    assert splits.card.label_counts == {"train": {"x": 80}, "valid": {"x": 10}, "test": {"x": 10}}
    assert "words: 240 train, 30 valid, 30 test" in splits.card.notes
    assert "split by sentence: the source names no document(s)" in splits.card.notes
    assert tokens_of(load(path, folders, seed=18))["test"] != tokens_of(splits)["test"]


def test_sentences_alike_but_for_case_share_a_split(tmp_path: Path, folders: DataFolders) -> None:
    texts = many(60) + [text.upper().replace("/B-X", "/B-x") for text in many(60)]
    parts = tokens_of(load(write(tmp_path / "a.conll", *texts), folders))
    for tokens in parts.values():
        assert {tuple(map(str.swapcase, words)) for words in tokens} == tokens


def test_documents_are_not_parted(tmp_path: Path, folders: DataFolders) -> None:
    blocks = ["-DOCSTART- O\n\n" + columns(*many(5, f"doc{n}x")) for n in range(20)]
    path = tmp_path / "a.conll"
    path.write_text("\n".join(blocks))
    splits = load(path, folders)
    assert splits.card.counts == {"train": 80, "valid": 10, "test": 10}
    documents = [{row.document for row in rows} for _, rows in splits.named()]
    assert sum(map(len, documents)) == len(set().union(*documents)) == 20
    assert "split by document: 20 documents" in splits.card.notes


def test_near_repeats_across_documents_leave_train(tmp_path: Path, folders: DataFolders) -> None:
    blocks = [
        "-DOCSTART- O\n\n" + columns(*many(5, f"doc{n}x"), "Same/O " + "!/O " * n)
        for n in range(1, 21)
    ]
    path = tmp_path / "a.conll"
    path.write_text("\n".join(blocks))
    splits = load(path, folders)
    same = {name: sum(row.tokens[0] == "Same" for row in rows) for name, rows in splits.named()}
    assert same == {"train": 0, "valid": 0, "test": 2}
    reason = "training sentence also in test but for case, punctuation, names or links"
    assert splits.card.dropped[reason] == 16


def test_many_files_are_documents(tmp_path: Path, folders: DataFolders) -> None:
    for number in range(12):
        write(tmp_path / "data" / f"{number}.conll", *many(3, f"file{number}x"))
    (tmp_path / "data" / "README.md").write_text("about")
    splits = load(tmp_path / "data", folders)
    assert "split by document: 12 documents" in splits.card.notes
    assert "not read: README.md" in splits.card.notes
    assert "12 documents" in " ".join(load(tmp_path / "data" / "*.conll", folders).card.notes)


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("eng.train", "train"),
        ("eng.testa", "valid"),
        ("eng.testb", "test"),
        ("en_ewt-ud-train.conllu", "train"),
        ("pt-ud-dev.conllu", "valid"),
        ("test.txt", "test"),
        ("constrain.txt", None),
        ("train-test.txt", None),
    ],
)
def test_split_of_a_name(name: str, split: str | None) -> None:
    assert split_of(Path(name)) == split


@pytest.mark.parametrize(
    "names",
    [("eng.train", "eng.testa", "eng.testb"), ("train.txt", "dev.txt", "test.txt")],
)
def test_folder_of_split_files(tmp_path: Path, folders: DataFolders, names) -> None:
    for name, word in zip(names, ("a", "b", "c"), strict=True):
        write(tmp_path / "data" / name, *many(8, word))
    (tmp_path / "data" / "README").write_text("about")
    splits = load(tmp_path / "data", folders)
    assert splits.card.counts == {"train": 8, "valid": 8, "test": 8}
    assert {row.tokens[0][0] for row in splits.test} == {"c"}
    (tmp_path / "data" / names[0]).unlink()
    assert "no training sentences: found" in refusal(tmp_path / "data", folders)


def test_folder_with_raw_text_beside_conllu(tmp_path: Path, folders: DataFolders) -> None:
    line = "1\t{}\t_\tNOUN\t_\t_\t0\troot\t_\t_\n\n"
    for split in ("train", "dev", "test"):
        path = tmp_path / "data" / f"xx-ud-{split}.conllu"
        path.parent.mkdir(exist_ok=True)
        path.write_text(line.format(split) * 2)
        path.with_suffix(".txt").write_text("raw text")
    splits = load(tmp_path / "data", folders, spans=False)
    assert splits.card.counts == {"train": 2, "valid": 2, "test": 2}
    assert "1 repeated sentence(s) within the given training split, kept" in splits.card.notes
    assert splits.card.label_counts["test"] == {"NOUN": 2}
    assert splits.card.notes[0].startswith("not read: xx-ud-dev.txt")


def test_given_files_stay_and_train_gives_way(tmp_path: Path, folders: DataFolders) -> None:
    train = write(tmp_path / "a", *many(20), "v1/O", "T1/O !/O", "T2/O")
    valid = write(tmp_path / "b", "v1/O", "v2/O", "T2/O", "v2/O")
    test = write(tmp_path / "c", "t1/O", "T2/O", "neu/B-y")
    splits = load(train, folders, valid_file=str(valid), test_file=str(test))
    assert splits.card.counts == {"train": 20, "valid": 3, "test": 3}
    assert splits.card.dropped == {
        "training sentence also in test": 1,
        "training sentence also in test but for case, punctuation, names or links": 1,
        "training sentence also in valid": 1,
        "valid sentence also in test": 1,
    }
    assert "1 repeated sentence(s) within the given valid split, kept" in splits.card.notes
    assert f"'y' stands in test (1) but in no training sentence: {test}:5, word 1" in (
        splits.card.notes
    )
    splits = load(train, folders, test_file=str(test))
    assert splits.card.counts == {"train": 19, "valid": 2, "test": 3}


def test_given_valid_file_alone_draws_test_from_train(tmp_path: Path, folders) -> None:
    train = write(tmp_path / "a", *many(40))
    valid = write(tmp_path / "b", *many(5, "new"))
    splits = load(train, folders, valid_file=str(valid))
    assert splits.card.counts == {"train": 36, "valid": 5, "test": 4}
    assert {row.tokens[0][:3] for row in splits.valid} == {"new"}


def test_compressed_files(tmp_path: Path, folders: DataFolders) -> None:
    with gzip.open(tmp_path / "a.conll.gz", "wt", encoding="utf-8") as stream:
        stream.write(columns(*many(20)))
    assert sum(load(tmp_path / "a.conll.gz", folders).card.counts.values()) == 20


def test_a_slip_in_a_tag_is_named(tmp_path: Path, folders: DataFolders) -> None:
    train = write(tmp_path / "a", *many(20, tag="B-person"))
    test = write(tmp_path / "b", "x/O Ann/B-preson")
    (note,) = [it for it in load(train, folders, test_file=str(test)).card.notes if "preson" in it]
    assert note.endswith(f"{test}:1, word 2; did you mean 'person'?")


@pytest.mark.parametrize(
    ("texts", "tags", "note"),
    [
        (["a/B-x b/I-x c/B-x", "d/I-y e/O"], {"B-x I-x B-x", "B-y O"}, "1 tag(s) that BIO does"),
        (["a/I-x b/I-x c/B-x", "d/I-y e/O"], {"B-x I-x B-x", "B-y O"}, "tags read as IOB1"),
        (["a/B-x b/E-x c/S-x", "d/B-y e/O"], {"B-x I-x B-x", "B-y O"}, "1 tag(s) that BIOES does"),
        (["a/x b/x c/O", "d/y e/O"], {"B-x I-x O", "B-y O"}, "tags without B- or I-: each run"),
    ],
)
def test_schemes_become_bio(tmp_path: Path, folders, texts, tags, note: str) -> None:
    filler = [text.replace("/O", f"/O f{n}/O") for n, text in enumerate(["q/O"] * 20)]
    path = write(tmp_path / "a.conll", *texts, *filler)
    splits = load(path, folders)
    found = {" ".join(row.tags) for _, rows in splits.named() for row in rows}
    assert found - {"O O"} == tags
    (line,) = [it for it in splits.card.notes if note in it]
    if "allow" in line:
        assert f"mended: {path}:5 (" in line and "after none)" in line


def test_scheme_by_option_and_a_tag_without_letter(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.conll", *many(20), "is/O Ann/person")
    found = refusal(path, folders)
    assert "a.conll:82: tag 'person' of the word 'Ann' has no letter of a scheme" in found
    assert "reads as BIO; expected O, B-person or the like" in found and "--scheme none" in found
    splits = load(path, folders, scheme="none")
    assert set(splits.card.label_counts["train"]) == {"B-x", "person"}


def test_spans_across_sentence_ends_are_remarked(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.conll", *many(20), "the/O New/B-loc", "York/I-loc mayor/O")
    notes = load(path, folders).card.notes
    assert any("1 span(s) that go on across the end of a sentence" in it for it in notes)
    assert any(f"{path}:84 (I-loc after none)" in it for it in notes)


def test_untagged_and_empty_sentences_are_counted(tmp_path: Path, folders: DataFolders) -> None:
    rows = [{"tokens": [f"w{n}"], "tags": ["N"]} for n in range(20)]
    rows += [{"tokens": [], "tags": []}, {"tokens": ["a", "b"], "tags": ["N", None]}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    splits = load(path, folders, spans=False)
    assert splits.card.dropped == {
        "sentence with an untagged word": 1,
        "sentence without words": 1,
    }
    assert f"1 sentence(s) with an untagged word: {path}:22" in splits.card.notes
    path.write_text(json.dumps(rows[-2]))
    found = refusal(path, folders, spans=False)
    assert "no tagged sentence (left out: {'sentence without words': 1})" in found
    path.write_text("\n".join(map(json.dumps, [*rows[:3], {"tokens": ["a"], "tags": ["N", "V"]}])))
    found = refusal(path, folders, spans=False)
    assert f"{path}:4: 1 words but 2 tags; every word needs one tag" in found


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path, folders: DataFolders) -> None:
    rows = [json.dumps({"tokens": [f"w{n}"], "tags": ["N"]}) for n in range(20)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join([*rows, '{"tokens": ["\\ud83d", "x"], "tags": ["N", "N"]}']))
    splits = load(path, folders, spans=False)
    assert ("\ufffd", "x") in set().union(*tokens_of(splits).values())
    assert "1 sentence(s) with half a surrogate pair" in " ".join(splits.card.notes)


def test_too_few_sentences(tmp_path: Path, folders: DataFolders) -> None:
    found = refusal(write(tmp_path / "a.conll", *many(4)), folders)
    assert "too few sentences: 4 train, 0 valid, 0 test; expected at least one each" in found
    assert "--valid-file and --test-file" in found


def test_a_column_of_words_is_no_column_of_tags(tmp_path, folders, monkeypatch) -> None:
    monkeypatch.setattr("pipelines.datasets.tag_scan.MAX_TAGS", 10)
    path = write(tmp_path / "a.conll", *(f"x/{n}" for n in range(40)))
    found = refusal(path, folders, spans=False)
    assert "a.conll:61: more than 10 different tags, the latest '30'" in found
    assert "choose another column with --tag-column or --tag-field" in found


def test_second_load_reads_the_cache(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.conll", *many(40))
    first = load(path, folders)
    (cached,) = folders.cache.iterdir()
    stamp = (cached / "rows.arrow").stat().st_mtime_ns
    again = load(path, folders)
    assert (cached / "rows.arrow").stat().st_mtime_ns == stamp
    assert again.card == first.card and list(again.train) == list(first.train)
    assert load(path, folders, spans=False).card.fingerprint != first.card.fingerprint
    (cached / "rows.arrow").unlink()
    (cached / "rows.arrow").write_bytes(b"short")
    assert list(load(path, folders).test) == list(first.test)
    write(path, *many(41))
    assert load(path, folders).card.fingerprint != first.card.fingerprint


def test_memory_does_not_hold_the_sentences(tmp_path: Path, folders, monkeypatch) -> None:
    monkeypatch.setattr("pipelines.datasets.rows.CHUNK_ROWS", 64)
    with (tmp_path / "a.conll").open("w") as stream:
        for number in range(3_000):
            stream.write(f"w{number}\tO\n" + f"{'x' * 150}\tO\n" * 10 + "\n")
    load(write(tmp_path / "small", *many(40)), folders)  # imports are not what is measured
    tracemalloc.start()
    load(tmp_path / "a.conll", folders, spans=False)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tmp_path / "a.conll").stat().st_size > 4_500_000
    assert peak < 2_500_000


def test_unknown_source_lists_built_in_names(folders: DataFolders) -> None:
    found = refusal("portinari", folders)
    assert "portinari: no such file" in found and found.endswith("did you mean 'porttinari'?")
    assert "tweet-entities" in found and "tfds:NAME" in found
    assert "DATA= is empty" in refusal("", folders)
    assert {"porttinari", "petrogold", "danteshots", "dantestocks"} < set(built_in_tagged_names())


def test_folder_and_pattern_without_tagged_files(tmp_path: Path, folders: DataFolders) -> None:
    (tmp_path / "data").mkdir()
    assert "no tagged sentences in this folder: it holds nothing" in refusal(
        tmp_path / "data", folders
    )
    (tmp_path / "data" / "notes.md").write_text("x")
    assert "it holds notes.md; expected files such as" in refusal(tmp_path / "data", folders)
    assert "no file matches this pattern" in refusal(tmp_path / "data" / "*.conll", folders)
    missing = refusal(write(tmp_path / "a", *many(20)), folders, test_file="b")
    assert "b: no such file" in missing


def score(path, folders: DataFolders, tags: list[str], *, spans: bool = True, **options):
    return load_tagged_to_score(
        str(path), tags, TaggedOptions(**options), folders=folders, spans=spans
    )


def test_sentences_to_score_are_all_test(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.conll", *many(3), "word1/B-x is/O here/O", "go/I-x")
    splits = score(path, folders, ["O", "B-x"])
    assert [len(rows) for _, rows in splits.named()] == [0, 0, 4]
    assert splits.card.counts == {"test": 4}
    assert splits.card.dropped == {"duplicate sentence": 1}
    assert any("mended" in note for note in splits.card.notes)


def test_a_tag_unknown_to_the_model_is_an_error(tmp_path: Path, folders: DataFolders) -> None:
    path = write(tmp_path / "a.conll", *many(3), "Ann/B-preson left/O")
    with pytest.raises(DataError) as caught:
        score(path, folders, ["O", "B-person", "I-person", "B-x"])
    assert f"{path}:13, word 1: entity type 'preson' is unknown to the model" in str(caught.value)
    assert "did you mean 'person'?; it knows person, x; mend the tag" in str(caught.value)
    with pytest.raises(DataError, match=r"tag 'B-x' is unknown to the model; it knows N, O;"):
        score(path, folders, ["O", "N"], spans=False)
    (tmp_path / "b.conll").write_text("\n\n")
    with pytest.raises(DataError, match=r"no tagged sentence \(left out: none\)"):
        score(tmp_path / "b.conll", folders, ["O"])
