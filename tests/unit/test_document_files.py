"""Files of running text: encodings, folders, patterns, message logs, built-in sets, refusals."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

from pipelines.datasets.document_reading import title_of
from pipelines.datasets.document_sources import built_in_document_names
from pipelines.datasets.document_text import without_ebook_frame
from pipelines.datasets.remarks import Remarks
from tests.unit.test_documents import folder_of, load, names, prose, refusal, score, texts, write

ACCENTS = "Où est l'été, ça va déjà ?\n" * 60


def notes(tmp_path: Path, source: Path, **options: object) -> str:
    return "\n".join(score(tmp_path, source, **options).card.notes)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_marked_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "a.txt", ACCENTS.encode(encoding))
    assert score(tmp_path, path).test[0].text == ACCENTS
    folder = folder_of(tmp_path, 3)
    write(folder, "z.txt", ACCENTS.encode(encoding))
    assert ACCENTS in texts(score(tmp_path, folder))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16-le", "utf-16-be"])
def test_another_encoding_is_read_when_named(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "a.txt", ACCENTS.encode(encoding))
    rows = score(tmp_path, path, encoding=encoding)
    assert rows.test[0].text == ACCENTS
    assert f"1 file(s) read as {encoding}: {path}" in rows.card.notes


def test_utf8_stays_utf8_whatever_is_named(tmp_path: Path) -> None:
    for encoding in ("latin-1", "utf-16", "utf-16-le", "utf-8-sig"):
        rows = score(tmp_path, write(tmp_path, "a.txt", ACCENTS), encoding=encoding)
        assert rows.test[0].text == ACCENTS and rows.card.notes == ()


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    message = refusal(tmp_path, tmp_path / "pipe")
    assert "pipe: neither a file nor a folder, but a pipe or device" in message
    assert "write it to a file first" in message
    folder = folder_of(tmp_path, 3)
    os.mkfifo(folder / "pipe")
    assert len(score(tmp_path, folder).test) == 3


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, write(tmp_path, "a.txt", ACCENTS.encode("latin-1")))
    assert "a.txt:1: byte 0xf9 at offset 1 is not utf-8" in message
    assert "--encoding cp1252 or --encoding latin-1" in message
    message = refusal(tmp_path, write(tmp_path, "b.txt", ACCENTS.encode("utf-16-le")))
    assert "b.txt: expected text, but byte 1 is NUL, as in a binary file" in message
    message = refusal(tmp_path, write(tmp_path, "c.txt", "a" * 9_000 + "\0"))
    assert "c.txt: expected text, but character 9,000 is NUL" in message
    assert "--encoding utf-16-le if it is such text" in message
    message = refusal(tmp_path, write(tmp_path, "d.txt", b"%PDF-1.7"))
    assert "d.txt: expected text, but this is a PDF" in message
    message = refusal(tmp_path, write(tmp_path, "e.txt.gz", "plain"))
    assert "e.txt.gz: damaged or not gzip-compressed" in message and "drop .gz" in message


def test_mixed_encodings_are_listed_or_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 19)
    bad = write(folder, "é.txt", ("é" + ACCENTS).encode("latin-1"))
    card = score(tmp_path, folder).card
    assert card.dropped == {"not in the encoding": 1}
    note = "document(s) left out as not in the encoding"
    assert f"1 {note}: {bad} (byte 0xe9 at offset 0 is not utf-8)" in card.notes
    mixed = score(tmp_path, folder, encoding="latin-1")
    assert "é" + ACCENTS in texts(mixed) and mixed.card.dropped == {}
    for number in range(2):
        write(folder, f"bad{number}.txt", b"abc\xff")
    message = refusal(tmp_path, folder)
    assert f"{folder}: 3 of 22 files cannot be read: {folder}/bad0.txt (byte 0xff at" in message
    assert "offset 3 is not utf-8)" in message and "expected nine in ten to be UTF-8" in message
    assert "give --encoding for the others" in message


def test_hidden_and_binary_files_are_passed_over(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 5)
    write(folder, ".git/config.txt", prose(90))
    write(folder, ".hidden.txt", prose(91))
    write(folder, "picture.png", b"\x89PNG\r\n")
    write(folder, "late.bin", b"a" * 10_000 + b"\0")
    card = score(tmp_path, folder).card
    assert card.counts == {"test": 5} and card.dropped == {}
    assert f"2 hidden file(s) or folder(s), not looked into: {folder}/.git" in "\n".join(card.notes)
    assert f"1 binary file(s), not read: {folder}/picture.png" in card.notes
    assert f"1 binary file(s), not read: {folder}/late.bin" in card.notes


def test_links_are_followed_once(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 4)
    write(tmp_path, "elsewhere/x.txt", prose(50))
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "beside").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "again").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (folder / "link.txt").symlink_to(folder / "00.txt")
    (folder / "broken.txt").symlink_to(folder / "gone")
    splits = score(tmp_path, folder)
    assert names(splits) == ["00.txt", "01.txt", "02.txt", "03.txt", "again/x.txt"]
    assert splits.card.dropped == {}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_counted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 20)
    (folder / "00.txt").chmod(0)
    assert score(tmp_path, folder).card.dropped == {"unreadable": 1}


def test_a_damaged_archive_is_counted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 20)
    bad = write(folder, "a.txt.gz", "plain")
    card = score(tmp_path, folder).card
    assert card.dropped == {"unreadable": 1}
    note = f"1 document(s) left out as unreadable: {bad}: damaged or not gzip-compressed"
    assert note in "\n".join(card.notes)


def test_patterns(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 3)
    write(folder, "src/a.py", prose(10))
    write(folder, "src/deep/b.py", prose(11))
    write(folder, "c.md", prose(12))
    assert names(score(tmp_path, folder, pattern="*.py, *.md")) == [
        "c.md",
        "src/a.py",
        "src/deep/b.py",
    ]
    assert names(score(tmp_path, folder, pattern="src/deep/*")) == ["src/deep/b.py"]
    message = refusal(tmp_path, folder, pattern="*.rs")
    assert f"{folder}: no text file matches --pattern '*.rs': found 6 of other names" in message
    assert "(3 .txt, 2 .py, 1 .md)" in message and "give another --pattern" in message
    message = refusal(tmp_path, folder / "c.md", pattern="*.md")
    assert "--pattern '*.md' chooses among the files of a folder, but this is a file" in message
    assert "leave it out, or give DATA= the folder" in message


def test_a_glob(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 12)
    write(folder, "deep/test_that.txt", prose(50))
    found = score(tmp_path, f"{folder}/**/*.txt")
    assert names(found) == [*(f"{number:02}.txt" for number in range(12)), "deep/test_that.txt"]
    assert names(score(tmp_path, f"{folder}/0[12].txt")) == ["01.txt", "02.txt"]
    assert "no file matches this pattern" in refusal(tmp_path, f"{folder}/*.rs")


def test_a_folder_without_text(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    message = refusal(tmp_path, folder)
    assert f"{folder}: no text file: found nothing; expected text such as .txt, .md" in message
    write(folder, "a.png", b"\x89PNG")
    message = refusal(tmp_path, folder)
    assert "found 1 binary file(s), not read; expected text" in message
    assert message.endswith("give another folder")
    message = refusal(tmp_path, tmp_path / "empti")
    assert "no such file; did you mean 'empty'?" in message


def log(folder: Path, name: str = "chat.jsonl", count: int = 200) -> Path:
    rows = [
        {"speaker": ("Ann", "Bob")[number % 2], "text": f"{number} {prose(number, 40).strip()}"}
        for number in range(count)
    ]
    return write(folder, name, "".join(json.dumps(row) + "\n" for row in rows))


def test_one_speaker_is_one_document(tmp_path: Path) -> None:
    path = log(tmp_path)
    splits = load(tmp_path, path, speaker="Bob")
    parts = [rows[0] for _, rows in splits.named()]
    messages = "".join(part.text for part in parts).split("\n")
    assert [int(it.split()[0]) for it in messages if it and it[0].isdigit()] == [*range(1, 200, 2)]
    assert parts[0].name == "Bob (train part)"
    assert f"100 message(s) of 'Bob': {path}" in splits.card.notes
    folder = path.parent / "logs"
    log(folder, "a.jsonl")
    log(folder, "b.jsonl", 100)
    write(folder, "readme.txt", prose(1))
    assert [row.name for row in score(tmp_path, folder, speaker="Ann").test] == ["Ann", "Ann"]


def test_csv_messages_and_rows_without_speaker(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", 'who,said\nAnn,"one\r\ntwo"\nBob,x\nAnn,\nAnn,three\n')
    options = {"speaker_column": "who", "text_column": "said"}
    rows = score(tmp_path, path, speaker="Ann", **options)
    assert rows.test[0].text == "one\ntwo\nthree"
    assert f"1 row(s) without text, left out: {path}:5" in rows.card.notes
    rows = score(tmp_path, path, **options)
    assert [(row.name, row.text) for row in rows.test] == [
        ("a.csv:2", "one\ntwo"),
        ("a.csv:4", "x"),
        ("a.csv:6", "three"),
    ]
    assert "4 row(s) with a speaker, each a document: see --speaker" in "\n".join(rows.card.notes)
    assert score(tmp_path, path, text_column="").test[0].text.startswith("who,said\nAnn")


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    path = write(tmp_path, "a.jsonl", '{"text": "a \\ud83d b"}\n')
    assert score(tmp_path, path).test[0].text == "a ? b"


def test_refused_logs(tmp_path: Path) -> None:
    path = log(tmp_path)
    message = refusal(tmp_path, path, speaker="Bbo")
    assert "chat.jsonl: no message of speaker 'Bbo' in column 'speaker'" in message
    assert "did you mean 'Bob'?; found 'Ann' (100), 'Bob' (100); give --speaker one" in message
    message = refusal(tmp_path, path, text_column="txt")
    assert "chat.jsonl:1: no column 'txt'; did you mean 'text'?; found: 'speaker'" in message
    assert "give --text-column one of them" in message
    message = refusal(tmp_path, path, speaker="Bob", speaker_column="who")
    assert "no column 'who'; found: 'speaker', 'text'; give --speaker-column one" in message
    message = refusal(tmp_path, write(tmp_path, "b.jsonl", '{"text": 3}\n'))
    assert "b.jsonl:1: column 'text' holds int '3', expected text; give --text-column" in message
    message = refusal(tmp_path, write(tmp_path, "c.txt", prose(1)), speaker="Bob")
    assert "--speaker 'Bob' chooses among the messages of a log, but no file here is" in message


def test_the_frame_of_an_ebook_is_taken_off() -> None:
    work = "HAMLET\n\nWho's there?\n"
    text = (
        "The Project Gutenberg eBook of Hamlet\nlicence\n\n"
        "*** START OF THE PROJECT GUTENBERG EBOOK HAMLET ***\n\n\n"
        f"{work}\n\n*** END OF THE PROJECT GUTENBERG EBOOK HAMLET ***\n\nmore licence\n"
    )
    remarks = Remarks()
    assert without_ebook_frame(text, "a.txt", remarks) == work
    assert remarks.counts.total() == len(text) - len(work)
    assert without_ebook_frame(work, "a.txt", remarks) == work


def test_titles() -> None:
    found = [
        title_of(f"\n  {line}\nby\n")
        for line in (
            "ALL'S WELL THAT ENDS WELL",
            "KING HENRY IV, THE FIRST PART",
            "THE LIFE OF TIMON OF ATHENS",
        )
    ]
    assert found == [
        "All's Well That Ends Well",
        "King Henry IV, the First Part",
        "The Life of Timon of Athens",
    ]


def test_built_in_sets_of_source_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert built_in_document_names() == ["shakespeare", "c-headers", "python-stdlib"]
    include = folder_of(tmp_path, 5).rename(tmp_path / "include")
    for number, path in enumerate(sorted(include.iterdir())):
        path.rename(path.with_suffix((".h", ".txt")[number % 2]))
    write(include, "test/x.h", prose(9))
    places = [str(tmp_path)]
    found = type("Spec", (), {"submodule_search_locations": places})()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: found)
    rows = score(tmp_path, "c-headers")
    assert names(rows) == ["00.h", "02.h", "04.h"]
    assert rows.card.licence.startswith("Apache-2.0") and rows.card.language == "c++"
    assert list(rows.card.files) == ["c-headers"]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    message = refusal(tmp_path, "c-headers")
    assert "c-headers: no folder tensorflow/include among the installed packages" in message
    assert "found no tensorflow" in message and "install it, or give DATA= a folder" in message
    assert "abc.py" in names(score(tmp_path, "python-stdlib", pattern="a*.py"))
