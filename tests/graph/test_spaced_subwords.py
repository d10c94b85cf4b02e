import tarfile
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.models import WordPiece

from pipelines.errors import ConfigError
from pipelines.text import units
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.subword_learning import MAX_WORD_CHARS
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, PAD, RESERVED, UNK, Vocabulary

PIECES = Vocabulary(
    (*RESERVED, *" \n\tabcdİi\u2581你'", " a", " ab", "ab", "bcd", "\n\n", "\n  ", "  ", "▁a")
)


def spaced(vocabulary: Vocabulary, **options: object) -> Tokenizer:
    settings = {"lowercase": False, "keep_whitespace": True} | options
    return Tokenizer(vocabulary, level="subword", **settings)


@cache
def compiled(lowercase: bool) -> tuple[tf.function, tf.function]:
    """Compile encode and split over `PIECES`, as an export does."""
    tokenizer, spec = spaced(PIECES, lowercase=lowercase), [tf.TensorSpec([None], tf.string)]
    methods = (tokenizer.encode, tokenizer.split)
    return tuple(tf.function(method, input_signature=spec, autograph=False) for method in methods)


def as_rows(ragged: tf.RaggedTensor) -> list[list]:
    """Do as `to_list`, which loses the final NUL of a string."""
    flat, splits = ragged.flat_values.numpy().tolist(), ragged.row_splits.numpy().tolist()
    return [flat[start:limit] for start, limit in pairwise(splits)]


def cut(text: str) -> list[str]:
    rows = units.spaced_words(tf.constant([text]), longest=MAX_WORD_CHARS)
    return [word.decode() for word in as_rows(rows)[0]]


def by_library(words: list[str], vocabulary: Vocabulary) -> list[int]:
    """Number words by the library; an unknown character, which it would spread, is one UNK."""
    numbers = {token: index for index, token in enumerate(vocabulary.tokens)}
    model = WordPiece(
        numbers,
        unk_token=RESERVED[UNK],
        continuing_subword_prefix="",
        max_input_chars_per_word=MAX_WORD_CHARS,
    )
    found: list[int] = []
    for word in words:
        for known, part in groupby(word, key=vocabulary.__contains__):
            text = "".join(part)
            tokens = model.tokenize(text) if known else []
            found += [token.id for token in tokens] if known else [UNK] * len(text)
    return found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("the cat, sat", ["the", " cat", ",", " sat"]),
        (" a  b\n\n  c\t ", [" a", "  ", "b", "\n\n  ", "c", "\t "]),
        ("f(x) == y_z", ["f", "(", "x", ")", " ==", " y_z"]),
        ("a\u2581 b\0", ["a", "\u2581", " b", "\0"]),
        ("don't 3.50 :) 你好", ["don't", " 3.50", " :)", " 你", "好"]),
        (" " * 201 + "x", [" " * 99, " " * 100, "  ", "x"]),
        ("y" * 99 + " " + "z" * 98, ["y" * 99, " " + "z" * 98]),
        ("", []),
        ("\n", ["\n"]),
    ],
)
def test_words_keep_their_whitespace(text: str, words: list[str]):
    found = cut(text)
    assert found == words
    assert "".join(found) == text


def source_code() -> list[str]:
    sources = sorted(Path(tarfile.__file__).parent.glob("t*.py"))
    return [path.read_text(encoding="utf-8") for path in sources]


@pytest.mark.parametrize("lowercase", [False, True])
def test_a_whole_corpus_comes_back_in_the_pieces_of_the_library(lowercase: bool):
    texts = [*source_code(), "the snowman  \u2603.\n"]
    assert sum(map(len, texts)) > 500_000
    learned = fit_vocabulary(
        [texts[:9], texts[9:18]],
        level="subword",
        lowercase=lowercase,
        max_size=2000,
        keep_whitespace=True,
    )
    assert " the" in learned and "\n        " in learned
    tokenizer = spaced(learned, lowercase=lowercase)
    ids = tokenizer.encode(texts)
    written = tokenizer.detokenize(ids.to_tensor(PAD)).numpy().tolist()
    shown = units.lower(texts).numpy().tolist() if lowercase else [t.encode() for t in texts]
    assert shown[:-1] == written[:-1]
    assert written[-1] == b"the snowman  <unk>.\n"
    counts = tf.reduce_sum(tokenizer.characters_per_token(ids), axis=1).numpy().tolist()
    assert counts == [len(text) for text in texts]
    for number in (0, -1):
        words = [word.lower() if lowercase else word for word in cut(texts[number])]
        assert ids[number].numpy().tolist() == by_library(words, learned)


mixed = st.text(
    st.one_of(
        st.sampled_from("abcdAİ' \n\t\r\0\u00a0\u2581.你x-5\u0301\U0001f469\u200d"),
        st.characters(codec="utf-8"),
    ),
    max_size=25,
)
batches = st.lists(mixed, min_size=1, max_size=4)


@settings(max_examples=25, deadline=None)
@given(batches, st.booleans())
def test_numbers_are_the_librarys_and_split_shows_them(texts: list[str], lowercase: bool):
    encode, split = compiled(lowercase)
    ids, tokens = encode(texts).to_list(), split(texts)
    assert ids[:1] == encode(texts[:1]).to_list()
    for number, text in enumerate(texts):
        lowered = units.lower(tf.constant(cut(text), tf.string)).numpy() if lowercase else []
        words = [word.decode() for word in lowered] if lowercase else cut(text)
        assert ids[number] == (by_library(words, PIECES) or [UNK])
    shown = [[piece.decode() for piece in row] for row in as_rows(tokens.normalised)]
    assert ids == [[PIECES.encode_token(piece) for piece in row] or [UNK] for row in shown]
    rows = zip(texts, *map(as_rows, tokens), strict=True)
    for text, pieces, _, byte_starts, byte_limits, char_starts, char_limits, spaces in rows:
        decoded = [piece.decode() for piece in pieces]
        assert "".join(decoded) == text and not any(spaces)
        assert [text[a:b] for a, b in zip(char_starts, char_limits, strict=True)] == decoded
        code = text.encode()
        assert [code[a:b] for a, b in zip(byte_starts, byte_limits, strict=True)] == pieces


@settings(max_examples=25, deadline=None)
@given(batches)
def test_known_characters_come_back_exactly(texts: list[str]):
    known = sorted(set("".join(texts)) - set(PIECES.tokens))
    tokenizer = spaced(Vocabulary((*PIECES.tokens, *known)), add_bos=True, add_eos=True)
    ids = tokenizer(texts)
    written = [text.decode() for text in tokenizer.detokenize(ids).numpy()]
    assert written == texts
    counts = tf.reduce_sum(tokenizer.characters_per_token(ids), axis=1).numpy().tolist()
    assert counts == list(map(len, texts))


def test_an_unknown_character_is_alone():
    tokenizer = spaced(PIECES, add_bos=True)
    ids = tokenizer.encode([" abQcd  \n<unk>"])
    pieces = [" ab", "Q", "c", "d", "  ", "\n", *"<unk>"]
    assert ids.to_list() == [[BOS, *map(PIECES.encode_token, pieces)]]
    assert tokenizer.characters_per_token(ids).to_list() == [[0, 3, 1, 1, 1, 2, 1, 1, 1, 1, 1, 1]]
    assert tokenizer.token_strings(ids)[0, :3].numpy().tolist() == [b"<bos>", b" ab", b"<unk>"]
    assert tokenizer.detokenize([[BOS, 4, UNK, EOS, 4]]).numpy().tolist() == [b" <unk>"]


def test_pieces_hold_whitespace_where_texts_do():
    texts = ["if x:\n    return y\n\n\n", "if z:\n    return  y\n"] * 40
    vocabulary = fit_vocabulary(
        [texts], level="subword", lowercase=False, max_size=60, keep_whitespace=True
    )
    assert {"\n    ", "return", "  ", "\n\n\n"} <= set(vocabulary.tokens)
    copy = Tokenizer.from_config(spaced(vocabulary).get_config())
    assert copy.keep_whitespace
    written = copy.detokenize(copy(texts[:2])).numpy().tolist()
    assert written == [text.encode() for text in texts[:2]]


def test_words_cannot_keep_whitespace():
    with pytest.raises(ConfigError, match=r"keep_whitespace=True .*level='word'\).*one of char, b"):
        Tokenizer(level="word", keep_whitespace=True)


def test_a_very_long_run_is_cut_quickly():
    text = "ACGT" * 20_000 + "\n" * 5_000
    tokenizer = spaced(Vocabulary((*RESERVED, *"ACGT\n", "ACGT", "\n\n")))
    ids = tokenizer.encode([text])
    assert tokenizer.detokenize(ids.to_tensor(PAD)).numpy()[0].decode() == text
