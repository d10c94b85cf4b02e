from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from pipelines.text import units
from pipelines.text.artifacts import TextArtifacts
from pipelines.text.encoding import TextFeatures
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, PAD, RESERVED, UNK, Vocabulary
from pipelines.translation.artifacts import TranslationArtifacts
from pipelines.translation.encoding import PairTokenizers

FIRST = len(RESERVED)


@cache
def compiled(lowercase: bool = False) -> tuple[tf.function, ...]:
    """Compile encode, split and detokenize, as an export does."""
    tokenizer = Tokenizer(level="byte", lowercase=lowercase, add_eos=True)
    text, ids = tf.TensorSpec([None], tf.string), tf.TensorSpec([None, None], tf.int32)
    return (
        tf.function(tokenizer.encode, input_signature=[text], autograph=False),
        tf.function(tokenizer.split, input_signature=[text], autograph=False),
        tf.function(tokenizer.detokenize, input_signature=[ids], autograph=False),
    )


def as_rows(ragged: tf.RaggedTensor) -> list[list]:
    """Do as `to_list`, which loses the final NUL of a string."""
    flat, splits = ragged.flat_values.numpy().tolist(), ragged.row_splits.numpy().tolist()
    return [flat[start:limit] for start, limit in pairwise(splits)]


raw = st.one_of(
    st.binary(max_size=20),
    st.text(max_size=20).map(str.encode),
    st.text("aÉ你\u2581 \n\t\0\U0001f469\u0301", max_size=20).map(str.encode),
)
batches = st.lists(raw, min_size=1, max_size=4)


@settings(max_examples=80, deadline=None)
@given(batches)
def test_any_bytes_come_back_as_they_are(texts: list[bytes]):
    encode, _, detokenize = compiled()
    ids = encode(tf.constant(texts))
    assert ids.to_list() == [[*(FIRST + byte for byte in text), EOS] for text in texts]
    assert detokenize(ids.to_tensor(PAD)).numpy().tolist() == texts


@settings(max_examples=80, deadline=None)
@given(batches, st.booleans())
def test_split_shows_what_is_numbered_and_where_it_stands(texts: list[bytes], lowercase: bool):
    encode, split, _ = compiled(lowercase)
    tokens = split(tf.constant(texts))
    numbers = Tokenizer(level="byte", lowercase=lowercase).encode_tokens(tokens.pieces)
    assert [[*row, EOS] for row in numbers.to_list()] == encode(tf.constant(texts)).to_list()
    decoded = units.valid_text(tf.constant(texts)).numpy()
    rows = zip(texts, decoded, *map(as_rows, tokens), strict=True)
    for text, read, cut, shown, starts, limits, char_starts, char_limits, spaces in rows:
        assert [text[a:b] for a, b in zip(starts, limits, strict=True)] == cut
        assert shown == [piece.lower() if lowercase else piece for piece in cut]
        characters = len(read.decode())
        assert sorted(set(char_starts)) == list(range(characters))
        assert char_starts == sorted(char_starts) and not any(spaces)
        assert char_limits == [start + 1 for start in char_starts]
        if read == text:
            of_byte = [k for k, char in enumerate(read.decode()) for _ in char.encode()]
            assert char_starts == of_byte


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_the_bytes_that_begin_a_character_count_it(text: str):
    tokenizer = Tokenizer(level="byte", lowercase=False, add_bos=True, add_eos=True)
    counts = tokenizer.characters_per_token(tokenizer.encode([text]))
    assert counts.dtype == tf.int32
    assert int(tf.reduce_sum(counts)) == len(text)


def test_numbers_places_and_counts_of_bytes_are_pinned():
    tokenizer = Tokenizer(level="byte", lowercase=False, add_bos=True, add_eos=True)
    ids = tokenizer(["é\n", b"\xff\0"])
    assert ids.dtype == tf.int32
    assert ids.numpy().tolist() == [
        [BOS, 0xC3 + 4, 0xA9 + 4, 10 + 4, EOS],
        [BOS, 0xFF + 4, 4, EOS, PAD],
    ]
    assert tokenizer.characters_per_token(ids).numpy().tolist() == [
        [0, 1, 0, 1, 0],
        [0, 1, 1, 0, 0],
    ]
    assert tokenizer.token_strings(ids).numpy().tolist() == [
        [b"<bos>", b"<0xC3>", b"<0xA9>", b"\n", b"<eos>"],
        [b"<bos>", b"<0xFF>", b"\0", b"<eos>", b"<pad>"],
    ]
    assert int(tokenizer.characters_per_token(UNK)) == 1
    tokens = tokenizer.split(["aé你", b"\xc3a"])
    assert tokens.char_starts.to_list() == [[0, 1, 1, 2, 2, 2], [0, 1]]
    assert tokens.byte_limits.to_list() == [[1, 2, 3, 4, 5, 6], [1, 2]]


def test_case_is_folded_byte_for_byte():
    tokenizer = Tokenizer(level="byte")
    text = b"A\0Z\xc3\x89\xff"
    expected = b"a\0z\xc3\x89\xff"
    assert tokenizer.encode([text]).to_list() == [[FIRST + byte for byte in expected]]


def test_rows_of_bytes_are_never_empty_and_are_cut():
    tokenizer = Tokenizer(level="byte", max_tokens=2)
    assert tokenizer.encode(["", "abc"]).to_list() == [[UNK], [FIRST + 97, FIRST + 98]]
    assert tokenizer.encode_counted(["", "abc"]).lengths.numpy().tolist() == [1, 3]
    assert tokenizer(tf.constant([], tf.string)).shape[0] == 0
    assert tokenizer.split(tf.constant([], tf.string)).pieces.nrows() == 0


def test_the_vocabulary_of_bytes_is_fixed_and_readable(tmp_path: Path):
    vocabulary = fit_vocabulary([["abc"]], level="byte", min_count=5, max_size=260)
    vocabulary.save(tmp_path / "bytes.txt")
    lines = (tmp_path / "bytes.txt").read_text(encoding="utf-8").splitlines()
    assert lines[FIRST + 10] == "<0x0A>" and lines[-1] == "<0xFF>" and len(lines) == 260
    assert Vocabulary.load(tmp_path / "bytes.txt") == Vocabulary.of_bytes() == vocabulary
    with pytest.raises(ConfigError, match=r"at most 259 entries .*at least 260.*raise the vocab"):
        fit_vocabulary([["abc"]], level="byte", max_size=259)


def test_the_configuration_makes_the_same_layer():
    tokenizer = Tokenizer(level="byte", lowercase=False, keep_whitespace=True)
    copy = Tokenizer.from_config(tokenizer.get_config())
    assert copy.get_config() == tokenizer.get_config()
    assert copy.vocabulary == Vocabulary.of_bytes()


def test_other_vocabularies_cannot_number_bytes():
    with pytest.raises(ConfigError, match=r"level='byte'\) has 5 entries .*of_bytes\(\) or None"):
        Tokenizer(Vocabulary((*RESERVED, "a")), level="byte")


def test_a_classifier_reads_bytes():
    settings = {"level": "byte", "lowercase": True, "max_tokens": 4}
    labels = Vocabulary(("bad", "good"), reserved=())
    features = TextFeatures.of(TextArtifacts(Vocabulary.of_bytes(), labels, settings))
    columns = features.encode(["Émile", "a"], with_grams=False)["tokens"]
    assert columns.lengths.tolist() == [4, 1]
    assert columns.values.tolist() == [FIRST + byte for byte in b"\xc3\x89mia"]
    np.testing.assert_array_equal(features.unknown_share(["é", "a"]), [0, 0])


def test_a_translator_reads_and_writes_bytes():
    settings = {"level": "byte", "lowercase": True, "max_tokens": 99}
    vocabulary = Vocabulary.of_bytes()
    pair = PairTokenizers.of(TranslationArtifacts(vocabulary, vocabulary, settings, {}))
    assert pair.source(["Ab"]).numpy().tolist() == [[FIRST + 97, FIRST + 98, EOS]]
    written = pair.target.detokenize(pair.target(["Wörter, 你好!"]))
    assert written.numpy()[0].decode() == "Wörter, 你好!"
