"""Documents cut into sentences in the graph, and read in two levels."""

import itertools

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from pipelines.layers.pooling import SequencePooling
from pipelines.layers.recurrent import RecurrentStack
from pipelines.layers.sentence_reader import SentenceReader, cut_sentences

numpy = ops.convert_to_numpy
RNG = np.random.default_rng(0)
END, OTHER_END = 8, 9


def sentences_of(tokens, most, longest):
    """Cut one document in plain Python: lists of steps."""
    found, before = [], None
    for step, token in enumerate(tokens):
        after_end = before in (END, OTHER_END) and token not in (END, OTHER_END)
        if step == 0 or after_end or len(found[-1]) == longest:
            found.append([])
        found[-1].append(step)
        before = token
    return found[:most]


documents = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=9), min_size=1, max_size=3)


@settings(max_examples=15)
@given(documents, st.integers(1, 4), st.integers(1, 5))
def test_documents_are_cut_as_in_plain_python(written, most, longest):
    tokens = np.zeros((len(written), max(map(len, written)) + 1), "int32")
    for row, document in zip(tokens, written, strict=True):
        row[: len(document)] = document
    cut = cut_sentences(tokens >= END, tokens > 0, most=most, longest=longest)
    places, real = numpy(cut.places), numpy(cut.real)
    expected = [sentences_of(document, most, longest) for document in written]
    for row, sentences in enumerate(expected):
        found = [places[row, s][real[row, s]].tolist() for s in range(places.shape[1])]
        assert found[: len(sentences)] == sentences
        assert not any(found[len(sentences) :])
    assert places.shape[1] == max(map(len, expected))
    assert places.shape[2] == max(len(part) for parts in expected for part in parts)


def reader(**options):
    """A reader of two-dimensional vectors with weights of its own for each level."""
    words, sentences = (RecurrentStack(cell="gru", units=3, seed=seed) for seed in (1, 2))
    chosen = {"endings": [END], "most": 4, "longest": 4} | options
    return SentenceReader(
        words,
        SequencePooling(("attention", "last"), backward=words.backward),
        sentences,
        SequencePooling(("max",), backward=sentences.backward),
        **chosen,
    )


def document(*sentences, extra=0):
    """Tokens, vectors and mask of one document."""
    tokens = np.array([[*itertools.chain(*sentences), *[0] * extra]], "int32")
    vectors = np.random.default_rng(7).normal(size=(10, 2)).astype("float32")[tokens]
    return vectors, tokens, tokens > 0


def test_a_sentences_vector_does_not_see_other_sentences():
    layer = reader()
    vectors, tokens, mask = document([1, 2, END], [3, END], [4, 5, 6])
    layer(vectors, tokens, mask)
    together = numpy(layer.read_sentences(vectors, layer.cut(tokens, mask)))[0]
    assert together.shape == (3, 12)
    for number, sentence in enumerate(([1, 2, END], [3, END], [4, 5, 6])):
        alone = document(sentence)
        vector = numpy(layer.read_sentences(alone[0], layer.cut(*alone[1:])))[0, 0]
        np.testing.assert_allclose(together[number], vector, atol=1e-6)
    other, swapped, _ = document([1, 2, END], [7, END], [4, 5, 6])
    changed = numpy(layer.read_sentences(other, layer.cut(swapped, mask)))[0]
    assert (changed != together).any(axis=-1).tolist() == [False, True, False]


def test_the_documents_vector_sees_all_sentences_in_order():
    layer = reader()
    first = numpy(layer(*document([1, 2, END], [3, END], [4, 5, 6])))
    for other in (
        document([1, 2, END], [7, END], [4, 5, 6]),
        document([3, END], [1, 2, END], [4, 5, 6]),
    ):
        assert not np.allclose(numpy(layer(*other)), first, atol=1e-4)


def test_padding_and_neighbours_change_nothing():
    layer = reader()
    short, long = document([1, END], [2], extra=9), document(*[[1, 2, 3, END]] * 3)
    batch = [np.concatenate(pair) for pair in zip(short, long, strict=True)]
    batch[0][~batch[2]] = 5.0
    together = numpy(layer(*batch))
    np.testing.assert_allclose(together[0], numpy(layer(*document([1, END], [2])))[0], atol=1e-6)
    np.testing.assert_allclose(together[1], numpy(layer(*long))[0], atol=1e-6)


def test_what_follows_the_last_sentence_that_is_read_is_left_out():
    layer = reader(most=2, longest=3)
    first = numpy(layer(*document([1, 2, END], [3, END], [4, 5, 6])))
    np.testing.assert_array_equal(numpy(layer(*document([1, 2, END], [3, END], [7]))), first)
    np.testing.assert_array_equal(numpy(layer(*document([1, 2, END], [3, END]))), first)
    uncut = reader(endings=[], longest=3)  # no token ends a sentence: three tokens do
    assert numpy(uncut.cut(*document([1, 2, END, 4])[1:]).real).sum(axis=2).tolist() == [[3, 1]]


def test_readers_come_back_from_the_disk_and_are_served_at_any_length(tmp_path):
    given = [
        keras.Input((None, 2)),
        keras.Input((None,), dtype="int32"),
        keras.Input((None,), dtype="bool"),
    ]
    layer = reader()
    model = keras.Model(given, layer(*given))
    assert model.output.shape == (None, 6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    served = tf.function(lambda *inputs: again(inputs), reduce_retracing=True)
    for length in (7, 3):
        tokens = RNG.integers(1, 10, (2, length)).astype("int32")
        inputs = [RNG.normal(size=(2, length, 2)).astype("float32"), tokens, tokens > 0]
        np.testing.assert_allclose(served(*inputs), layer(*inputs), atol=1e-6)
