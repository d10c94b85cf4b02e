from itertools import pairwise

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError
from pipelines.text import fitting, units
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, RESERVED, UNK, Vocabulary

FAMILY = "\U0001f469\u200d\U0001f469\u200d\U0001f467"
VOCABULARY = Vocabulary((*RESERVED, *'abc.,()-!$%#«»¿?"', "it's", *"你好。", "don't"))


def pieces(text: str, **options: object) -> list[str]:
    tokens = Tokenizer(**options).split([text])
    return [piece.decode() for piece in tokens.pieces[0].numpy()]


def normalised(text: str, **options: object) -> list[str]:
    tokens = Tokenizer(**options).split([text])
    return [piece.decode() for piece in tokens.normalised[0].numpy()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't we've l’eau 'quoted'", ["Don't", "we've", "l’eau", "'", "quoted", "'"]),
        ("well-made, re-do", ["well", "-", "made", ",", "re", "-", "do"]),
        (
            "$1,000.50 at 10:30 v1.2 3.5mm 3rd 5.",
            ["$", "1,000.50", "at", "10:30", "v1.2", "3.5mm", "3rd", "5", "."],
        ),
        (
            "see https://x.org/a?b=1#c. (www.Y.com)",
            ["see", "https://x.org/a?b=1#c", ".", "(", "www.Y.com", ")"],
        ),
        ("#Great film @some_one!", ["#", "Great", "film", "@some_one", "!"]),
        (
            "a :) b :-( c ;D :'( =/ <3 :Don",
            ["a", ":)", "b", ":-(", "c", ";D", ":'(", "=/", "<3", ":", "Don"],
        ),
        (
            "wait... what?! -- **no** ``x''",
            ["wait", "...", "what", "?!", "--", "**", "no", "**", "``", "x", "''"],
        ),
        (
            f"I❤\ufe0fyou{FAMILY}\U0001f44d\U0001f3fd!",
            ["I", "❤\ufe0f", "you", FAMILY, "\U0001f44d\U0001f3fd", "!"],
        ),
        (
            "\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7",
            ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"],
        ),
        ("café cafe\u0301 naïve", ["café", "cafe\u0301", "naïve"]),
        ("Привет, мир! Ёлка", ["Привет", ",", "мир", "!", "Ёлка"]),
        ("مرحبا بالعالم؟ שלום־עולם", ["مرحبا", "بالعالم", "؟", "שלום", "־", "עולם"]),
        ("我爱Keras 3.15。ラーメン", ["我", "爱", "Keras", "3.15", "。", "ラ", "ー", "メ", "ン"]),
        ("สวัสดี ok", ["ส", "วั", "ส", "ดี", "ok"]),
        ("한국어 नमस्ते", ["한국어", "नमस्ते"]),
        ("snake_case _private_", ["snake_case", "_", "private", "_"]),
        ("a\u00a0b\u3000c\u200bd\x00e\x1ff\u2581g", list("abcdefg")),
        ("<pad> </s>", ["<", "pad", ">", "<", "/", "s", ">"]),
        ("", []),
        (" \t\n", []),
    ],
)
def test_words_are_cut_as_written_here(text: str, expected: list[str]):
    assert pieces(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ÉCOLE Straße ПРИВЕТ", ["école", "straße", "привет"]),
        ("İSTANBUL I", ["istanbul", "i"]),
        ("ΟΔΟΣ.ΟΔΟΣ", ["οδος", ".", "οδος"]),
    ],
)
def test_lower_casing_is_unicode_and_one_code_point_for_one(text: str, expected: list[str]):
    assert normalised(text) == expected
    assert normalised(text, lowercase=False) == pieces(text)
    words = units.words(tf.constant([text]), lowercase=True).to_list()[0]
    assert [word.decode() for word in words] == expected


def test_a_nul_does_not_end_a_string():
    assert units.lower(tf.constant(["A\0B"])).numpy()[0] == b"a\0b"
    vocabulary = fit_vocabulary([["Ab\0"]], level="char", min_count=1)
    assert vocabulary.tokens[len(RESERVED) :] == ("\0", "a", "b")
    tokenizer = Tokenizer(vocabulary, level="char")
    assert tokenizer.encode(["B\0A"]).to_list() == [[6, 4, 5]]
    assert tokenizer.encode_tokens(tf.ragged.constant([["a\0b", "\0"]])).to_list() == [[UNK, 4]]


def test_offsets_after_a_capital_that_grows_are_those_of_the_original():
    tokens = Tokenizer().split(["İİ x"])
    assert tokens.byte_starts.to_list() == [[0, 5]]
    assert tokens.byte_limits.to_list() == [[4, 6]]
    assert tokens.char_starts.to_list() == [[0, 3]]
    assert tokens.char_limits.to_list() == [[2, 4]]
    assert tokens.byte_starts.dtype == tokens.char_limits.dtype == tf.int32


def test_space_before_tells_a_gap_and_not_the_start():
    tokens = Tokenizer().split(["a (b) c", " a", "b"])
    assert tokens.space_before.to_list() == [[False, True, False, False, True], [True], [False]]


def as_rows(ragged: tf.RaggedTensor) -> list[list]:
    """Do as `to_list`, which loses the final NUL of a string."""
    flat, splits = ragged.flat_values.numpy().tolist(), ragged.row_splits.numpy().tolist()
    return [flat[start:limit] for start, limit in pairwise(splits)]


mixed = st.text(
    st.one_of(
        st.sampled_from(
            "ab .,'’:)-_@#5\n\t\u00a0\x1f\u2581\u0301\u200d\ufe0f你ไIİΣß\U0001f469\U0001f3fd<&"
        ),
        st.characters(codec="utf-8"),
    ),
    max_size=40,
)
batches = st.lists(mixed, min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(batches, st.sampled_from(["word", "char"]))
def test_offsets_slice_the_original_and_only_whitespace_lies_between(texts: list[str], level: str):
    tokens = Tokenizer(level=level).split(texts)
    rows = zip(texts, *map(as_rows, tokens), strict=True)
    for text, cut, _, byte_starts, byte_limits, char_starts, char_limits, _ in rows:
        raw = text.encode()
        expected = [piece.decode() for piece in cut]
        assert [text[a:b] for a, b in zip(char_starts, char_limits, strict=True)] == expected
        assert [raw[a:b] for a, b in zip(byte_starts, byte_limits, strict=True)] == cut
        gaps = zip([0, *char_limits], [*char_starts, len(text)], strict=True)
        between = "".join(text[a:b] for a, b in gaps)
        assert not units.words(tf.constant([between]), lowercase=False).flat_values.shape[0]
        assert level == "word" or not between


@settings(max_examples=60, deadline=None)
@given(batches, st.sampled_from(["word", "char"]), st.booleans())
def test_encode_numbers_what_split_shows(texts: list[str], level: str, lowercase: bool):
    splitter = Tokenizer(level=level, lowercase=lowercase)
    found = as_rows(splitter.split(texts).normalised)
    known = dict.fromkeys(piece.decode() for row in found for piece in row[::2])
    vocabulary = Vocabulary((*RESERVED, *known))
    tokenizer = Tokenizer(vocabulary, level=level, lowercase=lowercase)
    expected = [
        [vocabulary.encode_token(piece.decode()) for piece in row] or [UNK] for row in found
    ]
    assert tokenizer.encode(texts).to_list() == expected
    alone = [tokenizer.encode([text]).to_list()[0] for text in texts]
    assert alone == expected


def test_ill_formed_bytes_are_replaced():
    assert pieces(b"a\xff\xfe b\xc3") == ["a", "\ufffd", "\ufffd", "b", "\ufffd"]


def encode(texts: list[str], **options: object) -> list[list[int]]:
    return Tokenizer(VOCABULARY, **options).encode(texts).to_list()


def test_places_of_bos_eos_unk_and_padding_are_pinned():
    assert encode(["A b zzz."]) == [[4, 5, UNK, 7]]
    assert encode(["a", ""], add_bos=True, add_eos=True) == [[BOS, 4, EOS], [BOS, EOS]]
    tokenizer = Tokenizer(VOCABULARY, add_eos=True)
    result = tokenizer(np.array(["a b c", "", " \n"], object))
    assert result.dtype == tf.int32
    assert result.numpy().tolist() == [[4, 5, 6, EOS], [EOS, 0, 0, 0], [EOS, 0, 0, 0]]
    assert encode(["", " \n"]) == [[UNK], [UNK]]
    assert encode(["A"], lowercase=False) == [[UNK]]


def test_truncation_keeps_the_ends_and_is_counted():
    texts = ["a b c", "a b", "a", ""]
    tokenizer = Tokenizer(VOCABULARY, max_tokens=3, add_eos=True)
    assert tokenizer.encode(texts).to_list() == [[4, 5, EOS], [4, 5, EOS], [4, EOS], [EOS]]
    assert tokenizer.encode_counted(texts).lengths.numpy().tolist() == [4, 3, 2, 1]
    assert int(tokenizer.count_truncated(texts)) == 1
    assert int(Tokenizer(VOCABULARY).count_truncated(texts)) == 0
    assert encode(["a b c"], max_tokens=3, add_bos=True, add_eos=True) == [[BOS, 4, EOS]]


def test_tokens_already_cut_are_numbered_one_for_one():
    tokens = tf.ragged.constant([["A", "zzz zzz", "DON'T"], [], ["好"]])
    ids = Tokenizer(VOCABULARY, add_eos=True, max_tokens=2).encode_tokens(tokens)
    assert ids.to_list() == [[4, UNK, VOCABULARY.encode_token("don't")], [], [24 - 1]]


def test_a_very_long_row_and_an_empty_batch():
    assert encode(["a." * 50_000])[0] == [4, 7] * 50_000
    assert Tokenizer(VOCABULARY)(tf.constant([], tf.string)).shape[0] == 0
    assert Tokenizer().split(tf.constant([], tf.string)).pieces.nrows() == 0


@pytest.mark.parametrize(
    "text",
    ["a, b (c) - a.", "¿a b? «c» a!", '"a b" c, "a"', "$a b% #c", "it's a b", "你好。a 你 b 好"],
)
def test_words_join_as_people_write_them(text: str):
    tokenizer = Tokenizer(VOCABULARY, add_bos=True, add_eos=True)
    written = tokenizer.detokenize(tokenizer([text])).numpy()[0].decode()
    assert written == text.replace(" - ", "-").replace("你 b", "你 b")


def test_detokenizing_stops_at_eos_and_skips_pad_and_bos():
    ids = [[BOS, 4, EOS, 5, 6], [0, 0, 0, 0, 0], [4, UNK, 5, 0, 0], [EOS, 4, 4, 4, 4]]
    written = Tokenizer(VOCABULARY).detokenize(ids).numpy().tolist()
    assert written == [b"a", b"", b"a <unk> b", b""]
    assert Tokenizer(VOCABULARY, level="char").detokenize(ids).numpy()[0] == b"a"


@settings(max_examples=30, deadline=None)
@given(batches)
def test_known_characters_come_back_exactly(texts: list[str]):
    vocabulary = Vocabulary((*RESERVED, *sorted(set("".join(texts)))))
    tokenizer = Tokenizer(vocabulary, level="char", lowercase=False, add_bos=True, add_eos=True)
    written = [text.decode() for text in tokenizer.detokenize(tokenizer(texts)).numpy()]
    assert written == texts


def test_a_vocabulary_is_fitted_from_a_stream():
    chunks = ([["B a.", "b"], ["É é\n"]][i] for i in range(2))
    assert fit_vocabulary(chunks, min_count=1).tokens[4:] == ("b", "é", ".", "a")
    chunks = [["B a", "b"], [], ["É é\n"]]
    fitted = fit_vocabulary(chunks, level="char", min_count=2)
    assert fitted.tokens[4:] == (" ", "b", "é")
    assert fit_vocabulary(chunks, lowercase=False, max_size=5).tokens[4:] == ()


def test_rare_tokens_are_forgotten_beyond_the_bound(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(fitting, "LARGEST_COUNTER", 10)
    chunks = [["often often", " ".join(f"once{i}" for i in range(20))], ["often"]]
    assert fit_vocabulary(chunks, min_count=1).tokens[4:] == ("often",)
    assert "21 distinct tokens do not fit in memory: forgot the 20 seen 1 times" in caplog.text


def test_the_configuration_makes_the_same_layer():
    tokenizer = Tokenizer(VOCABULARY, level="char", lowercase=False, max_tokens=7, add_bos=True)
    copy = Tokenizer.from_config(tokenizer.get_config())
    assert copy.get_config() == tokenizer.get_config()
    assert copy.vocabulary == VOCABULARY
    assert Tokenizer.from_config(Tokenizer().get_config()).vocabulary is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"level": "wrod"},
            r"unknown level 'wrod' .*did you mean 'word'\?; expected one of word, ch",
        ),
        (
            {"max_tokens": 1, "add_eos": True},
            "max_tokens=1 .*no room.*expected at least 2; raise it",
        ),
        ({"vocabulary": Vocabulary(("x",), reserved=())}, r"reserves \[\]; .*cannot number text"),
    ],
)
def test_wrong_settings_say_what_to_do(options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        Tokenizer(**options)


def test_numbering_needs_a_vocabulary():
    for use in (Tokenizer().encode, Tokenizer(level="subword").split, Tokenizer().detokenize):
        with pytest.raises(ConfigError, match=r"has no vocabulary.*give it one from fit_vocabul"):
            use(["a"] if use.__name__ != "detokenize" else [[4]])
