"""What a language model reads of a text, and where its tokens end."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.text.contextual import Context
from pipelines.text.contextual_features import (
    CONTEXT,
    MOST_CHARACTERS,
    MOST_OF_TOKEN,
    PLACES,
    ContextFeatures,
    dense,
)
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, UNK

SAMPLE = "the film wasn't so dull;  Anna\tsaw\nit – twice, naïve 漢字"


def features_of(level, sample=SAMPLE):
    keeps = {"keep_whitespace": True} if level == "subword" else {}
    vocabulary = fit_vocabulary(
        [[sample]], level=level, lowercase=False, min_count=1, max_size=400, **keeps
    )
    return ContextFeatures(Context(vocabulary, level, {}, ""))


CHARS = features_of("char")
WORDS = Tokenizer(level="word", lowercase=True)


def of_texts(features, texts, most=None):
    strings = tf.constant(texts)
    found = features.of_texts(strings, WORDS.split(strings), most)
    return found[CONTEXT].to_list(), found[PLACES].to_list()


def written(features, ids):
    """What the language model read, BOS left out."""
    return features.tokenizer.detokenize([ids]).numpy()[0].decode()


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_each_word_s_state_comes_after_its_last_character(level):
    features = features_of(level)
    (ids,), (places,) = of_texts(features, [SAMPLE])
    words = [word.decode() for word in WORDS.split(tf.constant([SAMPLE])).pieces[0].numpy()]
    assert ids[0] == BOS
    assert len(places) == len(words)
    for word, place in zip(words, places, strict=True):
        read = written(features, ids[: place + 1])
        assert read.endswith(word) or (level == "subword" and word in read.split()[-1])


def test_places_of_a_short_text_are_as_counted_by_hand():
    _, places = of_texts(CHARS, ["so  dull, "])
    assert places == [[2, 8, 9]]
    _, places = of_texts(features_of("byte"), ["naïve so"])
    assert places == [[6, 9]]


def test_nothing_is_read_beyond_the_last_kept_word():
    (ids,), (places,) = of_texts(CHARS, ["the film was dull"], most=2)
    assert places == [3, 8]
    assert written(CHARS, ids) == "the film"


def test_a_text_without_words_has_the_place_of_its_start():
    assert of_texts(CHARS, ["", "  "]) == ([[BOS], [BOS]], [[0], [0]])


def test_unknown_characters_are_read_as_such():
    (ids,), _ = of_texts(CHARS, ["aZ"])
    assert ids[-1] == UNK


def test_a_word_without_end_does_not_fill_the_memory():
    (ids,), (places,) = of_texts(CHARS, ["a" * 2 * MOST_CHARACTERS + " film"])
    assert places == [MOST_CHARACTERS, MOST_CHARACTERS]
    assert len(ids) == MOST_CHARACTERS + 1


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_every_token_has_one_place_within_what_is_read(texts, most):
    tokenizer = Tokenizer(CHARS.tokenizer.vocabulary, level="word", max_tokens=most)
    strings = tf.constant([text.encode("utf-8", "replace") for text in texts])
    found = CHARS.of_texts(strings, tokenizer.split(strings), most)
    counted = found[PLACES].row_lengths().numpy().tolist()
    assert counted == tokenizer.encode(strings).row_lengths().numpy().tolist()
    for ids, places in zip(found[CONTEXT].to_list(), found[PLACES].to_list(), strict=True):
        assert places == sorted(places)
        assert len(ids) == places[-1] + 1


def test_tokens_are_read_joined_by_blanks():
    tokens = tf.ragged.constant([["the", "naïve"], ["a"], []])
    found = CHARS.of_tokens(tokens)
    assert found[PLACES].to_list() == [[3, 9], [1], []]
    assert written(CHARS, found[CONTEXT].to_list()[0]) == "the naïve"
    assert features_of("byte").of_tokens(tokens)[PLACES].to_list() == [[3, 10], [1], []]


def test_of_a_long_token_the_head_is_read():
    found = CHARS.of_tokens(tf.ragged.constant([["a" * 1000, "so"]]))
    assert found[PLACES].to_list() == [[MOST_OF_TOKEN, MOST_OF_TOKEN + 3]]


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_raw_text_and_its_tokens_agree_where_blanks_stand_between(level):
    features = features_of(level)
    text = "the film saw Anna twice"
    raw = of_texts(features, [text])
    tokens = features.of_tokens(tf.ragged.constant([text.split()]))
    assert raw == (tokens[CONTEXT].to_list(), tokens[PLACES].to_list())


def test_columns_hold_the_same_as_the_padded_inputs():
    strings = tf.constant(["so dull", "film"])
    found = CHARS.of_texts(strings, WORDS.split(strings), None)
    columns, padded = CHARS.columns(found), dense(found)
    for name in (CONTEXT, PLACES):
        flat = np.concatenate(
            [
                row[:length]
                for row, length in zip(padded[name].numpy(), columns[name].lengths, strict=True)
            ]
        )
        assert columns[name].values.tolist() == flat.tolist()
