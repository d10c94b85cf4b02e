import hashlib
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.text.subword_learning import MAX_PIECE_CHARS, learn_pieces
from pipelines.text.vocabulary import BOS, EOS, PAD, RESERVED, UNK, Vocabulary


def test_counts_become_tokens_by_frequency_then_by_token():
    counts = Counter({"b": 3, "a": 3, "rare": 1, "z": 9, "<unk>": 50, "": 50})
    vocabulary = Vocabulary.from_counts(counts, min_count=2)
    assert vocabulary.tokens == ("<pad>", "<unk>", "<bos>", "<eos>", "z", "a", "b")
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert Vocabulary.from_counts(counts, max_size=5).tokens[4:] == ("z",)
    assert len(Vocabulary.from_counts(counts, max_size=2)) == 4


def test_the_order_of_counting_does_not_matter():
    forwards = {"a": 1, "b": 1, "c": 2}
    backwards = dict(reversed(forwards.items()))
    assert Vocabulary.from_counts(forwards) == Vocabulary.from_counts(backwards)


def test_unknown_tokens_are_unk_and_unknown_labels_are_errors():
    words = Vocabulary((*RESERVED, "film"))
    assert [words.encode_token(token) for token in ("film", "flim", "<eos>")] == [4, UNK, EOS]
    assert "film" in words and "flim" not in words
    labels = Vocabulary(("negative", "positive"), reserved=())
    assert labels.encode_token("positive") == 1
    with pytest.raises(
        DataError, match=r"unknown label 'postive'; did you mean 'positive'\?.*corr"
    ):
        labels.encode_token("postive")


def test_the_file_is_one_readable_line_a_token(tmp_path: Path):
    vocabulary = Vocabulary(
        (*RESERVED, "naïve", "\n", "\\n", " ", "a b", "\t", "\x00", "你", "\u2028")
    )
    vocabulary.save(tmp_path / "vocabulary.txt")
    lines = (tmp_path / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
    expected = ["naïve", r"\n", r"\\n", r"\u0020", "a b", r"\t", r"\u0000", "你", r"\u2028", ""]
    assert lines == [*RESERVED, *expected]


@given(st.sets(st.text(st.characters(), min_size=1), max_size=30))
def test_any_tokens_survive_the_file(tmp_path_factory: pytest.TempPathFactory, tokens: set[str]):
    path = tmp_path_factory.mktemp("vocabulary") / "tokens.txt"
    vocabulary = Vocabulary.from_counts(dict.fromkeys(tokens, 1))
    vocabulary.save(path)
    loaded = Vocabulary.load(path)
    assert loaded == vocabulary
    assert loaded.fingerprint == vocabulary.fingerprint
    assert len(path.read_text(encoding="utf-8").splitlines()) == len(vocabulary)


def test_bytes_have_one_vocabulary():
    vocabulary = Vocabulary.of_bytes()
    assert len(vocabulary) == 260 and vocabulary.tokens[:4] == RESERVED
    assert [vocabulary.encode_token(name) for name in ("<0x00>", "<0x0A>", "<0xFF>")] == [
        4,
        14,
        259,
    ]


def test_labels_need_no_reserved_tokens(tmp_path: Path):
    labels = Vocabulary.from_counts({"no": 2, "yes": 1}, reserved=())
    labels.save(tmp_path / "labels.txt")
    assert (tmp_path / "labels.txt").read_bytes() == b"no\nyes\n"
    assert Vocabulary.load(tmp_path / "labels.txt", reserved=()) == labels
    with pytest.raises(DataError, match=r"labels.txt:1: .*\['no', 'yes'\].*reserved=\(\)"):
        Vocabulary.load(tmp_path / "labels.txt")


def test_the_fingerprint_is_the_hash_of_the_file(tmp_path: Path):
    vocabulary = Vocabulary((*RESERVED, "\x85", "film"))
    vocabulary.save(tmp_path / "v.txt")
    digest = hashlib.sha256((tmp_path / "v.txt").read_bytes()).hexdigest()
    assert vocabulary.fingerprint == digest[:16]
    assert Vocabulary((*RESERVED, "film", "\x85")).fingerprint != vocabulary.fingerprint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"film\n\nplot\n", r"empty token at .*v\.txt:6; .*remove the line"),
        (b"film\nplot\nfilm\n", r"v\.txt:7: 'film' already stands at .*v\.txt:5; .*remove one"),
        (b"film\nbad\\x\n", r"v\.txt:6: 'bad\\\\x' is not a token.*restore the file"),
        (b"film\r\n", r"v\.txt:5: 'film\\r' .*no carriage return"),
        (b"\\U00110000\n", r"v\.txt:5: .*is not a token"),
        (b"film\nca\xff\n", r"v\.txt:6: byte 0xff at offset 31 is not UTF-8.*save the file as UTF"),
    ],
)
def test_a_corrupt_file_names_the_line(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "v.txt"
    path.write_bytes(b"<pad>\n<unk>\n<bos>\n<eos>\n" + content)
    with pytest.raises(DataError, match=message):
        Vocabulary.load(path)


def test_an_absent_or_empty_file_says_what_to_do(tmp_path: Path):
    with pytest.raises(DataError, match=r"cannot read .*absent\.txt: No such file.*right path"):
        Vocabulary.load(tmp_path / "absent.txt")
    (tmp_path / "empty.txt").write_bytes(b"")
    with pytest.raises(DataError, match=r"empty\.txt:1: .*begins with \[\].*expected \['<pad>'"):
        Vocabulary.load(tmp_path / "empty.txt")


def test_tokens_given_in_code_are_checked_too():
    with pytest.raises(DataError, match=r"vocabulary token 5: 'a' already stands at .* 4"):
        Vocabulary((*RESERVED, "a", "a"))


WORDS = {"▁lower": 5, "▁lowest": 4, "▁newer": 6, "▁wider": 3, "▁你": 2, "▁rare\u0301": 1}


def test_pieces_are_learned_from_counts_alone():
    pieces = learn_pieces(WORDS, min_count=2, max_size=40)
    assert pieces.tokens[:4] == RESERVED
    assert {"▁", "l", "w", "你"} <= set(pieces.tokens)
    assert "\u0301" not in pieces and "a" not in pieces  # seen once
    assert "▁newer" in pieces
    assert len(pieces) <= 40
    assert learn_pieces(dict(reversed(WORDS.items())), min_count=2, max_size=40) == pieces


def test_pieces_are_the_same_in_another_process():
    program = (
        "from pipelines.text.subword_learning import learn_pieces; import sys;"
        f"print(learn_pieces({WORDS!r}, min_count=2, max_size=40).fingerprint);"
        "sys.exit('tensorflow' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, text=True
    )
    assert run.stdout.strip() == learn_pieces(WORDS, min_count=2, max_size=40).fingerprint


def test_no_piece_is_longer_than_the_graph_looks():
    pieces = learn_pieces({"▁" + "abcdefghij" * 4: 50}, min_count=1, max_size=200)
    assert max(map(len, pieces.tokens)) <= MAX_PIECE_CHARS


def test_pieces_are_learned_from_words_that_hold_any_character():
    words = {" new": 9, "\n\n": 9, "a\ue000b": 9, "\0\t": 9, "\ue001": 9, "<unk>": 9}
    pieces = learn_pieces(words, min_count=2, max_size=60)
    assert set(words) - {"<unk>"} <= set(pieces.tokens)
    assert pieces.tokens.count("<unk>") == 1 and "nk>" in pieces


def test_no_words_cannot_be_learned_from():
    with pytest.raises(DataError, match="holds 0 words; expected at least one; check the text"):
        learn_pieces({})
