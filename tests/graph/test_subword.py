import tarfile
import tempfile
from functools import cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers.models import WordPiece

from pipelines.text import units
from pipelines.text.fitting import fit_vocabulary
from pipelines.text.subword import WordPieces, match_pieces
from pipelines.text.subword_learning import MAX_WORD_CHARS
from pipelines.text.tokenizer import Tokenizer
from pipelines.text.vocabulary import BOS, EOS, RESERVED, UNK, Vocabulary

PIECES = Vocabulary((*RESERVED, *"▁abcd你'İi", "▁a", "▁ab", "ab", "abc", "bcd", "▁你"))


@cache
def compiled(lowercase: bool = True) -> tuple[tf.function, tf.function, tf.function]:
    """Compile encode, split and the matching of words over `PIECES`, as an export does."""
    tokenizer = Tokenizer(PIECES, level="subword", lowercase=lowercase)

    def match(words: tf.Tensor) -> WordPieces:
        return match_pieces(words, tokenizer._lookup, widest=tokenizer._width())

    spec = [tf.TensorSpec([None], tf.string)]
    methods = (tokenizer.encode, tokenizer.split, match)
    return tuple(tf.function(method, input_signature=spec, autograph=False) for method in methods)


def library(vocabulary: Vocabulary) -> WordPiece:
    return WordPiece(
        {token: index for index, token in enumerate(vocabulary.tokens)},
        unk_token=RESERVED[UNK],
        continuing_subword_prefix="",
        max_input_chars_per_word=MAX_WORD_CHARS,
    )


def in_graph(words: list[str], vocabulary: Vocabulary) -> list[list[int]]:
    if vocabulary is PIECES:
        found = compiled()[2](tf.constant(words))
    else:
        tokenizer = Tokenizer(vocabulary, level="subword")
        found = match_pieces(tf.constant(words), tokenizer._lookup, widest=tokenizer._width())
    lengths = tf.reduce_sum(found.chars, axis=1).numpy().tolist()
    assert lengths == [len(word) for word in words]
    return found.ids.to_list()


def by_library(words: list[str], vocabulary: Vocabulary) -> list[list[int]]:
    model = library(vocabulary)
    return [[piece.id for piece in model.tokenize(word)] for word in words]


def standard_library_lines() -> list[str]:
    sources = sorted(Path(tarfile.__file__).parent.glob("t*.py"))
    return [line for path in sources for line in path.read_text(encoding="utf-8").splitlines()]


def film_reviews() -> list[str]:
    archives = sorted(Path("data/raw").rglob("vaderSentiment-3.3.2.tar.gz"))
    if not archives:
        pytest.skip("the film reviews are not in data/raw; make data-sentiment fetches them")
    with tarfile.open(archives[0]) as outer:
        member = "vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz"
        inner = outer.extractfile(member).read()
    with tarfile.open(fileobj=BytesIO(inner)) as archive:
        name = "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt"
        text = archive.extractfile(name).read().decode()
    return [line.split("\t")[-1] for line in text.splitlines()]


@pytest.mark.parametrize(
    "read", [standard_library_lines, pytest.param(film_reviews, marks=pytest.mark.network)]
)
def test_pieces_of_a_whole_corpus_are_the_librarys(read):
    lines = read()
    assert len(lines) > 5000
    learned = fit_vocabulary([lines[:4000]], level="subword", min_count=2, max_size=3000)
    rows = units.space_marked_words(tf.constant(lines), lowercase=True).flat_values
    words = sorted({word.decode() for word in rows.numpy()})
    expected = by_library(words, learned)
    assert in_graph(words, learned) == expected
    assert any(row == [UNK] for row in expected) and max(map(len, expected)) > 3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text("abcd▁你'x", min_size=1, max_size=9), min_size=1, max_size=9, unique=True))
def test_pieces_of_any_word_are_the_librarys(words: list[str]):
    assert in_graph(words, PIECES) == by_library(words, PIECES)


def test_the_limit_of_characters_a_word_is_the_librarys():
    words = ["a" * (MAX_WORD_CHARS + more) for more in (-1, 0, 1)] + ["你" * MAX_WORD_CHARS]
    expected = by_library(words, PIECES)
    assert [len(row) for row in expected] == [MAX_WORD_CHARS - 1, MAX_WORD_CHARS, 1, MAX_WORD_CHARS]
    assert in_graph(words, PIECES) == expected


def ids(*pieces: str) -> list[int]:
    return [PIECES.encode_token(piece) for piece in pieces]


def test_numbers_of_a_text_are_pinned():
    tokenizer = Tokenizer(PIECES, level="subword", add_bos=True, add_eos=True)
    texts = ["ABC  a'bcd", "", "x ab你"]
    assert tokenizer.encode(texts).to_list() == [
        [BOS, *ids("▁ab", "c", "▁a", "'", "bcd"), EOS],
        [BOS, EOS],
        [BOS, UNK, *ids("▁ab", "你"), EOS],
    ]
    short = Tokenizer(PIECES, level="subword", max_tokens=2)
    assert short.encode(texts).to_list() == [ids("▁ab", "c"), [UNK], [UNK, *ids("▁ab")]]
    assert short.encode_counted(texts).lengths.numpy().tolist() == [5, 1, 3]


def test_places_of_pieces_are_pinned():
    text = " ABC d你xİ"
    tokens = Tokenizer(PIECES, level="subword").split([text])
    decoded = [piece.decode() for piece in tokens.normalised.to_list()[0]]
    assert decoded == ["▁ab", "c", "▁", "d", "你", "xi"]
    assert [piece.decode() for piece in tokens.pieces.to_list()[0]] == [
        "AB", "C", "", "d", "你", "xİ",
    ]  # fmt: skip
    assert tokens.char_starts.to_list() == [[1, 3, 5, 5, 6, 7]]
    assert tokens.char_limits.to_list() == [[3, 4, 5, 6, 7, 9]]
    assert tokens.byte_starts.to_list() == [[1, 3, 5, 5, 6, 9]]
    assert tokens.byte_limits.to_list() == [[3, 4, 5, 6, 9, 12]]
    assert tokens.space_before.to_list() == [[True, False, True, False, False, False]]


def as_rows(ragged: tf.RaggedTensor) -> list[list]:
    """Do as `to_list`, which loses the final NUL of a string."""
    flat, splits = ragged.flat_values.numpy().tolist(), ragged.row_splits.numpy().tolist()
    return [flat[start:limit] for start, limit in pairwise(splits)]


mixed = st.text(
    st.one_of(
        st.sampled_from("abcdABCD' \n\u00a0.你İx-5\u0301\U0001f469\u200d▁"),
        st.characters(codec="utf-8"),
    ),
    max_size=25,
)
batches = st.lists(mixed, min_size=1, max_size=4)


@settings(max_examples=30, deadline=None)
@given(batches, st.booleans())
def test_encode_and_split_agree_and_offsets_slice_the_original(texts: list[str], lowercase: bool):
    encode, split, _ = compiled(lowercase)
    tokens = split(texts)
    shown = [[piece.decode() for piece in row] for row in as_rows(tokens.normalised)]
    expected = [[PIECES.encode_token(piece) for piece in row] or [UNK] for row in shown]
    assert encode(texts).to_list() == expected
    assert [encode([text]).to_list()[0] for text in texts] == expected
    rows = zip(texts, *map(as_rows, tokens), strict=True)
    for text, cut, _, byte_starts, byte_limits, char_starts, char_limits, _ in rows:
        raw = text.encode()
        decoded = [piece.decode() for piece in cut]
        assert [text[a:b] for a, b in zip(char_starts, char_limits, strict=True)] == decoded
        assert [raw[a:b] for a, b in zip(byte_starts, byte_limits, strict=True)] == cut
        words = units.words(tf.constant([text]), lowercase=False).flat_values.numpy()
        assert b"".join(cut) == b"".join(words)


@settings(max_examples=15, deadline=None)
@given(batches)
def test_known_characters_come_back_up_to_whitespace(texts: list[str]):
    characters = sorted({"▁", *"".join(texts)})
    vocabulary = Vocabulary((*RESERVED, *characters, "▁a", "ab", "abc"))
    tokenizer = Tokenizer(vocabulary, level="subword", lowercase=False, add_eos=True)
    written = [text.decode() for text in tokenizer.detokenize(tokenizer(texts)).numpy()]
    gaps = [tf.strings.regex_replace(text, f"[{units._SPACE}]+", " ") for text in texts]
    expected = [gap.numpy().decode().strip(" ") for gap in gaps]
    assert written == expected


def test_detokenizing_is_pinned():
    tokenizer = Tokenizer(PIECES, level="subword")
    rows = [[BOS, *ids("▁ab", "c", "▁a", "'"), EOS, *ids("b")], [UNK, *ids("▁", "a"), UNK, 0, 0, 0]]
    written = tokenizer.detokenize(rows).numpy().tolist()
    assert written == [b"abc a'", b"<unk> a <unk>"]


def test_learned_pieces_give_the_text_back():
    lines = ["The naïve café.", "the café's  door, the well-made door!", "你好 the 你"]
    vocabulary = fit_vocabulary([lines] * 3, level="subword", max_size=120)
    tokenizer = Tokenizer(vocabulary, level="subword")
    written = [text.decode() for text in tokenizer.detokenize(tokenizer(lines)).numpy()]
    assert written == [" ".join(line.lower().split()) for line in lines]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary.save(Path(folder) / "pieces.txt")
        again = Tokenizer(Vocabulary.load(Path(folder) / "pieces.txt"), level="subword")
    assert again.encode(lines).to_list() == tokenizer.encode(lines).to_list()
