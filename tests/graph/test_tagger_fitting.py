"""What a tagger learns before its weights, how sentences are encoded, and both on disk."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest

from pipelines.corpus import write_corpus
from pipelines.datasets.rows import Rows
from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.tagger_artifacts import TaggerArtifacts
from pipelines.text.tagger_encoding import encode_sentences, word_ids
from pipelines.text.tagger_fitting import (
    RAREST,
    UNLABELLED_COUNT,
    KnownWords,
    fit_tagger_artifacts,
    model_tags,
)
from pipelines.text.vocabulary import RESERVED, UNK
from tests.graph.tiny_taggers import artifacts, rows, splits

NAMES = ["Anna/B-n Berg/I-n saw/O Rome/B-p ./O", "the/O man/O saw/O Anna/B-n the/O"]
FIRST = len(RESERVED)


def words_of(made):
    return list(made.words.tokens[FIRST:])


def test_words_are_numbered_by_falling_count_then_alphabet():
    _, made = artifacts(NAMES, spans=True)
    assert words_of(made) == ["anna", "saw", "the", ".", "berg", "man", "rome"]
    assert made.settings["known_words"] == FIRST + 7
    cased = artifacts(["The/O the/O THE/O the/O"], spans=True, lowercase=False)[1]
    assert words_of(cased) == ["the", "THE", "The"]


def test_counts_of_one_word_in_several_cases_are_added():
    _, made = artifacts(["The/O a/O a/O THE/O the/O İst/O ist/O ist/O IST/O"], spans=True)
    assert words_of(made) == ["ist", "the", "a"]


def test_words_of_unlabelled_text_come_after_and_must_occur_twice():
    extra = [TaggedSentence(("new", "new", "once", "Rome", "Rome", "other", "other", "other"), ())]
    _, made = artifacts(NAMES, spans=True, extra=extra)
    assert UNLABELLED_COUNT == 2
    assert words_of(made)[7:] == ["other", "new"]
    assert made.settings["known_words"] == FIRST + 7
    small = artifacts(NAMES, spans=True, extra=extra, vocabulary_size=FIRST + 8)[1]
    assert words_of(small)[7:] == ["other"]
    smaller = artifacts(NAMES, spans=True, extra=extra, vocabulary_size=FIRST + 3)[1]
    assert (words_of(smaller), smaller.settings["known_words"]) == (["anna", "saw", "the"], 7)


def test_rare_training_words_may_come_back_from_unlabelled_text():
    extra = [TaggedSentence(("rome",) * 3, ())]
    _, made = artifacts(NAMES, spans=True, extra=extra, min_count=2)
    assert words_of(made) == ["anna", "saw", "the", "rome"]
    assert made.settings["known_words"] == FIRST + 3
    assert "rome" not in KnownWords(made)


def test_the_first_id_of_each_count():
    counts = {"a": 12, "b": 3, "c": 3, "d": 2, "e": 1, "f": 1}
    text = " ".join(f"{word}/X" for word, count in counts.items() for _ in range(count))
    _, made = artifacts([text], spans=False)
    found = made.settings["first_of_count"]
    assert len(found) == RAREST
    assert [words_of(made)[first - FIRST] for first in found] == ["e", "d", *"b" * 8]
    only_frequent = artifacts([text], spans=False, min_count=3)[1].settings["first_of_count"]
    assert only_frequent == [FIRST + 3] * 2 + [FIRST + 1] * 8  # beyond all words: none is so rare


@pytest.mark.parametrize(
    ("scheme", "labels"),
    [("bio", ("B-n", "B-p", "I-n", "O")), ("bioes", ("B-n", "E-n", "O", "S-n", "S-p"))],
)
def test_tags_of_spans_are_written_as_the_model_uses_them(scheme, labels):
    _, made = artifacts(NAMES, spans=True, span_scheme=scheme)
    assert made.labels.tokens == labels
    assert made.settings["scheme"] == scheme
    assert made.settings["train_counts"] == {"n": 2, "p": 1}


def test_plain_tags_stay_as_they_are():
    _, made = artifacts(["Anna/B-N sees/V ./P"], spans=False, span_scheme="bioes")
    assert made.labels.tokens == ("B-N", "P", "V")
    assert made.settings["scheme"] == "none"
    assert made.settings["train_counts"] == {"B-N": 1, "P": 1, "V": 1}
    assert list(model_tags(["B-N", "V"], "none")) == ["B-N", "V"]


def test_valid_and_test_teach_nothing():
    config, made = artifacts(NAMES, spans=True)
    more = splits(NAMES, valid=["Zoe/B-z"], test=["Yves/B-y"])
    assert fit_tagger_artifacts(more, config, spans=True).fingerprint() == made.fingerprint()


def test_known_words_are_those_of_training_in_the_case_of_the_model():
    extra = [TaggedSentence(("new", "new"), ())]
    train = [*NAMES, "İstanbul/B-p ΟΔΟΣ/O Ёлка/O"]
    known = KnownWords(artifacts(train, spans=True, extra=extra)[1])
    for word in ("ANNA", "anna", "İstanbul", "istanbul", "ΟΔΟΣ", "ёлка", "."):
        assert word in known, word
    assert not any(word in known for word in ("new", "<unk>", "<pad>", "", "zoe"))
    assert set(known) >= {"anna", "istanbul", "."}
    cased = KnownWords(artifacts(train, spans=True, lowercase=False)[1])
    assert "Anna" in cased
    assert "ANNA" not in cased


def rich():
    """Artifacts with an unusual value of everything."""
    sentence = TaggedSentence(
        ("de", "o", "a\0b", " x", "\u2028", "e\u0301"),
        ("O",) * 5 + ("B-a b",),
        surfaces=("d\\o\n", "a\0b", " x", "\u2028", "e\u0301"),
        parts=(2, 1, 1, 1, 1),
    )
    return artifacts([sentence, *NAMES], spans=True, linear=True)[1]


def test_artifacts_survive_the_disk(tmp_path):
    made = rich()
    made.save(tmp_path)
    found = TaggerArtifacts.load(tmp_path)
    for name in ("words", "characters", "labels", "contractions"):
        assert getattr(found, name) == getattr(made, name), name
    assert found.contractions["d\\o\n"] == ("de", "o")
    assert dict(found.settings) == dict(made.settings)
    np.testing.assert_array_equal(found.habits, made.habits)
    assert found.habits.dtype == made.habits.dtype == np.int32
    assert found.fingerprint() == made.fingerprint()
    assert found.describe() == made.describe()
    assert json.dumps(made.describe())
    assert {path.name for path in tmp_path.iterdir()} == {
        "vocabulary.txt", "characters.txt", "labels.txt", "capital_habits.txt", "tagger.json",
    }  # fmt: skip


def test_a_single_word_and_a_single_label_survive_the_disk(tmp_path):
    _, made = artifacts(["a/X"], spans=False)
    made.save(tmp_path)
    assert TaggerArtifacts.load(tmp_path).fingerprint() == made.fingerprint()


def test_the_fingerprint_tells_every_change():
    made = rich()
    changed = [
        replace(made, contractions={}),
        replace(made, habits=made.habits + 1),
        replace(made, settings={**made.settings, "max_characters": 7}),
        replace(made, labels=made.characters),
        replace(made, words=made.characters),
    ]
    assert len({item.fingerprint() for item in (made, *changed)}) == 6


def corpus(tmp_path, written, made, split="train"):
    return write_corpus(tmp_path / split, encode_sentences(rows(*written), made, split))


def test_tags_are_coded_from_1_and_0_is_a_tag_the_model_lacks(tmp_path):
    _, made = artifacts(NAMES, spans=True, span_scheme="bioes")
    found = corpus(tmp_path, ["Anna/B-n Berg/I-n ./O", "Zoe/B-z in/I-z Rome/B-p"], made, "valid")
    codes = found.ragged("tags")
    assert codes.lengths.tolist() == [3, 3]
    labels = ("-", *made.labels.tokens)
    assert [labels[code] for code in codes.values] == ["B-n", "E-n", "O", "-", "-", "S-p"]
    words = ("-", *made.words.tokens[1:])
    assert [words[code] for code in found.ragged("words").values] == [
        "anna", "berg", ".", "<unk>", "<unk>", "rome",
    ]  # fmt: skip
    assert set(found.names) == {"words", "characters", "casing", "habits", "affixes", "tags"}


def test_long_training_sentences_are_cut_and_counted(tmp_path, caplog):
    _, made = artifacts(NAMES, spans=True, span_scheme="bioes", max_tokens=3)
    written = ["a/O b/B-n c/I-n d/I-n", "a/O b/O c/O", "Anna/B-n " * 9]
    with caplog.at_level(logging.WARNING, logger="pipelines"):
        found = corpus(tmp_path, written, made)
    assert caplog.messages == [
        "train: 2 of 3 sentences have more than 3 words and were cut; --max-tokens raises it"
    ]
    for name in found.names:
        assert found.lengths(name).tolist() == [3, 3, 3], name
    labels = ("-", *made.labels.tokens)
    # A span is cut before it is written, so that it ends where the sentence now does.
    assert [labels[code] for code in found.ragged("tags").values[:3]] == ["O", "B-n", "E-n"]


def test_a_tag_that_only_a_cut_makes_is_one_of_the_model(tmp_path):
    _, made = artifacts(["a/O b/B-n c/I-n"], spans=True, span_scheme="bioes", max_tokens=2)
    assert made.labels.tokens == ("B-n", "E-n", "O", "S-n")
    found = corpus(tmp_path, ["a/O b/B-n c/I-n"], made).ragged("tags")
    assert [made.labels.tokens[code - 1] for code in found.values if code] == ["O", "S-n"]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_other_sentences_are_never_cut(tmp_path, caplog, split):
    _, made = artifacts(NAMES, spans=True, max_tokens=3)
    with caplog.at_level(logging.WARNING):
        found = corpus(tmp_path, ["Anna/B-n " * 9, "a/O"], made, split)
    assert found.lengths("tags").tolist() == found.lengths("words").tolist() == [9, 1]
    assert not caplog.messages


def test_short_training_sentences_raise_no_warning(tmp_path, caplog):
    _, made = artifacts(NAMES, spans=True, max_tokens=5)
    with caplog.at_level(logging.WARNING):
        corpus(tmp_path, NAMES, made)
    assert not caplog.messages


def test_words_of_sentences_without_tags():
    extra = [TaggedSentence(("New", "ROME", "never"), ()), TaggedSentence((), ())]
    _, made = artifacts(NAMES, spans=True, extra=[*extra, extra[0]])
    found = word_ids(rows(*extra), made)
    assert found.lengths.tolist() == [3, 0]
    names = [made.words.tokens[number] for number in found.values]
    assert names == ["new", "rome", "never"]


def test_no_sentence_without_tags_is_no_word():
    """As where all unlabelled sentences stand in valid or test."""
    _, made = artifacts(NAMES, spans=True, extra=[])
    found = word_ids(Rows.of(TaggedSentence, []), made)
    assert (len(found.values), len(found.lengths)) == (0, 0)
    assert found.values.dtype == np.int32
    assert UNK not in found.values
