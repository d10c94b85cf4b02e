import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.datasets.tagged import TaggedSentence
from pipelines.text.hyphens import join_hyphens, joins_hyphens
from pipelines.text.tokenizer import Tokenizer

SPLITTER = Tokenizer(lowercase=False)


def joined(*texts):
    tokens = join_hyphens(SPLITTER.split(list(texts)))
    return [[piece.decode() for piece in row] for row in tokens.pieces.to_list()]


def test_a_hyphen_between_letters_or_digits_joins():
    assert joined("a well-made 3-D film") == [["a", "well-made", "3-D", "film"]]
    assert joined("mother-in-law, ex-café-owner") == [["mother-in-law", ",", "ex-café-owner"]]


def test_other_hyphens_stay_apart():
    assert joined("well - made -5 ends- (a-) x--y", "-") == [
        ["well", "-", "made", "-", "5", "ends", "-", "(", "a", "-", ")", "x", "--", "y"], ["-"],
    ]  # fmt: skip


def test_texts_do_not_join_across_rows():
    assert joined("end-", "-start", "", "a", "-", "b") == [
        ["end", "-"], ["-", "start"], [], ["a"], ["-"], ["b"],
    ]  # fmt: skip
    assert joined() == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab-é \u0301.你"), max_size=12), min_size=1, max_size=4))
def test_pieces_are_the_slices_their_offsets_say(texts):
    tokens = join_hyphens(SPLITTER.split(texts))
    parts = (tokens.pieces, tokens.char_starts, tokens.char_limits)
    for text, *rows in zip(texts, *(part.to_list() for part in parts), strict=True):
        for piece, start, limit in zip(*rows, strict=True):
            assert text[start:limit].encode() == piece


def test_training_sentences_decide():
    one = TaggedSentence(("a", "well-made", "film"), ("x",) * 3)
    apart = TaggedSentence(("well", "-", "made"), ("x",) * 3, text="well-made")
    spaced = TaggedSentence(("well", "-", "made"), ("x",) * 3, text="well - made")
    assert joins_hyphens([one, spaced, spaced])
    assert not joins_hyphens([one, apart])
    assert not joins_hyphens([])


def test_it_runs_in_a_graph_with_any_number_of_texts():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
    def cut(texts):
        return join_hyphens(SPLITTER.split(texts)).pieces.to_tensor("")

    assert cut(tf.constant(["a-b", ""])).numpy().tolist() == [[b"a-b"], [b""]]
    assert cut(tf.constant([], tf.string)).shape[0] == 0
