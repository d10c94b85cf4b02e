"""Text without labels: read from other sources, and kept apart from what is judged."""

import csv

import pytest

from pipelines.datasets import unlabelled
from pipelines.datasets.rows import Rows
from pipelines.datasets.splits import DataCard, Splits
from pipelines.datasets.storage import DataFolders
from pipelines.datasets.tagged import TaggedSentence
from pipelines.datasets.unlabelled import with_unlabelled, without_sentences_in
from pipelines.errors import DataError


def sentences(*texts):
    return [TaggedSentence(tuple(text.split()), ("X",) * len(text.split())) for text in texts]


def rows(*texts):
    return Rows.of(TaggedSentence, sentences(*texts))


def splits(train=(), valid=(), test=()):
    return Splits(rows(*train), rows(*valid), rows(*test), DataCard(source="s", notes=("kept",)))


@pytest.fixture
def folders(tmp_path):
    return DataFolders(tmp_path / "raw", tmp_path / "cache")


def texts_of(found):
    return [" ".join(row.tokens) for row in found]


def test_sentences_of_held_out_splits_are_left_out_up_to_case_and_marks():
    given = sentences("A fine day .", "a fine day", "a fine Day !", "another day", "a fine")
    kept = without_sentences_in(given, (rows("a fine day"), rows("ANOTHER , day")))
    assert texts_of(kept) == ["a fine"]


def test_signs_alone_stand_for_themselves():
    kept = without_sentences_in(sentences(":)", ":(", "!"), (rows(":)"), rows()))
    assert texts_of(kept) == [":(", "!"]


def test_nothing_held_out_keeps_all():
    assert texts_of(without_sentences_in(sentences("a b", "a b"), ())) == ["a b", "a b"]


def opinions(path, texts):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["text", "label"])
        writer.writerows([text, ("good", "bad")[number % 2]] for number, text in enumerate(texts))
    return str(path)


def test_labelled_texts_become_words_that_stand_in_no_held_out_split(tmp_path, folders):
    plain = [f"Film number {number}, fine!" for number in range(40)]
    path = opinions(tmp_path / "opinions.csv", [*plain, "It RAINS in Rome.", "Sun in Oslo!"])
    given = splits(["sun in Oslo !"], ["it rains in Rome ."], ["film number 7 , fine"])
    found = with_unlabelled(given, path, folders)
    assert found.train is given.train
    assert found.test is given.test
    words = {row.tokens for row in found.extra}
    assert ("Film", "number", "3", ",", "fine", "!") in words
    assert ("Sun", "in", "Oslo", "!") in words  # what is in train may be seen again
    assert ("It", "RAINS", "in", "Rome", ".") not in words
    assert ("Film", "number", "7", ",", "fine", "!") not in words
    assert len(found.extra) == len(words) == 40
    assert {row.tags for row in found.extra} == {()}
    assert found.card.notes[0] == "kept"
    assert found.card.notes[1].startswith("40 further sentences without labels")
    assert found.card.notes[1].endswith(f"of {path}; none is in valid or test")


def test_several_sources_are_joined_and_tags_of_tagged_ones_dropped(tmp_path, folders, monkeypatch):
    first = opinions(tmp_path / "one.csv", [f"text {number}" for number in range(30)])
    tagged = splits(["Anna left", "Bo came"], ["Carl sat"], ["Dora ran"])
    asked = []

    def load_tagged(name, *, folders, spans):
        asked.append((name, spans))
        return tagged

    monkeypatch.setattr(unlabelled, "load_tagged", load_tagged)
    monkeypatch.setattr(unlabelled, "built_in_tagged_names", lambda: ["names"])
    found = with_unlabelled(splits(test=["bo came !"]), f"names, {first}", folders)
    assert asked == [("names", False)]
    # All splits of a tagged source count; its own test rows are no secret of ours.
    assert texts_of(found.extra)[:3] == ["Anna left", "Carl sat", "Dora ran"]
    assert len(found.extra) == 33
    assert {row.tags for row in found.extra} == {()}


def test_a_source_that_does_not_exist_is_named(folders):
    with pytest.raises(DataError, match="nowhere"):
        with_unlabelled(splits(), "nowhere.csv", folders)
