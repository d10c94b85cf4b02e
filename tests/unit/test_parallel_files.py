"""Two text files, line for line: how they are found, read and refused."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest

from pipelines.datasets.parallel_files import PairFiles, find_pair_files, read_pair_files
from pipelines.datasets.parallel_options import ParallelOptions, RawPair
from pipelines.datasets.remarks import Remarks
from pipelines.errors import DataError
from tests.unit.test_parallel_alignment import text_and_translation

OPTIONS = ParallelOptions()


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8", newline="")


def found(source: str | Path, options: ParallelOptions = OPTIONS) -> list[tuple[str, str, str]]:
    return [
        (it.source.name, it.target.name, it.split or "")
        for it in find_pair_files(str(source), options)
    ]


def read(files: PairFiles, options: ParallelOptions = OPTIONS) -> list[RawPair]:
    return list(read_pair_files(files, options, Remarks()))


@pytest.mark.parametrize("separator", [" ", ",", ", ", "  "])
def test_two_paths_in_the_order_given_or_by_their_endings(tmp_path: Path, separator: str) -> None:
    write(tmp_path, c_en="a\n", c_fr="b\n", left="a\n", right="b\n")

    def both(first: str, second: str) -> str:
        return f"{tmp_path / first}{separator}{tmp_path / second}"

    assert found(both("c.en", "c.fr")) == [("c.en", "c.fr", "")]
    assert found(both("c.fr", "c.en")) == [("c.en", "c.fr", "")]
    assert found(both("left", "right")) == [("left", "right", "")]


def test_paths_with_blanks_go_by_a_comma(tmp_path: Path) -> None:
    folder = tmp_path / "my files"
    folder.mkdir()
    write(folder, c_en="a\n", c_fr="b\n")
    assert found(f"{folder}/c.en,{folder}/c.fr") == [("c.en", "c.fr", "")]


def test_folder_with_splits(tmp_path: Path) -> None:
    for name in ("train.en", "train.fr", "dev.en", "dev.fr", "test.en.gz", "test.fr", "extra.en"):
        (tmp_path / name).touch()
    (tmp_path / "extra.fr").touch()
    (tmp_path / "README.md").touch()
    assert found(tmp_path) == [
        ("dev.en", "dev.fr", "valid"),
        ("test.en.gz", "test.fr", "test"),
        ("train.en", "train.fr", "train"),
    ]


@pytest.mark.parametrize(
    "names",
    [
        ("corpus.en", "corpus.fr"),
        ("en.txt", "fr.txt"),
        ("Books.en-fr.en", "Books.en-fr.fr"),
        ("news.en_GB.txt.gz", "news.fr-FR.txt"),
        ("tatoeba.eng", "tatoeba.fra"),
    ],
)
def test_one_pair_in_a_folder(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    assert found(tmp_path) == [(*names, "")]
    reverse = ParallelOptions(source_language="fr", target_language="en")
    assert found(tmp_path, reverse) == [(*names[::-1], "")]


def test_prefix(tmp_path: Path) -> None:
    for name in ("corpus.en", "corpus.fr.gz", "corpus.de", "other.en"):
        (tmp_path / name).touch()
    assert found(tmp_path / "corpus") == [("corpus.en", "corpus.fr.gz", "")]
    german = ParallelOptions(target_language="de")
    assert found(tmp_path / "corpus", german) == [("corpus.en", "corpus.de", "")]


@pytest.mark.parametrize("names", [("a.src", "a.tgt"), ("a.source.txt", "a.target.txt")])
def test_sides_may_be_named_without_languages(tmp_path: Path, names: tuple[str, str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    for source in (tmp_path, tmp_path / "a", f"{tmp_path / names[1]} {tmp_path / names[0]}"):
        assert found(source) == [(*names, "")]


def test_one_file_of_a_pair_finds_the_other(tmp_path: Path) -> None:
    for name in ("c.en", "c.fr", "d.fr", "notes.txt"):
        (tmp_path / name).touch()
    assert found(tmp_path / "c.en") == found(tmp_path / "c.fr") == [("c.en", "c.fr", "")]
    with pytest.raises(DataError, match=r"d\.en: no such file, but d\.fr is there; expected both"):
        found(tmp_path / "d.fr")
    assert found(tmp_path / "notes.txt") == []


def test_what_is_no_pair_of_files_is_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "pairs.tsv").touch()
    (tmp_path / "app.po").touch()
    (tmp_path / "app.mo").touch()
    for source in (tmp_path, tmp_path / "pairs.tsv", tmp_path / "nothing", "verses", "", "a b"):
        assert found(source) == []


def test_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("train.en", "train.fr", "test.en"):
        (tmp_path / name).touch()
    with pytest.raises(
        DataError, match=r"test\.fr: no such file, but test\.en is there; expected both"
    ):
        found(tmp_path)
    with pytest.raises(DataError, match=r"test\.fr: no such file, but test\.en .*: en\); add the"):
        found(tmp_path / "test")
    with pytest.raises(
        DataError, match=r"test\.fr: no such file.*other file of the pair, .*st\.en"
    ):
        found(f"{tmp_path}/test.en,{tmp_path}/test.fr")
    with pytest.raises(DataError, match=r"no such file.* the pair, .*b\.fr, is not there either:"):
        found("nowhere/a.en,nowhere/b.fr")
    german = ParallelOptions(target_language="de")
    with pytest.raises(
        DataError,
        match=r"train\.de: no such file.*endings found of 'train': en, fr\).*--target-language",
    ):
        found(tmp_path / "train", german)


def test_other_languages_are_listed(tmp_path: Path) -> None:
    for name in ("train.en", "train.fr"):
        (tmp_path / name).touch()
    options = ParallelOptions(source_language="es", target_language="it")
    for source in (tmp_path, tmp_path / "train", f"{tmp_path}/train.en {tmp_path}/train.fr"):
        with pytest.raises(
            DataError,
            match=r"language pair es-it; endings found: en, fr; expected \.es and \.it; give --sou",
        ):
            found(source, options)


def test_folder_without_training_pairs(tmp_path: Path) -> None:
    for name in ("dev.en", "dev.fr", "test.en", "test.fr"):
        (tmp_path / name).touch()
    with pytest.raises(DataError, match=r"no training pairs: found dev\.en, test\.en; .*DATA=A,B"):
        found(tmp_path)


def test_only_line_feeds_end_a_line(tmp_path: Path) -> None:
    write(tmp_path, c_en="one\rtwo\u2028three\r\n\nfour", c_fr="\ufeffun\n\tdeux \nquatre\n")
    files = PairFiles(tmp_path / "c.en", tmp_path / "c.fr", "train")
    origin = f"{tmp_path / 'c.en'}:"
    assert read(files) == [
        RawPair("one\rtwo\u2028three", "un", "", f"{origin}1", "train"),
        RawPair("", "\tdeux ", "", f"{origin}2", "train"),
        RawPair("four", "quatre", "", f"{origin}3", "train"),
    ]


def test_gzip_and_encoding(tmp_path: Path) -> None:
    (tmp_path / "c.en.gz").write_bytes(gzip.compress("café\n".encode("latin-1")))
    (tmp_path / "c.fr").write_bytes("thé\n".encode("latin-1"))
    files = PairFiles(tmp_path / "c.en.gz", tmp_path / "c.fr")
    (pair,) = read(files, ParallelOptions(encoding="latin-1"))
    assert (pair.source, pair.target) == ("café", "thé")
    with pytest.raises(DataError, match=r"c\.en\.gz:1: byte 0xe9 at offset 3 .*--encoding cp1252"):
        read(files)


def test_empty_files(tmp_path: Path) -> None:
    write(tmp_path, c_en="", c_fr="")
    with pytest.raises(DataError, match=r"c\.en, .*c\.fr: both files are empty; expected text"):
        read(PairFiles(tmp_path / "c.en", tmp_path / "c.fr"))


def test_blank_lines_at_the_end_are_no_difference(tmp_path: Path) -> None:
    write(tmp_path, c_en="a\nb\n", c_fr="A\nB\n\n  \n")
    remarks = Remarks()
    files = PairFiles(tmp_path / "c.en", tmp_path / "c.fr")
    assert len(list(read_pair_files(files, OPTIONS, remarks))) == 2
    assert remarks.notes() == (
        f"2 blank line(s) at the end of one side, left out: {files.target}:3",
    )


def test_unequal_counts_name_the_line_that_first_looks_shifted(tmp_path: Path) -> None:
    sources, targets = text_and_translation(300, 4)
    del targets[149]
    write(tmp_path, c_en="\n".join(sources) + "\n", c_fr="\n".join(targets) + "\n")
    with pytest.raises(DataError) as caught:
        read(PairFiles(tmp_path / "c.en", tmp_path / "c.fr"))
    message = str(caught.value)
    assert "c.en has 300 lines, " in message and "c.fr 299; expected equally many" in message
    found = re.search(r"line (\d+) first looks shifted: line (\d+) of c\.en, '(.*?)…?', ", message)
    assert found is not None and abs(int(found[1]) - 150) <= 2
    line = int(found[2])
    assert 150 < line <= 155 and sources[line - 1].startswith(found[3])
    assert f"but fits line {line - 1} of c.fr, '{targets[line - 2][:50]}" in message
    assert message.endswith("mend the files there")


def test_unequal_counts_without_a_shift_tell_a_cut_file(tmp_path: Path) -> None:
    sources, targets = text_and_translation(300, 4)
    write(tmp_path, c_en="\n".join(sources), c_fr="\n".join(targets[:200]))
    with pytest.raises(
        DataError, match=r"300 lines, .* 200; .*no line looks shifted: c\.fr .* cut after line 200"
    ):
        read(PairFiles(tmp_path / "c.en", tmp_path / "c.fr"))
