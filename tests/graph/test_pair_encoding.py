import logging

import numpy as np
import pytest

from pipelines.datasets.parallel import TextPair
from pipelines.datasets.rows import Rows
from pipelines.text.vocabulary import BOS, EOS, UNK
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.encoding import PairTokenizers, encode_pairs, fit_translation_artifacts
from pipelines.translation.translator_config import TranslatorConfig

PAIRS = [
    TextPair("John sees Mary .", "John voit Mary ."),
    TextPair("Mary sees the river .", "Mary voit le fleuve ."),
]


def fitted(**changes):
    rows = Rows.of(TextPair, PAIRS)
    config = TranslatorConfig(**{"level": "word", "max_tokens": 20} | changes)
    return rows, fit_translation_artifacts([rows], config, ("en", "fr"))


def test_a_row_has_its_ends_and_the_target_is_one_step_ahead():
    rows, artifacts = fitted()
    (chunk,) = encode_pairs(rows, artifacts, "train")
    source, read, wanted = (chunk[name] for name in ("source", "target_in", "target_out"))
    assert source.lengths.tolist() == [5, 6]
    assert source.values[[4, 10]].tolist() == [EOS, EOS]
    assert read.lengths.tolist() == wanted.lengths.tolist() == [5, 6]
    assert read.values[[0, 5]].tolist() == [BOS, BOS]
    assert wanted.values[[4, 10]].tolist() == [EOS, EOS]
    np.testing.assert_array_equal(read.values[1:5], wanted.values[:4])


def test_the_source_is_lowered_and_the_target_keeps_its_case():
    _, artifacts = fitted()
    assert "john" in artifacts.source.tokens
    assert "John" not in artifacts.source.tokens
    assert "John" in artifacts.target.tokens


def test_a_joint_vocabulary_knows_names_as_they_are_written_on_both_sides():
    _, artifacts = fitted(joint_vocabulary=True)
    tokenizers = PairTokenizers.of(artifacts)
    assert artifacts.source == artifacts.target
    found = tokenizers.source.encode(["John sees Mary ."]).to_list()[0]
    assert UNK not in found
    assert found[0] == tokenizers.target.encode(["John"]).to_list()[0][1]


def test_texts_that_are_cut_are_counted_in_the_log(caplog):
    rows, artifacts = fitted(max_tokens=5)
    with caplog.at_level(logging.WARNING):
        (chunk,) = encode_pairs(rows, artifacts, "train")
    assert chunk["source"].lengths.max() == 5
    assert "train: 3 texts have more than 5 tokens and were cut; --max-tokens" in caplog.text


@pytest.mark.parametrize("level", ["word", "char", "subword"])
def test_artifacts_are_what_was_saved(level, tmp_path):
    _, artifacts = fitted(level=level)
    artifacts.save(tmp_path)
    again = TranslationArtifacts.load(tmp_path)
    assert again == artifacts
    assert again.fingerprint() == artifacts.fingerprint()
    assert again.word_counts["mary"] == 2
