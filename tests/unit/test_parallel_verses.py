"""The built-in verses, read from a small database that the tests write."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pipelines.datasets import locate
from pipelines.datasets.parallel import ParallelOptions, load_pairs, load_pairs_to_score
from pipelines.datasets.parallel_verse_text import Verse, mended
from pipelines.datasets.parallel_verses import VERSIONS, chosen_pairs, read_verses
from pipelines.datasets.remarks import Remarks
from pipelines.datasets.storage import DataFolders
from pipelines.errors import DataError
from tasks.translation import Translation, TranslationConfig

CHAPTERS, VERSES = 60, 4
KEYS = "".join(version.key for version in VERSIONS)


def write_database(path: Path, texts: dict[tuple[str, int, int, int], str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "CREATE TABLE bible (id INTEGER, bbName TEXT, bNumber INTEGER, cNumber INTEGER, "
            "vNumber INTEGER, vText TEXT)"
        )
        database.execute("CREATE TABLE bibleRef (bbName TEXT, bNumber INTEGER, bsName TEXT)")
        rows = [(number, *place, text) for number, (place, text) in enumerate(texts.items())]
        database.executemany("INSERT INTO bible VALUES (?, ?, ?, ?, ?, ?)", rows)
        names = [(key, "Gen" if key in "4k3" else f"Gn-{key}") for key in KEYS]
        database.executemany("INSERT INTO bibleRef VALUES (?, 1, ?)", names)
    return path


def many_verses(keys: str = KEYS + "19") -> dict[tuple[str, int, int, int], str]:
    return {
        (key, 1, chapter, verse): f"Text {key} of chapter{chapter}x verse{verse}x"
        for key in keys
        for chapter in range(1, CHAPTERS + 1)
        for verse in range(1, VERSES + 1)
    }


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataFolders:
    path = write_database(tmp_path / "raw" / "verses" / "bible.db", many_verses())
    monkeypatch.setattr(locate, "fetch", lambda *_, **__: {"database": path})
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def load(folders: DataFolders, **options):
    return load_pairs("verses", ParallelOptions(**options), folders=folders)


def refusal(**options) -> str:
    with pytest.raises(DataError) as caught:
        chosen_pairs(ParallelOptions(**options))
    return str(caught.value)


def texts_of(texts, **settings) -> list[str]:
    return [it.text for it in mended(texts, **{"capitals": False, "lost_sign": False, **settings})]


def mend(text: str, **settings) -> str:
    return texts_of([Verse(1, 1, 2, text)], **settings)[0]


def test_default_versions_split_by_chapter(folders: DataFolders) -> None:
    splits = load(folders)
    first = splits.train[0]
    assert first.source.startswith("Text 4 of")
    assert first.target == first.source.replace(" 4 ", " l ")
    assert first.origin == f"verses {first.document}:1"
    assert splits.card.counts == {"train": 216, "valid": 12, "test": 12}
    documents = [{row.document for row in rows} for _, rows in splits.named()]
    assert [len(found) for found in documents] == [54, 3, 3]
    assert len(set().union(*documents)) == CHAPTERS
    assert splits.card.language == "en fr"
    assert "split by document: 60 documents" in splits.card.notes
    assert "from World English Bible (en) to Segond, 1910 (fr)" in splits.card.notes


@pytest.mark.parametrize("source", ["en", "fr", "es", "it", "de"])
@pytest.mark.parametrize("target", ["en", "fr", "es", "it", "de"])
def test_every_ordered_pair_of_languages(source: str, target: str) -> None:
    if source == target:
        assert f"source and target are both {chosen_name(source)!r}" in refusal(
            source_language=source, target_language=target
        )
        return
    options = ParallelOptions(source_language=source, target_language=target)
    (pair,) = chosen_pairs(options)
    assert (pair.source.language, pair.target.language) == (source, target)


def chosen_name(language: str) -> str:
    return next(version.name for version in VERSIONS if version.language == language)


def test_all_pairs_of_languages_hold_out_the_same_chapters(folders: DataFolders) -> None:
    pairs = [("en", "fr"), ("en", "es"), ("fr", "en"), ("de", "it")]
    chapters = [
        {row.document for row in load(folders, source_language=source, target_language=target).test}
        for source, target in pairs
    ]
    assert all(found == chapters[0] for found in chapters)


def test_only_the_versions_in_the_public_domain_can_be_read() -> None:
    assert set(KEYS) == set("4k3lovde")
    for name in ("1", "9"):
        message = refusal(source_version=name)
        assert f"no version {name!r}" in message
        assert "there are world-english (en), king-james (en), basic-english (en)" in message


def test_unknown_language_or_version() -> None:
    message = refusal(target_language="pt")
    assert "no text in the target language 'pt'" in message
    assert "expected one of en, fr, es, it, de" in message
    assert "--target-language" in message
    message = refusal(source_version="king-jame")
    assert "did you mean 'king-james'" in message
    message = refusal(source_version="segond")
    assert "the source version 'segond' is fr, but --source-language is en" in message
    message = refusal(extra_versions=("diodati",))
    assert "extra version 'diodati' is it, expected en or fr" in message


def test_two_versions_of_one_language() -> None:
    options = ParallelOptions(target_language="en", source_version="king-james")
    (pair,) = chosen_pairs(options)
    assert (pair.source.name, pair.target.name) == ("king-james", "world-english")


def test_extra_versions_keep_to_the_training_chapters(folders: DataFolders) -> None:
    splits = load(folders, extra_versions=("king-james", "ostervald", "segond"))
    assert splits.extra is not None
    held_out = {row.document for rows in (splits.valid, splits.test) for row in rows}
    assert not held_out & {row.document for row in splits.extra}
    assert len(splits.extra) == 2 * len(splits.train)
    kinds = {(row.source.split()[1], row.target.split()[1]) for row in splits.extra}
    assert kinds == {("k", "l"), ("4", "o")}
    assert splits.card.dropped == {"extra pair of a document of valid or test": 2 * 24}
    without = load(folders)
    assert without.extra is None
    assert [row.origin for row in without.test] == [row.origin for row in splits.test]
    again = load(folders, extra_versions=("king-james", "ostervald", "segond"))
    assert again.extra is not None
    assert list(again.extra) == list(splits.extra)


def test_the_task_learns_from_extra_versions(folders: DataFolders) -> None:
    task = Translation(TranslationConfig(extra_versions=("king-james",)))
    splits = task.load_data("verses", folders)
    plain = load(folders)
    assert splits.extra is None
    assert list(splits.train)[: len(plain.train)] == list(plain.train)
    assert len(splits.train) == 2 * len(plain.train)
    assert list(splits.test) == list(plain.test)


def test_all_to_score_is_the_test_split(folders: DataFolders) -> None:
    options = ParallelOptions(extra_versions=("king-james",))
    splits = load_pairs_to_score("verses", options, folders=folders)
    assert (len(splits.train), len(splits.test)) == (0, CHAPTERS * VERSES)


def test_version_and_verses_missing(tmp_path: Path) -> None:
    texts = {("4", 1, 1, 1): "One.", ("4", 1, 1, 2): "Two.", ("l", 1, 1, 2): "Deux."}
    path = write_database(tmp_path / "a" / "bible.db", texts)
    remarks = Remarks()
    (pair,) = read_verses(path, ParallelOptions(), remarks)
    assert pair == ("Two.", "Deux.", "Gen 1", "verses Gen 1:2", None)
    assert remarks.notes() == ("1 verse(s) that Segond, 1910 lacks, left out: verses Gen 1:1",)
    with pytest.raises(DataError, match=r"no verse of Diodati, 1649 \(key 'd'\).*made anew"):
        list(read_verses(path, ParallelOptions(target_language="it"), remarks))


def test_damaged_database(tmp_path: Path) -> None:
    path = tmp_path / "bible.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(DataError, match=r"bible.db: cannot be read.*expected the table bible\(.*"):
        list(read_verses(path, ParallelOptions(), Remarks()))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("God`s Spirit won`t", "God's Spirit won't"),
        ("an offering [even] of first -[fruits] here", "an offering even of first-fruits here"),
        ("(7:26) L'Éternel dit. (7:27) Si tu", "L'Éternel dit. Si tu"),
        ("(5:21 Lorsque quelqu'un", "Lorsque quelqu'un"),
        ("(13:12b) Tous les saints", "Tous les saints"),
        ("und er starb. -", "und er starb."),
        ("auf ewig. * * *", "auf ewig."),
        ("Da bebte, - auch - jener", "Da bebte, - auch - jener"),
        ("\t Y movió\n\t\t\t", "Y movió"),
        ("...", ""),
        ("[]", ""),
        ("(8:1)", ""),
        ("(*)", ""),
    ],
)
def test_odd_marks_are_mended(text: str, clean: str) -> None:
    assert mend(text) == clean


def test_lost_sign_is_put_back() -> None:
    text = "Y dijo: \xadCuán terrible!"
    assert mend(text, lost_sign=True) == "Y dijo: ¡Cuán terrible!"
    assert mend(text) == "Y dijo: Cuán terrible!"


def test_heading_of_a_psalm_moves_to_its_verse() -> None:
    verses = [
        Verse(18, 42, 17, "So Job died. BOOK I Psalm 1"),
        Verse(19, 1, 1, "Blessed is the man. Psalm 2 A Psalm by David."),
        Verse(19, 2, 1, "Why do the nations rage?"),
        Verse(42, 20, 42, "as it is in Psalm 2 of the book"),
    ]
    assert texts_of(verses) == [
        "So Job died.",
        "Blessed is the man.",
        "A Psalm by David. Why do the nations rage?",
        "as it is in Psalm 2 of the book",
    ]


def test_names_of_hebrew_letters_go_from_psalm_119_alone() -> None:
    verses = [
        Verse(19, 119, 1, "ALEPH. Blessed are they"),
        Verse(19, 119, 8, "Don`t forsake me. BEIT"),
        Verse(19, 119, 9, "BETH How may a young man"),
        Verse(19, 120, 1, "LORD. Hear"),
    ]
    assert texts_of(verses) == [
        "Blessed are they",
        "Don't forsake me.",
        "How may a young man",
        "LORD. Hear",
    ]


def test_opening_capitals_are_written_as_elsewhere() -> None:
    verses = [
        Verse(1, 1, 1, "Y ACONTECIO que Jehová"),
        Verse(1, 1, 2, "y aconteció JAH"),
        Verse(1, 2, 1, "JEHOVA habló"),
        Verse(1, 3, 1, "Salmo. CIERTAMENTE es bueno"),
    ]
    assert texts_of(verses, capitals=True) == [
        "Y aconteció que Jehová",
        "y aconteció JAH",
        "Jehová habló",
        "Salmo. Ciertamente es bueno",
    ]
